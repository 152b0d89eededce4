//! How fast each stage of the line is, alone and on one core, and how fast the whole line, in bytes of the text (decompressed, in
//! UTF-8).
//!
//! The sources are made here, the same each time, and all is in memory.
#![expect(clippy::unwrap_used, reason = "a benchmark, as a test, ends where it cannot go on")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use divan::counter::BytesCount;
use divan::{Bencher, Divan};
use flate2::Compression;
use flate2::write::GzEncoder;
use shared::testing::MemoryStorage;
use shared::{Location, Progress, PutMode, Settings, Storage};
use splitter::SplitContext;
use splitter::stages::Stages;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Bytes of each source, or of its text, at least.
const TEXT_BYTES: usize = 64 << 20;

/// Runs of each benchmark, unless told otherwise.
const RUNS: u32 = 10;

fn main() {
    Divan::default().sample_count(RUNS).sample_size(1).config_with_args().main();
}

/// What is split.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// CSV of 16 columns, like lineitem of TPC-H.
    Lineitem,
    /// CSV of integers and floats that do not recur.
    Numbers,
    /// The rows of `Lineitem`, an object each.
    Ndjson,
    /// `Lineitem` as gzip.
    Gzip,
    /// `Lineitem` in UTF-16.
    Utf16,
}

#[divan::bench(args = [Source::Gzip, Source::Utf16])]
fn text(bencher: Bencher<'_, '_>, source: Source) {
    let (stages, runtime) = stages(source);
    bencher.counter(BytesCount::new(stages.bytes())).bench_local(|| runtime.block_on(stages.text()).unwrap());
}

#[divan::bench(args = [Source::Lineitem, Source::Numbers, Source::Ndjson])]
fn blocks(bencher: Bencher<'_, '_>, source: Source) {
    let (stages, _) = stages(source);
    let bencher = bencher.counter(BytesCount::new(stages.bytes())).with_inputs(|| stages.pieces());
    bencher.bench_local_values(|pieces| stages.blocks(pieces));
}

#[divan::bench(args = [Source::Lineitem, Source::Numbers, Source::Ndjson])]
fn fields(bencher: Bencher<'_, '_>, source: Source) {
    let (stages, _) = stages(source);
    bencher.counter(BytesCount::new(stages.bytes())).bench_local(|| stages.fields());
}

/// With `fields`, since columns ask for them a few records at a time.
#[divan::bench(args = [Source::Lineitem, Source::Numbers, Source::Ndjson])]
fn fields_decode(bencher: Bencher<'_, '_>, source: Source) {
    let (stages, _) = stages(source);
    bencher.counter(BytesCount::new(stages.bytes())).bench_local(|| stages.decode().unwrap());
}

#[divan::bench(args = [Source::Lineitem, Source::Numbers, Source::Ndjson])]
fn encode(bencher: Bencher<'_, '_>, source: Source) {
    let (stages, _) = stages(source);
    bencher.counter(BytesCount::new(stages.bytes())).bench_local(|| stages.encode().unwrap());
}

/// All of it, with so many blocks at once.
#[divan::bench(args = [Source::Lineitem, Source::Numbers, Source::Ndjson], consts = [1, 2])]
fn split<const THREADS: usize>(bencher: Bencher<'_, '_>, source: Source) {
    let (runtime, (file, rows)) = (Runtime::new().unwrap(), source.file());
    let bencher = bencher.counter(BytesCount::new(file.len()));
    let bencher = bencher.with_inputs(|| runtime.block_on(context(file.clone(), THREADS)));
    bencher.bench_local_refs(|context| {
        let outcome = runtime.block_on(splitter::split(context, &at("source"))).unwrap();
        let taken: u64 = outcome.manifest.chunks.iter().map(|chunk| chunk.rows).sum();
        assert_eq!(taken, u64::try_from(rows).unwrap());
        outcome
    });
}

/// The stages of a source, all of whose rows come through, and a runtime for them.
fn stages(source: Source) -> (Stages, Runtime) {
    let (runtime, (file, rows)) = (Runtime::new().unwrap(), source.file());
    let context = runtime.block_on(context(file, 1));
    let stages = runtime.block_on(Stages::of(&context, &at("source"))).unwrap();
    assert_eq!(stages.decode().unwrap(), rows);
    (stages, runtime)
}

async fn context(file: Bytes, threads: usize) -> SplitContext {
    let storage = MemoryStorage::default();
    storage.put(&at("source"), file, PutMode::Overwrite).await.unwrap();
    SplitContext {
        storage: Arc::new(storage),
        queue: None,
        topic: None,
        gate: None,
        work_prefix: at("work"),
        table: None,
        settings: Settings::from_lookup(|_| None).unwrap(),
        threads,
        known: splitter::Known::default(),
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: CancellationToken::new(),
    }
}

fn at(name: &str) -> Location {
    format!("s3://bench/{name}").parse().unwrap()
}

