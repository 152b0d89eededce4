//! Lines of a text: those of its records, and those that are skipped, of which the first and last of each kind are kept.
//!
//! A line ends where a record may end, whatever stands around it: with `\n`, or what `CSV_TERMINATOR` says. What follows the last line end is a
//! line, too, unless it is empty.

use serde::{Deserialize, Serialize};

/// Most characters of a skipped line that are kept.
const TEXT: usize = 200;

/// Most bytes of a line that are looked at for them.
const BYTES: usize = 4 * TEXT;

/// What a line is that is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Before the table.
    Preamble,
    /// Of the header.
    Header,
    /// Of the header, with units.
    Units,
    /// Begins with the comment character.
    Comment,
    /// Has nothing in it.
    Blank,
    /// After the last record.
    Footer,
}

/// A line that was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedLine {
    /// Its number in the text, from 1.
    pub line: u64,
    /// Byte offset of its first byte in the text.
    pub byte_offset: u64,
    /// Its first 200 characters, without its line end.
    pub text: String,
}

impl SkippedLine {
    /// A line by its number, its place and its bytes.
    pub fn new(line: u64, byte_offset: u64, bytes: &[u8]) -> Self {
        let bytes = bytes.get(..BYTES).unwrap_or(bytes);
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_end_matches(['\n', '\r']).chars().take(TEXT).collect();
        Self { line, byte_offset, text }
    }

    fn moved(&self, lines: u64) -> Self {
        Self { line: self.line + lines, ..self.clone() }
    }
}

/// The skipped lines of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedLines {
    /// What they are.
    pub kind: LineKind,
    /// How many there are.
    pub lines: u64,
    /// The first of them.
    pub first: SkippedLine,
    /// The last of them, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<SkippedLine>,
}

/// The lines of a text: `total = of_records + skipped`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines {
    /// All lines.
    pub total: u64,
    /// Lines of records, rejected ones included. A record has several if line ends stand within its quotes.
    pub of_records: u64,
    /// All others, by what they are, in the order in which the first of each kind comes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedLines>,
}

impl Lines {
    /// Adds lines of records after all others.
    pub fn add_records(&mut self, lines: u64) {
        self.total += lines;
        self.of_records += lines;
    }

    /// Adds one skipped line after all others.
    pub fn skip(&mut self, kind: LineKind, byte_offset: u64, bytes: &[u8]) {
        self.total += 1;
        let line = SkippedLine::new(self.total, byte_offset, bytes);
        self.add_skipped(SkippedLines { kind, lines: 1, first: line, last: None });
    }

    /// Adds those of the text that follows.
    pub fn append(&mut self, next: &Self) {
        let before = self.total;
        self.total += next.total;
        self.of_records += next.of_records;
        for of_kind in &next.skipped {
            let last = of_kind.last.as_ref().map(|last| last.moved(before));
            self.add_skipped(SkippedLines { first: of_kind.first.moved(before), last, ..*of_kind });
        }
    }

    /// How many lines were skipped.
    pub fn skipped(&self) -> u64 {
        self.skipped.iter().map(|of_kind| of_kind.lines).sum()
    }

    fn add_skipped(&mut self, more: SkippedLines) {
        match self.skipped.iter_mut().find(|known| known.kind == more.kind) {
            Some(known) => {
                known.lines += more.lines;
                known.last = Some(more.last.unwrap_or(more.first));
            }
            None => self.skipped.push(more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_add_up_whatever_they_are_cut_into() {
        let line = |lines: &mut Lines, number: u64| match number % 5 {
            0 => lines.skip(LineKind::Blank, number * 10, b"\r\n"),
            1 => lines.skip(LineKind::Comment, number * 10, format!("# {number}\n").as_bytes()),
            _ => lines.add_records(1),
        };
        let mut whole = Lines::default();
        (0..20).for_each(|number| line(&mut whole, number));
        for size in 1..20 {
            let mut all = Lines::default();
            for start in (0..20).step_by(size) {
                let mut part = Lines::default();
                let end = start + u64::try_from(size).unwrap();
                (start..end.min(20)).for_each(|number| line(&mut part, number));
                all.append(&part);
            }
            assert_eq!(all, whole, "{size}");
        }
        assert_eq!((whole.total, whole.of_records, whole.skipped()), (20, 12, 8));
        insta::assert_snapshot!(serde_json::to_string(&whole.skipped).unwrap(), @r##"[{"kind":"blank","lines":4,"first":{"line":1,"byte_offset":0,"text":""},"last":{"line":16,"byte_offset":150,"text":""}},{"kind":"comment","lines":4,"first":{"line":2,"byte_offset":10,"text":"# 1"},"last":{"line":17,"byte_offset":160,"text":"# 16"}}]"##);
    }

    #[test]
    fn long_lines_are_shortened_between_characters() {
        let text = |bytes: &[u8]| SkippedLine::new(1, 0, bytes).text;
        assert_eq!(text("é".repeat(1000).as_bytes()), "é".repeat(200));
        assert_eq!(text("\u{1f600}".repeat(1000).as_bytes()), "\u{1f600}".repeat(200));
        assert_eq!(text(b"a \xff b\r\r\n"), "a \u{fffd} b");
    }
}
