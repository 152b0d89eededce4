use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;

use crate::sql::parameters::Parameters;
use crate::sql::references::Reference;
use crate::sql::{Query, text_of};

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn chunk() -> RecordBatch {
    batch([
        ("id", Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(9), None, Some(2)]))),
        ("country", Arc::new(StringArray::from(vec!["de", "fr", "de", "xx", "de"]))),
    ])
}

fn reference(name: &str, rows: RecordBatch) -> Arc<Reference> {
    Arc::new(Reference { name: name.to_owned(), from: format!("/ref/{name}.csv").parse().unwrap(), rows })
}

fn references() -> Vec<Arc<Reference>> {
    let customers = batch([
        ("id", Arc::new(Int32Array::from(vec![Some(1), Some(2), Some(3), None]))),
        ("region", Arc::new(StringArray::from(vec!["north", "south", "east", "nowhere"]))),
        ("active", Arc::new(BooleanArray::from(vec![true, false, true, true]))),
    ]);
    let countries = batch([
        ("code", Arc::new(StringArray::from(vec!["de", "fr"]))),
        ("name", Arc::new(StringArray::from(vec!["Germany", "France"]))),
    ]);
    let twice = batch([
        ("id", Arc::new(Int64Array::from(vec![1, 7, 2, 7]))),
        ("is_last", Arc::new(BooleanArray::from(vec![true, false, true, true]))),
    ]);
    let texts = batch([
        ("id", Arc::new(StringArray::from(vec!["1", "2"]))),
        ("rate", Arc::new(StringArray::from(vec!["0.5", "2"]))),
    ]);
    [("customers", customers), ("countries", countries), ("twice", twice), ("texts", texts)]
        .map(|(name, rows)| reference(name, rows))
        .to_vec()
}

fn query(sql: &str, chunk: &RecordBatch) -> Result<Query, String> {
    Query::with_parameters(sql, chunk.schema_ref(), &Parameters::default(), &references())
        .map_err(|error| text_of(&error))
}

fn run(sql: &str) -> Result<RecordBatch, String> {
    let chunk = chunk();
    let (columns, query) = query(sql, &chunk)?.narrowed();
    let made = query.run(&chunk.project(&columns).unwrap()).map_err(|error| text_of(&error))?;
    Ok(concat_batches(query.schema(), &made).unwrap())
}

fn shown(sql: &str) -> String {
    pretty_format_batches(&[run(sql).unwrap()]).unwrap().to_string()
}

