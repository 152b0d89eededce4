//! The head of a CSV source: byte order mark and header record.

use shared::Location;

use crate::error::{BadInput, SplitError};
use crate::records::behind_line_ends;

/// The header record, and where the records behind it begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Names as they are in the source; none when the source has no header either.
    pub(crate) names: Vec<String>,
    /// Byte offset of the first record.
    pub(crate) data_start: u64,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the header from the first bytes of a source; `whole` when these are all there are.
pub(crate) fn read(at: &Location, head: &[u8], whole: bool, delimiter: u8, quote: u8) -> Result<Header, SplitError> {
    refuse_what_is_no_text(at, head)?;
    let mark = if head.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let text = head.get(mark..).unwrap_or_default();
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).quote(quote).from_reader(text);
    let mut record = csv::ByteRecord::new();
    let found = reader.read_byte_record(&mut record).unwrap_or_default();
    let end = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
    if found && end >= text.len() && !whole {
        let reason = format!("the header does not end within the first {} bytes", head.len());
        let hint = "is this a CSV file? check CSV_DELIMITER and CSV_QUOTE, and that a quote in the header is closed";
        return Err(BadInput::whole(at, reason, hint).into());
    }
    let data_start = mark + behind_line_ends(text, end.min(text.len()));
    let names: Result<Vec<String>, _> = record.iter().map(|field| String::from_utf8(field.to_vec())).collect();
    let names = names.map_err(|_| {
        let hint = "Sluice reads UTF-8; convert the file first, for instance with iconv";
        BadInput::at_byte(at, 0, "the header is not valid UTF-8", hint)
    })?;
    Ok(Header { names, data_start: u64::try_from(data_start).unwrap_or_default() })
}

/// Formats by their first bytes that are sometimes dropped in place of a CSV.
const OTHER_FORMATS: &[(&[u8], &str, &str)] = &[
    (b"\x1f\x8b", "gzip data", DECOMPRESS),
    (b"\x28\xb5\x2f\xfd", "zstd data", DECOMPRESS),
    (b"\xfd7zXZ\0", "xz data", DECOMPRESS),
    (b"\x04\x22\x4d\x18", "lz4 data", DECOMPRESS),
    (b"PK\x03\x04", "a zip archive, which Excel workbooks are too", "unpack it, or save the sheet as CSV"),
    (b"\xff\xfe", "UTF-16 text", CONVERT),
    (b"\xfe\xff", "UTF-16 text", CONVERT),
    (b"\x89PNG", "a PNG image", NOT_A_TABLE),
    (b"%PDF-", "a PDF document", NOT_A_TABLE),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "save the sheet as CSV"),
    (b"Obj\x01", "an Avro file", "convert it to Parquet"),
];

const DECOMPRESS: &str = "compressed sources are not read yet; decompress it first";
const CONVERT: &str = "Sluice reads UTF-8; convert the file first, for instance with iconv";
const NOT_A_TABLE: &str = "Sluice takes CSV and Parquet";

fn refuse_what_is_no_text(at: &Location, head: &[u8]) -> Result<(), SplitError> {
    if let Some((_, what, hint)) = OTHER_FORMATS.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return Err(BadInput::at_byte(at, 0, format!("this is {what}, not CSV or Parquet"), hint).into());
    }
    match memchr::memchr(0, head) {
        Some(place) => {
            let place = u64::try_from(place).unwrap_or_default();
            let hint = "Sluice takes UTF-8 CSV and Parquet; if this is UTF-16 text, convert it first with iconv";
            Err(BadInput::at_byte(at, place, "a NUL byte, so this is neither CSV nor Parquet", hint).into())
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(head: &[u8]) -> Result<(Vec<String>, u64), String> {
        let at = "s3://b/k.csv".parse().unwrap();
        let header = read(&at, head, true, b',', b'"').map_err(|bad| bad.to_string())?;
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
    fn what_is_no_csv_is_named() {
        for (head, text) in [
            (&b"\x89PNG\r\n"[..], "s3://b/k.csv, byte 0: this is a PNG image, not CSV or Parquet"),
            (b"\x1f\x8b\x08", "s3://b/k.csv, byte 0: this is gzip data, not CSV or Parquet"),
            (b"a,b\n1,\x00\n", "s3://b/k.csv, byte 6: a NUL byte, so this is neither CSV nor Parquet"),
            (b"\xe9t\xe9,b\n", "s3://b/k.csv, byte 0: the header is not valid UTF-8"),
        ] {
            assert_eq!(header(head).unwrap_err(), text);
        }
    }
}
