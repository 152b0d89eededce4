//! `sluice quarantine show`: why records were rejected.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use shared::{Job, JobId, Listed, Location, RejectedRecord, Storage, Stores, WorkArea};
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
    byte_offset: Option<u64>,
    /// Object that it is kept in.
    object: String,
    reason: String,
    /// Its start; what is no printable character is escaped.
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
    let listed: Vec<Listed> = storage.list(&area.quarantine()).await.map_err(CliError::WorkArea)?;
    let mut objects: Vec<Location> = listed.into_iter().map(|listed| listed.location).collect();
    objects.sort_by(|one, other| one.name().cmp(other.name()));
    Ok(objects)
}

async fn report(storage: &Arc<dyn Storage>, prefix: &Location, job: Job) -> Result<Report, CliError> {
    let area = WorkArea::new(prefix, &job.job_id);
    let mut reasons: BTreeMap<Kind, Reason> = BTreeMap::new();
    let mut total = 0;
    for at in objects(storage.as_ref(), &area).await? {
        let mut records = rejected(storage, &at).await.map_err(CliError::WorkArea)?;
        while let Some(next) = records.recv().await {
            for record in next.map_err(CliError::WorkArea)? {
                total += 1;
                note(&mut reasons, record, &at);
            }
        }
    }
    let mut reasons: Vec<Reason> = reasons.into_values().collect();
    reasons.sort_by(|one, other| other.records.cmp(&one.records).then_with(|| one.kind.cmp(&other.kind)));
    let (job_id, source) = (job.job_id, job.source.uri);
    Ok(Report { job_id, source, quarantine: area.quarantine(), rejected: total, reasons })
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
        reason.examples.push(Example { number, byte_offset, object, reason: why, raw: escaped(&raw) });
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
        for Example { number, byte_offset, object, raw, .. } in examples {
            let place = match (kind.stage, byte_offset) {
                (Stage::Split, Some(byte)) => format!("record {number}, byte {byte}"),
                (Stage::Split, None) => format!("record {number}"),
                (Stage::Load, _) => format!("row {number} of {object}"),
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
