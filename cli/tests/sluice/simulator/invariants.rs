//! What must hold after every step: each thing that lands is looked at with all that landed before it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use deltalake::Path;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::checksum::Checksum;
use shared::{
    Checkpoint, ChunkEntry, ChunkReceipt, ChunkTask, CommitMode, Failure, Job, JobId, Location, Manifest, Receipt, Rows,
};

/// How application ids begin that have a URI of the table.
const NAME: &str = "sluice/table/";

/// Where chunks are offered to others.
const OFFERS: &str = "t/_sluice/_offers/";

pub(crate) type Checked = Result<(), String>;

/// What does not hold is told.
pub(crate) fn ensure(holds: bool, or: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(or()) }
}

/// Everything that has landed, by what it says.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// What was found to be wrong.
    pub(crate) broken: Vec<String>,
    pub(crate) jobs: HashMap<JobId, Job>,
    pub(crate) manifests: HashMap<JobId, Manifest>,
    pub(crate) receipts: HashMap<JobId, Receipt>,
    /// Bodies of the tasks that were sent.
    pub(crate) tasks: BTreeSet<String>,
    /// Objects that never change, by their digests.
    fixed: HashMap<Location, String>,
    /// Chunks by job and index: bytes and checksum.
    chunks: HashMap<(JobId, u32), (u64, String)>,
    sent: HashSet<(JobId, u32)>,
    /// What became of the rows of chunks.
    accounts: HashMap<(JobId, u32), Rows>,
    loaded: HashSet<(JobId, u32)>,
    /// Chunks that wait for the others of their file, and the data files that they wait with.
    prepared: HashSet<(JobId, u32)>,
    kept: BTreeSet<String>,
    /// Transactions in the table.
    pub(crate) transactions: HashSet<String>,
    /// Data files that the table's log names or has named.
    named: BTreeSet<String>,
    /// Those that are in the table, and the jobs that they are of.
    files: BTreeMap<String, JobId>,
    /// Jobs whose seals are broken, since later drops have taken their place.
    pub(crate) replaced: HashSet<JobId>,
    /// Jobs by the places where drops are noted, and their numbers.
    drops: BTreeMap<(String, u32), JobId>,
    versions: u64,
    /// eTag of each source as it is now.
    pub(crate) newest: HashMap<Location, String>,
}

impl Ledger {
    /// An object landed in the store of work areas.
    pub(crate) fn put(&mut self, at: &Location, body: &Bytes) -> Checked {
        if let Some(below) = at.key().strip_prefix("sluice_drops/") {
            self.never_changes(at, body)?;
            let (root, _) = below.split_once('/').unwrap();
            let job = read::<Value>(body)?["job_id"].as_str().unwrap().to_owned();
            self.drops.insert((root.to_owned(), number(below)), JobId::from(job));
            return Ok(());
        }
        let Some((job, name)) = at.key().strip_prefix("sluice/").and_then(|below| below.split_once('/')) else {
            return Err(format!("{at} is no place to write to"));
        };
        let (job, folder) = (JobId::from(job.to_owned()), name.split('/').next().unwrap());
        if ["job.json", "manifest.json", "receipt.json", "chunks"].contains(&folder) || name.contains("/split-") {
            self.never_changes(at, body)?;
        }
        match folder {
            "job.json" => drop(self.jobs.insert(job, read(body)?)),
            "chunks" => {
                let length = u64::try_from(body.len()).unwrap();
                self.chunks.insert((job, number(name)), (length, checksum(body)));
            }
            "checkpoint.json" => self.announced(&job, &read::<Checkpoint>(body)?.chunks)?,
            "manifest.json" => {
                let manifest: Manifest = read(body)?;
                self.announced(&job, &manifest.chunks)?;
                self.manifests.insert(job, manifest);
            }
            "prepared" => self.prepare(job, number(name), &read(body)?),
            "staged" => self.account(job, &read(body)?)?,
            "loaded" => self.load(job, &read(body)?)?,
            "receipt.json" => self.complete(job, read(body)?)?,
            "quarantine" => {}
            "undone.json" => {
                let is_replaced = self.replaced.contains(&job);
                ensure(is_replaced, || format!("{job} is noted as replaced before it is"))?;
            }
            _ if job.as_str() == "_failures" => {
                let failure: Failure = read(body)?;
                if ["bug", "panic"].iter().any(|word| failure.last_error.contains(word)) {
                    return Err(format!("a message failed on a bug: {}", failure.last_error));
                }
            }
            _ => return Err(format!("{at} is not known")),
        }
        Ok(())
    }

