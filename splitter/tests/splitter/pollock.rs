//! How much of a polluted file is loaded, by the yardstick of Pollock, a benchmark of data loading (Vitagliano and others,
//! VLDB 2023): files with one pollution each, and ten measures between 0 and 1, which are averaged over the files and
//! summed. The best systems reach 9.96 when told the dialect, and about 9.1 when they have to find it.
//!
//! The pollutions are theirs, one by one: 2290 files. What differs:
//!
//! - Of the files with a pollution in one record, a seventh is loaded, with seven times the weight, but all with
//!   `SLUICE_POLLOCK=all`.
//! - The table is another one of the same shape: 83 records of 9 columns, three of them quoted here and there.
//! - Cells are compared as they stand; theirs are first made equal across spellings of numbers, dates and booleans. Every
//!   column is loaded as text (`INFER=none`), since it is the reading that is measured.
//! - A file without a header scores in full for its header if the loader finds none. Theirs takes its first record for one.
//! - Told are delimiter, quote, escape, header rows and lines before the table; theirs are told the columns' names too.
//! - Names are compared as they stand in the source, before they are made such that Delta takes them.
//!
//! Pollutions that are not among theirs are measured apart from them.

#![expect(clippy::print_stdout, reason = "a yardstick shows what it measured")]

mod pollute;
mod score;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use futures::StreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use shared::testing::MemoryStorage;
use shared::{Format, Infer, Location, Progress, PutMode, Settings, Storage};
use splitter::{SplitContext, split};

use pollute::{Polluted, more_pollutions, pollutions};
use score::{Loaded, Measures, measures};

/// Loads a text through the whole splitter; `None` when it fails.
async fn load(text: &str, told: &BTreeMap<&'static str, String>) -> Option<Loaded> {
    let at = |key: &str| Location::S3 { bucket: "b".to_owned(), key: key.to_owned() };
    let objects = MemoryStorage::default();
    objects.put(&at("source.csv"), text.to_owned().into(), PutMode::Overwrite).await.unwrap();
    let mut settings = Settings::from_lookup(|name| told.get(name).cloned()).unwrap();
    settings.read.infer = Infer::None;
    let context = SplitContext {
        storage: Arc::new(objects.clone()),
        queue: None,
        topic: None,
        gate: None,
        work_prefix: at("work"),
        table: None,
        settings,
        threads: 1,
        known: splitter::Known::default(),
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: tokio_util::sync::CancellationToken::new(),
    };
    let outcome = split(&context, &at("source.csv")).await.ok()?;
    let Format::Csv(csv) = &outcome.job.policy.format else { return None };
    let header = csv.columns.iter().map(|column| column.source_name.clone()).collect();
    let mut records = Vec::new();
    for (place, body) in objects.objects() {
        if !place.key().contains("/chunks/") {
            continue;
        }
        for batch in ParquetRecordBatchReaderBuilder::try_new(body).unwrap().build().unwrap().map(Result::unwrap) {
            let columns: Vec<_> = batch.columns().iter().map(AsArray::as_string::<i32>).collect();
            let cell = |column: &arrow::array::StringArray, row: usize| {
                if column.is_valid(row) { column.value(row).to_owned() } else { String::new() }
            };
            records.extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| cell(column, row)).collect()));
        }
    }
    Some(Loaded { header, records })
}

/// Mean measures by family of pollutions, and of all files.
fn measure(files: Vec<Polluted>, is_told: bool) -> (BTreeMap<&'static str, Measures>, Measures) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let measured = futures::stream::iter(files).map(|file| {
        tokio::spawn(async move {
            let told = if is_told { file.told() } else { BTreeMap::new() };
            let loaded = load(&file.text(), &told).await;
            let measures = measures(&file.clean(), loaded.as_ref());
            if measures.sum() < 9.9 {
                println!("{:.3} {} {:?}", measures.sum(), file.family, file.name);
            }
            (file.family, (file.weight, measures))
        })
    });
    let measured: Vec<_> = runtime.block_on(measured.buffered(4).map(Result::unwrap).collect());
    let mut families = BTreeMap::<_, Vec<(f64, Measures)>>::new();
    for (family, measures) in &measured {
        families.entry(*family).or_default().push(*measures);
    }
    let all: Vec<_> = measured.into_iter().map(|(_, measures)| measures).collect();
    (families.into_iter().map(|(family, of)| (family, Measures::mean(&of))).collect(), Measures::mean(&all))
}

/// All 2290 files when `SLUICE_POLLOCK` is set; else of those with a pollution in one row a seventh, with seven times the
/// weight.
fn step() -> usize {
    if std::env::var_os("SLUICE_POLLOCK").is_some() { 1 } else { 7 }
}

fn print(title: &str, families: &BTreeMap<&'static str, Measures>, all: &Measures) {
    println!("{title}: {:.3}\n{}", all.sum(), score::head());
    for (family, measures) in families {
        println!("{family:24} {measures}");
    }
    println!("{:24} {all}", "all files");
}

#[test]
fn pollock_when_told() {
    let (families, all) = measure(pollutions(step()), true);
    print("told", &families, &all);
    assert!(all.sum() >= 9.9, "{all}");
}

#[test]
fn pollock_when_not_told() {
    let (families, all) = measure(pollutions(step()), false);
    print("not told", &families, &all);
    assert!(all.sum() >= 9.5, "{all}");
}

#[test]
fn more_pollutions_than_theirs() {
    for (is_told, least) in [(true, 9.9), (false, 9.5)] {
        let (families, all) = measure(more_pollutions(), is_told);
        print(if is_told { "more, told" } else { "more, not told" }, &families, &all);
        assert!(all.sum() >= least, "{all}");
    }
}
