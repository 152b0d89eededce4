//! Notes that the build before left behind, in `older/`: this build reads them, and finishes what they are about.
//!
//! The build was killed while a file waited for its commit (`prepared/`), and after it had lost a race and offered its chunk to the
//! winner (`offer/`). Places are written as `/older`.

use std::fs;
use std::iter;
use std::path::Path;

use serde_json::Value;
use shared::{Job, Location, Manifest, Settings, Stores, Verdict, WorkArea};
use tempfile::TempDir;
use worker::{LoadContext, TableStore};

use crate::support::{World, message, numbered};

/// What a killed process left, with the files as if they had been written just now. `areas` is where work areas are.
fn left_behind(name: &str, areas: &str) -> World {
    let folder = TempDir::new().unwrap();
    let root = folder.path().to_str().unwrap().to_owned();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worker/older").join(name), folder.path(), &root);
    let job = fs::read_dir(folder.path().join(areas)).unwrap().map(|entry| entry.unwrap().path().join("job.json"));
    let job = job.filter(|job| job.exists()).max().unwrap();
    let job: Job = serde_json::from_slice(&fs::read(job).unwrap()).unwrap();
    let root: Location = root.parse().unwrap();
    let (table, area) = (root.join("table"), WorkArea::new(&root.join(areas), &job.job_id));
    let mut settings = Settings::from_lookup(|_| None).unwrap();
    settings.table = Some(table.clone());
    let context = LoadContext::new(Stores::from_env(), settings, TableStore::default());
    World { folder, context, job, area, table }
}

fn copy(from: &Path, to: &Path, root: &str) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy(&from, &to, root);
        } else if from.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read_to_string(&from).unwrap().replace("/older", root);
            // Files that waited for weeks are written again.
            let without_number =
                |part: &str| part.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
            let mut parts = text.split("\"modificationTime\":");
            let first = parts.next().unwrap().to_owned();
            let parts = iter::once(first).chain(parts.map(|part| format!("{now}{}", without_number(part))));
            let text = parts.collect::<Vec<_>>().join("\"modificationTime\":");
            fs::write(&to, text).unwrap();
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// Data files that the last version of the table added.
fn added_last(world: &World) -> Vec<String> {
    let log = world.log();
    let entry = log.last().unwrap().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut added: Vec<String> = entry.filter_map(|line| Some(line["add"]["path"].as_str()?.to_owned())).collect();
    added.sort();
    added
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_waited_is_committed_with_the_data_files_that_were_written() {
    let world = left_behind("prepared", "table/_sluice");
    let manifest: Manifest = serde_json::from_slice(&fs::read(world.area.manifest().key()).unwrap()).unwrap();
    let note: Value = serde_json::from_slice(&fs::read(world.area.prepared(0).key()).unwrap()).unwrap();
    let task = manifest.chunks[0].task(&world.area, &world.job.job_id).body().unwrap();
    assert_eq!(world.load(&[message(&task)]).await, [Verdict::Done]);
    let mut written: Vec<&str> =
        note["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    written.sort_unstable();
    assert_eq!(added_last(&world), written);
    let rows = world.rows().await;
    assert_eq!((rows.len(), world.receipt().await.unwrap().rows.committed), (12, 6));
    assert!(rows.contains(&"id=7 name=name 7 price=7.25 day=2026-01-02".to_owned()), "{rows:?}");
    assert!(world.log().concat().contains("\"minValues\\\":{\\\"id\\\":7"), "statistics come along");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_is_taken_along() {
    let world = left_behind("offer", "area");
    let offered = fs::read_dir(world.folder.path().join("table/_sluice/_offers")).unwrap().next().unwrap();
    let offer: Value = serde_json::from_slice(&fs::read(offered.unwrap().path()).unwrap()).unwrap();
    let next = world.chunk(3, &numbered(6..8)).await;
    world.load_done(&[next]).await;
    assert!(added_last(&world).contains(&offer["chunks"][0]["files"][0]["path"].as_str().unwrap().to_owned()));
    assert_eq!(world.rows().await.len(), 8);
}
