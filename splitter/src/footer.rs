//! The footer of a Parquet source, read and checked for what can be told of it alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::datatypes::DECIMAL256_MAX_PRECISION;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use shared::{FooterError, Location};

use crate::error::{BadInput, SplitError};
use crate::ranged_file::{HINT, RangedFile};

/// What a Parquet file begins with when its footer is encrypted.
pub(crate) const ENCRYPTED: &[u8] = b"PARE";

/// Bytes of the end of a file: the length of the footer, and four letters.
const TAIL: usize = 8;

/// What may help where a file is encrypted.
const DECRYPT: &str = "have it written without encryption; Sluice has no keys";

/// What may help where a footer is not as the library has it: some old writers departed from the format.
const STRANGE: &str =
    "the footer is damaged, or departs from the format; have it written again, by another program if need be";

/// The field of a footer that says how columns are encrypted, where the footer itself is not.
const ALGORITHM: i16 = 8;

/// Whether a source that begins like this is Parquet. A header of a CSV may begin with these letters too, but is followed by
/// text, and ends.
pub(crate) fn is_parquet(head: &[u8]) -> bool {
    let Some(rest) = head.strip_prefix(b"PAR1").or_else(|| head.strip_prefix(ENCRYPTED)) else { return false };
    let is_text = rest.first().is_some_and(|next| *next >= b' ' || matches!(next, b'\t' | b'\r' | b'\n'));
    !is_text || memchr::memchr(0, rest).is_some() || memchr::memchr2(b'\n', b'\r', rest).is_none()
}

/// Reads and decodes the footer, and says whether `INT96` timestamps are instants: as the job has it, or else as the footer tells.
/// Blocks, so off the async threads only.
pub(crate) fn read_footer(file: &RangedFile, pinned: Option<bool>) -> Result<(ArrowReaderMetadata, bool), SplitError> {
    let at = &file.source.uri;
    let bad = |reason: String, hint| SplitError::from(BadInput::whole(at, reason, hint));
    let cut = || bad(format!("this Parquet file of {} bytes does not end as one", file.len()), HINT);
    let length = usize::try_from(file.len()).unwrap_or(usize::MAX);
    let Some(before) = length.checked_sub(TAIL).filter(|before| *before >= 4) else { return Err(cut()) };
    let place = |place: usize| u64::try_from(place).unwrap_or(u64::MAX);
    let tail = file.get_bytes(place(before), TAIL).map_err(|error| file.blame(&error))?;
    let Ok(tail) = FooterTail::try_from(tail.as_ref()) else { return Err(cut()) };
    if tail.is_encrypted_footer() {
        return Err(bad("this Parquet file is encrypted".to_owned(), DECRYPT));
    }
    let Some(start) = before.checked_sub(tail.metadata_length()) else { return Err(cut()) };
    let footer = file.get_bytes(place(start), tail.metadata_length()).map_err(|error| file.blame(&error))?;
    if has_field(&footer, ALGORITHM) {
        return Err(bad("columns of this Parquet file are encrypted".to_owned(), DECRYPT));
    }
    let decoded = catch_unwind(AssertUnwindSafe(|| ParquetMetaDataReader::decode_metadata(&footer)));
    let decoded = decoded.unwrap_or_else(|_| Err(ParquetError::General("the footer cannot be decoded".to_owned())));
    let metadata = decoded.map_err(|error| undecoded(at, &error))?;
    let instants = pinned.unwrap_or_else(|| shared::int96_are_instants(&metadata));
    let metadata = shared::arrow_metadata(&Arc::new(metadata), instants).map_err(|error| match error {
        FooterError::Column { column, reason, hint } => {
            BadInput { column: Some(column), ..BadInput::whole(at, reason, hint) }.into()
        }
        FooterError::Footer(error) => file.blame(&error),
    })?;
    Ok((metadata, instants))
}

/// The error of a footer that is all there, and that the Parquet library does not take.
fn undecoded(at: &Location, error: &ParquetError) -> SplitError {
    let said = error.to_string();
    // parquet-java gives intervals the logical type of columns that are always null.
    let interval = said.split_once("converted type INTERVAL for field '").and_then(|(_, name)| name.strip_suffix('\''));
    let bad = match interval.map(|name| FooterError::interval(name.to_owned())) {
        Some(FooterError::Column { column, reason, hint }) => {
            BadInput { column: Some(column), ..BadInput::whole(at, reason, hint) }
        }
        _ => BadInput::whole(at, said, STRANGE),
    };
    bad.into()
}

