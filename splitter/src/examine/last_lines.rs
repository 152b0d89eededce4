//! The footer of a CSV source: as the settings say, or found at the end of its text.

use bytes::Bytes;
use shared::{Compression, CsvPolicy, Setting, SourceObject, TextPolicy, Warning};

use crate::context::SplitContext;
use crate::csv::footer::{End, end, has_record, last_lines};
use crate::error::{BadInput, SplitError};
use crate::examine::by_contract::Held;
use crate::examine::sample::Sample;
use crate::records::framer::after_first_line_end;

/// Bytes at the end of a large file that are looked at.
const TAIL_BYTES: u64 = 64 << 10;

/// Most characters of a line in a warning.
const SHOWN: usize = 60;

/// What was found at the end.
#[derive(Debug, Default)]
pub(super) struct LastLines {
    /// Byte offset in the text of the first line of the footer.
    pub(super) start: Option<u64>,
    /// Its lines, blank ones not counted.
    pub(super) lines: usize,
    pub(super) warning: Option<Warning>,
}

/// Finds the footer of a source whose records are read by this policy.
pub(super) async fn find(
    context: &SplitContext,
    source: &SourceObject,
    (text, sample): (&TextPolicy, &Sample),
    csv: &CsvPolicy,
) -> Result<LastLines, SplitError> {
    let told = context.settings.read.csv.footer;
    if told == Setting::Explicit(0) || csv.columns.is_empty() {
        return Ok(LastLines::default());
    }
    let Some((tail, start)) = tail(context, source, (text, sample), csv).await? else {
        return match told {
            Setting::Auto => Ok(LastLines::default()),
            Setting::Explicit(lines) => {
                let reason = format!(
                    "CSV_FOOTER={lines}: the end of a file that is compressed, or not in UTF-8, is not known before all of it is read"
                );
                let hint = "have it stored without compression and in UTF-8, or leave CSV_FOOTER out: lines with too few fields are rejected, and the others loaded";
                Err(BadInput::whole(&source.uri, reason, hint).into())
            }
        };
    };
    let at = |place: usize| Some(start + u64::try_from(place).unwrap_or_default());
    match told {
        Setting::Explicit(lines) => {
            let Some(place) = last_lines(&tail, lines, &csv.dialect) else {
                let reason = format!("CSV_FOOTER={lines}, and there are fewer lines after the header");
                let hint = "set CSV_FOOTER to the number of lines after the last record";
                return Err(BadInput::whole(&source.uri, reason, hint).into());
            };
            // The next file of a feed may have none, and its last record must not be lost.
            if let Some(held) = Held::new(&source.uri, &context.settings)
                && has_record(&tail, place, csv)
            {
                let lines = if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
                return Err(held.other_reading("csv_footer", &lines, "a record at the end"));
            }
            Ok(LastLines { start: at(place), lines, warning: None })
        }
        Setting::Auto => Ok(detected(&tail, start, csv)),
    }
}

/// What shows itself as a footer at the end of a text that begins at a byte offset.
fn detected(tail: &[u8], start: u64, csv: &CsvPolicy) -> LastLines {
    match end(tail, csv) {
        End::Footer(place, lines) => {
            let are = if lines == 1 { "1 line is".to_owned() } else { format!("{lines} lines are") };
            let first = tail.get(place..).unwrap_or_default();
            let first = first.split(|byte| csv.dialect.ends_record(*byte)).next().unwrap_or_default();
            let first = shown(&String::from_utf8_lossy(first));
            let text = format!("{are} taken for a footer after the table, and skipped: '{first}'");
            let warning = Some(Warning::new("footer", text, format!("CSV_FOOTER={lines}")));
            LastLines { start: Some(start + u64::try_from(place).unwrap_or_default()), lines, warning }
        }
        End::Doubtful(line) => {
            let line = shown(&line);
            let text = format!("the last record is loaded, and may be a footer (CSV_FOOTER=1 if it is): '{line}'");
            let warning = Some(Warning::new("footer", text, "CSV_FOOTER=0".to_owned()));
            LastLines { warning, ..LastLines::default() }
        }
        End::Records => LastLines::default(),
    }
}

/// The end of the records and what follows them, and its byte offset in the text; none where it cannot be known.
async fn tail(
    context: &SplitContext,
    source: &SourceObject,
    (text, sample): (&TextPolicy, &Sample),
    csv: &CsvPolicy,
) -> Result<Option<(Bytes, u64)>, SplitError> {
    let size = match text {
        _ if sample.is_whole => u64::try_from(sample.head.len()).unwrap_or_default(),
        TextPolicy { compression: Compression::None, encoding } if encoding.is_utf_8() => source.size,
        _ => return Ok(None),
    };
    let start = size.saturating_sub(TAIL_BYTES).max(csv.data_start).min(size);
    let tail = if sample.is_whole {
        sample.head.slice(usize::try_from(start).unwrap_or_default()..)
    } else {
        let tail = context.storage.get_range(&source.uri, &source.version, start..size).await;
        tail.map_err(SplitError::Source)?
    };
    let is_cut = start > csv.data_start;
    let skipped = if is_cut { tail.len() - after_first_line_end(&tail, &csv.dialect).len() } else { 0 };
    let start = start + u64::try_from(skipped).unwrap_or_default();
    Ok(Some((tail.slice(skipped..), start)))
}

/// The start of a text, on one line.
fn shown(text: &str) -> String {
    let text = text.trim();
    let mut shown: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
