//! What the footer of a Parquet file proves of its columns.

use std::collections::HashMap;

use deltalake::kernel::PrimitiveType;
use deltalake::logstore::object_store::{ObjectStore, ObjectStoreExt};
use deltalake::{DeltaResult, Path};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::statistics::Statistics as ColumnStatistics;
use parquet::schema::types::ColumnDescriptor;

use super::bound::{Bound, Proven};

/// Most bytes of a bound of texts; those of other writers may have whole values.
const TEXT_BYTES: usize = 64;

/// Bytes that are read from the end of a file at first; with them comes its footer, most of the time.
const FOOTER_BYTES: u64 = 64 << 10;

/// A footer that is asked for bounds and nulls of columns.
#[derive(Debug)]
pub(crate) struct Footer<'a> {
    file: &'a ParquetMetaData,
    leaves: HashMap<&'a [String], usize>,
}

/// Reads the footer of a file of `size` bytes.
pub(crate) async fn read_footer(store: &dyn ObjectStore, at: &Path, size: u64) -> DeltaResult<ParquetMetaData> {
    let mut length = size.min(FOOTER_BYTES);
    loop {
        let bytes = store.get_range(at, size - length..size).await?;
        let mut reader = ParquetMetaDataReader::new();
        match reader.try_parse_sized(&bytes, size) {
            Ok(()) => return Ok(reader.finish()?),
            Err(ParquetError::NeedMoreData(needed)) => match u64::try_from(needed) {
                Ok(needed) if needed > length && needed <= size => length = needed,
                _ => return Err(ParquetError::EOF(format!("{size} bytes, and the footer needs {needed}")).into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
}

impl<'a> Footer<'a> {
    pub(crate) fn new(file: &'a ParquetMetaData) -> Self {
        let columns = file.file_metadata().schema_descr().columns();
        Self { file, leaves: columns.iter().map(|column| column.path().parts()).zip(0..).collect() }
    }

    /// How many rows the file has.
    pub(crate) fn rows(&self) -> Option<u64> {
        u64::try_from(self.file.file_metadata().num_rows()).ok()
    }

    /// The place of a column among those of the file; none when the file does not have it.
    pub(crate) fn leaf(&self, path: &[String]) -> Option<usize> {
        self.leaves.get(path).copied()
    }

    /// How many values of a column are null; none when it cannot be told.
    pub(crate) fn null_count(&self, path: &[String]) -> Option<u64> {
        let leaf = self.leaf(path)?;
        if self.described(leaf).max_def_level() == 0 {
            return Some(0);
        }
        self.parts(leaf).map(|part| part.statistics()?.null_count_opt()).sum()
    }

    /// Least and greatest value of a column, each if the footer tells. Of floats they say nothing of values that are no
    /// number, which writers leave out.
    pub(crate) fn bounds(&self, path: &[String], kind: &PrimitiveType) -> (Option<Proven>, Option<Proven>) {
        let bounds = self
            .leaf(path)
            .and_then(|leaf| self.range(leaf, |statistics, described| read(statistics, described, kind)));
        bounds.map_or((None, None), |[low, high]| (Some(low), Some(high)))
    }

    fn described(&self, leaf: usize) -> &ColumnDescriptor {
        // Only asked for leaves that `leaves` names.
        self.file.file_metadata().schema_descr().columns()[leaf].as_ref()
    }

    /// The parts of a column, one a row group that has rows.
    fn parts(&self, leaf: usize) -> impl Iterator<Item = &ColumnChunkMetaData> {
        self.file.row_groups().iter().filter(|group| group.num_rows() > 0).map(move |group| group.column(leaf))
    }

    /// Bounds of all parts of a column; none when a part that has values tells none.
    fn range(
        &self,
        leaf: usize,
        read: impl Fn(&ColumnStatistics, &ColumnDescriptor) -> Option<[Proven; 2]>,
    ) -> Option<[Proven; 2]> {
        let mut range: Option<[Proven; 2]> = None;
        for part in self.parts(leaf) {
            let statistics = part.statistics()?;
            if statistics.null_count_opt().is_some_and(|nulls| u64::try_from(part.num_values()) == Ok(nulls)) {
                continue;
            }
            let [low, high] = read(statistics, self.described(leaf))?;
            range = Some(match range {
                Some([least, most]) => [
                    if low.value < least.value { low } else { least },
                    if high.value > most.value { high } else { most },
                ],
                None => [low, high],
            });
        }
        range
    }
}

/// Least and greatest of values, whose type has no name outside of its crate.
macro_rules! pair {
    ($values:expr) => {
        $values.min_opt().copied().zip($values.max_opt().copied())
    };
}

/// The bounds of a part, as values of the table's column.
fn read(statistics: &ColumnStatistics, described: &ColumnDescriptor, kind: &PrimitiveType) -> Option<[Proven; 2]> {
    use PrimitiveType as P;
    let exact = |(low, high): (Bound, Bound)| [Proven::exact(low), Proven::exact(high)];
    match kind {
        P::Boolean => match statistics {
            ColumnStatistics::Boolean(values) => {
                pair!(values).map(|(low, high)| (Bound::Truth(low), Bound::Truth(high)))
            }
            _ => None,
        }
        .map(exact),
        P::Byte | P::Short | P::Integer | P::Long if is_signed(described) => {
            integers(statistics).map(|(low, high)| exact((Bound::Integer(low), Bound::Integer(high))))
        }
        P::Date if is_date(described) => {
            integers(statistics).map(|(low, high)| exact((Bound::Day(low), Bound::Day(high))))
        }
        P::Timestamp | P::TimestampNtz => {
            let nanoseconds = nanoseconds(described)?;
            let is_utc = *kind == P::Timestamp;
            let moment = |value: i64| Bound::Moment { nanoseconds: i128::from(value) * nanoseconds, is_utc };
            integers(statistics).map(|(low, high)| exact((moment(low), moment(high))))
        }
        P::Decimal(decimal) if described.type_scale() == i32::from(decimal.scale()) => {
            let point = |unscaled| Bound::Decimal { unscaled, scale: decimal.scale() };
            unscaled(statistics).map(|(low, high)| exact((point(low), point(high))))
        }
        P::Float => floats(statistics).map(|(low, high)| exact((Bound::single(low), Bound::single(high)))),
        P::Double => floats(statistics).map(|(low, high)| exact((Bound::Float(low), Bound::Float(high)))),
        P::String => texts(statistics),
        _ => None,
    }
}

/// Whether a column holds integers with a sign, as all of Delta are.
fn is_signed(described: &ColumnDescriptor) -> bool {
    match described.logical_type_ref() {
        Some(LogicalType::Integer(integer)) => integer.is_signed,
        Some(_) => false,
        None => matches!(
            described.converted_type(),
            ConvertedType::NONE
                | ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64
        ),
    }
}

fn is_date(described: &ColumnDescriptor) -> bool {
    matches!(described.logical_type_ref(), Some(LogicalType::Date)) || described.converted_type() == ConvertedType::DATE
}

/// Nanoseconds that a moment of a column counts; none when the column has no moments.
fn nanoseconds(described: &ColumnDescriptor) -> Option<i128> {
    const MILLISECOND: i128 = 1_000_000;
    const MICROSECOND: i128 = 1_000;
    match described.logical_type_ref() {
        Some(LogicalType::Timestamp(timestamp)) => Some(match timestamp.unit {
            TimeUnit::MILLIS => MILLISECOND,
            TimeUnit::MICROS => MICROSECOND,
            TimeUnit::NANOS => 1,
        }),
        Some(_) => None,
        None => match described.converted_type() {
            ConvertedType::TIMESTAMP_MILLIS => Some(MILLISECOND),
            ConvertedType::TIMESTAMP_MICROS => Some(MICROSECOND),
            _ => None,
        },
    }
}

fn integers(statistics: &ColumnStatistics) -> Option<(i64, i64)> {
    match statistics {
        ColumnStatistics::Int32(values) => pair!(values).map(|(low, high)| (low.into(), high.into())),
        ColumnStatistics::Int64(values) => pair!(values),
        _ => None,
    }
}

fn unscaled(statistics: &ColumnStatistics) -> Option<(i128, i128)> {
    match statistics {
        // Old writers compared the bytes without their sign.
        ColumnStatistics::FixedLenByteArray(_) if statistics.is_min_max_deprecated() => None,
        ColumnStatistics::FixedLenByteArray(_) => {
            Some((big_endian(statistics.min_bytes_opt()?)?, big_endian(statistics.max_bytes_opt()?)?))
        }
        _ => integers(statistics).map(|(low, high)| (low.into(), high.into())),
    }
}

/// A number in two's complement.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let first = bytes.first().filter(|_| bytes.len() <= 16)?;
    let sign = if *first < 0x80 { 0 } else { -1 };
    Some(bytes.iter().fold(sign, |number, byte| number << 8 | i128::from(*byte)))
}

fn floats(statistics: &ColumnStatistics) -> Option<(f64, f64)> {
    match statistics {
        ColumnStatistics::Float(values) => pair!(values).map(|(low, high)| (low.into(), high.into())),
        ColumnStatistics::Double(values) => pair!(values),
        _ => None,
    }
    .filter(|(low, high): &(f64, f64)| !low.is_nan() && !high.is_nan())
}

/// Bounds of texts. Their writer may have cut them: the least to what it begins with, the greatest to something greater.
fn texts(statistics: &ColumnStatistics) -> Option<[Proven; 2]> {
    if !matches!(statistics, ColumnStatistics::ByteArray(_)) || statistics.is_min_max_deprecated() {
        return None;
    }
    let text = |bytes: Option<&[u8]>, is_exact| {
        let text = std::str::from_utf8(bytes?).ok().filter(|text| text.len() <= TEXT_BYTES)?;
        Some(Proven { value: Bound::Text(text.to_owned()), is_exact })
    };
    let low = text(statistics.min_bytes_opt(), statistics.min_is_exact())?;
    Some([low, text(statistics.max_bytes_opt(), statistics.max_is_exact())?])
}
