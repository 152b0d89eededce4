use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array,
    ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Int32Type, Schema};
use buoyant_kernel::table_properties::DataSkippingNumIndexedCols;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;

use super::*;

const ALL: Indexed = Indexed { first: DataSkippingNumIndexedCols::AllColumns, named: None, also: Vec::new() };

/// The footer of a file with row groups of two rows, and the columns that a table has for it.
fn file(columns: Vec<(&str, ArrayRef)>) -> (ParquetMetaData, Vec<StructField>, NotNumbers) {
    let columns = columns.into_iter().map(|(name, values)| (name, values, true));
    let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    let schema: &Schema = &rows.schema();
    let fields = schema.fields().iter().map(|field| field.as_ref().try_into_kernel().unwrap()).collect();
    let mut not_numbers = NotNumbers::default();
    not_numbers.note(&rows);
    (writer.finish().unwrap(), fields, not_numbers)
}

fn of(columns: Vec<(&str, ArrayRef)>, indexed: &Indexed) -> String {
    let (file, fields, not_numbers) = file(columns);
    let fields: Vec<&StructField> = fields.iter().collect();
    statistics(&Footer::new(&file), 9, &fields, indexed, &not_numbers).unwrap()
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
        (of_column(Float64Array::from(vec![1.0, f64::NAN])), "- - 0"),
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
    let expected =
        r#"{"v":-1000000000000000000000000000.0000000000},"maxValues":{"v":1000000000000000000000000000.0000000001}"#;
    assert!(statistics.contains(expected), "{statistics}");
    // The greatest is cut off to something greater.
    let statistics = of_column(StringArray::from(vec![huge.as_str()]));
    assert_eq!(statistics, format!("\"{}\" \"{}y\" 0", &huge[..64], &huge[..63]));
}

#[test]
fn columns_that_the_table_indexes() {
    let columns = || -> Vec<(&str, ArrayRef)> {
        let ones = || -> ArrayRef { Arc::new(Int64Array::from(vec![1])) };
        let fields = ["x", "y.z"].map(|name| (Arc::new(Field::new(name, ones().data_type().clone(), true)), ones()));
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]);
        vec![("a", Arc::new(StructArray::from(fields.to_vec()))), ("l", Arc::new(list)), ("b", ones())]
    };
    let named = |names: &[&str]| Indexed {
        first: DataSkippingNumIndexedCols::NumColumns(0),
        also: Vec::new(),
        named: Some(names.iter().map(|&name| name.to_owned()).collect()),
    };
    let first = |first| Indexed { first: DataSkippingNumIndexedCols::NumColumns(first), named: None, also: Vec::new() };
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
        assert!(found.contains(&format!("\"minValues\":{expected},\"maxValues\":{expected},")), "{found} {indexed:?}");
    }
}
