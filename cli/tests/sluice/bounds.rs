//! Small sources that would take gigabytes or minutes: loaded within a bound of memory, or refused by name.
#![cfg(target_os = "linux")]

use std::fmt::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use shared::testing::run_python;

use crate::support::{Place, Ran};

const MIB: u64 = 1 << 20;

/// A run, the most memory that it was seen with, and its time.
struct Measured {
    ran: Ran,
    peak: u64,
    time: Duration,
}

/// Runs the binary, and looks at its memory every few milliseconds.
fn measure(place: &Place, args: &[&str]) -> Measured {
    let started = Instant::now();
    let mut command = place.command(args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (status, has_ended) = (format!("/proc/{}/status", child.id()), AtomicBool::new(false));
    let watch = || {
        let mut peak = 0;
        while !has_ended.load(Ordering::Relaxed) {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let seen =
                text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
            peak = peak.max(seen.unwrap_or(0_u64) << 10);
            std::thread::sleep(Duration::from_millis(3));
        }
        peak
    };
    std::thread::scope(|scope| {
        let watched = scope.spawn(watch);
        // Its output is read meanwhile: a report that names thousands of columns does not fit into a pipe.
        let output = child.wait_with_output().unwrap();
        let time = started.elapsed();
        has_ended.store(true, Ordering::Relaxed);
        Measured { ran: place.ended(output), peak: watched.join().unwrap(), time }
    })
}

/// `sluice ingest SOURCE --table t --json` and more.
fn ingest(place: &Place, source: &Path, more: &[&str]) -> Measured {
    measure(place, &[&["ingest", source.to_str().unwrap(), "--table", "t", "--json"], more].concat())
}

/// What a source must end with, in how much memory, and how many times as long as a clean one may take.
struct Bound {
    status: i32,
    mib: u64,
    times: u32,
}

#[track_caller]
fn hold(name: &str, seen: &Measured, clean: Option<Duration>, bound: &Bound) {
    let Measured { ran, peak, time } = seen;
    println!("{name}: status {}, {} MiB, {:.1} s", ran.status, peak / MIB, time.as_secs_f64());
    assert_eq!(ran.status, bound.status, "{name}: {ran:?}");
    assert!(*peak <= bound.mib * MIB, "{name} took {} MiB, and is to take {} at most", peak / MIB, bound.mib);
    // A second for what does not go by the source, and for other tests beside this one.
    let most = clean.map(|clean| (clean + Duration::from_secs(1)) * bound.times);
    assert!(most.is_none_or(|most| *time <= most), "{name} took {time:?}, a clean source {clean:?}");
}

/// A table of so many rows, each in a partition of its own or all in one.
fn partitioned(rows: usize, partitions: usize) -> String {
    let mut text = String::from("id,p\n");
    (0..rows).for_each(|row| writeln!(text, "{row},v{}", row % partitions).unwrap());
    text
}

#[test]
fn partitions_are_counted_and_their_files_closed() {
    let place = Place::new();
    let by = ["--partition-by", "p"];
    let clean = ingest(&place, &place.write("clean.csv", partitioned(100_000, 1)), &by);
    assert_eq!(clean.ran.status, 0, "{:?}", clean.ran);
    let many = ingest(&Place::new(), &place.write("many.csv", partitioned(100_000, 100_000)), &by);
    hold("100,000 partitions", &many, Some(clean.time), &Bound { status: 3, mib: 256, times: 3 });
    let said = &many.ran.stderr;
    let reason = "the rows of one chunk belong to more than 10000 partitions of table";
    assert!(said.contains(reason) && said.contains("by 'p'") && said.contains("MAX_PARTITIONS"), "{said}");
    let some = Place::new();
    let seen = ingest(&some, &place.write("some.csv", partitioned(100_000, 1000)), &by);
    hold("1,000 partitions", &seen, None, &Bound { status: 0, mib: 256, times: 0 });
    assert_eq!((some.files().len(), seen.ran.json()["rows"]["committed"].as_u64()), (1000, Some(100_000)));
    let place = Place::new();
    let seen =
        ingest(&place, &place.write("x.csv", partitioned(30, 30)), &[&by[..], &["--max-partitions", "29"]].concat());
    hold("30 partitions of 29", &seen, None, &Bound { status: 3, mib: 256, times: 0 });
}

/// Footers of files that are open take memory for each of their columns.
#[test]
fn partitions_of_many_columns_take_little_memory() {
    let place = Place::new();
    let header = (0..400).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
    let text = (0..600).fold(format!("p,{header}"), |text, row| text + "\n" + &row.to_string() + &",1".repeat(400));
    let seen = ingest(&place, &place.write("wide.csv", text), &["--partition-by", "p"]);
    hold("600 partitions of 400 columns", &seen, None, &Bound { status: 0, mib: 150, times: 0 });
    assert_eq!((place.files().len(), place.rows().num_rows()), (600, 600));
}

#[test]
fn thousands_of_columns_are_written_anew() {
    let place = Place::new();
    let mut text = (0..3000).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
    for row in 0..400 {
        // Values of every other column recur.
        let cell =
            |column: u64| if column.is_multiple_of(2) { row * 3000 + column } else { (row * 31 + column * 7) % 1000 };
        text = text + "\n" + &(0..3000).map(|column| cell(column).to_string()).collect::<Vec<_>>().join(",");
    }
    let source = place.write("wide.csv", text);
    let split = ingest(&Place::new(), &source, &[]);
    let seen = ingest(&place, &source, &["--data-files", "rewritten"]);
    hold("3,000 columns", &seen, Some(split.time), &Bound { status: 0, mib: 256, times: 4 });
    assert_eq!((place.rows().num_rows(), place.rows().num_columns()), (400, 3000));
}

#[test]
fn texts_that_a_few_bytes_stand_for() {
    let place = Place::new();
    run_python(
        &place.path(""),
        "import pyarrow as pa, pyarrow.parquet as pq\n\
         def write(name, texts, **options):\n    \
             pq.write_table(pa.table({'id': pa.array(range(len(texts))), 'html': texts}), name, compression='zstd', store_schema=False, **options)\n\
         long = pa.array(['x' * 300_000], pa.large_string())\n\
         write('words.parquet', pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), long))\n\
         write('page.parquet', pa.array(['y' * 300_000] * 400, pa.large_string()), use_dictionary=False, data_page_size=1 << 30, write_batch_size=1024)\n\
         write('clean.parquet', pa.array([f'text {i}' for i in range(2000)], pa.string()))\n",
    );
    let clean = ingest(&Place::new(), &place.path("clean.parquet"), &[]);
    let words = ingest(&place, &place.path("words.parquet"), &[]);
    // 600 MB go through it, so its time says nothing of a clean file's.
    hold("one word of 300 KB, 2,000 times", &words, Some(clean.time), &Bound { status: 0, mib: 384, times: 30 });
    assert_eq!(words.ran.json()["rows"]["committed"], 2000);
    let small = ingest(&Place::new(), &place.path("page.parquet"), &["--memory-mb", "128"]);
    hold("a page of 120 MB", &small, Some(clean.time), &Bound { status: 1, mib: 160, times: 3 });
    let said = &small.ran.stderr;
    assert!(said.contains("row group 0 of") && said.contains("page.parquet cannot be read: it needs"), "{said}");
    assert!(said.contains("MEMORY_MB=128 leaves 64 MiB") && said.contains("hint: set MEMORY_MB="), "{said}");
    let hinted = said.split_once("set MEMORY_MB=").and_then(|(_, hint)| hint.split_once(' ')).unwrap().0;
    let enough = ingest(&Place::new(), &place.path("page.parquet"), &["--memory-mb", hinted]);
    let mib = hinted.parse().unwrap();
    hold("a page of 120 MB with as much as was asked for", &enough, None, &Bound { status: 0, mib, times: 0 });
}

#[test]
fn rejected_rows_are_stored_and_shown_a_few_at_a_time() {
    let place = Place::new();
    place.ingest(&place.write("first.csv", "id,name\n1,a\n"), &["--schema", "id:int64"]);
    // Every third record has too few fields, and the number of every other one does not fit the table.
    let mut text = String::from("id,name\n");
    for record in 1..=300_000 {
        match record % 3 {
            0 => text.push_str("x\n"),
            1 => writeln!(text, "{record},b").unwrap(),
            _ => writeln!(text, "n{record},b").unwrap(),
        }
    }
    let seen = ingest(&place, &place.write("x.csv", text), &["--infer", "none", "--schema", "id:text"]);
    hold("200,000 rejects", &seen, None, &Bound { status: 0, mib: 256, times: 0 });
    assert_eq!(seen.ran.json()["rows"]["quarantined"], 200_000);
    let shown = measure(&place, &["quarantine", "show", "x.csv", "--table", "t"]);
    hold("200,000 rejects shown", &shown, None, &Bound { status: 0, mib: 80, times: 0 });
    let said = &shown.ran.stdout;
    assert!(said.contains("record 2 (row 2 of chunk 0): {\"id\":\"n2\""), "{said}");
    assert!(said.contains("record 5 (row 4 of chunk 0)") && said.contains("record 9, byte"), "{said}");
}
