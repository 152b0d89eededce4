//! What Terraform deploys, on an emulator: drops become notifications, those become calls of the real splitter and worker
//! through the Lambda runtime API, and rows come to the table.

pub(crate) mod deployment;

use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use serde_json::json;
use shared::Location;

use self::deployment::Deployment;
use crate::support::{Place, fixture};

/// Rows by the name of the drop they came in, as numbers from 1.
type Rows = BTreeMap<String, Vec<i64>>;

/// The whole deployment through every mishap, one after the other, under the policies of its roles; at the end the table has
/// each row once.
#[test]
fn every_row_that_is_dropped_is_in_the_table_once() {
    let deployment = Deployment::new("deployment", &[("AUTH", "true")]);
    let mut expected = several_files_at_once(&deployment);
    expected.extend(a_worker_dies(&deployment));
    let late = poisoned_messages(&deployment);
    expected.extend(a_source_changes(&deployment));
    a_drop_is_told_of_again(&deployment);
    expected.extend(dead_letters_are_replayed(&deployment, &late));
    deployment.until("the end of the events", || deployment.messages(&deployment.events) == (0, 0));
    assert_eq!(rows(&deployment), expected);
    let log = deployment.emulator.log();
    assert!(log.contains("superseded by a newer object"), "what is left of the old version is let go:\n{log}");
}

#[test]
fn flights_through_a_topic() {
    flights_under_the_policies_of_the_roles("through_sns");
}

#[test]
fn flights_through_a_rule_of_eventbridge() {
    flights_under_the_policies_of_the_roles("through_eventbridge");
}

/// Functions and services may do what their policies say and nothing else.
fn flights_under_the_policies_of_the_roles(run: &str) {
    let deployment = Deployment::new(run, &[("AUTH", "true")]);
    let flights = std::fs::read(fixture("flights.csv")).unwrap();
    for unwanted in ["elsewhere/flights.csv", "in/flights.txt"] {
        deployment.put(&deployment.drop_at(unwanted), flights.clone());
    }
    let at = deployment.drop_at("in/my flights+é=1.csv");
    deployment.put(&at, flights);
    let receipt = deployment.loaded(&at);
    assert_eq!((receipt.rows.read, receipt.rows.committed), (27_004, 27_004));
    assert_eq!(deployment.table().iter().map(RecordBatch::num_rows).sum::<usize>(), 27_004);
    a_table_is_looked_after(&deployment, &at);
    assert_eq!(deployment.receipts().len(), 1, "what no rule of the notification names is left alone");
    // The worker's role does not reach the drops, so the roles are enforced.
    deployment.send_chunk_task(&at);
    deployment.until("a refusal", || deployment.emulator.log().contains("chunk not loaded for now"));
    let log = deployment.emulator.log();
    assert!(log.contains(&format!("access to {at} was denied")), "{log}");
    // What they do about it is within their policies.
    deployment.until("a note of the reason", || deployment.failures().iter().any(|f| f.first_error.contains("denied")));
    let log = deployment.emulator.log();
    for complaint in ["could not be left alone", "no note could be kept", "may be received by others"] {
        assert!(!log.contains(complaint), "{log}");
    }
}

/// The schedule's call of the worker, with what its role allows.
fn a_table_is_looked_after(deployment: &Deployment, drop: &Location) {
    let chunk = deployment.work_area(drop).chunk(0);
    let report = &deployment.look_after_tables(&[])[0];
    let nothing = json!({"objects": 0, "bytes": 0});
    assert_eq!((&report["vacuum"], &report["work_areas"]), (&nothing, &nothing), "{report}");
    assert!(deployment.exists(&chunk));
    let report = &deployment.look_after_tables(&[("keep_jobs_days", 0.into())])[0];
    assert!(report["work_areas"]["objects"].as_u64().unwrap() > 0, "{report}");
    assert!(!deployment.exists(&chunk));
}

/// Keys that are written otherwise in a notification, all dropped within a moment.
fn several_files_at_once(deployment: &Deployment) -> Rows {
    let keys = ["plain.csv", "in/two  spaces.csv", "in/a+b=c.csv", "in/été/100%2B.csv", "in/day=2013-01-01/é + ü.csv"];
    let counts = || (1..).map(|n| n * 100);
    std::thread::scope(|scope| {
        for (key, count) in keys.into_iter().zip(counts()) {
            scope.spawn(move || deployment.put(&deployment.drop_at(key), numbered(key, count, 0)));
        }
    });
    for (key, count) in keys.into_iter().zip(counts()) {
        let rows = deployment.loaded(&deployment.drop_at(key)).rows;
        assert_eq!((i64::try_from(rows.read), i64::try_from(rows.committed)), (Ok(count), Ok(count)), "{key}");
    }
    keys.into_iter().zip(counts()).map(|(key, count)| (key.to_owned(), (1..=count).collect())).collect()
}