    /// Two attempts at a split may both come to its end, at two times; all else of what they write is the same.
    fn never_changes(&mut self, at: &Location, body: &Bytes) -> Checked {
        let mut body = body.clone();
        if at.name() == "manifest.json" {
            let manifest = Manifest { run: None, ..read(&body)? };
            body = serde_json::to_vec(&manifest).unwrap().into();
        }
        let digest = checksum(&body);
        match self.fixed.insert(at.clone(), digest.clone()) {
            Some(before) if before != digest => Err(format!("{at} was written with other bytes than before")),
            _ => Ok(()),
        }
    }

    fn has_chunk(&self, job: &JobId, entry: (u32, u64, &str)) -> Checked {
        let (index, bytes, checksum) = entry;
        match self.chunks.get(&(job.clone(), index)) {
            Some((length, sum)) if *length == bytes && sum == checksum => Ok(()),
            other => Err(format!("chunk {index} of {job} is announced, and what is stored is {other:?}")),
        }
    }

    fn announced(&self, job: &JobId, chunks: &[ChunkEntry]) -> Checked {
        for entry in chunks {
            self.has_chunk(job, (entry.index, entry.bytes, &entry.checksum))?;
            if !self.sent.contains(&(job.clone(), entry.index)) {
                return Err(format!("chunk {} of {job} is noted, and its task was not sent", entry.index));
            }
        }
        Ok(())
    }

    fn account(&mut self, job: JobId, receipt: &ChunkReceipt) -> Checked {
        if !receipt.rows.balance() {
            return Err(format!("the rows of chunk {} of {job} do not balance: {:?}", receipt.index, receipt.rows));
        }
        match self.accounts.insert((job, receipt.index), receipt.rows) {
            Some(before) if before != receipt.rows => {
                Err(format!("{before:?} became {:?} in chunk {}", receipt.rows, receipt.index))
            }
            _ => Ok(()),
        }
    }

    fn load(&mut self, job: JobId, receipt: &ChunkReceipt) -> Checked {
        self.is_in_table(&job, receipt.index)?;
        if receipt.table_version.is_some_and(|version| version >= self.versions) {
            return Err(format!("the receipt of chunk {} names a version that is not there", receipt.index));
        }
        self.loaded.insert((job.clone(), receipt.index));
        self.account(job, receipt)
    }

    fn complete(&mut self, job: JobId, receipt: Receipt) -> Checked {
        let manifest = self.manifests.get(&job).ok_or("a receipt comes before its manifest")?;
        for chunk in &manifest.chunks {
            self.is_in_table(&job, chunk.index)?;
        }
        if receipt.rows.read != manifest.records || !receipt.rows.balance() {
            return Err(format!("{} records, and the receipt has {:?}", manifest.records, receipt.rows));
        }
        match self.receipts.insert(job, receipt) {
            Some(_) => Err("a receipt was written twice".to_owned()),
            None => Ok(()),
        }
    }

    /// A chunk waits for the others of its file.
    fn prepare(&mut self, job: JobId, index: u32, document: &Value) {
        self.prepare_files(document);
        self.prepared.insert((job, index));
    }

    /// Data files are written down where several workers see them.
    fn prepare_files(&mut self, document: &Value) {
        let files = document["files"].as_array().unwrap().iter();
        self.kept.extend(files.map(|file| format!("t/{}", file["path"].as_str().unwrap())));
    }

