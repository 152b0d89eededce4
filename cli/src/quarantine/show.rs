//! `sluice quarantine show`: why records were rejected.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use shared::{
    Format, Job, JobId, Location, Manifest, RejectedRecord, Storage, StoredObject, Stores, WorkArea, try_get_json,
};
use splitter::rejected;

use super::record_numbers::RecordNumbers;
use crate::args::{QuarantineShowArgs, work_prefix};
use crate::error::{CliError, Done};
use crate::jobs::{Purpose, single};
use crate::numbers::{counted, grouped};
use crate::output::Output;

/// Reasons that are told apart; what comes beyond is counted together.
const REASONS: usize = 1000;

/// Records that are shown of each reason.
const EXAMPLES: usize = 3;

/// Most characters of a record that are shown.
const SHOWN: usize = 80;

/// What was rejected of a job.
#[derive(Debug, Serialize)]
struct Report {
    job_id: JobId,
    source: Location,
    quarantine: Location,
    /// Records in all.
    rejected: u64,
    /// Why, the most frequent reason first.
    reasons: Vec<Reason>,
}

/// What rejected records have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Kind {
    stage: Stage,
    column: Option<String>,
    reason: String,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(column) = &self.column {
            write!(f, "column '{column}': ")?;
        }
        f.write_str(&self.reason)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// The splitter rejected a record of the source.
    Split,
    /// The worker rejected a row of a chunk.
    Load,
}

#[derive(Debug, Serialize)]
struct Reason {
    #[serde(flatten)]
    kind: Kind,
    records: u64,
    /// Lines that these records take up in the source: many more than records, where a quote was opened and not closed.
    lines: u64,
    examples: Vec<Example>,
}

#[derive(Debug, Serialize)]
struct Example {
    /// Number of the record in the source, or of the row in its chunk.
    number: u64,
    /// Number in the source of a row that the worker rejected, where it can be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<u64>,
    byte_offset: Option<u64>,
    /// Object that it is kept in.
    object: String,
    reason: String,
    /// Its start; what is not a printable character is escaped.
    raw: String,
}

/// Runs `quarantine show`.
pub(crate) async fn run(args: &QuarantineShowArgs, output: Output) -> Done {
    let settings = args.settings()?;
    let prefix = work_prefix(args.work_dir.as_deref(), &settings)?;
    let storage: Arc<dyn Storage> = Stores::from_env();
    let job = single(storage.as_ref(), &prefix, settings.table.as_ref(), &args.job_or_source, Purpose::Show).await?;
    let report = report(&storage, &prefix, job).await?;
    output.result(&report, &text(&report))?;
    Ok(())
}

/// Why records of a job were rejected, each reason with its column, and how many for each.
pub(crate) async fn reasons(storage: &Arc<dyn Storage>, area: &WorkArea) -> Result<Vec<(String, u64)>, CliError> {
    let mut reasons = BTreeMap::new();
    for at in objects(storage.as_ref(), area).await?.iter().flatten() {
        read(storage, at, &mut reasons, |_| ()).await?;
    }
    Ok(reasons.into_values().map(|reason| (reason.kind.to_string(), reason.records)).collect())
}

/// The objects of a quarantine: those of the worker, and those of the splitter in the order of the source.
async fn objects(storage: &dyn Storage, area: &WorkArea) -> Result<[Vec<Location>; 2], CliError> {
    let listed: Vec<StoredObject> = storage.list(&area.quarantine()).await.map_err(CliError::WorkArea)?;
    let (mut of_load, mut of_split): (Vec<_>, Vec<_>) =
        listed.into_iter().map(|listed| listed.location).partition(WorkArea::is_load_quarantine);
    for objects in [&mut of_load, &mut of_split] {
        objects.sort_by(|one, other| order(one.name()).cmp(&order(other.name())));
    }
    Ok([of_load, of_split])
}

/// What names of objects are sorted by: their numbers, which may have more digits than others have.
fn order(name: &str) -> (Vec<u64>, &str) {
    let numbers = name.split(|letter: char| !letter.is_ascii_digit());
    (numbers.filter_map(|number| number.parse().ok()).collect(), name)
}

