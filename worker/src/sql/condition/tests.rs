use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array, StringArray, StructArray,
};
use arrow::datatypes::{Field, Schema};

use super::*;
use crate::sql::text_of;

/// Three rows; the last is null all over.
fn rows() -> RecordBatch {
    let city: ArrayRef = Arc::new(StringArray::from(vec![Some("Kiel"), Some(""), None]));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![Some(1), Some(-2), None]))),
        ("Price", Arc::new(Float64Array::from(vec![Some(0.1), Some(2.5), None]))),
        ("name", Arc::new(StringArray::from(vec![Some("abc"), Some("b_d"), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(0), Some(20_000), None]))),
        (
            "exact",
            Arc::new(Decimal128Array::from(vec![Some(10), Some(250), None]).with_precision_and_scale(20, 2).unwrap()),
        ),
        ("at", Arc::new(StructArray::from(vec![(Arc::new(Field::new("City", DataType::Utf8, true)), city)]))),
        ("where clause", Arc::new(Int64Array::from(vec![Some(1), Some(2), None]))),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, values)| Field::new(*name, values.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, values)| values).collect())
        .unwrap()
}

/// Truth of the three rows: `t`, `f`, or `-` where nothing can be told.
fn holds(sql: &str) -> String {
    let rows = rows();
    let condition = Condition::new(sql, &rows.schema()).unwrap_or_else(|error| panic!("{sql}: {}", text_of(&error)));
    let show = |value| match value {
        Some(true) => 't',
        Some(false) => 'f',
        None => '-',
    };
    condition.evaluate(&rows).unwrap().iter().map(show).collect()
}

#[test]
fn conditions() {
    for (sql, expected) in [
        ("id > 0", "tf-"),
        ("ID > 0 AND price >= 0.1", "tf-"),
        ("`id` IS NOT NULL", "ttf"),
        ("id IN (1, 2) OR id IS NULL", "tft"),
        ("NOT (id BETWEEN -5 AND 0)", "tf-"),
        ("name LIKE 'a%'", "tf-"),
        ("name NOT LIKE 'b_d'", "tf-"),
        ("length(name) = 3", "tt-"),
        ("upper(name) = 'ABC'", "tf-"),
        ("day < '2000-01-01'", "tf-"),
        ("day >= DATE '2000-01-01'", "ft-"),
        ("day < CAST('2000-01-01' AS DATE)", "tf-"),
        ("exact = 0.10", "tf-"),
        ("exact * 2 > 1 - id", "tt-"),
        ("coalesce(id, 0) + 1 > 0", "tft"),
        ("at.city = 'Kiel'", "tf-"),
        ("`where clause` = 1", "tf-"),
        ("\"where clause\" = 1 AND \"Price\" < 1", "tf-"),
        ("get_field(at, 'City') = 'Kiel'", "tf-"),
        ("day < '2000-01-01'::date", "tf-"),
        ("id <=> NULL", "fft"),
        ("id IS NOT DISTINCT FROM 1", "tff"),
        ("CASE WHEN id > 0 THEN true ELSE false END", "tff"),
        ("true", "ttt"),
    ] {
        assert_eq!(holds(sql), expected, "{sql}");
    }
}

/// Truth of rows with these floats in `x`, their halves as doubles in `s.y`, and in `z` zero.
fn holds_of_floats(sql: &str, floats: &[f32]) -> String {
    let doubles: ArrayRef =
        Arc::new(floats.iter().map(|value| Some(f64::from(*value) / 2.0)).collect::<Float64Array>());
    let within = StructArray::from(vec![(Arc::new(Field::new("y", DataType::Float64, true)), doubles)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("x", Arc::new(floats.iter().copied().map(Some).collect::<Float32Array>())),
        ("s", Arc::new(within)),
        ("z", Arc::new(Float64Array::from(vec![0.0; floats.len()]))),
    ];
    let rows = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true)));
    let rows = rows.unwrap();
    let condition = Condition::new(sql, &rows.schema()).unwrap_or_else(|error| panic!("{sql}: {}", text_of(&error)));
    condition.evaluate(&rows).unwrap().iter().map(|value| if value == Some(true) { 't' } else { 'f' }).collect()
}

/// As Spark compares them: -0.0 is 0.0, and NaN is NaN and greater than all else.
#[test]
fn floats() {
    let floats = [0.0, -0.0, 1.5, -1.5, f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    for (sql, expected) in [
        ("x <> 0", "ffttttt t"),
        ("x = 0", "ttffffff"),
        ("x = 0.0", "ttffffff"),
        ("x >= 0", "tttfttt f"),
        ("x < 0", "ffft ffft"),
        ("x > 1000000", "ffffttt f"),
        ("x = x", "tttttttt"),
        ("x <=> x", "tttttttt"),
        ("x IN (0.0, 1.5)", "tttfffff"),
        ("x BETWEEN 0 AND 2", "tttfffff"),
        ("s.y >= 0", "tttfttt f"),
        ("s.y <> 0", "ffttttt t"),
        ("-x >= 0", "ttft ttft"),
        ("x * -1 = 0", "ttffffff"),
        ("x * 0.0 <> 0", "ffffttt t"),
        ("x - x > 5", "ffffttt t"),
        ("nullif(x, 0) IS NULL", "ttffffff"),
        ("abs(x) >= z", "tttttttt"),
        ("z <= x", "tttfttt f"),
        ("CAST('NaN' AS DOUBLE) = s.y", "fffftt ff"),
    ] {
        assert_eq!(holds_of_floats(sql, &floats), expected.replace(' ', ""), "{sql}");
    }
    for sql in ["x > 0.5", "s.y > 0.5", "coalesce(x, 0.5) > 0.5", "CASE WHEN x > 0 THEN x ELSE 0.5 END > 0.75"] {
        assert_eq!(holds_of_floats(sql, &[1e30, 0.25, f32::NAN]), "tft", "{sql}");
    }
    // A float is another number than the decimal that it was read from.
    assert_eq!(holds_of_floats("x = 0.1", &[0.1]), "f");
}

#[test]
fn what_engines_may_take_otherwise_is_refused() {
    let schema = rows().schema();
    for (sql, said) in [
        ("id / 2 > 1", "operator /"),
        ("id % 2 = 0", "operator %"),
        ("name > 5", "convert values"),
        ("id = '1'", "convert values"),
        ("name = \"abc\"", "is a text to some"),
        ("name = \"day\"", "is a text to some"),
        ("name = 'a\\'", ""),
        ("name LIKE 'a\\%'", "backslash"),
        ("name RLIKE 'a.*'", "RLIKE"),
        ("year(day) > 2000", "year()"),
        ("CAST(price AS INT) = 1", "CAST"),
        ("nothing > 5", "no column nothing"),
        ("at.street = 'x'", "no column street"),
        ("id > 0) OR (true", "goes on"),
        ("id > 0; DROP TABLE t", "goes on"),
        ("id IN (SELECT 1)", "not known"),
        ("EXISTS (SELECT 1)", "not known"),
        ("random() > 0.5", "random()"),
        ("count(id) > 0", "count()"),
        ("id", "neither true nor false"),
        ("id AND true", ""),
        ("day + 1 > '2000-01-01'", "convert values"),
        ("", ""),
    ] {
        let error = Condition::new(sql, &schema).err().unwrap_or_else(|| panic!("{sql} is taken"));
        let error = text_of(&error);
        assert!(error.contains(said), "{sql}: {error}");
    }
}
