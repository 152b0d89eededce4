//! What is rejected, with which words, and that it leaves no trace in the table.

use shared::{PutMode, Verdict};

use crate::support::{Load, World, encode, expected, message, numbered, world};

/// The reason with the folder of the test left out.
fn tidy(world: &World, reason: &str) -> String {
    reason.replace(world.folder.path().to_str().unwrap(), "").replace(world.job.job_id.as_str(), "JOB")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_chunk() {
    let world = world().await;
    let task = world.chunk(0, &numbered(0..1000)).await;
    let path = world.area.chunk(0).key().to_owned();
    let whole = std::fs::read(&path).unwrap();
    // Anywhere in the file: in a value, between pages, in the footer, in the magic of either end.
    for place in [0, 4, 100, whole.len() / 2, whole.len() - 300, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        std::fs::write(&path, damaged).unwrap();
        let reason = world.rejected(task.clone()).await;
        assert!(reason.contains("is damaged") || reason.contains("no Parquet file"), "{place}: {reason}");
        assert!(world.no_table(), "{place}");
    }
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let reason = world.rejected(task.clone()).await;
    assert!(reason.contains(&format!("{} bytes instead of {}", whole.len() - 1, whole.len())), "{reason}");
    assert_eq!(world.files_on_disk(), 0);
    std::fs::write(&path, &whole).unwrap();
    world.load_done(&[task]).await;
    assert_eq!(world.rows().await, expected(0..1000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_where_sql_keeps_no_row() {
    let world = World::new(Load { sql: Some("select id from chunk where id < 1"), ..Load::default() }).await;
    let task = world.chunk(0, &numbered(0..100_000)).await;
    let path = world.area.chunk(0).key().to_owned();
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.len() * 2 / 3;
    bytes[place] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let reason = world.rejected(task).await;
    assert!(reason.contains("is damaged") || reason.contains("no Parquet file"), "{reason}");
    assert!(world.no_table());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_with_other_rows() {
    let world = world().await;
    let mut entry = world.store(0, &numbered(0..10)).await;
    entry.rows = 11;
    let reason = world.rejected(message(&entry.task(&world.area, &world.job.job_id).body().unwrap())).await;
    assert!(reason.contains("it has 10 rows instead of 11"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_chunk() {
    let world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    world.context.storage.delete(&world.area.chunk(0)).await.unwrap();
    let reason = tidy(&world, &world.rejected(task).await);
    insta::assert_snapshot!(reason, @"cannot load /area/JOB/chunks/00000.parquet: /area/JOB/chunks/00000.parquet does not exist; hint: it was deleted, by a lifecycle rule perhaps; splitting the source again makes it again");
    assert!(world.no_table());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_no_tasks() {
    let world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    let stray = task.body.replace("/chunks/", "/elsewhere/");
    let verdicts = world.load(&[message("{}"), message("no json"), message(&stray), task]).await;
    assert!(verdicts[..3].iter().all(|verdict| matches!(verdict, Verdict::Reject { .. })), "{verdicts:?}");
    assert_eq!(verdicts[3], Verdict::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_for_no_table() {
    let mut world = world().await;
    world.context.settings.table = None;
    let at = world.folder.path().join("x.parquet");
    std::fs::write(&at, encode(&numbered(0..10))).unwrap();
    let body = format!(r#"{{"s3_bucket":"file://","s3_object_key":"{}"}}"#, at.display());
    let reason = world.rejected(message(&body)).await;
    assert!(reason.contains("is bound for no table; hint: set TABLE_URI"), "{reason}");
}

/// Each SQL is refused, with these words, before there is a table.
async fn refused(cases: &[(&str, &str)]) {
    for (sql, words) in cases {
        let world = World::new(Load { sql: Some(sql), ..Load::default() }).await;
        let task = world.chunk(0, &numbered(0..10)).await;
        let reason = world.rejected(task).await;
        assert!(reason.contains(words), "{sql}: {reason}");
        assert!(world.no_table(), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_that_is_not_a_query_of_the_chunk() {
    refused(&[
        ("select random() as r from chunk", "random()"),
        ("select id from chunk where now() > timestamp '2020-01-01'", "now()"),
        ("select id, (select uuid() from source) as u from chunk", "uuid()"),
        ("select current_date() as d from chunk", "current_date()"),
        ("create table t as select * from chunk", "it is not one query"),
        ("insert into chunk select * from chunk", "it is not one query"),
        ("set x = 1", "it is not one query"),
        ("explain select * from chunk", "it is not one query"),
        ("select 1 as a; select 2 as a", "it is not one query"),
        ("", "it is not one query"),
        ("select nothing from chunk", "hint: the columns of chunk are id, name"),
        ("select id from other", "there is no table 'other', only 'chunk', also called 'source'"),
        ("select id from a.chunk", "there is no table 'a.chunk'"),
        ("select", "hint: the columns of chunk are id, name"),
        ("select id + 1 from chunk", "in SQL, AS gives another name"),
        ("select id, id from chunk", "unique"),
        ("select id from chunk where name", "boolean"),
        ("select id from chunk where no_such(id)", "Invalid function 'no_such'"),
        ("select uper(name) as id from chunk", "Invalid function 'uper'. Did you mean 'upper'?"),
        (
            "select unnest([1, 2]) as id, unnest([3]) as n from chunk",
            "there is no unnest() of a struct, of several lists",
        ),
        ("select unnest(unnest([[1]])) as id from chunk", "there is no unnest() of a struct, of several lists"),
        ("select unnest(named_struct('a', id)) from chunk", "there is no unnest() of a struct"),
        ("select unnest(id) as id from chunk", "unnest"),
        ("select top 5 id from chunk", "there is no TOP"),
        ("select id from chunk tablesample bernoulli (10)", "there is no TABLESAMPLE"),
        ("select id from chunk prewhere id > 1", "there is no PREWHERE"),
        (
            "with recursive t as (select id from chunk union all select id from t) select id from t",
            "Recursive CTE is not implemented",
        ),
        ("select @@version as v from chunk", "@@version"),
        ("select $1 as v from chunk", "$1"),
        ("select cast(name as bigint) as n from chunk", "Cannot cast string 'n0'"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_that_looks_at_several_rows() {
    refused(&[
        ("select id into t from chunk", "SELECT INTO"),
        ("select count(*) as n from chunk", "count() does not take each row by itself"),
        ("select id, row_number() over (order by id) as n from chunk", "OVER does not"),
        ("select id from chunk group by id", "GROUP BY does not take each row by itself"),
        ("select distinct id from chunk", "DISTINCT does not"),
        ("select id from chunk union select id from source", "DISTINCT does not"),
        ("select id from chunk order by id", "ORDER BY does not"),
        ("select id from chunk limit 1", "LIMIT does not"),
        ("select chunk.id from chunk join source on chunk.id = source.id", "a join does not"),
        ("select 1 as id", "a query without FROM does not"),
        ("select * from (values (1)) as t(id)", "VALUES does not"),
        ("select id from (select id from chunk order by id) as t", "ORDER BY does not"),
        ("select id from chunk where id in (select id from source)", "a query within an expression does not"),
        ("select id from chunk where exists (select id from source)", "a query within an expression does not"),
        ("select (select id from source) as id from chunk", "a query within an expression does not"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_ask_for_more() {
    for (from, to, word) in [
        (r#""minWriterVersion":2"#, r#""minWriterVersion":8"#, "cannot be written to"),
        (r#""delta.checkpointInterval":"100""#, r#""delta.constraints.c":"id % 2 = 0""#, "operator %"),
        (
            r#""delta.checkpointInterval":"100""#,
            r#""delta.setTransactionRetentionDuration":"interval 7 days""#,
            "cannot be written to: the table forgets transactions",
        ),
        (r#"\"metadata\":{}"#, r#"\"metadata\":{\"delta.invariants\":\"x\"}"#, "invariant"),
    ] {
        let mut world = world().await;
        let task = world.chunk(0, &numbered(0..10)).await;
        world.load_done(&[task]).await;
        world.restart();
        let first = std::path::Path::new(world.table.key()).join("_delta_log/00000000000000000000.json");
        let log = std::fs::read_to_string(&first).unwrap();
        assert!(log.contains(from), "{from} is not in {log}");
        std::fs::write(&first, log.replacen(from, to, 1)).unwrap();
        let task = world.chunk(1, &numbered(10..20)).await;
        let reason = world.rejected(task).await;
        assert!(reason.contains(word), "{reason}");
        assert_eq!(world.log().len(), 2, "{to}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_read_is_not_taken_for_none() {
    let mut world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[task]).await;
    world.restart();
    let log = std::path::Path::new(world.table.key()).join("_delta_log");
    std::fs::remove_file(log.join("00000000000000000000.json")).unwrap();
    let task = world.chunk(1, &numbered(10..20)).await;
    let verdict = world.load(&[task]).await.remove(0);
    assert!(!matches!(verdict, Verdict::Done), "{verdict:?}");
    assert!(!log.join("00000000000000000000.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_another_work_area() {
    let world = world().await;
    let entry = world.store(0, &numbered(0..10)).await;
    let other = shared::JobId::from("other-job".to_owned());
    let reason = world.rejected(message(&entry.task(&world.area, &other).body().unwrap())).await;
    assert!(reason.contains("its task names job other-job"), "{reason}");
    let empty = bytes::Bytes::new();
    world.context.storage.put(&world.area.job(), empty, PutMode::Overwrite).await.unwrap();
    let reason = world.rejected(message(&entry.task(&world.area, &world.job.job_id).body().unwrap())).await;
    assert!(reason.contains("is not a valid job"), "{reason}");
}
