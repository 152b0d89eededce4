//! What a job expects of rows: counted once, whatever is delivered again, and judged by all chunks of a file.

use shared::{
    CommitMode, Expectation, Expectations, LoadPolicy, OnViolation, PutMode, RowCondition, Rows, Verdict, put_json,
};
use worker::load;

use crate::support::{Load, World, message, numbered};

/// A world whose job expects this of rows, with two chunks of ten; gives their tasks.
async fn world(commit: CommitMode, expect: &[(&str, OnViolation)]) -> (World, Vec<shared::Message>) {
    let world = World::new(Load { commit, ..Load::default() }).await;
    let one = |(sql, on): &(&str, OnViolation)| Expectation {
        name: (*sql).to_owned(),
        condition: RowCondition::Sql((*sql).to_owned()),
        on: *on,
        max_violations: None,
    };
    let expectations = Expectations::new(&"s3://b/c.toml".parse().unwrap(), expect.iter().map(one).collect());
    let mut job = world.job.clone();
    job.load = LoadPolicy { expectations, ..job.load };
    let policy = job.policy.clone();
    let job = job.with_policy(policy);
    put_json(world.context.storage.as_ref(), &world.area.job(), &job, PutMode::Overwrite).await.unwrap();
    let (mut tasks, mut entries) = (Vec::new(), Vec::new());
    for index in 0..2 {
        let first = i64::from(index) * 10;
        let entry = world.store(index, &numbered(first..first + 10)).await;
        tasks.push(message(&entry.task(&world.area, &world.job.job_id).body().unwrap()));
        entries.push(entry);
    }
    world.manifest(entries).await;
    (world, tasks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_counts_once() {
    let expect = [("id > 2", OnViolation::Drop), ("id <> 15", OnViolation::Quarantine), ("id < 19", OnViolation::Warn)];
    let (mut world, tasks) = world(CommitMode::Chunk, &expect).await;
    world.load_done(&tasks[..1]).await;
    world.restart();
    world.load_done(&tasks).await;
    let receipt = world.receipt().await.unwrap();
    let rows = Rows { read: 20, committed: 16, filtered: 3, quarantined: 1, dropped: 3, ..Rows::default() };
    assert_eq!(receipt.rows, rows);
    let results = receipt.expectations.unwrap();
    let counts: Vec<u64> = results.all.iter().map(|one| one.violations).collect();
    assert_eq!((results.rows, counts), (20, vec![3, 1, 1]));
    assert_eq!(world.rows().await.len(), 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_fails_is_not_seen_whatever_comes_again() {
    let (mut world, tasks) = world(CommitMode::File, &[("id <> 3", OnViolation::Fail)]).await;
    world.load_done(&tasks[..1]).await;
    for again in [&tasks[1..], &tasks[..], &tasks[..1]] {
        let verdicts = load(&world.context, again).await;
        for verdict in verdicts {
            let Verdict::Reject { reason, bad_input: true } = verdict else { panic!("{verdict:?}") };
            assert!(reason.contains("expectation 'id <> 3': 1 of 20 rows are against it (on = \"fail\")"), "{reason}");
        }
        world.restart();
    }
    assert!(world.no_table());
    assert_eq!(world.receipt().await, None);
}