#[test]
fn each_row_meets_one_at_most() {
    insta::assert_snapshot!(shown("select c.*, k.region from chunk c left join customers k on c.id = k.id"), @r"
    +----+---------+--------+
    | id | country | region |
    +----+---------+--------+
    | 1  | de      | north  |
    | 2  | fr      | south  |
    | 9  | de      |        |
    |    | xx      |        |
    | 2  | de      | south  |
    +----+---------+--------+
    ");
    insta::assert_snapshot!(shown("select c.id, upper(region) as region from chunk c join customers k on c.id = k.id where c.id > 1"), @r"
    +----+--------+
    | id | region |
    +----+--------+
    | 2  | SOUTH  |
    | 2  | SOUTH  |
    +----+--------+
    ");
    // Of two look-ups, by two columns, by a condition on both rows, and by a query of the look-up.
    insta::assert_snapshot!(
        shown(
            "select c.id, k.region, l.name from chunk c left join (select * from customers where active) k on c.id = k.id \
             join countries l on upper(l.code) = upper(c.country)"
        ),
        @r"
    +----+--------+---------+
    | id | region | name    |
    +----+--------+---------+
    | 1  | north  | Germany |
    | 2  |        | France  |
    | 9  |        | Germany |
    | 2  |        | Germany |
    +----+--------+---------+
    "
    );
}

#[test]
fn further_conditions_and_queries_of_look_ups() {
    insta::assert_snapshot!(
        shown("select c.id, k.region from chunk c left join customers k on c.id = k.id and length(k.region) > c.id + 3"),
        @r"
    +----+--------+
    | id | region |
    +----+--------+
    | 1  | north  |
    | 2  |        |
    | 9  |        |
    |    |        |
    | 2  |        |
    +----+--------+
    "
    );
    // What a look-up does not have, and both under UNION ALL.
    insta::assert_snapshot!(
        shown(
            "select c.id from chunk c left join customers k on c.id = k.id where k.id is null \
             union all select k.id from chunk c join customers k on c.id = k.id and k.region = 'north'"
        ),
        @r"
    +----+
    | id |
    +----+
    | 9  |
    |    |
    | 1  |
    +----+
    "
    );
}

#[test]
fn texts_of_a_look_up_meet_numbers_and_are_cast() {
    let made = run("select c.id, cast(t.rate as double) as rate from chunk c join texts t on c.id = t.id").unwrap();
    assert_eq!(made.num_rows(), 3);
    let made = run("select c.id from chunk c join texts t on c.id = cast(t.rate as double)").unwrap();
    assert_eq!(made.num_rows(), 2);
}

#[test]
fn numbers_go_with_their_rows() {
    let chunk = chunk();
    let numbers = |sql: &str| -> Vec<i64> {
        let query = query(sql, &chunk).unwrap();
        let records: ArrayRef = Arc::new(Int64Array::from(vec![10, 20, 30, 40, 50]));
        let made = query.run_numbered(&chunk, Some(records)).unwrap();
        let of = |(rows, numbers): (RecordBatch, Option<ArrayRef>)| {
            let numbers = numbers.unwrap();
            assert_eq!(rows.num_rows(), numbers.len());
            numbers.as_primitive::<Int64Type>().values().to_vec()
        };
        made.into_iter().flat_map(of).collect()
    };
    assert_eq!(numbers("select k.region from chunk c join customers k on c.id = k.id"), [10, 20, 50]);
    assert_eq!(numbers("select k.region from chunk c left join customers k on c.id = k.id"), [10, 20, 30, 40, 50]);
    let sql = "select c.*, k.*, $record_number as n from chunk c join (select id as other from customers) k on c.id = k.other";
    let made = query(sql, &chunk).unwrap();
    let names: Vec<_> = made.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["id", "country", "other", "n"]);
    assert_eq!(made.unchanged(), [Some(0), Some(1), None, Some(2)]);
}

#[test]
fn wide_chunks_are_planned_in_bundles() {
    let wide: Vec<(String, ArrayRef)> = (0..100_i64)
        .map(|column| {
            let values: ArrayRef = Arc::new(Int64Array::from(vec![column, 1]));
            (format!("c{column}"), values)
        })
        .collect();
    let wide = RecordBatch::try_from_iter(wide).unwrap();
    for (sql, columns) in [
        ("select c.*, k.region from chunk c left join customers k on c.c1 = k.id", 101),
        ("select * from chunk join (select id as c1, region from customers) k using (c1)", 101),
        ("select * from chunk c left join customers k on c.c2 = k.id", 103),
    ] {
        let query = query(sql, &wide).unwrap();
        assert!(query.bundles.is_some(), "{sql}");
        let (read, query) = query.narrowed();
        let made = query.run(&wide.project(&read).unwrap()).unwrap();
        let made = concat_batches(query.schema(), &made).unwrap();
        assert_eq!((made.num_columns(), made.num_rows()), (columns, 2), "{sql}");
        assert!(made.schema_ref().field_with_name("region").is_ok());
        assert_eq!(made.column_by_name("c99").unwrap().as_primitive::<Int64Type>().values(), &[99, 1]);
    }
}

#[test]
fn what_is_no_look_up_is_refused() {
    let twice = "look-up 'twice', /ref/twice.csv: rows 2 and 4 both have t.id = 7, and a key has one row at most";
    let several =
        "a join does not take each row by itself, and what comes of a file must not depend on where it was cut";
    for (sql, expected) in [
        ("select c.* from chunk c left join twice t on c.id = t.id", twice),
        ("select * from chunk c left join customers k on c.id = k.id", "column 'id' comes out twice"),
        ("select c.id from chunk c join chunk d on c.id = d.id", several),
        ("select c.id from chunk c right join customers k on c.id = k.id", "by LEFT JOIN or JOIN, not by Right"),
        ("select c.id from chunk c full join customers k on c.id = k.id", "by LEFT JOIN or JOIN, not by Full"),
        ("select c.id from chunk c left semi join customers k on c.id = k.id", "not by LeftSemi"),
        ("select c.id from chunk c cross join customers k", "ON must say which column of look-up 'customers' is equal"),
        ("select c.id from chunk c join customers k on c.id > k.id", "ON must say which column of look-up 'customers'"),
        ("select c.id from chunk c join customers k on k.id = 1", "ON must say which column of look-up 'customers'"),
        ("select c.id from chunk c join customers k on c.id is not distinct from k.id", "ON must say which column"),
        ("select id from chunk natural join customers", "NATURAL JOIN, since USING names the columns"),
        ("select * from customers", "FROM takes the chunk first, and look-ups are joined to it"),
        ("select k.id from customers k join chunk c on c.id = k.id", several),
        ("select id from chunk union all select id from customers", "FROM takes the chunk first"),
        (
            "select c.id from chunk c join (select id from customers union all select id from twice) k on c.id = k.id",
            "a look-up is joined as it is, or by a query of one SELECT with columns and WHERE alone",
        ),
        ("select id from chunk where id in (select id from customers)", "a query within an expression"),
        ("select c.id, k.regio from chunk c join customers k on c.id = k.id", "No field named k.regio"),
        (
            "select c.id from chunk c join orders o on c.id = o.id",
            "there is no table 'orders', only 'chunk', also called 'source', 'customers'",
        ),
    ] {
        let refused = query(sql, &chunk()).map(|_| ()).expect_err(sql);
        assert!(refused.contains(expected), "{sql}\n{refused}");
    }
    // One of the rows is picked.
    assert_eq!(
        run("select c.id from chunk c join (select * from twice where is_last) t on c.id = t.id").unwrap().num_rows(),
        3
    );
}
