//! `sluice quarantine show`: why records were rejected.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use shared::{
    Format, Job, JobId, Location, Manifest, RejectedRecord, Storage, StoredObject, Stores, WorkArea, try_get_json,
};
use splitter::rejected;

use crate::args::{QuarantineShowArgs, work_prefix};
use crate::error::{CliError, Done};
use crate::jobs::single;
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
    let job = single(storage.as_ref(), &prefix, &args.job_or_source).await?;
    let report = report(&storage, &prefix, job).await?;
    output.result(&report, &text(&report))?;
    Ok(())
}

/// The objects of a quarantine, in the order of the source.
async fn objects(storage: &dyn Storage, area: &WorkArea) -> Result<Vec<Location>, CliError> {
    let listed: Vec<StoredObject> = storage.list(&area.quarantine()).await.map_err(CliError::WorkArea)?;
    let mut objects: Vec<Location> = listed.into_iter().map(|listed| listed.location).collect();
    objects.sort_by(|one, other| one.name().cmp(other.name()));
    Ok(objects)
}

async fn report(storage: &Arc<dyn Storage>, prefix: &Location, job: Job) -> Result<Report, CliError> {
    let area = WorkArea::new(prefix, &job.job_id);
    let mut reasons: BTreeMap<Kind, Reason> = BTreeMap::new();
    let (mut total, mut of_split) = (0, Vec::new());
    for at in objects(storage.as_ref(), &area).await? {
        let is_of_split = !WorkArea::is_load_quarantine(&at);
        let mut records = rejected(storage, &at).await.map_err(CliError::WorkArea)?;
        while let Some(next) = records.recv().await {
            for record in next.map_err(CliError::WorkArea)? {
                total += 1;
                of_split.extend(is_of_split.then_some(record.number));
                note(&mut reasons, record, &at);
            }
        }
    }
    if let Some(numbers) = Numbers::of(storage.as_ref(), &job, &area, of_split).await? {
        let examples = reasons.values_mut().filter(|reason| reason.kind.stage == Stage::Load);
        examples.flat_map(|reason| &mut reason.examples).for_each(|example| numbers.complete(example));
    }
    let mut reasons: Vec<Reason> = reasons.into_values().collect();
    reasons.sort_by(|one, other| other.records.cmp(&one.records).then_with(|| one.kind.cmp(&other.kind)));
    let (job_id, source) = (job.job_id, job.source.uri);
    Ok(Report { job_id, source, quarantine: area.quarantine(), rejected: total, reasons })
}

/// Which record of the source each row of a chunk is.
#[derive(Debug)]
struct Numbers {
    /// Rows of the chunks before each chunk.
    before: Vec<u64>,
    /// Numbers of the records that are in no chunk, since the splitter rejected them, in order.
    rejected: Vec<u64>,
}

impl Numbers {
    /// For a job whose rows are records one by one: without SQL, of a text, and split to its end.
    async fn of(
        storage: &dyn Storage,
        job: &Job,
        area: &WorkArea,
        mut rejected: Vec<u64>,
    ) -> Result<Option<Self>, CliError> {
        if job.load.sql.is_some() || matches!(job.policy.format, Format::Parquet { .. }) {
            return Ok(None);
        }
        let manifest: Option<Manifest> =
            try_get_json(storage, &area.manifest(), "manifest").await.map_err(CliError::WorkArea)?;
        let Some(manifest) = manifest else { return Ok(None) };
        rejected.sort_unstable();
        let mut rows = 0;
        let before = manifest.chunks.iter().map(|chunk| {
            let before = rows;
            rows += chunk.rows;
            before
        });
        Ok(Some(Self { before: before.collect(), rejected }))
    }

    fn complete(&self, example: &mut Example) {
        let before = chunk_of(&example.object).and_then(|chunk| self.before.get(chunk));
        example.record = before.map(|before| self.record(before + example.number));
    }

    /// The number of the record that is so manieth among those that were not rejected.
    fn record(&self, taken: u64) -> u64 {
        let mut record = taken;
        for rejected in &self.rejected {
            if *rejected > record {
                break;
            }
            record += 1;
        }
        record
    }
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
        let column = kind.column.as_ref().map_or_else(String::new, |column| format!("column '{column}': "));
        let span = if taken_up > records { format!(" ({} lines)", grouped(*taken_up)) } else { String::new() };
        lines.push(format!("{:>9}  {column}{}{span}", grouped(*records), kind.reason));
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
        ] {
            assert_eq!(kind(reason), expected);
        }
    }

    #[test]
    fn rows_of_chunks_are_records_of_the_source() {
        let numbers = |rejected: &[u64]| Numbers { before: vec![0, 3], rejected: rejected.to_vec() };
        for (rejected, expected) in [(&[][..], [1, 2, 3, 4]), (&[1, 2, 5], [3, 4, 6, 7]), (&[3, 9], [1, 2, 4, 5])] {
            assert_eq!([1, 2, 3, 4].map(|taken| numbers(rejected).record(taken)), expected, "{rejected:?}");
        }
        assert_eq!([chunk_of("load-00012.parquet"), chunk_of("split-00000-000.parquet")], [Some(12), None]);
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
