//! What goes to stdout and stderr.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};

use serde::Serialize;
use shared::error_chain;
use worker::{Holding, TakenOut};

use crate::error::CliError;

/// How results are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// As JSON, rather than for people.
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct ErrorDocument<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    exit_status: u8,
}

impl Output {
    /// Prints a result: the document, or its text.
    pub(crate) fn result(self, document: &impl Serialize, text: &str) -> Result<(), CliError> {
        if self.json { Self::json_line(document) } else { print(&printable(text)) }
    }

    /// Prints one line of JSON.
    pub(crate) fn json_line(document: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string(document).map_err(|source| CliError::Output { source: source.into() })?;
        print(&text)
    }

    /// Prints an error with its hint; as JSON on stdout too, when JSON is wanted and no result was printed before it.
    pub(crate) fn error(self, error: &CliError) {
        let chain = error_chain(error);
        let hint = error.hint();
        let mut lines = format!("error: {}", one_line(&chain));
        if let Some(hint) = &hint {
            lines.push_str("\nhint: ");
            lines.push_str(&one_line(hint));
        }
        if self.json && !error.has_result() {
            let document = ErrorDocument { error: &chain, hint: hint.as_deref(), exit_status: error.exit_code() };
            if let Err(error) = Self::json_line(&document) {
                lines.push_str("\nerror: ");
                lines.push_str(&one_line(&error_chain(&error)));
            }
        }
        // Nobody is left to tell when stderr is gone, too; the exit status says that it failed.
        drop(writeln!(io::stderr(), "{lines}"));
    }
}

/// Prints a line on stdout. A reader that has enough and leaves, as `head` does, is no failure.
fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|source| CliError::Output { source }),
    }
}

/// Text as a terminal may have it: control characters, which names and values of a source can hold, are escaped. So are
/// those that turn the direction of text around, with which a name can look like another one.
fn printable(text: &str) -> Cow<'_, str> {
    let is_unsafe =
        |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| if is_unsafe(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// A message of which no line but the first begins at the margin, so that a name in it cannot look like another message.
fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\n  ")
}

/// A number with its thousands parted: 27,004.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in MiB with one decimal.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// `1 chunk`, `2 chunks`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// What a table has of a job that brought in so many rows, and who took out the others.
pub(crate) fn held(holding: &Holding, committed: u64) -> String {
    let rows = holding.rows.map_or_else(|| "an unknown number".to_owned(), grouped);
    let taken = holding.taken_out.as_ref().map(taken_out).unwrap_or_default();
    format!("the table has {rows} of its {}{taken}", counted(committed, "row"))
}

fn taken_out(taken: &TakenOut) -> String {
    let time = taken.time.and_then(date_time).map(|time| format!(", {time}"));
    let by = taken.by.as_ref().map(|by| format!(", by {by}"));
    format!(
        ": version {} ({}{}{}) {} {} of its {}",
        taken.version,
        taken.operation,
        time.unwrap_or_default(),
        by.unwrap_or_default(),
        if taken.may_be_rewritten { "rewrote or took out" } else { "took out" },
        grouped(taken.files),
        counted(taken.of, "file"),
    )
}

/// A time in milliseconds since 1970, as `2026-11-29 16:36:28Z`.
fn date_time(millis: i64) -> Option<String> {
    Some(chrono::DateTime::from_timestamp_millis(millis)?.format("%Y-%m-%d %H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        for (text, expected) in [
            ("plain, \u{e9} and \u{65e5}\nnext line", "plain, \u{e9} and \u{65e5}\nnext line"),
            ("red \u{1b}[31mname\u{7}", "red \\u{1b}[31mname\\u{7}"),
            ("over\rwritten", "over\\rwritten"),
            ("c1 \u{9b}2J", "c1 \\u{9b}2J"),
            ("turned \u{202e}txt.exe", "turned \\u{202e}txt.exe"),
        ] {
            assert_eq!(printable(text), expected);
        }
        assert_eq!(one_line("no table 'a\nerror: b'"), "no table 'a\n  error: b'");
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!([0, 999, 1000, 27_004, 1_234_567].map(grouped), ["0", "999", "1,000", "27,004", "1,234,567"]);
        assert_eq!(mebibytes(1_572_864), "1.5 MiB");
        assert_eq!(date_time(1_795_970_188_863).as_deref(), Some("2026-11-29 16:36:28Z"));
        assert_eq!([counted(1, "chunk"), counted(2, "chunk")], ["1 chunk", "2 chunks"]);
    }
}
