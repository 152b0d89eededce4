//! Statistics of a data file for the table's log, from the footer of the file, with nothing decoded.

use std::collections::{BTreeMap, HashMap};

use buoyant_kernel::expressions::ColumnName;
use buoyant_kernel::table_properties::DataSkippingNumIndexedCols;
use chrono::{DateTime, Datelike, NaiveDate};
use deltalake::kernel::{DataType, PrimitiveType, StructField};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics as ColumnStatistics;
use serde::Serialize;
use serde_json::value::RawValue;

/// Days from the first of January of the year 1 to that of 1970.
const EPOCH_DAYS: i32 = 719_163;

/// Most bytes of a bound of texts; those of other writers may have whole values.
const TEXT_BYTES: usize = 64;

/// Which columns the table wants statistics of.
#[derive(Debug)]
pub(crate) struct Indexed {
    /// The first so many columns.
    pub(crate) first: DataSkippingNumIndexedCols,
    /// Or these, with all below them.
    pub(crate) named: Option<Vec<String>>,
}

/// Statistics as the log has them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FileStatistics {
    num_records: u64,
    min_values: Tree,
    max_values: Tree,
    null_count: Tree,
}

/// Values by column; those of a struct by its fields.
type Tree = BTreeMap<String, Node>;

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Node {
    Value(Box<RawValue>),
    Fields(Tree),
}

/// A footer that is asked for bounds and nulls of columns.
#[derive(Debug)]
pub(crate) struct Footer<'a> {
    file: &'a ParquetMetaData,
    leaves: HashMap<&'a [String], usize>,
}

/// The statistics of a file with `rows` rows as JSON, for a table with these columns.
///
/// They are as wide as they must be, never tighter: a bound holds for every value, and a column of which a part has none has
/// none. Values that are no number are left out of Parquet's bounds of floats, and so of these.
pub(crate) fn statistics(
    footer: &Footer<'_>,
    rows: u64,
    columns: &[StructField],
    indexed: &Indexed,
) -> Result<String, serde_json::Error> {
    let mut all =
        FileStatistics { num_records: rows, min_values: Tree::new(), max_values: Tree::new(), null_count: Tree::new() };
    for (place, column) in columns.iter().enumerate() {
        if indexed.named.is_some() || indexed.has(place) {
            footer.add(column, &[], indexed, &mut all)?;
        }
    }
    serde_json::to_string(&all)
}

impl Indexed {
    fn has(&self, place: usize) -> bool {
        match self.first {
            DataSkippingNumIndexedCols::AllColumns => true,
            DataSkippingNumIndexedCols::NumColumns(first) => u64::try_from(place).is_ok_and(|place| place < first),
        }
    }

    fn names(&self, path: &[String]) -> bool {
        let Some(named) = &self.named else { return true };
        let prefixes = (1..=path.len()).filter_map(|length| path.get(..length));
        prefixes.map(|prefix| ColumnName::new(prefix).to_string()).any(|prefix| named.contains(&prefix))
    }
}

impl<'a> Footer<'a> {
    pub(crate) fn new(file: &'a ParquetMetaData) -> Self {
        let columns = file.file_metadata().schema_descr().columns();
        Self { file, leaves: columns.iter().map(|column| column.path().parts()).zip(0..).collect() }
    }

    /// How many values of a column are null; none when it cannot be told.
    pub(crate) fn null_count(&self, path: &[String]) -> Option<u64> {
        let leaf = *self.leaves.get(path)?;
        if self.file.file_metadata().schema_descr().column(leaf).max_def_level() == 0 {
            return Some(0);
        }
        self.parts(leaf).map(|part| part.statistics()?.null_count_opt()).sum()
    }

    /// The parts of a column, one a row group that has rows.
    fn parts(&self, leaf: usize) -> impl Iterator<Item = &ColumnChunkMetaData> {
        self.file.row_groups().iter().filter(|group| group.num_rows() > 0).map(move |group| group.column(leaf))
    }

