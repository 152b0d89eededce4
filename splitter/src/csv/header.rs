//! The head of a CSV source: byte order mark, dialect and header.

use shared::{CsvSettings, Dialect, Lines, Location};

use crate::csv::dialect;
use crate::csv::head_lines::{HeaderRow, head_lines};
use crate::csv::known_names::KnownNames;
use crate::error::{BadInput, SplitError};

/// How a source is written, its header, and where the records after it begin.
#[derive(Debug, PartialEq)]
pub(crate) struct Header {
    /// How the source is written.
    pub(crate) dialect: Dialect,
    /// Names as they are in the source, empty for columns without one; none when the source has no records either.
    pub(crate) names: Vec<String>,
    /// Byte offset of the first record.
    pub(crate) data_start: u64,
    /// What was found around it.
    pub(crate) layout: Layout,
    /// Lines before the first record.
    pub(crate) head: Lines,
}

/// How sure the dialect of a CSV is, and what stands before its records.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a finding of its own")]
pub struct Layout {
    /// From 0 to 1: how well the dialect explains the first rows, and how much better than any other.
    pub confidence: f64,
    /// Lines before the table, blank ones among them and those of `CSV_SKIP_LINES` aside.
    pub preamble_lines: usize,
    /// Rows of the header.
    pub header_rows: usize,
    /// Whether neither values nor names show that the header is one.
    pub is_header_doubtful: bool,
    /// Whether nothing but the table, whose columns have no names, shows that the first row is a record.
    pub is_record_by_table: bool,
    /// Whether a first line `sep=;`, one of the lines before the table, says what the delimiter is.
    pub is_declared: bool,
    /// Whether values stand in single quotes that are taken for a part of them.
    pub has_single_quotes: bool,
    /// Whether backslashes within quotes come in twos alone, which are kept.
    pub has_doubled_backslashes: bool,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the header from the first bytes of a source; `whole` when these are all there are. `known` are names that it may have.
pub(crate) fn read(
    at: &Location,
    head: &[u8],
    whole: bool,
    told: &CsvSettings,
    known: &KnownNames<'_>,
) -> Result<Header, SplitError> {
    let text = without_byte_order_mark(head);
    let mark = head.len() - text.len();
    let found = dialect::find(text, whole, told, known);
    tracing::info!(
        source = %at,
        dialect = ?found.dialect,
        confidence = found.confidence,
        preamble = found.preamble_lines,
        header = found.header.len(),
        "dialect"
    );
    if found.is_open {
        let reason = format!("the header does not end within the first {} bytes", head.len());
        let hint = "is this a CSV file? check CSV_DELIMITER, CSV_QUOTE and CSV_SKIP_LINES, and that a quote in the header is closed";
        return Err(BadInput::whole(at, reason, hint).into());
    }
    let data_start = u64::try_from(mark + found.data_start).unwrap_or_default();
    let names: Result<Vec<String>, _> = found.names.into_iter().map(String::from_utf8).collect();
    let names = names.map_err(|_| {
        let hint = "set ENCODING to what the file is written in";
        BadInput::at_byte(at, 0, "the header holds bytes that are not text in the file's encoding", hint)
    })?;
    let header: Vec<HeaderRow> = found.header.into_iter().map(|row| row.moved(mark)).collect();
    let head = head_lines(head, mark, mark + found.data_start, &header, &found.dialect);
    let layout = Layout {
        confidence: found.confidence,
        preamble_lines: found.preamble_lines,
        header_rows: header.len(),
        is_header_doubtful: found.is_header_doubtful,
        is_record_by_table: found.is_record_by_table,
        is_declared: found.is_declared,
        has_single_quotes: found.has_single_quotes,
        has_doubled_backslashes: found.has_doubled_backslashes,
    };
    Ok(Header { dialect: found.dialect, names, data_start, layout, head })
}

/// The first bytes of a source without the mark that it is written in UTF-8.
pub(crate) fn without_byte_order_mark(head: &[u8]) -> &[u8] {
    head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head)
}

#[cfg(test)]
mod tests {
    use shared::ColumnNames;

    use super::*;

    fn header(head: &[u8]) -> Result<(Vec<String>, u64), String> {
        let at = "s3://b/k.csv".parse().unwrap();
        let known = KnownNames::of(&[], ColumnNames::Lower);
        let header = read(&at, head, true, &CsvSettings::default(), &known).map_err(|bad| bad.to_string())?;
        Ok((header.names, header.data_start))
    }

    #[test]
    fn names_and_start_of_data() {
        for (head, names, start) in [
            (&b"a,b\n1,2\n"[..], &["a", "b"][..], 4),
            (b"a,b\r\n1,2\r\n", &["a", "b"], 5),
            (b"\xef\xbb\xbfa,b\n1,2\n", &["a", "b"], 7),
            (b"\xef\xbb\xbf\"a\",b\n", &["a", "b"], 9),
            (b"\"a\nb\",c\n1,2", &["a\nb", "c"], 8),
            (b"a,b", &["a", "b"], 3),
            (b"\n\na\n1", &["a"], 4),
            (b"", &[], 0),
            (b"\xef\xbb\xbf", &[], 3),
        ] {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(header(head).unwrap(), (names, start), "{head:?}");
        }
    }

    #[test]
    fn names_that_are_no_text() {
        let text = "s3://b/k.csv, byte 0: the header holds bytes that are not text in the file's encoding";
        assert_eq!(header(b"\xe9t\xe9,b\n").unwrap_err(), text);
    }
}
