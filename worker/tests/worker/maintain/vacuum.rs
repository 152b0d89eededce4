//! Files that no version within the retention names are removed, and no others.

use std::path::{Path, PathBuf};

use serde_json::json;
use shared::{PutMode, put_json};
use worker::{Checkpoints, Cleared, LoadError, Maintenance, Vacuum, maintain};

use super::{DAY, HOUR, NOTHING, aged, on_disk};
use crate::support::{Load, World, expected, numbered, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vacuum_takes_what_nothing_names() {
    let world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[task]).await;
    let unnamed = ["stray.parquet", "part.parquet.1.partial"];
    let kept = ["staged.parquet", "young.parquet", "notes.txt", "_sluice/x/chunks/0.parquet"];
    for name in unnamed.into_iter().chain(kept) {
        std::fs::create_dir_all(world.path(name).parent().unwrap()).unwrap();
        std::fs::write(world.path(name), "four").unwrap();
    }
    let staged = world.area.root().join("staged/00001.json");
    let note = json!({"rows": {}, "actions": [{"add": {"path": "day=1/staged.parquet"}}]});
    put_json(world.context.storage.as_ref(), &staged, &note, PutMode::Overwrite).await.unwrap();
    aged(on_disk(&world.table), 2 * HOUR);
    aged(&world.path("young.parquet"), HOUR / 2);
    let asked = Maintenance { vacuum: Vacuum::After(HOUR), ..NOTHING };
    let dry = world.maintain(Maintenance { dry_run: true, ..asked }).await.vacuum;
    assert_eq!((dry, world.path("stray.parquet").exists()), (Some(Cleared { objects: 2, bytes: 8 }), true));
    assert_eq!(
        world.maintain(Maintenance { vacuum: Vacuum::AsTheTableSays, ..NOTHING }).await.vacuum,
        Some(Cleared::default()),
        "7 days"
    );
    assert_eq!(world.maintain(asked).await.vacuum, dry);
    assert!(unnamed.iter().all(|name| !world.path(name).exists()));
    for name in kept {
        assert!(world.path(name).exists(), "{name}");
    }
    assert_eq!(world.maintain(asked).await.vacuum, Some(Cleared::default()));
    assert_eq!(world.rows().await, expected(0..10));
    assert_eq!(world.log().len(), 2, "vacuum adds no version");
    let hasty = Maintenance { vacuum: Vacuum::After(HOUR / 2), ..asked };
    let refused = maintain(&world.context, &world.table, &world.prefix(), &hasty).await;
    assert!(matches!(refused, Err(LoadError::Retention { .. })), "{refused:?}");
    aged(Path::new(staged.key()), 15 * DAY);
    assert_eq!(world.maintain(asked).await.vacuum, Some(Cleared { objects: 1, bytes: 4 }), "given up long ago");
    assert!(!world.path("staged.parquet").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vacuum_keeps_what_a_version_within_the_retention_names() {
    let world = world().await;
    let task = world.chunk(0, &numbered(0..10)).await;
    world.load_done(&[task]).await;
    world.undo_before(10 * DAY).await;
    let removed: Vec<PathBuf> =
        std::fs::read_dir(world.table.key()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let file = removed.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "parquet")).unwrap();
    aged(&file, 20 * DAY);
    // The checkpoint has forgotten by now that the file was removed.
    let after = |days: u32| Maintenance { vacuum: Vacuum::After(days * DAY), ..NOTHING };
    world.maintain(Maintenance { checkpoint: Checkpoints::Always, ..NOTHING }).await;
    assert_eq!(world.maintain(after(14)).await.vacuum, Some(Cleared::default()));
    assert_eq!(world.maintain(after(9)).await.vacuum.unwrap().objects, 1);
    assert!(!file.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vacuum_of_a_partitioned_table() {
    let world = World::new(Load {
        partition_by: &["_name"],
        sql: Some("select id, name as _name from chunk"),
        ..Load::default()
    });
    let world = world.await;
    let task = world.chunk(0, &numbered(0..9)).await;
    world.load_done(&[task]).await;
    for name in ["_name=n1/stray.parquet", "_other=1/stray.parquet"] {
        std::fs::create_dir_all(world.path(name).parent().unwrap()).unwrap();
        std::fs::write(world.path(name), "four").unwrap();
    }
    aged(on_disk(&world.table), 2 * HOUR);
    let rows = world.rows().await;
    let asked = Maintenance { vacuum: Vacuum::After(HOUR), ..NOTHING };
    assert_eq!(world.maintain(asked).await.vacuum, Some(Cleared { objects: 1, bytes: 4 }));
    assert!(!world.path("_name=n1/stray.parquet").exists() && world.path("_other=1/stray.parquet").exists());
    assert_eq!((world.rows().await, rows.len()), (rows, 9));
}
