//! Lines before the first record of a CSV: those of its header, and those that are skipped.

use std::ops::Range;

use shared::{Dialect, LineKind, Lines};

use crate::records::record_ends::{after_line_ends, byte, end_byte};

/// One row of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderRow {
    /// Where it is in the text.
    pub(crate) place: Range<usize>,
    /// Whether it has units instead of names.
    pub(crate) has_units: bool,
}

impl HeaderRow {
    /// The same in a text with so many bytes more before it.
    pub(crate) fn moved(self, bytes: usize) -> Self {
        Self { place: self.place.start + bytes..self.place.end + bytes, ..self }
    }
}

/// The lines of a text before its first record; `start` is where the first line begins, after a byte order mark.
pub(crate) fn head_lines(
    text: &[u8],
    start: usize,
    data_start: usize,
    header: &[HeaderRow],
    dialect: &Dialect,
) -> Lines {
    let head = text.get(..data_start).unwrap_or(text);
    let (mut lines, mut place) = (Lines::default(), start);
    while let Some(rest) = head.get(place..).filter(|rest| !rest.is_empty()) {
        let end = place + memchr::memchr(end_byte(dialect), rest).map_or(rest.len(), |end| end + 1);
        let line = head.get(place..end).unwrap_or_default();
        let kind = match header.iter().find(|row| row.place.contains(&place)) {
            Some(HeaderRow { has_units: true, .. }) => LineKind::Units,
            Some(_) => LineKind::Header,
            None if after_line_ends(line, 0, dialect) == line.len() => LineKind::Blank,
            None if dialect.comment.map(byte) == line.first().copied() => LineKind::Comment,
            None => LineKind::Preamble,
        };
        lines.skip(kind, u64::try_from(place).unwrap_or_default(), line);
        place = end;
    }
    lines
}

#[cfg(test)]
mod tests {
    use shared::{ColumnNames, CsvSettings, Setting};

    use crate::csv::header;
    use crate::csv::known_names::KnownNames;

    /// The lines before the first record: of each kind how many, and the numbers of the first and last.
    fn head(text: &str, settings: &CsvSettings) -> String {
        let at = "s3://b/k.csv".parse().unwrap();
        let known = KnownNames::of(&[], ColumnNames::Lower);
        let found = header::read(&at, text.as_bytes(), true, settings, &known).unwrap();
        let lines = found.head;
        let first_record = usize::try_from(found.data_start).unwrap();
        let before = text.get(..first_record).unwrap().strip_prefix('\u{feff}').unwrap_or(&text[..first_record]);
        assert_eq!(lines.total, u64::try_from(before.lines().count()).unwrap(), "{text}");
        assert_eq!(lines.total, lines.skipped() + lines.of_records, "{text}");
        let shown = lines.skipped.iter().map(|of_kind| {
            for kept in of_kind.last.iter().chain([&of_kind.first]) {
                let place = usize::try_from(kept.byte_offset).unwrap();
                assert_eq!(text[place..].lines().next(), Some(kept.text.as_str()), "{text}");
            }
            let last = of_kind.last.as_ref().map_or(String::new(), |last| format!("-{}", last.line));
            format!("{:?} {}: {}{last}", of_kind.kind, of_kind.lines, of_kind.first.line)
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn each_line_before_the_records_is_something() {
        let auto = CsvSettings::default();
        for (text, expected) in [
            ("id,name\n1,a\n2,b\n", "Header 1: 1"),
            ("\u{feff}id,name\r\n1,a\r\n2,b\r\n", "Header 1: 1"),
            ("id,\"a\nname\"\n1,a\n2,b\n", "Header 2: 1-2"),
            ("\n\nid,name\n\n1,a\n2,b\n", "Blank 3: 1-4, Header 1: 3"),
            ("Report\n\nof May\nid,name,n\n1,a,2\n2,b,3\n", "Preamble 2: 1-3, Blank 1: 2, Header 1: 4"),
            ("sep=;\nid;name\n1;a\n2;b\n", "Preamble 1: 1, Header 1: 2"),
            ("t,p,q\n[C],[hPa],[%]\n1,2,3\n4,5,6\n7,8,9\n", "Header 1: 1, Units 1: 2"),
            ("id,name\n", "Header 1: 1"),
            ("id,name\n\n\n", "Header 1: 1, Blank 2: 2-3"),
            ("", ""),
            ("1,2\n3,4\n5,6\n", ""),
        ] {
            assert_eq!(head(text, &auto), expected, "{text}");
        }
        let told = CsvSettings { comment: Setting::Explicit(Some('#')), skip_lines: Setting::Explicit(1), ..auto };
        assert_eq!(head("x\n# y\nid,n\n# z\n1,2\n3,4\n", &told), "Preamble 1: 1, Comment 2: 2-4, Header 1: 3");
    }
}