    pub(crate) fn is_whole(&self, job: &JobId) -> bool {
        self.jobs[job].load.commit == CommitMode::File
    }

    /// A version with chunks of a file that goes into one commit has all of them.
    fn is_complete(&self, ids: &[String]) -> Checked {
        let mut counts: BTreeMap<JobId, usize> = BTreeMap::new();
        for (job, _) in ids.iter().filter_map(|id| id.strip_prefix("sluice/")?.split_once('/')) {
            *counts.entry(JobId::from(job.to_owned())).or_default() += 1;
        }
        for (job, count) in counts {
            let all = self.manifests.get(&job).map(|manifest| manifest.chunks.len());
            let holds = !self.is_whole(&job) || all == Some(count);
            ensure(holds, || format!("{count} of {all:?} chunks of {job} were committed"))?;
        }
        Ok(())
    }

    fn is_in_table(&self, job: &JobId, index: u32) -> Checked {
        let is_there = self.transactions.contains(&format!("sluice/{job}/{index}"));
        ensure(is_there, || format!("chunk {index} of {job} is not in the table"))
    }

    /// A chunk task was sent.
    pub(crate) fn send(&mut self, body: &str) -> Checked {
        let chunk = ChunkTask::parse(body).unwrap().chunk.unwrap();
        self.tasks.insert(body.to_owned());
        self.sent.insert((chunk.job_id.clone(), chunk.index));
        self.has_chunk(&chunk.job_id, (chunk.index, chunk.bytes, &chunk.checksum))
    }

    /// A chunk task is done.
    pub(crate) fn acknowledge_task(&self, body: &str) -> Checked {
        let chunk = ChunkTask::parse(body).unwrap().chunk.unwrap();
        if self.replaced.contains(&chunk.job_id) {
            return Ok(());
        }
        if self.is_whole(&chunk.job_id) {
            let waits = self.prepared.contains(&(chunk.job_id, chunk.index));
            return ensure(waits, || format!("the task of chunk {} is acknowledged before it waits", chunk.index));
        }
        self.is_in_table(&chunk.job_id, chunk.index)?;
        let has_receipt = self.loaded.contains(&(chunk.job_id, chunk.index));
        ensure(has_receipt, || format!("the task of chunk {} is acknowledged before its receipt", chunk.index))
    }

    /// News of a drop are done.
    pub(crate) fn acknowledge_event(&self, body: &str, has_copy: bool) -> Checked {
        let news: Value = serde_json::from_str(body).unwrap();
        let text = |pointer| news.pointer(pointer).and_then(Value::as_str).unwrap();
        let (bucket, key) = (text("/Records/0/s3/bucket/name"), text("/Records/0/s3/object/key"));
        let (at, e_tag) = (Location::from_bucket_and_key(bucket, key).unwrap(), text("/Records/0/s3/object/eTag"));
        let is_split = |job: &Job| job.source.uri == at && job.source.version.0 == e_tag;
        let is_split = self.manifests.keys().any(|job| is_split(&self.jobs[job]));
        let is_superseded = self.newest[&at] != e_tag;
        let is_done = is_split || is_superseded || has_copy;
        ensure(is_done, || format!("news of {at} is acknowledged before it is split"))
    }

