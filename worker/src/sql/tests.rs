use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::record_batch::RecordBatch;

use datafusion_expr::planner::ContextProvider;

use super::bundles::Bundles;
use super::names::Names;
use super::{Query, Statement};

fn chunk() -> RecordBatch {
    let lists = [Some(vec![Some(1), Some(2)]), None, Some(vec![])];
    let columns: [(&str, ArrayRef); 4] = [
        ("a", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("b", Arc::new(StringArray::from(vec!["x", "y", "z"]))),
        ("c", Arc::new(Int64Array::from(vec![Some(7), None, Some(9)]))),
        ("l", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn run(query: &Query, batch: &RecordBatch) -> RecordBatch {
    concat_batches(query.schema(), &query.run(batch).unwrap()).unwrap()
}

/// Routes are checked where there is no `DataFusion`, by a list. `UPDATE_DOCS=1` writes it.
#[test]
fn the_functions_that_routes_are_checked_by() {
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/src/routes/functions.txt");
    let names = Names::of(chunk().schema_ref(), &[]);
    // `unnest()` is no function to the engine.
    let all: BTreeSet<String> =
        names.udf_names().into_iter().chain(["unnest".to_owned(), "unnest_outer".to_owned()]).collect();
    let list: String = all.into_iter().fold(String::new(), |list, name| list + &name + "\n");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&at, &list).unwrap();
    }
    assert_eq!(std::fs::read_to_string(at).unwrap(), list);
}

/// Compared with `printf x | md5sum` and `sha256sum`.
#[test]
fn digests_are_hexadecimal() {
    let chunk = chunk();
    let query =
        Query::new("select md5(b) as m, sha256(b) as s, md5(null) as n from chunk where b = 'x'", chunk.schema_ref());
    let made = run(&query.unwrap(), &chunk);
    let text = |column: usize| made.column(column).as_string::<i32>().value(0).to_owned();
    assert_eq!(text(0), "9dd4e461268c8034f5c8564e155c67a6");
    assert_eq!(text(1), "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
    assert!(made.column(2).is_null(0));
    let error = Query::new("select md5(a) as m from chunk", chunk.schema_ref()).unwrap_err();
    assert!(error.to_string().contains("md5() takes one text, or bytes"), "{error}");
}

/// Its columns are planned some at a time.
#[test]
fn a_long_list_of_columns_is_planned_as_a_short_one() {
    let wide = |columns: usize| {
        let columns = (0..columns).map(|column| {
            let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, i64::try_from(column).ok()]));
            (format!("c{column}"), values)
        });
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let list = |item: &dyn Fn(usize) -> String| (0..150).map(item).collect::<Vec<_>>().join(", ");
    let batch = wide(150);
    for (sql, rows) in [
        (format!("select {} from chunk", list(&|column| format!("c{column}"))), 3),
        (
            format!("select {} from chunk c where c7 is not null", list(&|column| format!("c.c{column} as c{column}"))),
            2,
        ),
    ] {
        let query = Query::new(&sql, batch.schema_ref()).unwrap();
        let made = run(&query, &batch);
        assert_eq!((made.num_columns(), made.num_rows()), (150, rows), "{sql}");
        assert_eq!(query.unchanged(), (0..150).map(Some).collect::<Vec<_>>());
        assert_eq!(made.column(149).as_primitive::<Int64Type>().value(rows - 1), 149);
    }
    let sql = format!("select {} from chunk", list(&|column| format!("c{column} + 1 as d{column}")));
    let made = run(&Query::new(&sql, batch.schema_ref()).unwrap(), &batch);
    assert_eq!(made.column(149).as_primitive::<Int64Type>().value(2), 150);
    for (sql, reason) in [
        (format!("select {}, c0 from chunk", list(&|column| format!("c{column}"))), "c0"),
        (format!("select {}, nothing from chunk", list(&|column| format!("c{column}"))), "nothing"),
        (format!("select {}, count(*) from chunk", list(&|column| format!("c{column}"))), "row"),
    ] {
        let error = Query::new(&sql, batch.schema_ref()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_query_reads_what_it_asks_for() {
    let chunk = chunk();
    for (sql, read, unchanged) in [
        ("select * from chunk", &[0, 1, 2, 3][..], &[Some(0), Some(1), Some(2), Some(3)][..]),
        ("select c, a from chunk", &[0, 2], &[Some(2), Some(0)]),
        ("select a as other, a + c as sum from chunk", &[0, 2], &[Some(0), None]),
        ("select b from chunk where c > 7", &[1, 2], &[Some(1)]),
        ("select * from (select c as x, b from chunk) where x = 7", &[1, 2], &[Some(2), Some(1)]),
        ("select cast(a as varchar) as a from chunk", &[0], &[None]),
        ("select 1 as one from chunk", &[], &[None]),
        ("select a, unnest(l) as item from chunk", &[0, 3], &[None, None]),
        ("select a from chunk union all select c from chunk where b = 'x'", &[0, 1, 2], &[None]),
    ] {
        let query = Query::new(sql, chunk.schema_ref()).unwrap();
        assert_eq!(query.unchanged(), unchanged, "{sql}");
        let whole = run(&query, &chunk);
        let (columns, query) = query.narrowed();
        assert_eq!(columns, read, "{sql}");
        assert_eq!(run(&query, &chunk.project(&columns).unwrap()), whole, "{sql}");
    }
}

/// Columns from `a` to `h`, of which `l` are lists.
fn wide() -> RecordBatch {
    let column = |place: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![Some(place), None, Some(place * 10)])) };
    let columns = ["a", "b", "C", "d", "e", "f", "g", "h"].iter().zip(0..).map(|(name, place)| (*name, column(place)));
    let lists = [Some(vec![Some(1), Some(2)]), None, Some(vec![])];
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
    RecordBatch::try_from_iter_with_nullable(
        columns.map(|(name, column)| (name, column, true)).chain([("l", list, true)]),
    )
    .unwrap()
}

/// How a query is planned for columns in bundles; none where it is not.
fn bundled(sql: &str, chunk: &RecordBatch) -> Option<Query> {
    let [statement] =
        <[Statement; 1]>::try_from(super::Parser::parse_sql(&super::GenericDialect {}, sql).unwrap()).unwrap();
    let bundles = Bundles::made(&statement, chunk.schema_ref())?;
    Query::bundled(statement, bundles, &[]).ok()
}

#[test]
fn columns_in_bundles_give_what_they_give_one_by_one() {
    let chunk = wide();
    for sql in [
        "select * from chunk",
        "select * from chunk where d > 3",
        "select *, a + d as sum from chunk",
        "select * except (b, e) from chunk",
        "select * exclude (\"C\") from chunk where b is null or \"C\" = 20",
        "select * replace (d + 1 as d) from chunk",
        "select c.*, 1 as one from chunk c",
        "select a from chunk",
        "select 1 as one from chunk",
        "select *, unnest(l) as item from chunk",
        "select x.*, h as last from (select *, a as again from chunk where a = 0) x",
        "with some as (select * from chunk where d = 3), others as (select * from some) select *, f as g2 from others",
        "from chunk",
    ] {
        let plain = Query::new(sql, chunk.schema_ref());
        let bundled = bundled(sql, &chunk);
        let (Ok(plain), Some(bundled)) = (plain, bundled) else { panic!("{sql}") };
        assert_eq!(bundled.schema(), plain.schema(), "{sql}");
        assert_eq!(bundled.unchanged(), plain.unchanged(), "{sql}");
        assert_eq!(run(&bundled, &chunk), run(&plain, &chunk), "{sql}");
        let (whole, (columns, narrow)) = (run(&plain, &chunk), bundled.narrowed());
        assert_eq!(columns, plain.narrowed().0, "{sql}");
        assert_eq!(run(&narrow, &chunk.project(&columns).unwrap()), whole, "{sql}");
    }
}

#[test]
fn queries_that_count_columns_are_not_planned_for_bundles() {
    let chunk = wide();
    for sql in [
        "select * from chunk union all select null from chunk",
        "select * from chunk as c(x)",
        "with own(x) as (select * from chunk) select x from own",
        "select * ilike 'a%' from chunk",
        "select count(*) from chunk",
        "select * from chunk where a in (select * from chunk)",
        "select no_such_column from chunk",
        "select *, a from chunk",
    ] {
        assert!(bundled(sql, &chunk).is_none(), "{sql}");
    }
}

#[test]
fn thousands_of_columns_are_planned_in_no_time() {
    let names = (0..2000).map(|place| format!("c{place}"));
    let fields = names.map(|name| Field::new(name, DataType::Utf8, true)).collect::<Vec<_>>();
    let chunk = Arc::new(Schema::new(fields));
    let began = Instant::now();
    for sql in ["select * from chunk", "select * exclude (c7), upper(c8) as d from chunk where c9 > 'x'"] {
        assert_eq!(Query::new(sql, &chunk).unwrap().schema().fields().len(), 2000);
    }
    // One by one it took seconds.
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
