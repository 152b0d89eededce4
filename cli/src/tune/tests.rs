//! The report, of runs with fixed numbers.

use clap::Parser;

use super::advice::Advice;
use super::measure::Run;
use super::stage::{LoadedChunk, Mark, Usage};
use super::*;
use crate::args::{Args, Command};

const GB: u64 = 1_000_000_000;

/// The arguments of `sluice tune x.csv` and more.
fn tune_args(more: &[&str]) -> TuneArgs {
    let args = Args::try_parse_from([&["sluice", "tune", "x.csv"], more].concat()).unwrap();
    let Command::Tune(args) = args.command else { panic!("{args:?}") };
    args
}

/// A source of 4 GB that becomes 1200 MiB of chunks.
fn outlook() -> Outlook {
    let whole = |size: u64| Whole {
        source_bytes: 4 * GB,
        rows: 30_000_000,
        chunks: 1200_u64.div_ceil(size),
        chunk_bytes: 1200 << 20,
    };
    let sizes = [16, 32, 64, 100, 200, 400].map(|size| (size, whole(size))).to_vec();
    Outlook { source: "/drops/<x>.csv".to_owned(), bytes: 4 * GB, format: "csv", sizes }
}

/// A sample of 128 MiB: 0.1 s and 20 ms a MiB of the worker, 80 MiB and half of the chunk.
fn sample(chunk_mib: u64, peak: bool) -> Run {
    let cpu_seconds = model::float(chunk_mib).mul_add(0.02, 0.1);
    let chunk = LoadedChunk { bytes: chunk_mib << 20, cpu_seconds, seconds: cpu_seconds };
    let chunks = vec![chunk; usize::try_from(128 / chunk_mib).unwrap()];
    let usage = |cpu_seconds, mib: u64| Usage { cpu_seconds, seconds: 3.0, peak_bytes: peak.then_some(mib << 20) };
    Run {
        chunk_mib,
        is_whole: false,
        marks: [(1, 1.6), (3, 4.6)]
            .map(|(millions, cpu_seconds)| Mark { records: millions * 1_000_000, cpu_seconds })
            .to_vec(),
        splitter: usage(4.6, 140),
        data_bytes: chunks.iter().map(|chunk| chunk.bytes * 3 / 4).sum(),
        chunks,
        worker: usage(3.0, 80 + chunk_mib / 2),
    }
}

fn reported(more: &[&str], knows_memory: bool) -> Document {
    let runs = [16, 32, 64, 100].map(|size| sample(size, knows_memory));
    document(&tune_args(more), Prices::default(), outlook(), &runs).unwrap()
}