/// A worker is killed while it has a chunk in progress; the chunk comes to another one.
fn a_worker_dies(deployment: &Deployment) -> Rows {
    let mut rows = Rows::new();
    for attempt in 1..=20 {
        let (name, count) = (format!("killed-{attempt}"), 100_000);
        let at = deployment.drop_at(&format!("in/{name}.csv"));
        // Large enough to be uploaded in parts.
        deployment.put(&at, numbered(&name, count, 80));
        let area = deployment.work_area(&at);
        deployment.until_soon("a chunk that is about to be committed", || deployment.exists(&area.staged(0)));
        assert!(deployment.kill_workers() > 0, "a worker is at work");
        let in_time = !deployment.exists(&area.chunk_receipt(0));
        assert_eq!(deployment.loaded(&at).chunks, 1);
        rows.insert(name, (1..=count).collect());
        if in_time {
            let again = |line: &str| line.contains(r#""chunk loaded""#) && line.contains(r#""receive_count":2"#);
            let log = || deployment.emulator.log();
            deployment.until("the second worker's word", || log().lines().any(again));
            assert!(log().contains("Runtime.ExitError"), "{}", log());
            return rows;
        }
    }
    panic!("each worker was done before it could be killed")
}

/// Sends a message that is not a chunk task, and the task for a chunk that is missing; gives the chunk.
fn poisoned_messages(deployment: &Deployment) -> Vec<u8> {
    deployment.send(&deployment.chunks, "no chunk task".to_owned());
    deployment.send_chunk_task(&deployment.late_chunk());
    let place = Place::new();
    let source = place.write("late.csv", numbered("late", 50, 0));
    let ran = place.run(&["split", source.to_str().unwrap(), "--out", "cut", "--json"]);
    let path = ran.json()["s3_object_key"].as_str().unwrap().replace("[place]", place.path("").to_str().unwrap());
    std::fs::read(path).unwrap()
}

/// An object is replaced while it is being split: of its old version nothing is loaded, its new one whole.
fn a_source_changes(deployment: &Deployment) -> Rows {
    let at = deployment.drop_at("in/changing.csv");
    deployment.put(&at, numbered("old", 150_000, 250));
    let old = deployment.work_area(&at);
    deployment.until("the begin of the old version's job", || deployment.exists(&old.job()));
    deployment.put(&at, numbered("new", 1000, 0));
    let new = deployment.work_area(&at);
    deployment.until("the end of the new version's job", || deployment.exists(&new.receipt()));
    assert_ne!(old, new);
    assert!(!deployment.exists(&old.manifest()), "the old version was split to its end before it was replaced");
    [("new".to_owned(), (1..=1000).collect())].into()
}

/// S3 sends the same event twice at times, and a splitter that was cut short announces a chunk twice.
fn a_drop_is_told_of_again(deployment: &Deployment) {
    let at = deployment.drop_at("in/killed-1.csv");
    deployment.send(&deployment.events, deployment.event(&at));
    for task in deployment.chunk_tasks(&at) {
        deployment.send(&deployment.chunks, task);
    }
    let known = |line: &str| line.contains(r#""before":true"#) && line.contains("in/killed-1.csv");
    deployment.until("the answer to the second event", || deployment.emulator.log().lines().any(known));
}

/// Messages that nobody can work on end as dead letters; when the cause is gone, they are sent back and worked on.
fn dead_letters_are_replayed(deployment: &Deployment, late: &[u8]) -> Rows {
    deployment.until("the dead letters", || deployment.messages(deployment.dead.queue()).0 == 2);
    let refused = deployment.emulator.log().matches("the message is not a chunk task").count();
    assert_eq!(refused, deployment.max_receives(), "a message is given up after so many receives");
    deployment.put(&deployment.late_chunk(), late.to_vec());
    let loaded = || deployment.emulator.log().matches(r#""chunk loaded""#).count();
    let before = loaded();
    deployment.replay();
    deployment.until("the late chunk", || loaded() > before);
    [("late".to_owned(), (1..=50).collect())].into()
}

/// CSV of so many rows, each with the name of the drop, its number, and a text of so many letters.
fn numbered(name: &str, count: i64, letters: usize) -> Vec<u8> {
    let padding = "x".repeat(letters);
    let rows: String = (1..=count).map(|id| format!("{name},{id},{padding}\n")).collect();
    format!("file,id,padding\n{rows}").into_bytes()
}

/// What is in the table.
fn rows(deployment: &Deployment) -> Rows {
    let mut rows = Rows::new();
    for batch in deployment.table() {
        let files = batch.column_by_name("file").unwrap().as_string::<i32>();
        let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            rows.entry(files.value(row).to_owned()).or_default().push(ids.value(row));
        }
    }
    for ids in rows.values_mut() {
        ids.sort_unstable();
    }
    rows
}
