//! Dialect of a CSV source: given by settings or detected, and pinned with the job.

use serde::{Deserialize, Serialize};

/// How delimited text is written. Every character is one ASCII byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// Stands between two fields.
    pub delimiter: char,
    /// Stands around a field that holds delimiters or line ends, and is doubled to stand for itself; none when quotes are
    /// text like any other.
    pub quote: Option<char>,
    /// Within quotes, makes the character after it text; none when quotes are only doubled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escape: Option<char>,
    /// A line that begins with it is not a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<char>,
    /// Ends a record; none for line ends: `\n`, with `\r` before it or without.
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
    /// Whether a byte ends a record, outside of quotes. A `\r` before a line end belongs to it, and ends nothing by itself.
    pub fn ends_record(&self, byte: u8) -> bool {
        match self.terminator {
            Some(terminator) => char::from(byte) == terminator,
            None => byte == b'\n',
        }
    }
}

/// A character as settings take it: as it is, `tab`, or by its number, as `0x1f`.
pub fn as_setting(character: char) -> String {
    match character {
        '\t' => "tab".to_owned(),
        other if other.is_ascii_graphic() => other.to_string(),
        other => format!("0x{:02x}", u32::from(other)),
    }
}

fn point() -> char {
    '.'
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_point(decimal: &char) -> bool {
    *decimal == point()
}

/// A setting, or the wish that the splitter detects it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Setting<T> {
    /// Detect it.
    #[default]
    Auto,
    /// Use this value.
    Explicit(T),
}

impl<T> Setting<T> {
    /// The value, if one is given.
    pub fn explicit(self) -> Option<T> {
        match self {
            Self::Auto => None,
            Self::Explicit(value) => Some(value),
        }
    }
}

/// Settings of a CSV source; the rest is detected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvSettings {
    /// `CSV_DELIMITER`.
    pub delimiter: Setting<char>,
    /// `CSV_QUOTE`; none for no quotes.
    pub quote: Setting<Option<char>>,
    /// `CSV_ESCAPE`; none for doubled quotes alone.
    pub escape: Setting<Option<char>>,
    /// `CSV_COMMENT`; none for no comments.
    pub comment: Setting<Option<char>>,
    /// `CSV_TERMINATOR`; none for line ends.
    pub terminator: Setting<Option<char>>,
    /// `CSV_HEADER`, in records.
    pub header: Setting<usize>,
    /// `CSV_SKIP_LINES`.
    pub skip_lines: Setting<usize>,
    /// `CSV_FOOTER`, in lines that are not blank.
    pub footer: Setting<usize>,
    /// `CSV_DECIMAL`.
    pub decimal: Setting<char>,
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