/// The first column whose values the Parquet library cannot decode, as the footer tells, and why.
pub(crate) fn unread_column(parquet: &ParquetMetaData) -> Option<(String, String)> {
    let digits = parquet.file_metadata().schema_descr().columns().iter().find_map(|column| {
        let is_wide = column.type_precision() > i32::from(DECIMAL256_MAX_PRECISION);
        let reason = || {
            format!("is a DECIMAL of {} digits, and {DECIMAL256_MAX_PRECISION} can be read", column.type_precision())
        };
        is_wide.then(|| (column.path().string(), reason()))
    });
    let mut chunks = parquet.row_groups().iter().flat_map(RowGroupMetaData::columns);
    let lzo = chunks.find(|chunk| chunk.compression() == Compression::LZO);
    digits.or_else(|| Some((lzo?.column_path().string(), "is compressed with LZO, which cannot be read".to_owned())))
}

/// Whether a footer, a struct of Thrift's compact protocol, has a field of this number. What is not such a struct has none.
fn has_field(footer: &[u8], wanted: i16) -> bool {
    let mut rest = Compact(footer);
    let mut number = 0;
    while let Some((next, kind)) = rest.field(number) {
        if next == wanted {
            return true;
        }
        number = next;
        if rest.skip(kind, 0).is_none() {
            return false;
        }
    }
    false
}

/// Most structs within structs: those of a footer are a few.
const MOST_DEPTH: u8 = 32;

/// What is left of a text in Thrift's compact protocol.
struct Compact<'a>(&'a [u8]);

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    /// Number and kind of the next field; none at the end of a struct.
    fn field(&mut self, last: i16) -> Option<(i16, u8)> {
        let header = self.byte()?;
        let kind = header & 0x0f;
        if kind == 0 {
            return None;
        }
        let number = match header >> 4 {
            0 => {
                let coded = self.varint()?;
                let value = i64::try_from(coded >> 1).ok()? ^ -i64::try_from(coded & 1).ok()?;
                i16::try_from(value).ok()?
            }
            step => last.checked_add(i16::from(step))?,
        };
        Some((number, kind))
    }

    fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        if depth > MOST_DEPTH {
            return None;
        }
        match kind {
            1 | 2 => Some(()),
            3 => self.take(1),
            4..=6 => self.varint().map(drop),
            7 => self.take(8),
            8 => {
                let length = self.varint()?;
                self.take(usize::try_from(length).ok()?)
            }
            9 | 10 => {
                let header = self.byte()?;
                let count = if header >> 4 == 15 { self.varint()? } else { u64::from(header >> 4) };
                (0..count).try_for_each(|_| self.skip_element(header & 0x0f, depth + 1))
            }
            11 => {
                let count = self.varint()?;
                if count == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                (0..count).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth + 1)?;
                    self.skip_element(kinds & 0x0f, depth + 1)
                })
            }
            12 => {
                let mut number = 0;
                while self.0.first().copied()? & 0x0f != 0 {
                    let (next, kind) = self.field(number)?;
                    number = next;
                    self.skip(kind, depth + 1)?;
                }
                self.take(1)
            }
            _ => None,
        }
    }

    /// As `skip`, of what is in lists and maps: truths have a byte there.
    fn skip_element(&mut self, kind: u8, depth: u8) -> Option<()> {
        if matches!(kind, 1 | 2) { self.take(1) } else { self.skip(kind, depth) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parquet_is_known_by_what_follows_its_letters() {
        for (head, expected) in [
            (&b"PAR1"[..], true),
            (b"PARE", true),
            (b"PAR1\x15\x04\x15\x10", true),
            (b"PAR1abc\0", true),
            (b"PAR1PAR1", true),
            (b"PAR1\xad\xad\xad\xadPAR1", true),
            (b"PAR1abc", true),
            (b"PAR1,x\n1,2\n", false),
            (b"PAR1\n1\n", false),
            (b"PARENT,x\r", false),
            (b"x", false),
        ] {
            assert_eq!(is_parquet(head), expected, "{head:?}");
        }
    }

    #[test]
    fn fields_are_found_behind_others() {
        // 1: i32, 2: a list of structs, 8: an empty struct.
        let footer = [0x15, 2, 0x19, 0x1c, 0x15, 4, 0, 0x6c, 0, 0];
        assert!(has_field(&footer, 8));
        assert!(!has_field(&footer, 7));
        assert!(!has_field(&footer[..5], 8));
        assert!(!has_field(&[0xff; 40], 8));
    }
}
