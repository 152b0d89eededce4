//! What must hold when everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use deltalake::Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use shared::testing::MemoryStorage;
use shared::{
    ChunkTask, Job, JobId, Location, Manifest, OnReplace, Progress, PutMode, Rows, Settings, Storage, WorkArea,
};
use splitter::{SplitContext, split};
use tokio_util::sync::CancellationToken;

use super::actors::work_prefix;
use super::invariants::{Checked, Ledger, ensure};
use super::scenario::{Source, passes_filter, row};
use super::storage::at_once;
use super::table_store::contents;
use super::world::World;

/// Looks at everything that is left; `sources` are all that were dropped, by place and eTag.
pub(crate) async fn inspect(world: &World, sources: &BTreeMap<(Location, String), Source>) -> Checked {
    let objects = world.objects.objects();
    let jobs: Vec<Job> = world.ledger().jobs.values().cloned().collect();
    let mut rows = table_rows(world)?;
    for ((at, e_tag), source) in sources {
        let of_source = |job: &&Job| job.source.uri == *at && job.source.version.0 == *e_tag;
        let job = jobs.iter().filter(of_source).max_by_key(|job| job.drop);
        let is_newest = world.ledger().newest[at] == *e_tag;
        let Some(job) = job else {
            if is_newest {
                return Err(format!("there is no job for {at}"));
            }
            continue;
        };
        let expected = expected_rows(source, job);
        let found = take_rows(&mut rows, source);
        if let Some((id, _)) = found.iter().find(|(id, row)| expected.get(id) != Some(row)) {
            return Err(format!("row {id} is in the table, and {:?} was expected", expected.get(id)));
        }
        let is_replaced = world.scenario.on_replace == OnReplace::Replace && !is_newest;
        ensure(!is_replaced || found.is_empty(), || {
            format!("rows of {} are in the table, and should be replaced", job.job_id)
        })?;
        let manifest = world.ledger().manifests.get(&job.job_id).cloned();
        match &manifest {
            // Who splits a source that is replaced meanwhile may die, and nobody comes back to it: a file that goes into one
            // commit then may stay out.
            Some(_) if !is_newest && found.is_empty() && world.ledger().is_whole(&job.job_id) => {}
            Some(manifest) => is_complete(&world.ledger(), job, manifest, (source, &expected, &found))?,
            None if is_newest => return Err(format!("{at} is not split")),
            None => {}
        }
        same_as_undisturbed(&objects, job, source).await?;
        if let Some(manifest) = manifest {
            quarantined(&objects, &job.job_id, &manifest, source)?;
        }
    }
    match rows.first_key_value() {
        Some((id, _)) => Err(format!("row {id} is in the table and in no source")),
        None => all_loaded(&world.ledger()),
    }
}

/// Every chunk that a task was sent for is in the table.
fn all_loaded(ledger: &Ledger) -> Checked {
    for body in &ledger.tasks {
        let chunk = ChunkTask::parse(body).unwrap().chunk.unwrap();
        let source = &ledger.jobs[&chunk.job_id].source;
        if ledger.replaced.contains(&chunk.job_id) {
            continue;
        }
        if ledger.is_whole(&chunk.job_id) && ledger.newest[&source.uri] != source.version.0 {
            continue;
        }
        if !ledger.transactions.contains(&format!("sluice/{}/{}", chunk.job_id, chunk.index)) {
            return Err(format!("chunk {} of {} never came into the table", chunk.index, chunk.job_id));
        }
    }
    Ok(())
}

fn expected_rows(source: &Source, job: &Job) -> BTreeMap<i64, String> {
    let passes = |id: i64| job.load.sql.is_none() || passes_filter(id);
    source.rows.iter().filter(|(id, _)| passes(**id)).map(|(id, row)| (*id, row.clone())).collect()
}

fn take_rows(rows: &mut BTreeMap<i64, String>, source: &Source) -> BTreeMap<i64, String> {
    source.rows.keys().filter_map(|id| rows.remove_entry(id)).collect()
}

type Found<'a> = (&'a Source, &'a BTreeMap<i64, String>, &'a BTreeMap<i64, String>);

fn is_complete(ledger: &Ledger, job: &Job, manifest: &Manifest, (source, expected, found): Found<'_>) -> Checked {
    if let Some(id) = expected.keys().find(|id| !found.contains_key(id)) {
        return Err(format!("row {id} is missing from the table"));
    }
    let Some(receipt) = ledger.receipts.get(&job.job_id) else {
        return Err(format!("{} is complete and has no receipt", job.job_id));
    };
    let count = |count: usize| u64::try_from(count).unwrap();
    let rows = Rows {
        read: count(source.rows.len() + source.bad.len()),
        committed: count(expected.len()),
        filtered: count(source.rows.len() - expected.len()),
        quarantined: count(source.bad.len()),
        ..Rows::default()
    };
    let is_right = receipt.rows == rows && count(manifest.chunks.len()) == u64::from(receipt.chunks);
    ensure(is_right, || format!("the receipt has {:?} and should have {rows:?}", receipt.rows))
}

