//! What becomes of rows: SQL, types, columns, partitions, quarantine.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal256Array, DictionaryArray, DurationSecondArray, Float16Array,
    Float64Array, LargeStringArray, ListArray, RecordBatch, StructArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Float16Type, Int32Type, Int64Type, UInt16Type, i256};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use shared::{BadRecords, Rows, Verdict};

use crate::support::{Load, World, batch, encode, expected, longs, message, numbered, strings, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_filters_renames_and_casts() {
    let sql = "select id * 2 as Twice, upper(name) as name, id % 2 = 0 as even from source where id > 95";
    let world = World::new(Load { sql: Some(sql), ..Load::default() }).await;
    let task = world.chunk(0, &numbered(0..100)).await;
    world.load_done(&[task]).await;
    assert_eq!(
        world.rows().await,
        [
            "twice=192 name=N0 even=true",
            "twice=194 name=N1 even=false",
            "twice=196 name=N2 even=true",
            "twice=198 name=N0 even=false"
        ]
    );
    assert_eq!(world.chunk_receipt(0).await.rows, Rows { read: 100, committed: 4, filtered: 96, ..Rows::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_may_read_the_chunk_twice_and_make_rows() {
    let sql = "with own as (select * from chunk where id >= 10) \
               select id, name from own union all select -id as other, upper(name) from source where id >= 20";
    let world = World::new(Load { sql: Some(sql), ..Load::default() }).await;
    let task = world.chunk(0, &numbered(0..30)).await;
    world.load_done(&[task]).await;
    let mut all = expected(10..30);
    all.extend((20..30).map(|id| format!("id=-{id} name=N{}", id % 3)));
    all.sort();
    assert_eq!(world.rows().await, all);
    let rows = world.chunk_receipt(0).await.rows;
    assert_eq!(rows, Rows { read: 30, committed: 30, ..Rows::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_makes_a_row_of_each_value_of_a_list() {
    let list = "case id when 0 then null when 3 then [] else string_to_array(name, '|') end";
    let names = strings(&[Some("lost"), Some("a|b"), None, Some(""), Some("c")]);
    let chunk = batch(vec![("id", longs(&[Some(0), Some(1), Some(2), Some(3), Some(4)])), ("name", names)]);
    for (unnest, expected) in [
        ("unnest", &["id=1 tag=a next=2", "id=1 tag=b next=2", "id=4 tag=c next=5"][..]),
        (
            "unnest_outer",
            &[
                "id=0 tag=null next=1",
                "id=1 tag=a next=2",
                "id=1 tag=b next=2",
                "id=2 tag=null next=3",
                "id=3 tag=null next=4",
                "id=4 tag=c next=5",
            ],
        ),
    ] {
        let sql = format!("select id, {unnest}({list}) as tag, id + 1 as next from chunk");
        let world = World::new(Load { sql: Some(&sql), ..Load::default() }).await;
        let task = world.chunk(0, &chunk).await;
        world.load_done(&[task]).await;
        assert_eq!(world.rows().await, expected, "{unnest}");
        let committed = u64::try_from(expected.len()).unwrap();
        let (filtered, added) = (5_u64.saturating_sub(committed), committed.saturating_sub(5));
        let rows = Rows { read: 5, committed, filtered, added, ..Rows::default() };
        assert_eq!(world.chunk_receipt(0).await.rows, rows, "{unnest}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_come_in_several_batches() {
    let sql = "select id, unnest(range(0, case id when 1 then 20000 else 3000 end)) as n, name from chunk";
    let world = World::new(Load { sql: Some(sql), ..Load::default() }).await;
    let task = world.chunk(0, &numbered(0..4)).await;
    world.load_done(&[task]).await;
    let mut all: Vec<String> = [(0, 3_000), (1, 20_000), (2, 3_000), (3, 3_000)]
        .into_iter()
        .flat_map(|(id, values)| (0..values).map(move |n| format!("id={id} n={n} name=n{}", id % 3)))
        .collect();
    all.sort();
    assert_eq!(world.rows().await, all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_computes_nothing_of_what_is_left_out() {
    for sql in [
        "with t as (select id, cast(name as bigint) as n from chunk) select id from t where id = 1",
        "with t as (select id, name, cast(name as bigint) as n from chunk) select id, n from t where name = '5'",
    ] {
        let world = World::new(Load { sql: Some(sql), ..Load::default() }).await;
        let task = world.chunk(0, &numbered(0..10)).await;
        world.load_done(&[task]).await;
        assert!(world.rows().await.len() < 2, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_has_the_functions_of_one_row() {
    for (expression, value) in [
        ("coalesce(nullif(name, 'n1'), '-')", "-"),
        ("case when id between 1 and 2 then 'some' else 'many' end", "some"),
        ("cast(trunc(id / 2.0) as int)", "0"),
        ("regexp_replace(name, '[a-z]', 'X')", "X1"),
        ("date_trunc('month', timestamp '2024-05-17T03:00:00')", "2024-05-01T00:00:00"),
        ("extract(year from date '2024-05-17')", "2024"),
        ("name like 'n_' and id in (1, 5)", "true"),
        ("substring(name from 2) || '!'", "1!"),
        ("try_cast('x' as int) is null", "true"),
        ("encode('a', 'hex')", "61"),
        ("cast(timestamp '2024-05-17T00:00:00' at time zone 'Europe/Berlin' as text)", "2024-05-17T00:00:00+02:00"),
        ("array_length(make_array(1, id))", "2"),
        ("named_struct('a', id)['a']", "1"),
        ("to_timestamp('2024-05-17')", "2024-05-17T00:00:00"),
        ("cast('12.345' as decimal(5, 2))", "12.35"),
    ] {
        let sql = format!("select {expression} as v from chunk where id = 1");
        let world = World::new(Load { sql: Some(&sql), ..Load::default() }).await;
        let task = world.chunk(0, &numbered(0..3)).await;
        world.load_done(&[task]).await;
        assert_eq!(world.rows().await, [format!("v={value}")], "{expression}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_of_which_nothing_remains_is_committed_too() {
    let world = World::new(Load { sql: Some("select * from chunk where id < 0"), ..Load::default() }).await;
    let tasks = [world.chunk(0, &numbered(0..10)).await, world.chunk(1, &numbered(0..0)).await];
    world.load_done(&tasks).await;
    assert_eq!(world.rows().await, Vec::<String>::new());
    assert_eq!(world.chunk_receipt(0).await.rows, Rows { read: 10, filtered: 10, ..Rows::default() });
    assert_eq!(world.chunk_receipt(1).await.rows, Rows::default());
    let commits = world.log().len();
    world.load_done(&tasks).await;
    assert_eq!(world.log().len(), commits);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_table_is_partitioned() {
    let world = World::new(Load { partition_by: &["NAME"], ..Load::default() }).await;
    let odd = batch(vec![("id", longs(&[Some(100), Some(101)])), ("name", strings(&[None, Some("a b/c=%d")]))]);
    let tasks = [world.chunk(0, &numbered(0..30)).await, world.chunk(1, &odd).await];
    world.load_done(&tasks).await;
    let mut all = expected(0..30);
    all.extend(["id=100 name=null".to_owned(), "id=101 name=a b/c=%d".to_owned()]);
    all.sort();
    assert_eq!(world.rows().await, all);
    let table = world.delta().await;
    assert_eq!(table.snapshot().unwrap().metadata().partition_columns().to_vec(), ["name"]);
    assert_eq!(world.files_on_disk(), 5);
    let lacking = world.chunk(2, &batch(vec![("id", longs(&[Some(1)]))])).await;
    let reason = world.rejected(lacking).await;
    assert!(reason.contains("it lacks the partition column 'name'"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partition_columns_that_cannot_be() {
    for (partition_by, word) in [
        (&["nothing"][..], "it lacks the partition column 'nothing'; the columns are id, name"),
        (&["id", "name"][..], "a table needs a column besides"),
    ] {
        let world = World::new(Load { partition_by, ..Load::default() }).await;
        let task = world.chunk(0, &numbered(0..10)).await;
        let reason = world.rejected(task).await;
        assert!(reason.contains(word), "{reason}");
        assert!(world.no_table());
    }
}

type F16 = <Float16Type as ArrowPrimitiveType>::Native;

fn every_type() -> RecordBatch {
    let list = ListArray::from_iter_primitive::<UInt16Type, _, _>([Some(vec![Some(65_535), None]), None]);
    let field = Arc::new(Field::new("Inner", DataType::UInt32, true));
    let nested = StructArray::from(vec![(field, Arc::new(UInt32Array::from(vec![u32::MAX, 1])) as ArrayRef)]);
    let dictionary: DictionaryArray<Int32Type> = ["a", "b"].into_iter().collect();
    let wide = Decimal256Array::from(vec![i256::from_i128(12_345), i256::from_i128(-1)]);
    let instants = TimestampNanosecondArray::from(vec![1_000_000_999, 0]).with_timezone("+02:00");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("u8", Arc::new(UInt8Array::from(vec![255, 0]))),
        ("u32", Arc::new(UInt32Array::from(vec![u32::MAX, 0]))),
        ("u64", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
        ("f16", Arc::new(Float16Array::from(vec![F16::from_f32(1.5), F16::from_f32(-0.25)]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![86_399_999_999, 0]))),
        ("took", Arc::new(DurationSecondArray::from(vec![61, 0]))),
        ("wide", Arc::new(wide.with_precision_and_scale(50, 2).unwrap())),
        ("large", Arc::new(LargeStringArray::from(vec!["x", "y"]))),
        ("word", Arc::new(dictionary)),
        ("local", Arc::new(TimestampMicrosecondArray::from(vec![1_000_000, 0]))),
        ("instant", Arc::new(instants)),
        ("list", Arc::new(list)),
        ("nested", Arc::new(nested)),
        ("day", Arc::new(Date32Array::from(vec![1, 0]))),
    ];
    batch(columns)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_that_delta_lacks() {
    let world = world().await;
    let task = world.chunk(0, &every_type()).await;
    world.load_done(&[task]).await;
    let table = world.delta().await;
    let fields = table.snapshot().unwrap().schema();
    let types: Vec<String> = fields.fields().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    insta::assert_snapshot!(types.join("\n"), @r"
    u8 short
    u32 long
    u64 decimal(20,0)
    f16 float
    time string
    took string
    wide string
    large string
    word string
    local timestamp_ntz
    instant timestamp
    list array<integer>
    nested struct<Inner: long>
    day date
    ");
    insta::assert_snapshot!(world.rows().await.join("\n"), @r"
    u8=0 u32=0 u64=0 f16=-0.25 time=00:00:00 took=P0D wide=-0.01 large=y word=b local=1970-01-01T00:00:00 instant=1970-01-01T00:00:00Z list=null nested={Inner: 1} day=1970-01-01
    u8=255 u32=4294967295 u64=18446744073709551615 f16=1.5 time=23:59:59.999999 took=PT61S wide=123.45 large=x word=a local=1970-01-01T00:00:01 instant=1970-01-01T00:00:01Z list=[65535, null] nested={Inner: 4294967295} day=1970-01-02
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_types_of_the_table_win() {
    let world = world().await;
    let first = batch(vec![
        ("id", longs(&[Some(1)])),
        ("name", strings(&[Some("x")])),
        ("day", Arc::new(Date32Array::from(vec![0]))),
    ]);
    let task = world.chunk(0, &first).await;
    world.load_done(&[task]).await;
    let second = batch(vec![
        ("NAME", longs(&[Some(7), None, Some(8), Some(9)])),
        ("Id", Arc::new(Float64Array::from(vec![Some(2.0), Some(2.5), Some(1e300), None]))),
        ("day", strings(&[Some("2020-02-29"), Some("1970-01-02"), Some("1970-01-02"), Some("2021-02-29")])),
    ]);
    let task = world.chunk(1, &second).await;
    world.load_done(&[task]).await;
    assert_eq!(world.rows().await, ["id=1 name=x day=1970-01-01", "id=2 name=7 day=2020-02-29"]);
    let rows = world.chunk_receipt(1).await.rows;
    assert_eq!(rows, Rows { read: 4, committed: 1, quarantined: 3, ..Rows::default() });
    let rejected = quarantine(&world, 1);
    insta::assert_snapshot!(rejected.join("\n"), @r#"
    2 id: '2.5' does not fit type long: {"Id":2.5,"NAME":null,"day":"1970-01-02"}
    3 id: '1e300' does not fit type long: {"Id":1e+300,"NAME":8,"day":"1970-01-02"}
    4 day: '2021-02-29' does not fit type date: {"Id":null,"NAME":9,"day":"2021-02-29"}
    "#);
}

/// Rejected rows of a chunk, each as number, column, reason and raw.
fn quarantine(world: &World, index: u32) -> Vec<String> {
    let file = File::open(world.area.load_quarantine(index).key()).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut rejected = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let numbers = batch["record_number"].as_primitive::<Int64Type>();
        let (columns, reasons) = (batch["column"].as_string::<i32>(), batch["reason"].as_string::<i32>());
        let raw = batch["raw"].as_binary::<i32>();
        assert_eq!(batch["byte_offset"].null_count(), batch.num_rows());
        for row in 0..batch.num_rows() {
            let raw = str::from_utf8(raw.value(row)).unwrap();
            rejected.push(format!("{} {}: {}: {raw}", numbers.value(row), columns.value(row), reasons.value(row)));
        }
    }
    rejected
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_do_not_fit_become_null_or_fail_the_chunk() {
    let first = batch(vec![("id", longs(&[Some(1)]))]);
    let second = batch(vec![("id", strings(&[Some("2"), Some("two")]))]);
    let world = World::new(Load { bad_records: BadRecords::Null, ..Load::default() }).await;
    let tasks = [world.chunk(0, &first).await, world.chunk(1, &second).await];
    world.load_done(&tasks).await;
    assert_eq!(world.rows().await, ["id=1", "id=2", "id=null"]);
    let world = World::new(Load { bad_records: BadRecords::Fail, ..Load::default() }).await;
    let (one, two) = (world.chunk(0, &first).await, world.chunk(1, &second).await);
    world.load_done(&[one]).await;
    let reason = world.rejected(two).await;
    assert!(reason.starts_with("row 2 of chunk ") && reason.contains("'two' does not fit type long"), "{reason}");
    assert_eq!(world.rows().await, ["id=1"]);
    assert_eq!(world.files_on_disk(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_can_never_fit() {
    let world = world().await;
    let task = world.chunk(0, &batch(vec![("day", Arc::new(Date32Array::from(vec![0])))])).await;
    world.load_done(&[task]).await;
    let task = world.chunk(1, &batch(vec![("day", longs(&[Some(20_130_101)]))])).await;
    let reason = world.rejected(task).await;
    assert!(reason.contains("column 'day' is a Date32 in the table"), "{reason}");
    let task = world.chunk(2, &batch(vec![("a", longs(&[Some(1)])), ("A", longs(&[Some(1)]))])).await;
    let reason = world.rejected(task).await;
    assert!(reason.contains("columns 'a' and 'A' have one name"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_columns_come_while_others_append() {
    let world = Arc::new(world().await);
    let mut racers = Vec::new();
    for index in 0..8_u32 {
        let id = i64::from(index);
        let mut columns = vec![("id", longs(&[Some(id)]))];
        let extra = format!("extra{}", index / 4);
        if index % 2 == 1 {
            columns.push((&extra, longs(&[Some(id)])));
        }
        let task = world.chunk(index, &batch(columns)).await;
        let world = Arc::clone(&world);
        racers.push(tokio::spawn(async move { worker::load(&world.context, &[task]).await }));
    }
    for racer in racers {
        assert_eq!(racer.await.unwrap(), [Verdict::Done]);
    }
    let rows: Vec<i64> =
        world.rows().await.iter().map(|row| row.split(['=', ' ']).nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(rows, (0..8).collect::<Vec<_>>());
    let text = world.rows().await.join("\n");
    for index in [1, 3] {
        assert!(text.contains(&format!("extra0={index}")), "{text}");
    }
    for index in [5, 7] {
        assert!(text.contains(&format!("extra1={index}")), "{text}");
    }
    assert_eq!(world.files_on_disk(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_column_of_local_time_keeps_the_table_writable() {
    let world = world().await;
    let tasks = [
        world.chunk(0, &batch(vec![("id", longs(&[Some(1)]))])).await,
        world.chunk(1, &batch(vec![("at", Arc::new(TimestampMicrosecondArray::from(vec![0])))])).await,
        world.chunk(2, &batch(vec![("id", longs(&[Some(2)]))])).await,
    ];
    for task in tasks {
        world.load_done(&[task]).await;
    }
    assert_eq!(world.rows().await, ["id=1 at=null", "id=2 at=null", "id=null at=1970-01-01T00:00:00"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_of_one_call_that_bring_other_columns() {
    let world = world().await;
    let tasks = [
        world.chunk(0, &batch(vec![("a", longs(&[Some(1)]))])).await,
        world.chunk(1, &batch(vec![("b", strings(&[Some("x")])), ("a", strings(&[Some("2")]))])).await,
        world.chunk(2, &batch(vec![("b", longs(&[Some(3)]))])).await,
    ];
    world.load_done(&tasks).await;
    assert_eq!(world.rows().await, ["a=1 b=null", "a=2 b=x", "a=null b=3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_someone_else_put_there() {
    let mut world = world().await;
    let at = world.folder.path().join("x y.parquet");
    let body = format!(r#"{{"s3_bucket":"file://","s3_object_key":"{}"}}"#, at.display());
    std::fs::write(&at, encode(&numbered(0..250))).unwrap();
    world.load_done(&[message(&body), message(&body)]).await;
    world.load_done(&[message(&body)]).await;
    assert_eq!(world.rows().await, expected(0..250));
    // Written again it is another file.
    std::fs::write(&at, encode(&numbered(250..300))).unwrap();
    world.load_done(&[message(&body)]).await;
    assert_eq!(world.rows().await, expected(0..300));
    // Rejected rows need a place.
    let bad = batch(vec![("id", strings(&[Some("x"), Some("300")])), ("name", strings(&[Some("n0"), Some("n0")]))]);
    std::fs::write(&at, encode(&bad)).unwrap();
    let reason = world.rejected(message(&body)).await;
    assert!(reason.contains("CHUNK_BUCKET"), "{reason}");
    world.context.settings.work_prefix = Some(world.folder.path().to_str().unwrap().parse().unwrap());
    world.load_done(&[message(&body)]).await;
    assert_eq!(world.rows().await, expected(0..301));
}
