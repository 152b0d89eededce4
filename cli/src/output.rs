//! What goes to stdout and stderr.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the one place that prints")]

use serde::Serialize;
use shared::error_chain;

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
    pub(crate) fn result(self, document: &impl Serialize, text: &str) {
        if self.json { line(document) } else { println!("{text}") }
    }

    /// Prints one line of JSON.
    pub(crate) fn json_line(document: &impl Serialize) {
        line(document);
    }

    /// Prints an error with its hint; as JSON on stdout too, when JSON is wanted and no result was printed before it.
    pub(crate) fn error(self, error: &CliError) {
        let chain = error_chain(error);
        let hint = error.hint();
        if self.json && !error.has_result() {
            line(&ErrorDocument { error: &chain, hint, exit_status: error.exit_code() });
        }
        eprintln!("error: {chain}");
        if let Some(hint) = hint {
            eprintln!("hint: {hint}");
        }
    }
}

fn line(document: &impl Serialize) {
    match serde_json::to_string(document) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("error: the result cannot be written as JSON: {error}"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!([0, 999, 1000, 27_004, 1_234_567].map(grouped), ["0", "999", "1,000", "27,004", "1,234,567"]);
        assert_eq!(mebibytes(1_572_864), "1.5 MiB");
        assert_eq!([counted(1, "chunk"), counted(2, "chunk")], ["1 chunk", "2 chunks"]);
    }
}
