//! Dialect of a CSV source: told by settings, or found, and pinned with the job.

use serde::{Deserialize, Serialize};

/// How delimited text is written. Every character is one ASCII byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// Stands between two fields.
    pub delimiter: char,
    /// Stands around a field that holds delimiters or line ends, and is doubled to stand for itself; none when quotes are
    /// text like any other.
    pub quote: Option<char>,
    /// Within quotes, makes the character behind it text; none when quotes are only doubled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escape: Option<char>,
    /// A line that begins with it is no record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<char>,
    /// Ends a record; none for line ends: `\n`, `\r\n` and `\r`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminator: Option<char>,
    /// Stands before the fraction of a number: `.` or `,`.
    #[serde(default = "point", skip_serializing_if = "is_point")]
    pub decimal: char,
    /// Whether a record may end with a delimiter that nothing follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trailing_delimiter: bool,
}

impl Default for Dialect {
    /// Commas, doubled quotes, line ends.
    fn default() -> Self {
        Self {
            delimiter: ',',
            quote: Some('"'),
            escape: None,
            comment: None,
            terminator: None,
            decimal: point(),
            trailing_delimiter: false,
        }
    }
}

impl Dialect {
    /// Whether a byte ends a record, outside of quotes.
    pub fn ends_record(&self, byte: u8) -> bool {
        match self.terminator {
            Some(terminator) => char::from(byte) == terminator,
            None => matches!(byte, b'\n' | b'\r'),
        }
    }
}

fn point() -> char {
    '.'
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_point(decimal: &char) -> bool {
    *decimal == point()
}

/// A setting that may be left to be found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told<T> {
    /// It is to be found.
    #[default]
    Auto,
    /// It is this.
    Is(T),
}

impl<T> Told<T> {
    /// What was told, if anything.
    pub fn told(self) -> Option<T> {
        match self {
            Self::Auto => None,
            Self::Is(value) => Some(value),
        }
    }
}

/// What the settings tell of a CSV source; the rest is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvSettings {
    /// `CSV_DELIMITER`.
    pub delimiter: Told<char>,
    /// `CSV_QUOTE`; none for no quotes.
    pub quote: Told<Option<char>>,
    /// `CSV_ESCAPE`; none for doubled quotes alone.
    pub escape: Told<Option<char>>,
    /// `CSV_COMMENT`; none for no comments.
    pub comment: Told<Option<char>>,
    /// `CSV_TERMINATOR`.
    pub terminator: Told<char>,
    /// `CSV_HEADER`, in records.
    pub header: Told<usize>,
    /// `CSV_SKIP_LINES`.
    pub skip_lines: Told<usize>,
    /// `CSV_DECIMAL`.
    pub decimal: Told<char>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_as_it_is_pinned() {
        let pinned = |dialect: &Dialect| serde_json::to_string(dialect).unwrap();
        let all = Dialect {
            delimiter: '\x1f',
            quote: None,
            escape: Some('\\'),
            comment: Some('#'),
            terminator: Some('\x1e'),
            decimal: ',',
            trailing_delimiter: true,
        };
        insta::assert_snapshot!(pinned(&Dialect::default()), @r#"{"delimiter":",","quote":"\""}"#);
        insta::assert_snapshot!(pinned(&all), @r##"{"delimiter":"\u001f","quote":null,"escape":"\\","comment":"#","terminator":"\u001e","decimal":",","trailing_delimiter":true}"##);
        for dialect in [Dialect::default(), all] {
            assert_eq!(serde_json::from_str::<Dialect>(&pinned(&dialect)).unwrap(), dialect);
        }
    }
}
