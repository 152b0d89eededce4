//! What a seed makes of a simulation: sources, settings, processes, and the weather.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use shared::{CommitMode, DataFileMode, Location, OnReplace};

use super::dice::Dice;
use super::faults::Weather;

/// The SQL that some jobs go through, and what it leaves.
pub(crate) const FILTER: &str = "select * from chunk where id % 3 <> 0";

pub(crate) fn passes_filter(id: i64) -> bool {
    id % 3 != 0
}

/// All that is decided before anything happens.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) weather: Weather,
    pub(crate) drops: Vec<Drop>,
    pub(crate) splitters: u64,
    pub(crate) workers: u64,
    /// Most messages that a worker takes at once.
    pub(crate) batch: usize,
    pub(crate) max_receives: u32,
    /// When faults end, in milliseconds.
    pub(crate) fair_from: u64,
    /// Whether everything is delivered once more when all is done.
    pub(crate) delivers_again: bool,
    /// Whether workers keep hidden what they have in progress.
    pub(crate) holds: bool,
    /// Whether splitters are functions, or else long-polling processes.
    pub(crate) functions: bool,
    /// What each life of a splitter finds in its environment: one of these.
    pub(crate) chunk_bytes: Vec<u64>,
    pub(crate) sql: Vec<Option<&'static str>>,
    pub(crate) partition_by: Vec<String>,
    pub(crate) commit_modes: &'static [CommitMode],
    pub(crate) on_replace: OnReplace,
    /// What each life of a worker makes data files of: one of these.
    pub(crate) data_files: &'static [DataFileMode],
}

/// An object that is dropped, and perhaps another in its place.
#[derive(Clone, Debug)]
pub(crate) struct Drop {
    pub(crate) at: Location,
    /// When it is put there, or replaced, in milliseconds.
    pub(crate) sources: Vec<(u64, Source)>,
    /// How much later its news come, each time.
    pub(crate) news: Vec<u64>,
}

/// A file and what is in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    pub(crate) body: Bytes,
    /// The rows that it has, by their ids.
    pub(crate) rows: BTreeMap<i64, String>,
    /// The records that are to be rejected.
    pub(crate) bad: BTreeSet<Vec<u8>>,
}

impl Scenario {
    pub(crate) fn new(seed: u64) -> Self {
        let dice = &mut Dice::of(seed, &["scenario"]);
        let drops = dice.one_of(&[1, 1, 2]);
        let chunk_bytes = dice.between(3_500, 7_000);
        let workers = dice.between(1, 4);
        Self {
            weather: Weather::new(&mut Dice::of(seed, &["weather"])),
            drops: (0..drops).map(|number| Drop::new(number, dice)).collect(),
            splitters: dice.between(1, 2),
            workers,
            batch: dice.one_of(&[1, 2, 10]),
            max_receives: u32::try_from(dice.between(2, 6)).unwrap(),
            fair_from: dice.one_of(&[5_000, 60_000, 600_000, 3_600_000]),
            delivers_again: dice.percent(25),
            holds: dice.percent(70),
            functions: dice.percent(60),
            chunk_bytes: if dice.percent(50) { vec![chunk_bytes] } else { vec![chunk_bytes, chunk_bytes + 3_000] },
            sql: dice.one_of::<&[_]>(&[&[None], &[None], &[None], &[Some(FILTER)], &[None, Some(FILTER)]]).to_vec(),
            partition_by: if dice.percent(25) { vec!["grp".to_owned()] } else { Vec::new() },
            commit_modes: Dice::of(seed, &["commit modes"]).one_of::<&[_]>(&[
                &[CommitMode::Chunk],
                &[CommitMode::Chunk],
                &[CommitMode::File],
                &[CommitMode::Chunk, CommitMode::File],
            ]),
            on_replace: if Dice::of(seed, &["on replace"]).percent(40) {
                OnReplace::Replace
            } else {
                OnReplace::Append
            },
            data_files: Dice::of(seed, &["data files"]).one_of::<&[_]>(&[
                &[DataFileMode::AsSplit],
                &[DataFileMode::Rewritten],
                &[DataFileMode::AsSplit, DataFileMode::Rewritten],
            ]),
        }
    }
}