impl Source {
    /// A file of it, and how many rows it has.
    fn file(self) -> (Bytes, usize) {
        let mut text = String::with_capacity(TEXT_BYTES + 1024);
        match self {
            Self::Lineitem | Self::Gzip | Self::Utf16 => text.extend([&LINEITEM.join(","), "\n"]),
            Self::Numbers => text.push_str("id,count,level,ratio\n"),
            Self::Ndjson => {}
        }
        let mut numbers = Mixed(0);
        let mut rows = 0;
        while text.len() < TEXT_BYTES {
            match self {
                Self::Numbers => numbers_row(rows, &mut numbers, &mut text),
                Self::Ndjson => json_row(&lineitem(rows, &mut numbers), &mut text),
                Self::Lineitem | Self::Gzip | Self::Utf16 => csv_row(&lineitem(rows, &mut numbers), &mut text),
            }
            rows += 1;
        }
        let file = match self {
            Self::Gzip => {
                let mut file = GzEncoder::new(Vec::new(), Compression::default());
                file.write_all(text.as_bytes()).unwrap();
                file.finish().unwrap()
            }
            Self::Utf16 => {
                ["\u{feff}", &text].into_iter().flat_map(str::encode_utf16).flat_map(u16::to_le_bytes).collect()
            }
            Self::Lineitem | Self::Numbers | Self::Ndjson => text.into_bytes(),
        };
        (file.into(), rows)
    }
}

/// Numbers that look as if they were in no order: Weyl's sequence, each number mixed.
struct Mixed(u64);

impl Mixed {
    /// The next, below a limit.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        usize::try_from((mixed ^ mixed >> 32) >> 8).unwrap() % limit
    }

    /// Any one of these.
    fn of(&mut self, words: &[&'static str]) -> &'static str {
        words.get(self.below(words.len())).unwrap()
    }

    /// A day of seven years, in months of 28 days.
    fn day(&mut self) -> String {
        format!("{}-{:02}-{:02}", 1992 + self.below(7), 1 + self.below(12), 1 + self.below(28))
    }
}

/// Floats of three places, and such as have all the digits that double precision needs.
fn numbers_row(row: usize, numbers: &mut Mixed, text: &mut String) {
    let (count, level) = (numbers.below(1 << 40), numbers.below(100_000_000));
    let ratio = f64::from(u32::try_from(numbers.below(1 << 32)).unwrap()) / f64::from(u32::MAX);
    writeln!(text, "{row},{count},{}.{:03},{ratio}", level / 1000, level % 1000).unwrap();
}

/// The columns of [`lineitem`].
const LINEITEM: [&str; 16] = [
    "l_orderkey",
    "l_partkey",
    "l_suppkey",
    "l_linenumber",
    "l_quantity",
    "l_extendedprice",
    "l_discount",
    "l_tax",
    "l_returnflag",
    "l_linestatus",
    "l_shipdate",
    "l_commitdate",
    "l_receiptdate",
    "l_shipinstruct",
    "l_shipmode",
    "l_comment",
];

/// How many of them are numbers; these come first.
const NUMBERS: usize = 8;

/// One row, as values differ and recur in lineitem.
fn lineitem(row: usize, numbers: &mut Mixed) -> [String; 16] {
    let (part, quantity) = (1 + numbers.below(200_000), 1 + numbers.below(50));
    let cents = quantity * (90_000 + part / 10 % 20_001 + 100 * (part % 1000));
    let words: Vec<_> = (0..3 + numbers.below(4)).map(|_| numbers.of(&WORDS)).collect();
    [
        (1 + row / 4).to_string(),
        part.to_string(),
        (1 + numbers.below(10_000)).to_string(),
        (1 + row % 4).to_string(),
        quantity.to_string(),
        format!("{}.{:02}", cents / 100, cents % 100),
        format!("0.{:02}", numbers.below(11)),
        format!("0.{:02}", numbers.below(9)),
        numbers.of(&["A", "N", "R"]).to_owned(),
        numbers.of(&["F", "O"]).to_owned(),
        numbers.day(),
        numbers.day(),
        numbers.day(),
        numbers.of(&["COLLECT COD", "DELIVER IN PERSON", "NONE", "TAKE BACK RETURN"]).to_owned(),
        numbers.of(&["AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"]).to_owned(),
        words.join(" "),
    ]
}

/// What comments are made of.
const WORDS: [&str; 20] = [
    "accounts",
    "across",
    "along the",
    "blithely",
    "bold",
    "carefully",
    "courts",
    "deposits",
    "even",
    "final",
    "furiously",
    "ideas",
    "ironic",
    "packages",
    "quickly",
    "regular",
    "requests",
    "silent",
    "slyly",
    "theodolites",
];

/// The row as CSV, its last value quoted.
fn csv_row(row: &[String; 16], text: &mut String) {
    let [values @ .., comment] = row;
    writeln!(text, "{},\"{comment}\"", values.join(",")).unwrap();
}

/// The row as an object.
fn json_row(row: &[String; 16], text: &mut String) {
    for (place, (name, value)) in LINEITEM.iter().zip(row).enumerate() {
        let (before, quote) = (if place == 0 { '{' } else { ',' }, if place < NUMBERS { "" } else { "\"" });
        write!(text, "{before}\"{name}\":{quote}{value}{quote}").unwrap();
    }
    text.push_str("}\n");
}