/// The rows that the table's log names, by their ids.
fn table_rows(world: &World) -> Result<BTreeMap<i64, String>, String> {
    let contents: BTreeMap<Path, Bytes> = contents(&world.table).into_iter().collect();
    let mut files = BTreeMap::new();
    for (_, body) in contents.iter().filter(|(name, _)| name.extension() == Some("json")) {
        for line in std::str::from_utf8(body).unwrap().lines() {
            let action: Value = serde_json::from_str(line).unwrap();
            let path = |pointer| action.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            if let Some(removed) = path("/remove/path") {
                files.remove(&removed);
            }
            if let Some(added) = path("/add/path") {
                files.insert(added, path("/add/partitionValues/grp"));
            }
        }
    }
    let mut rows = BTreeMap::new();
    for (file, grp) in files {
        let at = Path::parse(format!("t/{file}")).unwrap();
        let body = contents.get(&at).ok_or_else(|| format!("{at}, which the log names, is gone"))?;
        for batch in batches(body) {
            add_rows(&mut rows, &batch, grp.as_deref())?;
        }
    }
    Ok(rows)
}

fn add_rows(rows: &mut BTreeMap<i64, String>, batch: &RecordBatch, grp: Option<&str>) -> Checked {
    let options = FormatOptions::default().with_null("null");
    for number in 0..batch.num_rows() {
        let value = |name: &str| match batch.column_by_name(name) {
            Some(column) => ArrayFormatter::try_new(column.as_ref(), &options).unwrap().value(number).to_string(),
            None => "null".to_owned(),
        };
        let id: i64 = value("id").parse().unwrap();
        let grp = grp.map_or_else(|| value("grp"), str::to_owned);
        if rows.insert(id, row(&value("name"), &grp, &value("extra"))).is_some() {
            return Err(format!("row {id} is in the table twice"));
        }
    }
    Ok(())
}

fn batches(file: &Bytes) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

/// The rejected records are those that were to be rejected.
fn quarantined(objects: &BTreeMap<Location, Bytes>, job: &JobId, manifest: &Manifest, source: &Source) -> Checked {
    let area = WorkArea::new(&work_prefix(), job);
    let mut found = BTreeSet::new();
    for entry in &manifest.quarantine {
        let body = objects.get(&area.root().join(&entry.key)).ok_or_else(|| format!("{} is gone", entry.key))?;
        for batch in batches(body) {
            let raw = batch.column_by_name("raw").unwrap().as_binary::<i32>().clone();
            found.extend((0..raw.len()).map(|number| raw.value(number).to_vec()));
        }
    }
    let is_right = found == source.bad && manifest.quarantined == u64::try_from(found.len()).unwrap();
    ensure(is_right, || format!("{} records are in quarantine, and should be {}", found.len(), source.bad.len()))
}

/// A split that nothing disturbs, of the same policy, makes the same chunks.
async fn same_as_undisturbed(objects: &BTreeMap<Location, Bytes>, job: &Job, source: &Source) -> Checked {
    let storage = MemoryStorage::default();
    at_once(storage.put(&job.source.uri, source.body.clone(), PutMode::Overwrite)).unwrap();
    let mut settings = Settings::from_lookup(|_| None).unwrap();
    settings.read.chunk_bytes = job.policy.chunk_bytes;
    let context = SplitContext {
        storage: Arc::new(storage.clone()),
        queue: None,
        work_prefix: work_prefix(),
        table: None,
        settings,
        threads: 1,
        topic: None,
        known: splitter::Known::default(),
        gate: None,
        announce_again: false,
        progress: Arc::new(Progress::default()),
        stop: CancellationToken::new(),
    };
    let outcome = split(&context, &job.source.uri).await.map_err(|error| error.to_string())?;
    let undisturbed = storage.objects();
    let area = WorkArea::new(&work_prefix(), &job.job_id);
    let mut index = 0;
    while let Some(chunk) = objects.get(&area.chunk(index)) {
        if undisturbed.get(&outcome.area.chunk(index)) != Some(chunk) {
            return Err(format!("chunk {index} of {} is not what an undisturbed split makes", job.job_id));
        }
        index += 1;
    }
    Ok(())
}
