//! Partitions: the columns that a table can be divided by, and the values that these can have.
//!
//! A value of a partition column is the name of a folder and a text in the log. Some readers take it from the one, some from the
//! other, so it has to be the same value in both.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use buoyant_kernel::expressions::Scalar;
use deltalake::NULL_PARTITION_VALUE_DATA_PATH as NULL_WORD;
use deltalake::kernel::scalars::ScalarExt;
use deltalake::kernel::{DataType as DeltaType, PrimitiveType, StructField};

use crate::schema::refusal::Refusal;

/// Most bytes of the name of a folder on a local disk. It holds on S3 too, so that tables can be copied.
const FOLDER_BYTES: usize = 255;

/// Most bytes of all folders that a data file is in. A key on S3 has 1,024, which the table's place and the file's name share.
const FOLDERS_BYTES: usize = 768;

/// Most bytes that a byte of a value has in the name of a folder.
const ESCAPED_BYTES: usize = 3;

/// The days from the year 1 to 9999, counted from 1970, and the microseconds: Python has no others.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;
const MICROS: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// Why a value is not one of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misplaced {
    /// The folder's name would have so many bytes, of so many at most.
    TooLong(usize, usize),
    /// It is the word that folders have for null.
    NullWord,
    /// It is before the year 1 or after 9999.
    Year,
}

impl Misplaced {
    /// The reason, of a value as it is shown.
    pub(crate) fn reason(self, value: &str) -> String {
        match self {
            Self::TooLong(bytes, most) => {
                format!("'{value}' needs a folder with a name of {bytes} bytes, and a partition's has at most {most}")
            }
            Self::NullWord => {
                format!("'{value}' stands for null in the folders of partitions, so readers would take it for null")
            }
            Self::Year => {
                format!("'{value}' is not in the years 1 to 9999, which are all that readers find in partitions")
            }
        }
    }
}

/// Values of a partition column.
#[derive(Debug)]
pub(crate) struct Placed {
    /// Those that are a partition's; the others are null.
    pub(crate) values: ArrayRef,
    /// Rows of the others, in order.
    pub(crate) misplaced: Vec<(usize, Misplaced)>,
    /// Rows of empty texts, which became null: that is what they are in Delta's log.
    pub(crate) emptied: Vec<usize>,
}

/// Whether a table can be partitioned by these columns; `exists` when it is.
pub(crate) fn check(columns: &[&StructField], exists: bool) -> Result<(), Refusal> {
    for column in columns {
        let name = column.name();
        let refused = |reason: &str, hint| {
            let verb = if exists { "the table is" } else { "a table cannot be" };
            Err(Refusal { reason: format!("{verb} partitioned by '{name}', {reason}"), hint: Some(hint) })
        };
        match column.data_type() {
            DeltaType::Primitive(PrimitiveType::Binary) if exists => {
                return refused(
                    "which is binary, and readers do not agree on bytes in partitions",
                    "load into a table that is partitioned by another column, or by the bytes as text",
                );
            }
            DeltaType::Primitive(PrimitiveType::Binary) => {
                return refused(
                    "which is binary: readers do not agree on bytes in partitions",
                    "partition by another column, or make text of it by SQL: SELECT encode(COLUMN, 'hex') AS COLUMN, ...",
                );
            }
            DeltaType::Primitive(_) => {}
            other => {
                let reason = format!("which is a {other}");
                return refused(&reason, "partition by a column of numbers, texts, dates or timestamps");
            }
        }
        if name.contains(|character: char| matches!(character, '/' | '=' | ':') || character.is_control()) {
            return refused(
                "whose name has a character that names of folders cannot have (/, =, : or a control character)",
                "partition by another column, or give this one another name by SQL",
            );
        }
        let bytes = folder_bytes(name, NULL_WORD.len());
        if bytes > room(columns.len()) {
            let reason = format!(
                "whose name is too long: its folders need {bytes} bytes and more, and have at most {}",
                room(columns.len())
            );
            return refused(&reason, "partition by another column, or give this one a shorter name by SQL");
        }
    }
    Ok(())
}

/// Bytes of the name of a folder, with an escaped value of so many.
const fn folder_bytes(name: &str, value: usize) -> usize {
    name.len() + "=".len() + value
}

/// Most bytes of the name of each folder where there are so many within each other.
fn room(columns: usize) -> usize {
    FOLDER_BYTES.min(FOLDERS_BYTES / columns.max(1))
}

