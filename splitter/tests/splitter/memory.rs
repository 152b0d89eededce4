//! What a split holds in memory is bounded by settings, never by its source.
#![cfg(target_os = "linux")]

use std::env;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use shared::{Progress, Settings, Stores};
use splitter::{SplitContext, split};

/// The folder with the source, in the environment of the process that splits it, and the name of the source there.
const FOLDER: &str = "SPLIT_ALONE_FOLDER";
const SOURCE: &str = "SPLIT_ALONE_SOURCE";

/// The column of a source in which values do not fit.
const VALUE: &str = "number";

/// Writes so many MiB of numbers, decimals, dates and texts.
fn write_source(at: &Path, mib: u64) {
    let mut file = BufWriter::new(File::create(at).unwrap());
    writeln!(file, "id,price,day,word,note").unwrap();
    let mut written = 0;
    for id in 0_u64.. {
        let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (cents, day) = (mixed % 100, mixed % 28 + 1);
        let line =
            format!("{id},{}.{cents:02},2024-02-{day:02},word {},\"{mixed:x}, {mixed:o}\"\n", mixed % 9973, mixed % 50);
        file.write_all(line.as_bytes()).unwrap();
        written += line.len();
        if written >> 20 >= usize::try_from(mib).unwrap() {
            break;
        }
    }
    file.flush().unwrap();
}

/// Most KiB that a process of its own was ever resident with while it split, and how many records it rejected.
fn peak_kib(folder: &Path, source: &str, chunk_mb: u64) -> (u64, u64) {
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", "memory::split_alone"])
        .env(FOLDER, folder)
        .env(SOURCE, source)
        .env("CHUNK_SIZE_MB", chunk_mb.to_string())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    let told = |name: &str| fs::read_to_string(folder.join(name)).unwrap().parse().unwrap();
    (told("peak"), told("rejected"))
}

/// Does something only in the process that the test below starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn split_alone() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let (chunk_mb, source) = (env::var("CHUNK_SIZE_MB").unwrap(), env::var(SOURCE).unwrap());
    let context = SplitContext {
        storage: Stores::from_env(),
        queue: None,
        work_prefix: format!("{folder}/{source}-{chunk_mb}").parse().unwrap(),
        table: None,
        settings: Settings::from_lookup(|name| match name {
            "CHUNK_SIZE_MB" => Some(chunk_mb.clone()),
            "SCHEMA" if source == "value.csv" => Some(format!("{VALUE}:int64")),
            _ => None,
        })
        .unwrap(),
        threads: 2,
        topic: None,
        known: splitter::Known::default(),
        gate: None,
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: tokio_util::sync::CancellationToken::new(),
    };
    let outcome = split(&context, &format!("{folder}/{source}").parse().unwrap()).await.unwrap();
    fs::write(format!("{folder}/rejected"), outcome.manifest.quarantined.to_string()).unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    fs::write(format!("{folder}/peak"), peak.unwrap()).unwrap();
}

#[test]
fn neither_a_larger_source_nor_larger_chunks_take_more_memory() {
    /// What a run may differ by from another, in KiB: the allocator keeps more or less of what was given back.
    const NOISE: u64 = 64 << 10;
    let folder = tempfile::tempdir().unwrap();
    let mut peaks = Vec::new();
    for (mib, chunk_mb) in [(32, 16), (128, 16), (128, 1024)] {
        write_source(&folder.path().join("source.csv"), mib);
        let (peak, rejected) = peak_kib(folder.path(), "source.csv", chunk_mb);
        assert_eq!(rejected, 0);
        peaks.push((mib, chunk_mb, peak));
    }
    let least = peaks.iter().map(|(.., peak)| *peak).min().unwrap();
    let most = peaks.iter().map(|(.., peak)| *peak).max().unwrap();
    assert!(most <= 256 << 10, "MiB of source and of chunks, KiB at most: {peaks:?}");
    assert!(most - least <= NOISE, "MiB of source and of chunks, KiB at most: {peaks:?}");
}

#[test]
fn small_sources_take_little_memory_whatever_is_in_them() {
    /// Most KiB that any of these may take; an empty one takes more than half of that.
    const MOST: u64 = 88 << 10;
    let keys =
        |count: usize, value: &str| (0..count).map(|key| format!("\"k{key}\":{value}")).collect::<Vec<_>>().join(",");
    let sparse =
        |record: usize| format!("{{\"k{}\":{record},\"k{}\":\"x\"}}\n", record % 300, 300 + record * 7919 % 300);
    let cases: [(&str, String, u64); 4] = [
        ("absent.ndjson", format!("{{{}}}\n{}", keys(3000, "1"), "{}\n".repeat(60_000)), 0),
        ("sparse.ndjson", format!("{{{}}}\n{}", keys(600, "null"), (0..60_000).map(sparse).collect::<String>()), 0),
        ("width.csv", format!("a,b\n{}{}", "1,2\n".repeat(2000), "x\n".repeat(400_000)), 400_000),
        ("value.csv", format!("{VALUE}\n{}{}", "1\n".repeat(2000), "x\n".repeat(400_000)), 400_000),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, text, rejected) in cases {
        fs::write(folder.path().join(name), text).unwrap();
        let (peak, counted) = peak_kib(folder.path(), name, 16);
        assert_eq!(counted, rejected, "{name}");
        assert!(peak <= MOST, "{name}: {peak} KiB");
    }
}

/// Texts of so many letters, which cannot be compressed by much.
fn texts(letters: usize) -> impl Iterator<Item = String> {
    let mut state = 7_u64;
    std::iter::repeat_with(move || {
        let letter = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            char::from(b' ' + u8::try_from(state >> 58).unwrap())
        };
        std::iter::repeat_with(letter).take(letters).collect()
    })
}

#[test]
fn a_row_group_of_one_long_word_is_cut_without_decoding_all_of_it() {
    const ROWS: usize = 2000;
    let folder = tempfile::tempdir().unwrap();
    let word = texts(500_000).next().unwrap();
    let columns: [(&str, ArrayRef); 2] = [
        ("word", Arc::new(StringArray::from(vec![word.as_str(); ROWS]))),
        ("text", Arc::new(StringArray::from_iter_values(texts(400).take(ROWS)))),
    ];
    let file = File::create(folder.path().join("word.parquet")).unwrap();
    let properties = WriterProperties::builder().set_dictionary_page_size_limit(4 << 20).build();
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    // 1 GB once decoded, and larger than a chunk as it is stored.
    let (peak, _) = peak_kib(folder.path(), "word.parquet", 1);
    assert!(peak <= 512 << 10, "{peak} KiB");
}