#[test]
fn for_people() {
    insta::assert_snapshot!(text::text(&reported(&[], true)), @r#"
    /drops/<x>.csv (3814.7 MiB, csv, about 30,000,000 rows)
       CHUNK_           all  splitter                worker                                                 $
      SIZE_MB  chunks     s         s  MiB  from MB       s  s left  MiB  from MB  commits  conflicts    a GB
           16      75  51.3      49.6  140      256     1.7     298   88      128       75       52.1  0.0024
           32      38  51.6      49.6  140      256     2.0     298   96      128       38       22.1  0.0016
           64      19  52.1      49.6  140      256     2.5     297  112      256       19        8.3  0.0011
          100      12  52.9      49.6  140      256     3.2     297  130      256       12        4.0  0.0010
         *200       6  54.9      49.6  140      256     5.3     295  180      256        6        1.2  0.0009
         *400       3  59.3      49.6  140      256     9.6     290  280      512        3        0.4  0.0008
    * predicted from the sizes above, of which samples of 128 MiB were split and loaded
    for Lambda on arm64, splitter 1769 MB, 10 workers of 1769 MB and 300 s at once on the table
    prices of us-east-1, 2026-05, without storage; --prices FILE has others; memory as measured, from MB with a quarter to spare
    recommended: CHUNK_SIZE_MB=200: all sizes fit these functions; of those that do, and are at most a tenth of a cent a GB dearer than the cheapest, its full data files, 150 MiB, come nearest to 128; it costs $0.0009 a GB, and a worker takes 5.3 s a chunk
    "#);
}

#[test]
fn for_machines() {
    let mut document = serde_json::to_value(reported(&[], true)).unwrap();
    document["sizes"].as_array_mut().unwrap().drain(1..5);
    round(&mut document);
    insta::assert_snapshot!(document.to_string(), @r#"
    {"bytes":4000000000,"deployment":{"architecture":"arm64","concurrency":10,"splitter_memory_mb":1769,"timeout_seconds":300,"worker_memory_mb":1769},"format":"csv","model":{"data_share":0.75,"splitter_cores":1.533333,"splitter_cpu_seconds":{"each":1.5,"fixed":0.1},"splitter_peak_mib":{"each":0.0,"fixed":140.0},"worker_cores":1.0,"worker_cpu_seconds":{"each":0.02,"fixed":0.1},"worker_peak_mib":{"each":0.5,"fixed":80.0}},"prices":{"date":"2026-05","lambda_gb_second_arm64":0.000013,"lambda_gb_second_x86_64":0.000017,"lambda_request":0.0,"region":"us-east-1","s3_read":0.0,"s3_write":5e-6,"sqs_request":0.0},"recommended":{"chunk_size_mb":200,"reason":"all sizes fit these functions; of those that do, and are at most a tenth of a cent a GB dearer than the cheapest, its full data files, 150 MiB, come nearest to 128; it costs $0.0009 a GB, and a worker takes 5.3 s a chunk"},"rows":30000000,"sample_mb":128,"sizes":[{"basis":"measured","chunk_size_mb":16,"chunks":75,"commits":75,"conflicts":52.073007,"cost_per_gb":{"all":0.002369,"lambda":0.001031,"s3":0.001315,"sqs":0.000023},"data_file_bytes":12582912,"seconds":51.327406,"seconds_left":298.282594,"splitter":{"cpu_seconds":45.1,"least_memory_mb":256,"peak_bytes":146800640,"seconds":49.61},"splitter_calls":1,"worker":{"cpu_seconds":0.42,"least_memory_mb":128,"peak_bytes":92274688,"seconds":1.717406}},{"basis":"predicted","chunk_size_mb":400,"chunks":3,"commits":3,"conflicts":0.350302,"cost_per_gb":{"all":0.000813,"lambda":0.000453,"s3":0.000359,"sqs":1e-6},"data_file_bytes":314572800,"seconds":59.25518,"seconds_left":290.35482,"splitter":{"cpu_seconds":45.1,"least_memory_mb":256,"peak_bytes":146800640,"seconds":49.61},"splitter_calls":1,"worker":{"cpu_seconds":8.1,"least_memory_mb":512,"peak_bytes":293601280,"seconds":9.64518}}],"source":"/drops/<x>.csv"}
    "#);
}

/// Leaves six digits of each fraction, which are the same on every machine.
fn round(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Array(items) => items.iter_mut().for_each(round),
        serde_json::Value::Object(members) => members.values_mut().for_each(round),
        serde_json::Value::Number(number) if number.is_f64() => {
            *value = format!("{:.6}", number.as_f64().unwrap()).parse::<f64>().unwrap().into();
        }
        _ => {}
    }
}

#[test]
fn what_the_system_does_not_tell_is_unknown() {
    let document = reported(&[], false);
    let text = text::text(&document);
    assert!(text.contains("unknown"), "{text}");
    assert!(document.sizes.iter().all(|size| size.is_held(&document.deployment)), "no reason to refuse any");
    assert!(html::page(&document).contains("unknown"));
}

#[test]
fn the_deployment_decides() {
    for (more, chunk_size_mb, why) in [
        (&[][..], 200, "full data files, 150 MiB, come nearest to 128"),
        (&["--worker-memory-mb", "130"], 32, "4 sizes do not fit"),
        (&["--splitter-memory-mb", "128"], 16, "no size fits"),
        (&["--timeout-seconds", "9"], 100, "2 sizes do not fit"),
        (&["--timeout-seconds", "1"], 16, "no size fits"),
    ] {
        let Advice { chunk_size_mb: advised, reason } = reported(more, true).recommended;
        assert_eq!(advised, chunk_size_mb, "{more:?}: {reason}");
        assert!(reason.contains(why), "{more:?}: {reason}");
    }
}

#[test]
fn a_source_of_one_chunk_is_no_reason_for_another_size_than_the_default() {
    let settings = Settings::from_lookup(|_| None).unwrap();
    assert_eq!(advice::DEFAULT_MIB << 20, settings.read.chunk_bytes);
}

#[test]
fn more_workers_meet_more_and_more_memory_is_faster() {
    let of = |more: &[&str]| reported(more, true).sizes[0];
    let (few, many) = (of(&["--concurrency", "2"]), of(&["--concurrency", "100"]));
    assert!(many.conflicts > 4.0 * few.conflicts && many.worker.seconds > few.worker.seconds);
    let (slow, fast) = (of(&["--splitter-memory-mb", "884"]), of(&["--splitter-memory-mb", "2653"]));
    assert!(slow.splitter.seconds > 2.9 * fast.splitter.seconds, "{slow:?} {fast:?}");
    assert!(of(&["--architecture", "x86_64"]).cost_per_gb.lambda > of(&[]).cost_per_gb.lambda);
}

#[test]
fn a_sample_has_two_of_the_sizes() {
    let sampled = |sample_mb| outlook().sampled(sample_mb);
    assert_eq!(sampled(128).unwrap(), [16, 32, 64, 100]);
    assert_eq!(sampled(1200).unwrap(), [16, 32, 64, 100, 200, 400]);
    let error = sampled(31).unwrap_err();
    assert_eq!(error.to_string(), "samples of 31 MiB are too small for two of the sizes [16, 32, 64, 100, 200, 400]");
    let small = Whole { source_bytes: 9, rows: 1, chunks: 1, chunk_bytes: 9 };
    let one = Outlook { sizes: vec![(400, small)], ..outlook() };
    assert_eq!(one.sampled(1).unwrap(), [400], "all of it is in the sample");
}

#[test]
fn the_page_is_whole_and_needs_nothing() {
    let page = html::page(&reported(&[], true));
    let mut open = Vec::new();
    for tag in page.split('<').skip(1).filter_map(|part| part.split_once('>')).map(|(tag, _)| tag) {
        let name = tag.split_whitespace().next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "</{name}> closes what was opened last"),
            None if name == "!DOCTYPE" || tag.ends_with('/') => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    for outside in ["http:", "https:", "src=", "href=", "url(", "@import", "<script", "NaN", "inf"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("&lt;x&gt;.csv") && !page.contains("<x>"), "names are text");
    assert_eq!(page.matches("<svg").count(), 4);
    assert!(page.contains("prefers-color-scheme: dark"));
}