async fn report(storage: &Arc<dyn Storage>, prefix: &Location, job: Job) -> Result<Report, CliError> {
    let area = WorkArea::new(prefix, &job.job_id);
    let [of_load, of_split] = objects(storage.as_ref(), &area).await?;
    let mut reasons = BTreeMap::new();
    for at in &of_load {
        read(storage, at, &mut reasons, |_| ()).await?;
    }
    // Those of the worker come first, so that one pass over the others is enough to number them.
    let before = if of_load.is_empty() { None } else { rows_before(storage.as_ref(), &job, &area).await? };
    let row = |example: &Example| Some(before.as_ref()?.get(chunk_of(&example.object)?)? + example.number);
    let rows = reasons.values().flat_map(|reason: &Reason| &reason.examples).filter_map(row);
    let mut numbers = RecordNumbers::of_rows(rows);
    for at in &of_split {
        read(storage, at, &mut reasons, |number| numbers.pass(number)).await?;
    }
    for example in reasons.values_mut().flat_map(|reason| &mut reason.examples) {
        example.record = row(example).and_then(|row| numbers.record(row));
    }
    let rejected = reasons.values().map(|reason| reason.records).sum();
    let mut reasons: Vec<Reason> = reasons.into_values().collect();
    reasons.sort_by(|one, other| other.records.cmp(&one.records).then_with(|| one.kind.cmp(&other.kind)));
    let (job_id, source) = (job.job_id, job.source.uri);
    Ok(Report { job_id, source, quarantine: area.quarantine(), rejected, reasons })
}

/// Notes the records of an object, and hands over the number of each.
async fn read(
    storage: &Arc<dyn Storage>,
    at: &Location,
    reasons: &mut BTreeMap<Kind, Reason>,
    mut pass: impl FnMut(u64),
) -> Result<(), CliError> {
    let mut records = rejected(storage, at).await.map_err(CliError::WorkArea)?;
    while let Some(next) = records.recv().await {
        for record in next.map_err(CliError::WorkArea)? {
            pass(record.number);
            note(reasons, record, at);
        }
    }
    Ok(())
}

/// Rows of the chunks before each chunk, of a job whose rows are records one by one: without SQL, of a text, and split to its end.
async fn rows_before(storage: &dyn Storage, job: &Job, area: &WorkArea) -> Result<Option<Vec<u64>>, CliError> {
    if job.load.sql.is_some() || matches!(job.policy.format, Format::Parquet { .. }) {
        return Ok(None);
    }
    let manifest: Option<Manifest> =
        try_get_json(storage, &area.manifest(), "manifest").await.map_err(CliError::WorkArea)?;
    let Some(manifest) = manifest else { return Ok(None) };
    let mut rows = 0;
    let before = manifest.chunks.iter().map(|chunk| {
        let before = rows;
        rows += chunk.rows;
        before
    });
    Ok(Some(before.collect()))
}

/// Place of the chunk whose rejected rows an object has, from 0.
fn chunk_of(object: &str) -> Option<usize> {
    object.strip_prefix("load-")?.strip_suffix(".parquet")?.parse().ok()
}

fn note(reasons: &mut BTreeMap<Kind, Reason>, record: RejectedRecord, at: &Location) {
    let stage = if WorkArea::is_load_quarantine(at) { Stage::Load } else { Stage::Split };
    let mut kind = Kind { stage, column: record.column, reason: kind(&record.reason).to_owned() };
    if reasons.len() >= REASONS && !reasons.contains_key(&kind) {
        kind = Kind { stage, column: None, reason: "other reasons".to_owned() };
    }
    let reason =
        reasons.entry(kind.clone()).or_insert_with(|| Reason { kind, records: 0, lines: 0, examples: Vec::new() });
    reason.records += 1;
    reason.lines += lines(&record.raw);
    if reason.examples.len() < EXAMPLES {
        let RejectedRecord { number, byte_offset, reason: why, raw, .. } = record;
        let object = at.name().to_owned();
        reason.examples.push(Example { number, record: None, byte_offset, object, reason: why, raw: escaped(&raw) });
    }
}

/// Lines of a record, whose own end is not kept.
fn lines(raw: &[u8]) -> u64 {
    let lines = raw.trim_ascii_end().split(|byte| *byte == b'\n').count();
    u64::try_from(lines).unwrap_or_default()
}