/// Looks at values of one of so many partition columns.
pub(crate) fn place(name: &str, columns: usize, values: &ArrayRef) -> Result<Placed, ArrowError> {
    let room = room(columns);
    let too_long = |bytes: usize| Some(Misplaced::TooLong(bytes, room)).filter(|_| bytes > room);
    let mut misplaced = Vec::new();
    let mut empty = Vec::new();
    match values.data_type() {
        DataType::Utf8 => {
            for (row, text) in values.as_string::<i32>().iter().enumerate() {
                let Some(text) = text else { continue };
                if text.is_empty() {
                    empty.push(row);
                } else if let Some(why) = of_text(text, |bytes| too_long(folder_bytes(name, bytes))) {
                    misplaced.push((row, why));
                }
            }
        }
        DataType::Float32 | DataType::Float64 => {
            for row in 0..values.len() {
                let value = Scalar::from_array(values.as_ref(), row);
                let bytes = value.map_or(0, |value| value.serialize_encoded().len());
                misplaced.extend(too_long(folder_bytes(name, bytes)).map(|why| (row, why)));
            }
        }
        DataType::Date32 => {
            let days = values.as_primitive::<Date32Type>().iter().enumerate();
            misplaced.extend(days.filter(|(_, day)| day.is_some_and(|day| !DAYS.contains(&day))).map(of_year));
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = values.as_primitive::<TimestampMicrosecondType>().iter().enumerate();
            misplaced.extend(micros.filter(|(_, at)| at.is_some_and(|at| !MICROS.contains(&at))).map(of_year));
        }
        _ => {}
    }
    if misplaced.is_empty() && empty.is_empty() {
        return Ok(Placed { values: ArrayRef::clone(values), misplaced, emptied: empty });
    }
    let mut is_null = vec![false; values.len()];
    for row in misplaced.iter().map(|(row, _)| *row).chain(empty.iter().copied()) {
        if let Some(is_null) = is_null.get_mut(row) {
            *is_null = true;
        }
    }
    Ok(Placed { values: nullif(values, &BooleanArray::from(is_null))?, misplaced, emptied: empty })
}

fn of_year<T>((row, _): (usize, T)) -> (usize, Misplaced) {
    (row, Misplaced::Year)
}

/// What is wrong with a text, given what is of one with so many bytes once it is escaped. Most are short enough however they are.
fn of_text(text: &str, too_long: impl Fn(usize) -> Option<Misplaced>) -> Option<Misplaced> {
    if text == NULL_WORD {
        return Some(Misplaced::NullWord);
    }
    too_long(text.len() * ESCAPED_BYTES)?;
    too_long(Scalar::from(text).serialize_encoded().len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Float64Array, StringArray};

    use super::*;

    fn field(name: &str, data_type: PrimitiveType) -> StructField {
        StructField::nullable(name, DeltaType::Primitive(data_type))
    }

    #[test]
    fn columns_whose_folders_readers_do_not_read_are_refused() {
        for (name, data_type, told) in [
            ("day", PrimitiveType::Date, None),
            ("Order ID.é%", PrimitiveType::String, None),
            ("u", PrimitiveType::Binary, Some("which is binary")),
            ("a/b", PrimitiveType::Long, Some("a character")),
            ("a=b", PrimitiveType::Long, Some("a character")),
            ("a:b", PrimitiveType::Long, Some("a character")),
            ("a\tb", PrimitiveType::Long, Some("a character")),
        ] {
            let checked = check(&[&field(name, data_type)], false);
            let reason = checked.err().map(|refusal| refusal.reason);
            assert_eq!(reason.is_some(), told.is_some(), "{reason:?}");
            assert!(told.is_none_or(|told| reason.as_ref().unwrap().contains(told) && reason.unwrap().contains(name)));
        }
        let long = |bytes| field(&"n".repeat(bytes), PrimitiveType::Long);
        for (columns, bytes, is_taken) in [(1, 228, true), (1, 229, false), (4, 165, true), (4, 166, false)] {
            let (long, short) = (long(bytes), field("s", PrimitiveType::Long));
            let columns: Vec<_> = std::iter::once(&long).chain(std::iter::repeat_n(&short, columns - 1)).collect();
            assert_eq!(check(&columns, false).is_ok(), is_taken, "{bytes}");
        }
    }

    #[test]
    fn values_that_are_no_folder_are_found() {
        let texts = ["a", "", NULL_WORD, &"x".repeat(253), &"x".repeat(254), &"é".repeat(42), &"é".repeat(43)];
        let values: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let placed = place("p", 1, &values).unwrap();
        let expected = [(2, Misplaced::NullWord), (4, Misplaced::TooLong(256, 255)), (6, Misplaced::TooLong(260, 255))];
        assert_eq!(placed.misplaced, expected);
        let nulls: Vec<usize> = (0..texts.len()).filter(|row| placed.values.is_null(*row)).collect();
        assert_eq!((nulls, placed.emptied), (vec![1, 2, 4, 6], vec![1]));

        let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.1), Some(1e300), None, Some(f64::NAN)]));
        assert_eq!(place("p", 1, &values).unwrap().misplaced, [(1, Misplaced::TooLong(303, 255))]);
        let days = [*DAYS.start() - 1, *DAYS.start(), *DAYS.end(), *DAYS.end() + 1];
        let values: ArrayRef = Arc::new(Date32Array::from(days.to_vec()));
        assert_eq!(place("p", 1, &values).unwrap().misplaced, [(0, Misplaced::Year), (3, Misplaced::Year)]);
    }
}
