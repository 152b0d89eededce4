//! Messages that lie: each is refused, with a reason, and no row comes in twice or from elsewhere.

use std::path::Path;

use serde_json::{Value, json};
use shared::{Location, PutMode, WorkArea, put_json};

use crate::support::{World, encode, expected, message, numbered, world};

/// A world with a chunk that is loaded and one that is not yet noted, and the deployment's settings.
async fn deployment() -> (World, Value) {
    let mut world = world().await;
    world.context.settings.work_prefix = world.area.root().parent();
    let entry = world.store(0, &numbered(0..10)).await;
    let task = entry.task(&world.area, &world.job.job_id).body().unwrap();
    world.manifest(vec![entry]).await;
    world.load_done(&[message(&task)]).await;
    (world, serde_json::from_str(&task).unwrap())
}

fn bare(at: &Location) -> Value {
    json!({ "s3_bucket": at.bucket(), "s3_object_key": at.key() })
}

/// Sees that a message is refused for this reason, and that nothing comes of it.
async fn refuses(world: &World, body: &Value, said: &str) {
    let before = (world.rows().await, world.log().len());
    let reason = world.rejected(message(&body.to_string())).await;
    assert!(reason.contains(said), "{body}: {reason}");
    assert_eq!((world.rows().await, world.log().len()), before, "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_say_something_else_than_their_job() {
    let (world, task) = deployment().await;
    for (field, value, said) in [
        ("index", json!(99), "it is not chunk 99 of its job"),
        ("rows", json!(9), "its task says 9 rows"),
        ("bytes", json!(1), "1 bytes"),
        ("checksum", json!("crc64nvme:0000000000000000"), "crc64nvme:0000000000000000, and its job 10 rows"),
        ("job_id", json!("other"), "by the names of their jobs"),
    ] {
        let mut task = task.clone();
        task["chunk"][field] = value;
        refuses(&world, &task, said).await;
    }
    // A chunk that the job does not have, though it lies among its chunks.
    let stray = world.store(7, &numbered(70..80)).await.task(&world.area, &world.job.job_id).body().unwrap();
    refuses(&world, &serde_json::from_str(&stray).unwrap(), "its job has no chunk 7").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_comes_before_its_note_is_taken_and_one_after_it_is_held_against_it() {
    let mut world = world().await;
    world.context.settings.work_prefix = world.area.root().parent();
    let (first, second) = (world.store(0, &numbered(0..10)).await, world.store(1, &numbered(10..20)).await);
    let task = |entry: &shared::ChunkEntry| message(&entry.task(&world.area, &world.job.job_id).body().unwrap());
    // Neither is noted: a chunk, then its task, then the checkpoint.
    world.load_done(&[task(&first)]).await;
    let checkpoint = shared::Checkpoint { version: 1, chunks: vec![first.clone()], ..shared::Checkpoint::default() };
    put_json(world.context.storage.as_ref(), &world.area.checkpoint(), &checkpoint, PutMode::Overwrite).await.unwrap();
    let mut lie = first.clone();
    lie.rows = 11;
    let reason = world.rejected(task(&lie)).await;
    assert!(reason.contains("its task says 11 rows"), "{reason}");
    let mut lie = second.clone();
    lie.rows = 11;
    let reason = world.rejected(task(&lie)).await;
    assert!(reason.contains("it has 10 rows instead of 11"), "{reason}");
    world.load_done(&[task(&second)]).await;
    assert_eq!(world.rows().await, expected(0..20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bare_files_of_work_areas_and_tables() {
    let (mut world, _) = deployment().await;
    let file = std::fs::read_dir(world.table.key()).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "parquet")).unwrap();
    let data_file: Location = file.to_str().unwrap().parse().unwrap();
    refuses(&world, &bare(&world.area.chunk(0)), "from where chunks are loaded by their own tasks").await;
    refuses(&world, &bare(&data_file), "itself").await;
    // A table that is not the worker's own, the log of which begins with a checkpoint; and a work area of others.
    let root = world.area.root().parent().unwrap().parent().unwrap();
    let other = root.join("other");
    for name in ["_delta_log/_last_checkpoint", "day=1/part.parquet"] {
        let at = Path::new(other.key()).join(name);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, encode(&numbered(50..60))).unwrap();
    }
    refuses(&world, &bare(&other.join("day=1/part.parquet")), "it lies in the table").await;
    world.context.settings.work_prefix = Some(root.join("elsewhere"));
    refuses(&world, &bare(&world.area.chunk(0)), "it lies in the work area").await;
    world.context.settings.work_prefix = world.area.root().parent();
    world.context.storage.delete(&world.area.job()).await.unwrap();
    refuses(&world, &bare(&world.area.chunk(0)), "it lies where a work area was").await;
    // Everywhere else they are taken, once each: also below work areas, and beside documents of other programs.
    let at = world.context.settings.work_prefix.as_ref().unwrap().join("other/chunks/bare.parquet");
    std::fs::create_dir_all(at.parent().unwrap().key()).unwrap();
    std::fs::write(root.join("job.json").key(), "{\"job_id\":\"nightly\"}").unwrap();
    std::fs::write(at.key(), encode(&numbered(10..20))).unwrap();
    let body = message(&bare(&at).to_string());
    world.load_done(&[body.clone(), body]).await;
    assert_eq!(world.rows().await, expected(0..20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_the_machine_and_work_areas_and_tables_of_others() {
    let (mut world, task) = deployment().await;
    let root = world.area.root().parent().unwrap().parent().unwrap();
    // The same work area a level deeper, and one whose job is bound for another table.
    let nested = WorkArea::new(&world.area.root().parent().unwrap().join("zz"), &world.job.job_id);
    let mut job = serde_json::to_value(&world.job).unwrap();
    job["table"] = json!(root.join("other").to_string());
    let storage = world.context.storage.clone();
    put_json(storage.as_ref(), &nested.job(), &job, PutMode::Overwrite).await.unwrap();
    let mut deeper = task.clone();
    deeper["s3_object_key"] = json!(nested.chunk(0).key());
    refuses(&world, &deeper, "work areas of this deployment lie in").await;
    put_json(storage.as_ref(), &world.area.job(), &job, PutMode::Overwrite).await.unwrap();
    refuses(&world, &task, "and this worker loads into").await;
    assert!(!Path::new(root.join("other").key()).exists());
    let reason = world.rejected(message(&task.to_string())).await;
    assert!(reason.contains(&format!("with TABLE_URI={} for the jobs of before", root.join("other"))), "{reason}");
    let reason = world.rejected(message(&deeper.to_string())).await;
    assert!(reason.contains("zz for the jobs of before, then `sluice dlq replay`"), "{reason}");
    // In a deployment whose chunks are on S3.
    put_json(storage.as_ref(), &world.area.job(), &world.job, PutMode::Overwrite).await.unwrap();
    world.context.settings.work_prefix = Some("s3://chunks/sluice".parse().unwrap());
    let said = "it is a file of this machine";
    refuses(&world, &task, said).await;
    for path in ["/proc/self/environ", "/etc/passwd", world.area.chunk(0).key()] {
        refuses(&world, &json!({ "s3_bucket": "file://", "s3_object_key": path }), said).await;
    }
}
