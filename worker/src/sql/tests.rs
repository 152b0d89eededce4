use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;

use super::Query;

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