    /// An object landed in the table's store.
    pub(crate) fn put_to_table(&mut self, at: &Path, body: &Bytes, exists: impl Fn(&Path) -> bool) -> Checked {
        let name = at.as_ref();
        if name.starts_with(OFFERS) {
            let offer: Value = read(body)?;
            for chunk in offer["chunks"].as_array().unwrap() {
                self.prepare_files(chunk);
            }
            return Ok(());
        }
        if at.extension() == Some("parquet") {
            return ensure(!self.named.contains(name), || format!("{name}, which the log names, was written again"));
        }
        let version = name.strip_prefix("t/_delta_log/").and_then(|name| name.strip_suffix(".json"));
        let version: u64 = version.and_then(|text| text.parse().ok()).ok_or_else(|| format!("{name} is not known"))?;
        if version != self.versions {
            return Err(format!("version {version} was written when {} was next", self.versions));
        }
        self.versions += 1;
        let (mut ids, mut removed) = (Vec::new(), Vec::new());
        for line in std::str::from_utf8(body).unwrap().lines() {
            let action: Value = serde_json::from_str(line).unwrap();
            self.commit(&action, &exists)?;
            let id = action.pointer("/txn/appId").and_then(Value::as_str).filter(|id| !id.starts_with(NAME));
            ids.extend(id.map(str::to_owned));
            removed.extend(action.pointer("/remove/path").and_then(Value::as_str).map(|path| format!("t/{path}")));
        }
        for file in removed {
            let job = self.files.remove(&file).ok_or_else(|| format!("{file} is removed, and not in the table"))?;
            ensure(self.replaced.contains(&job), || format!("{file} of {job} is removed"))?;
        }
        let left = self.files.iter().find(|(_, job)| self.replaced.contains(job));
        ensure(left.is_none(), || format!("{left:?} stays in the table, and its job is replaced"))?;
        self.is_complete(&ids)
    }

    /// The job's place is taken by a later one.
    fn replace(&mut self, job: JobId) -> Checked {
        let is_last = self
            .drops
            .iter()
            .all(|((root, number), known)| *known != job || !self.drops.contains_key(&(root.clone(), number + 1)));
        ensure(!is_last, || format!("{job} is replaced, and nothing came after it"))?;
        let text = format!("{job} is replaced twice");
        ensure(self.replaced.insert(job), || text)
    }

    fn commit(&mut self, action: &Value, exists: &impl Fn(&Path) -> bool) -> Checked {
        let text = |pointer| action.pointer(pointer).and_then(Value::as_str);
        if let Some(id) = text("/txn/appId").filter(|id| id.starts_with(NAME)) {
            ensure(self.transactions.insert(id.to_owned()), || format!("{id} is in the table twice"))?;
        } else if let Some(id) = text("/txn/appId") {
            let job = JobId::from(id.trim_start_matches("sluice/").split('/').next().unwrap().to_owned());
            if action["txn"]["version"] == -1 {
                return self.replace(job);
            }
            ensure(!self.replaced.contains(&job), || format!("{id} comes after its job was replaced"))?;
            ensure(self.transactions.insert(id.to_owned()), || format!("{id} is in the table twice"))?;
        }
        if let Some(file) = text("/add/path") {
            let file = format!("t/{file}");
            if !exists(&Path::parse(&file).unwrap()) {
                return Err(format!("the log names {file}, which is not there"));
            }
            if !self.named.insert(file.clone()) {
                return Err(format!("the log names {file} twice"));
            }
            let chunk = action.pointer("/add/tags/sluice.chunk").and_then(Value::as_str).ok_or("a file of no chunk")?;
            let job = chunk.trim_start_matches("sluice/").split('/').next().unwrap();
            self.files.insert(file, JobId::from(job.to_owned()));
        }
        Ok(())
    }

    /// An object of the table's store is about to be deleted.
    pub(crate) fn delete(&self, at: &Path) -> Checked {
        if at.as_ref().starts_with(OFFERS) {
            return Ok(());
        }
        let is_known = self.named.contains(at.as_ref()) || self.kept.contains(at.as_ref());
        ensure(!is_known && at.extension() == Some("parquet"), || format!("{at} is deleted, and is known"))
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn number(name: &str) -> u32 {
    let file = name.rsplit('/').next().unwrap();
    file.split('.').next().unwrap().parse().unwrap()
}

fn checksum(body: &[u8]) -> String {
    let mut checksum = Checksum::default();
    checksum.update(body);
    checksum.text()
}