impl Scenario {
    pub(crate) fn has_parquet(&self) -> bool {
        self.drops.iter().any(|drop| drop.at.name().ends_with(".parquet"))
    }
}

impl Drop {
    fn new(number: u64, dice: &mut Dice) -> Self {
        let is_parquet = dice.percent(20);
        let first_id = i64::try_from(number * 100_000).unwrap();
        let first = dice.below(200);
        let mut sources = vec![(first, Source::new(first_id, number > 0, is_parquet, dice))];
        let latest = dice.one_of(&[30, 30, 2_000]);
        if dice.percent(25) {
            let other = Source::new(first_id + 50_000, number > 0, is_parquet, dice);
            sources.push((first + 30 + dice.below(70 + latest), other));
        }
        let news = (0..dice.one_of(&[1, 1, 2, 3])).map(|_| dice.below(latest)).collect();
        let name = format!("in-{number}.{}", if is_parquet { "parquet" } else { "csv" });
        Self { at: Location::S3 { bucket: "drops".to_owned(), key: name }, sources, news }
    }
}

/// One record.
#[derive(Debug)]
struct Record {
    id: i64,
    name: String,
    grp: i64,
    extra: i64,
}

impl Source {
    fn new(first_id: i64, has_extra: bool, is_parquet: bool, dice: &mut Dice) -> Self {
        let count = dice.one_of(&[3, 60, 120, 240]) + dice.below(20);
        let record = |number| {
            let characters = (0..dice.below(40)).map(|_| dice.one_of(&['a', 'b', 'é', ',', '"', '\n', ' ', 'x', 'y']));
            let name = format!("n{}", characters.collect::<String>());
            let id = first_id + i64::try_from(number).unwrap();
            let extra = i64::try_from(dice.below(1_000)).unwrap();
            Record { id, name, grp: id % 3, extra }
        };
        let records: Vec<Record> = (0..count).map(record).collect();
        let mut source = Self::default();
        let is_bad: Vec<bool> = records.iter().map(|_| !is_parquet && dice.percent(7)).collect();
        let good = records.iter().zip(&is_bad).filter(|(_, is_bad)| !**is_bad);
        source.rows = good.map(|(record, _)| (record.id, record.text(has_extra))).collect();
        source.body = if is_parquet {
            parquet(&records, has_extra, dice.one_of(&[25, 1_000]))
        } else {
            source.csv(&records, &is_bad, has_extra)
        };
        source
    }

    fn csv(&mut self, records: &[Record], is_bad: &[bool], has_extra: bool) -> Bytes {
        let mut text = format!("id,name,grp{}\n", if has_extra { ",extra" } else { "" });
        for (record, is_bad) in records.iter().zip(is_bad) {
            let mut line = format!("{},\"{}\",{}", record.id, record.name.replace('"', "\"\""), record.grp);
            if has_extra {
                write!(line, ",{}", record.extra).unwrap();
            }
            if *is_bad {
                line += ",surplus";
                self.bad.insert(line.clone().into_bytes());
            }
            text += &line;
            text += "\n";
        }
        text.into()
    }
}

impl Record {
    /// The row as the table has it.
    fn text(&self, has_extra: bool) -> String {
        let extra = if has_extra { self.extra.to_string() } else { "null".to_owned() };
        row(&self.name, &self.grp.to_string(), &extra)
    }
}

/// A row but for its id.
pub(crate) fn row(name: &str, grp: &str, extra: &str) -> String {
    format!("name={name} grp={grp} extra={extra}")
}

fn parquet(records: &[Record], has_extra: bool, row_group: usize) -> Bytes {
    let longs = |value: fn(&Record) -> i64| -> ArrayRef { Arc::new(records.iter().map(value).collect::<Int64Array>()) };
    let names: StringArray = records.iter().map(|record| Some(record.name.as_str())).collect();
    let mut columns: Vec<(&str, ArrayRef)> =
        vec![("id", longs(|record| record.id)), ("name", Arc::new(names)), ("grp", longs(|record| record.grp))];
    if has_extra {
        columns.push(("extra", longs(|record| record.extra)));
    }
    let columns = columns.into_iter().map(|(name, values)| (name, values, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(row_group)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap().into()
}
