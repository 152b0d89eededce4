//! The footer of a Parquet source, read, and checked as far as it can be without the pages.

use parquet::file::reader::{ChunkReader, Length};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::datatypes::DECIMAL256_MAX_PRECISION;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use shared::compact::Compact;
use shared::{FooterError, Location, Settings};

use crate::error::{BadInput, SplitError};
use crate::schema::column_names::check_columns;
use crate::source::ranged_file::{HINT, RangedFile};

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

/// Memory that a column of a row group takes once the footer is decoded, about, in bytes.
const DECODED_COLUMN_BYTES: u64 = 1 << 10;

/// What may help where a footer is too large.
const LARGER_GROUPS: &str =
    "have it written with larger row groups, or, with so much more memory, run with a higher MAX_FOOTER_MB";

/// What a footer describes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shape {
    row_groups: u64,
    /// Columns of all row groups together.
    columns: u64,
    /// Groups within groups.
    levels: usize,
}

/// Most groups within groups. What reads a schema goes into each group from within the one around it, and the stack has an end.
const MOST_LEVELS: usize = 128;

/// Reads and decodes the footer, if it has no more columns than a table may have and takes no more memory than it may; and
/// says whether `INT96` timestamps are instants: as the job has it, or else as the footer says. Blocks, so off the async threads only.
pub(crate) fn read_footer(
    file: &RangedFile,
    pinned: Option<bool>,
    settings: &Settings,
) -> Result<(ArrowReaderMetadata, bool), SplitError> {
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
    check(at, Shape::default(), tail.metadata_length(), settings)?;
    let footer = file.get_bytes(place(start), tail.metadata_length()).map_err(|error| file.blame(&error))?;
    if let Some(shape) = shape(&footer) {
        check(at, shape, footer.len(), settings)?;
    }
    if has_field(&footer, ALGORITHM) {
        return Err(bad("columns of this Parquet file are encrypted".to_owned(), DECRYPT));
    }
    let footer = with_scales(&footer).map_or(footer, Bytes::from);
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

/// A footer in which each decimal says its scale, which the Parquet library requires; none where all do. One that says none has the scale 0,
/// by the format.
fn with_scales(footer: &[u8]) -> Option<Vec<u8>> {
    const SCHEMA: i16 = 2;
    const CONVERTED: i16 = 6;
    const DECIMAL: i64 = 5;
    const PRECISION: i16 = 8;
    /// The number of the field, 7, as it is written.
    const SCALE: u8 = 14;
    /// The header of a number: of the second field, and the first, after the one before, and of one whose field it says.
    const SECOND: u8 = 0x25;
    const FIRST: u8 = 0x15;
    const LONG: u8 = 0x05;
    let mut rest = Compact(footer);
    let (mut made, mut taken) = (Vec::new(), 0);
    for _ in 0..rest.list_of(SCHEMA)? {
        let mut element = rest;
        rest.skip_struct(0)?;
        let (mut last, mut is_decimal) = (0, false);
        loop {
            let (start, header) = (footer.len() - element.0.len(), element.0.first().copied());
            let Some((number, kind)) = element.field(last) else { break };
            if number == PRECISION && last == CONVERTED && is_decimal {
                made.extend_from_slice(footer.get(taken..start)?);
                // The scale, 0, and then the precision.
                let is_long = header != Some(SECOND);
                made.extend(if is_long { [LONG, SCALE, 0] } else { [FIRST, 0, FIRST] });
                taken = start + usize::from(!is_long);
            }
            let mut value = element;
            is_decimal = number == CONVERTED && value.signed() == Some(DECIMAL);
            element.skip(kind, 0)?;
            last = number;
        }
    }
    made.extend_from_slice(footer.get(taken..)?);
    (taken > 0).then_some(made)
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

/// The first column whose values the Parquet library cannot decode, as far as the footer shows, and why.
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

/// Refuses a footer of so many bytes that describes more than is taken.
fn check(at: &Location, shape: Shape, length: usize, settings: &Settings) -> Result<(), SplitError> {
    let Shape { row_groups, columns, levels } = shape;
    let bytes = u64::try_from(length).unwrap_or(u64::MAX).saturating_mul(2);
    let bytes = bytes.saturating_add(columns.saturating_mul(DECODED_COLUMN_BYTES));
    if bytes > settings.read.max_footer_bytes {
        let (bytes, most) = (bytes.div_ceil(1 << 20), settings.read.max_footer_bytes >> 20);
        let of = if row_groups == 0 {
            String::new()
        } else {
            format!(", of {row_groups} row groups with {columns} columns in all,")
        };
        let reason =
            format!("its footer{of} would take about {bytes} MiB of memory, and MAX_FOOTER_MB={most} allows no more");
        return Err(BadInput::whole(at, reason, LARGER_GROUPS).into());
    }
    settings.memory.check(|_| bytes).map_err(|source| SplitError::Memory {
        at: Box::new(at.clone()),
        what: "the footer".to_owned(),
        source,
    })?;
    if levels > MOST_LEVELS {
        let reason = format!("its columns are nested in {levels} levels, and {MOST_LEVELS} are taken at most");
        return Err(BadInput::whole(at, reason, "have the innermost values written as text, JSON for instance").into());
    }
    check_columns(at, usize::try_from(columns / row_groups.max(1)).unwrap_or(usize::MAX))
}

/// How many row groups and columns a footer describes. What is not one describes none.
fn shape(footer: &[u8]) -> Option<Shape> {
    const SCHEMA: i16 = 2;
    const ROW_GROUPS: i16 = 4;
    let mut schema = Compact(footer);
    let elements = schema.list_of(SCHEMA)?;
    let levels = levels(schema, elements)?;
    let mut rest = Compact(footer);
    let row_groups = rest.list_of(ROW_GROUPS)?;
    let mut columns = 0;
    for _ in 0..row_groups {
        let mut row_group = rest;
        columns = row_group.list_of(1)?.saturating_add(columns);
        rest.skip_struct(0)?;
    }
    Some(Shape { row_groups, columns, levels })
}

/// How deep groups are within groups among so many elements of a schema, each of which stands before those that it has.
fn levels(mut schema: Compact<'_>, elements: u64) -> Option<usize> {
    const CHILDREN: i16 = 5;
    let (mut open, mut deepest) = (Vec::new(), 0);
    for _ in 0..elements {
        let mut element = schema;
        let children = element.number_of(CHILDREN).unwrap_or_default();
        schema.skip_struct(0)?;
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if children > 0 {
            open.push(children);
            // The root is not a group of a column.
            deepest = deepest.max(open.len() - 1);
        }
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    Some(deepest)
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

    #[test]
    fn decimals_without_a_scale_get_one() {
        let element = |fields: &[u8]| [fields, &[0]].concat();
        // Type, name, converted type DECIMAL, precision 9; the same with a scale; and an integer with a name of the same bytes.
        let (without, with) = (
            element(&[0x15, 2, 0x38, 1, b'd', 0x25, 10, 0x25, 18]),
            element(&[0x15, 2, 0x38, 1, b'd', 0x25, 10, 0x15, 4, 0x15, 18]),
        );
        let other = element(&[0x15, 2, 0x38, 4, 0x25, 10, 0x25, 18]);
        let footer =
            |elements: [&[u8]; 3]| [&[0x15, 2, 0x19, 0x3c], elements.concat().as_slice(), &[0x16, 0, 0]].concat();
        let mended = element(&[0x15, 2, 0x38, 1, b'd', 0x25, 10, 0x15, 0, 0x15, 18]);
        assert_eq!(with_scales(&footer([&without, &with, &without])), Some(footer([&mended, &with, &mended])));
        assert_eq!(with_scales(&footer([&with, &other, &with])), None);
        // As old versions of Parquet.Net write them: each field says its number.
        let long = element(&[5, 2, 2, 8, 8, 1, b'd', 5, 12, 10, 5, 16, 18]);
        let mended = element(&[5, 2, 2, 8, 8, 1, b'd', 5, 12, 10, 5, 14, 0, 5, 16, 18]);
        assert_eq!(with_scales(&footer([&with, &long, &with])), Some(footer([&with, &mended, &with])));
        assert_eq!(with_scales(&[0xff; 40]), None);
    }

    #[test]
    fn row_groups_and_columns_are_counted() {
        use std::sync::Arc;

        use arrow::array::{ArrayRef, Int64Array, RecordBatch};
        use parquet::arrow::ArrowWriter;
        use parquet::file::properties::WriterProperties;

        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..99));
        let columns = (0..7).map(|number| (format!("c{number}"), Arc::clone(&column)));
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        for (most, row_groups) in [(3, 33), (10, 10), (99, 1)] {
            let properties = WriterProperties::builder().set_max_row_group_row_count(Some(most)).build();
            let mut file = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
            file.write(&rows).unwrap();
            let file = file.into_inner().unwrap();
            let tail = FooterTail::try_from(&file[file.len() - TAIL..]).unwrap();
            let footer = &file[file.len() - TAIL - tail.metadata_length()..];
            assert_eq!(shape(footer), Some(Shape { row_groups, columns: 7 * row_groups, levels: 0 }));
        }
        // A schema of a root, a group within a group and a value in it, then one of the root's own.
        let (group, value) = (|children: u8| [0x55, 2 * children, 0], [0_u8]);
        let elements = [&group(2)[..], &group(1), &group(1), &value, &value].concat();
        assert_eq!(levels(Compact(&elements), 5), Some(2));
        assert_eq!(shape(&[0xff; 40]), None);
        // A list that says it has more than there is.
        assert_eq!(shape(&[0x49, 0xfc, 0xff, 0xff, 0xff, 0x0f, 0]), None);
    }
}