    fn add(
        &self,
        column: &StructField,
        above: &[String],
        indexed: &Indexed,
        into: &mut FileStatistics,
    ) -> Result<(), serde_json::Error> {
        let (name, mut path) = (column.name(), above.to_vec());
        path.push(name.clone());
        match column.data_type() {
            DataType::Primitive(kind) if indexed.names(&path) => {
                let (low, high) =
                    self.leaves.get(path.as_slice()).map(|leaf| self.bounds(*leaf, kind)).unwrap_or_default();
                let nulls = self.null_count(&path).map(|nulls| nulls.to_string());
                for (tree, value) in
                    [(&mut into.min_values, low), (&mut into.max_values, high), (&mut into.null_count, nulls)]
                {
                    if let Some(value) = value {
                        tree.insert(name.clone(), Node::Value(RawValue::from_string(value)?));
                    }
                }
            }
            DataType::Struct(fields) => {
                let (min_values, max_values, null_count) = <(Tree, Tree, Tree)>::default();
                let mut below = FileStatistics { num_records: 0, min_values, max_values, null_count };
                for field in fields.fields() {
                    self.add(field, &path, indexed, &mut below)?;
                }
                for (tree, fields) in [
                    (&mut into.min_values, below.min_values),
                    (&mut into.max_values, below.max_values),
                    (&mut into.null_count, below.null_count),
                ] {
                    if !fields.is_empty() {
                        tree.insert(name.clone(), Node::Fields(fields));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Least and greatest value of a column as JSON, each if there is one that JSON and the log have a form for.
    fn bounds(&self, leaf: usize, kind: &PrimitiveType) -> (Option<String>, Option<String>) {
        use PrimitiveType as P;
        let forms = match kind {
            P::Boolean => self.range(leaf, booleans).map(|(low, high)| (Some(low.to_string()), Some(high.to_string()))),
            P::Byte | P::Short | P::Integer | P::Long => {
                self.range(leaf, integers).map(|(low, high)| (Some(low.to_string()), Some(high.to_string())))
            }
            P::Date => self.range(leaf, integers).map(|(low, high)| (date(low), date(high))),
            P::Timestamp | P::TimestampNtz => self.range(leaf, integers).map(|(low, high)| {
                let is_utc = *kind == P::Timestamp;
                // Milliseconds, so outward.
                (
                    moment(low.div_euclid(1000), is_utc),
                    moment(high.div_euclid(1000) + high.rem_euclid(1000).min(1), is_utc),
                )
            }),
            P::Decimal(decimal) => self
                .range(leaf, unscaled)
                .map(|(low, high)| (Some(point(low, decimal.scale())), Some(point(high, decimal.scale())))),
            P::Float | P::Double => self.range(leaf, floats).map(|(low, high)| {
                // Both zeros are one value to some readers and two to others.
                let low = if low == 0.0 { -0.0 } else { low };
                let high = if high == 0.0 { 0.0 } else { high };
                (number(low), number(high))
            }),
            P::String => self
                .range(leaf, texts)
                .map(|(low, high)| (serde_json::to_string(&low).ok(), serde_json::to_string(&high).ok())),
            _ => None,
        };
        forms.unwrap_or_default()
    }

    /// Bounds of all parts of a column; none when a part that has values tells none.
    fn range<T: PartialOrd>(&self, leaf: usize, read: impl Fn(&ColumnStatistics) -> Option<(T, T)>) -> Option<(T, T)> {
        let mut range: Option<(T, T)> = None;
        for part in self.parts(leaf) {
            let statistics = part.statistics()?;
            if statistics.null_count_opt().is_some_and(|nulls| u64::try_from(part.num_values()) == Ok(nulls)) {
                continue;
            }
            let (low, high) = read(statistics)?;
            range = Some(match range {
                Some((least, most)) => (if low < least { low } else { least }, if high > most { high } else { most }),
                None => (low, high),
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

fn booleans(statistics: &ColumnStatistics) -> Option<(bool, bool)> {
    match statistics {
        ColumnStatistics::Boolean(values) => pair!(values),
        _ => None,
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

/// A float; JSON has none that are infinite.
fn number(float: f64) -> Option<String> {
    serde_json::to_string(&float).ok().filter(|_| float.is_finite())
}

fn texts(statistics: &ColumnStatistics) -> Option<(String, String)> {
    let is_text = matches!(statistics, ColumnStatistics::ByteArray(_)) && !statistics.is_min_max_deprecated();
    let text = |bytes: Option<&[u8]>| {
        let text = std::str::from_utf8(bytes?).ok()?;
        (text.len() <= TEXT_BYTES).then(|| text.to_owned())
    };
    is_text.then(|| text(statistics.min_bytes_opt()).zip(text(statistics.max_bytes_opt())))?
}

/// A day as the log has it; none beyond the years that have four digits.
fn date(days: i64) -> Option<String> {
    let date = NaiveDate::from_num_days_from_ce_opt(i32::try_from(days).ok()?.checked_add(EPOCH_DAYS)?)?;
    (0..=9999).contains(&date.year()).then(|| format!("\"{date}\""))
}

/// Milliseconds as the log has them.
fn moment(milliseconds: i64, is_utc: bool) -> Option<String> {
    let moment = DateTime::from_timestamp_millis(milliseconds)?.naive_utc();
    let form = match (is_utc, milliseconds % 1000 == 0) {
        (true, true) => "\"%Y-%m-%dT%H:%M:%SZ\"",
        (true, false) => "\"%Y-%m-%dT%H:%M:%S%.3fZ\"",
        (false, true) => "\"%Y-%m-%d %H:%M:%S\"",
        (false, false) => "\"%Y-%m-%d %H:%M:%S%.3f\"",
    };
    (0..=9999).contains(&moment.year()).then(|| moment.format(form).to_string())
}

/// A decimal, digit for digit.
fn point(unscaled: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array,
        ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::{Field, Int32Type, Schema};
    use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::ParquetMetaData;
    use parquet::file::properties::WriterProperties;

    use super::*;

    const ALL: Indexed = Indexed { first: DataSkippingNumIndexedCols::AllColumns, named: None };

    /// The footer of a file with row groups of two rows, and the columns that a table has for it.
    fn file(columns: Vec<(&str, ArrayRef)>) -> (ParquetMetaData, Vec<StructField>) {
        let columns = columns.into_iter().map(|(name, values)| (name, values, true));
        let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        let schema: &Schema = &rows.schema();
        let fields = schema.fields().iter().map(|field| field.as_ref().try_into_kernel().unwrap()).collect();
        (writer.finish().unwrap(), fields)
    }

    fn of(columns: Vec<(&str, ArrayRef)>, indexed: &Indexed) -> String {
        let (file, fields) = file(columns);
        statistics(&Footer::new(&file), 9, &fields, indexed).unwrap()
    }

    /// Least, greatest and nulls of one column.
    fn of_column(values: impl arrow::array::Array + 'static) -> String {
        let statistics = of(vec![("v", Arc::new(values))], &ALL);
        let statistics: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&statistics).unwrap();
        let value = |of: &str| statistics[of].get("v").map_or("-".to_owned(), ToString::to_string);
        ["minValues", "maxValues", "nullCount"].map(value).join(" ")
    }

    #[test]
    fn bounds_by_type() {
        let decimals = |values: Vec<i128>, precision, scale| {
            of_column(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
        };
        let moments = || TimestampMicrosecondArray::from(vec![Some(1_500_001), Some(-1), None]);
        let huge = "x".repeat(100);
        for (found, expected) in [
            (of_column(Int64Array::from(vec![Some(i64::MAX), None, Some(-3)])), "-3 9223372036854775807 1"),
            (of_column(Int64Array::from(vec![None, None, Some(7)])), "7 7 2"),
            (of_column(Int64Array::from(vec![None::<i64>; 3])), "- - 3"),
            (of_column(BooleanArray::from(vec![true, false])), "false true 0"),
            (of_column(Date32Array::from(vec![0, -1, 2_932_896])), r#""1969-12-31" "9999-12-31" 0"#),
            (of_column(Date32Array::from(vec![0, 2_932_897])), r#""1970-01-01" - 0"#),
            (of_column(moments()), r#""1969-12-31 23:59:59.999" "1970-01-01 00:00:01.501" 1"#),
            (of_column(moments().with_timezone("UTC")), r#""1969-12-31T23:59:59.999Z" "1970-01-01T00:00:01.501Z" 1"#),
            (
                of_column(TimestampMicrosecondArray::from(vec![2_000_000])),
                r#""1970-01-01 00:00:02" "1970-01-01 00:00:02" 0"#,
            ),
            (of_column(Float64Array::from(vec![0.0, 2.5])), "-0.0 2.5 0"),
            (of_column(Float64Array::from(vec![-2.5, -0.0])), "-2.5 0.0 0"),
            (of_column(Float64Array::from(vec![1.0, f64::NAN])), "1.0 1.0 0"),
            (of_column(Float64Array::from(vec![1.0, 1.0, f64::NAN])), "- - 0"),
            (of_column(Float64Array::from(vec![1.0, f64::INFINITY])), "1.0 - 0"),
            (of_column(Float32Array::from(vec![0.5, -0.5])), "-0.5 0.5 0"),
            (of_column(StringArray::from(vec!["b\"é", "a", "c"])), r#""a" "c" 0"#),
            (of_column(BinaryArray::from(vec![b"a".as_slice()])), "- - 0"),
            (decimals(vec![-5, 150, 7], 9, 2), "-0.05 1.5 0"),
            (decimals(vec![-5, 150], 18, 0), "-5 150 0"),
        ] {
            assert_eq!(found, expected);
        }
        // Exact to the last digit, so as text.
        let wide = Decimal128Array::from(vec![-(10_i128.pow(37)), 10_i128.pow(37) + 1]);
        let statistics = of(vec![("v", Arc::new(wide.with_precision_and_scale(38, 10).unwrap()))], &ALL);
        let expected = r#"{"v":-1000000000000000000000000000.0000000000},"maxValues":{"v":1000000000000000000000000000.0000000001}"#;
        assert!(statistics.contains(expected), "{statistics}");
        // The greatest is cut off to something greater.
        let statistics = of_column(StringArray::from(vec![huge.as_str()]));
        assert_eq!(statistics, format!("\"{}\" \"{}y\" 0", &huge[..64], &huge[..63]));
    }

    #[test]
    fn columns_that_the_table_indexes() {
        let columns = || -> Vec<(&str, ArrayRef)> {
            let ones = || -> ArrayRef { Arc::new(Int64Array::from(vec![1])) };
            let fields =
                ["x", "y.z"].map(|name| (Arc::new(Field::new(name, ones().data_type().clone(), true)), ones()));
            let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]);
            vec![("a", Arc::new(StructArray::from(fields.to_vec()))), ("l", Arc::new(list)), ("b", ones())]
        };
        let named = |names: &[&str]| Indexed {
            first: DataSkippingNumIndexedCols::NumColumns(0),
            named: Some(names.iter().map(|&name| name.to_owned()).collect()),
        };
        let first = |first| Indexed { first: DataSkippingNumIndexedCols::NumColumns(first), named: None };
        for (indexed, expected) in [
            (ALL, r#"{"a":{"x":1,"y.z":1},"b":1}"#),
            (first(0), "{}"),
            (first(1), r#"{"a":{"x":1,"y.z":1}}"#),
            (first(3), r#"{"a":{"x":1,"y.z":1},"b":1}"#),
            (named(&["a"]), r#"{"a":{"x":1,"y.z":1}}"#),
            (named(&["b", "a.x"]), r#"{"a":{"x":1},"b":1}"#),
            (named(&["a.`y.z`"]), r#"{"a":{"y.z":1}}"#),
            (named(&["c"]), "{}"),
        ] {
            let found = of(columns(), &indexed);
            assert!(
                found.contains(&format!("\"minValues\":{expected},\"maxValues\":{expected},")),
                "{found} {indexed:?}"
            );
        }
    }
}