/// A reason without the value that it begins with.
fn kind(reason: &str) -> &str {
    /// What follows the value in reasons of the splitter and of the worker.
    const BEHIND: [&str; 2] = ["' is ", "' does not fit "];
    /// How reasons begin that end with values.
    const EXPECTED: &str = "against expectation '";
    if let Some(end) = reason.find("': ").filter(|_| reason.starts_with(EXPECTED)) {
        return reason.get(..=end).unwrap_or(reason);
    }
    let value_end =
        reason.strip_prefix('\'').and_then(|rest| BEHIND.iter().filter_map(|words| rest.rfind(words)).max());
    value_end.and_then(|end| reason.get(end + "'' ".len()..)).unwrap_or(reason)
}

/// The start of a record, on one line.
fn escaped(raw: &[u8]) -> String {
    let mut shown = String::new();
    let mut characters = 0;
    for chunk in raw.utf8_chunks() {
        let valid =
            chunk.valid().chars().map(|c| if c.is_control() { c.escape_default().collect() } else { c.to_string() });
        let invalid = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
        for piece in valid.chain(invalid) {
            if characters == SHOWN {
                return shown + "…";
            }
            shown += &piece;
            characters += 1;
        }
    }
    shown
}

fn text(report: &Report) -> String {
    let head = format!("{}: {} rejected", report.job_id, counted(report.rejected, "record"));
    let mut lines = vec![head, format!("  source       {}", report.source)];
    if report.rejected > 0 {
        lines.push(format!("  kept in      {}", report.quarantine));
    }
    for Reason { kind, records, lines: taken_up, examples } in &report.reasons {
        let span = if taken_up > records { format!(" ({} lines)", grouped(*taken_up)) } else { String::new() };
        lines.push(format!("{:>9}  {kind}{span}", grouped(*records)));
        for Example { number, record, byte_offset, object, raw, .. } in examples {
            let of_chunk = || match chunk_of(object) {
                Some(chunk) => format!("row {number} of chunk {chunk}"),
                None => format!("row {number} of {object}"),
            };
            let place = match (kind.stage, byte_offset, record) {
                (Stage::Split, Some(byte), _) => format!("record {number}, byte {byte}"),
                (Stage::Split, None, _) => format!("record {number}"),
                (Stage::Load, _, Some(record)) => format!("record {record} ({})", of_chunk()),
                (Stage::Load, _, None) => of_chunk(),
            };
            lines.push(format!("           {place}: {raw}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_reasons() {
        for (reason, expected) in [
            ("'x' is not an integer of 64 bits", "is not an integer of 64 bits"),
            ("'it' is 'x' is not a date as YYYY-MM-DD", "is not a date as YYYY-MM-DD"),
            ("'it' is 'x' does not fit type long", "does not fit type long"),
            ("1 fields where 2 are expected", "1 fields where 2 are expected"),
            ("'odd", "'odd"),
            ("against expectation 'paid': amount is '-1'", "against expectation 'paid'"),
        ] {
            assert_eq!(kind(reason), expected);
        }
    }

    #[test]
    fn reasons_beyond_a_thousand_are_counted_together() {
        let mut reasons = BTreeMap::new();
        let at: Location = "s3://b/job/quarantine/split-00000-000.parquet".parse().unwrap();
        for number in 0..4 * 1500 {
            let (reason, column) = (format!("reason {}", number % 1500), Some("a".to_owned()));
            let record = RejectedRecord { number, byte_offset: Some(number), column, reason, raw: b"x".to_vec() };
            note(&mut reasons, record, &at);
        }
        let others = Kind { stage: Stage::Split, column: None, reason: "other reasons".to_owned() };
        assert_eq!((reasons.len(), reasons[&others].records), (1001, 4 * 500));
        assert!(reasons.values().all(|reason| reason.examples.len() == 3));
    }

    #[test]
    fn names_of_objects() {
        assert_eq!([chunk_of("load-00012.parquet"), chunk_of("split-00000-000.parquet")], [Some(12), None]);
        let in_order = [
            "split-00000-000.parquet",
            "split-00000-999.parquet",
            "split-00000-1000.parquet",
            "split-00001-000.parquet",
        ];
        assert!(in_order.is_sorted_by_key(|name| order(name)));
    }

    #[test]
    fn records_on_one_line() {
        let long = "x".repeat(SHOWN + 1);
        for (raw, expected) in [
            (&b"1,a"[..], "1,a".to_owned()),
            (b"1,\"a\nb\"\t\xff\xc3\xa9", "1,\"a\\nb\"\\t\\xff\u{e9}".to_owned()),
            (long.as_bytes(), "x".repeat(SHOWN) + "…"),
        ] {
            assert_eq!(escaped(raw), expected);
        }
    }
}
