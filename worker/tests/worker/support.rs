//! A work area and a table in a folder of their own.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use deltalake::logstore::ObjectStoreRef;
use deltalake::{DeltaTable, Path};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use shared::checksum::Checksum;
use shared::{
    BadRecords, ChunkEntry, ChunkReceipt, CommitMode, DataFileMode, Format, Job, LoadPolicy, Location, Manifest,
    Message, NdjsonPolicy, ObjectVersion, OtherKeys, Policy, PutMode, Receipt, ReceiptHandle, Settings, SourceObject,
    Stores, TextPolicy, Verdict, WorkArea, get_json, put_json, try_get_json,
};
use tempfile::TempDir;
use worker::{LoadContext, TableStore, Tables, load};

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) context: LoadContext,
    pub(crate) job: Job,
    pub(crate) area: WorkArea,
    pub(crate) table: Location,
}

/// How the chunks of a world are to be loaded.
#[derive(Default)]
pub(crate) struct Load<'a> {
    pub(crate) sql: Option<&'a str>,
    pub(crate) partition_by: &'a [&'a str],
    pub(crate) bad_records: BadRecords,
    pub(crate) commit: CommitMode,
    /// Whether chunks are row groups of a Parquet source.
    pub(crate) of_parquet: bool,
    pub(crate) data_files: DataFileMode,
}

pub(crate) async fn world() -> World {
    World::new(Load::default()).await
}

impl World {
    pub(crate) async fn new(load: Load<'_>) -> Self {
        let folder = TempDir::new().unwrap();
        let root: Location = folder.path().to_str().unwrap().parse().unwrap();
        let table = root.join("table");
        let job = job(&root.join("in.csv"), &table, 1 << 20, &load);
        let mut settings = Settings::from_lookup(|_| None).unwrap();
        settings.table = Some(table.clone());
        settings.load.data_files = load.data_files;
        settings.commit.initial = std::time::Duration::from_millis(5);
        settings.commit.max_attempts = 200;
        let context = LoadContext::new(Stores::from_env(), settings, TableStore::default());
        let area = WorkArea::new(&root.join("area"), &job.job_id);
        put_json(context.storage.as_ref(), &area.job(), &job, PutMode::Overwrite).await.unwrap();
        Self { folder, context, job, area, table }
    }

    /// Another job, bound for the same table.
    pub(crate) async fn beside(world: &Self) -> Self {
        let mut other = Self::new(Load::default()).await;
        let source = other.job.source.uri.clone();
        other.job = job(&source, &world.table, 1 << 20, &Load::default());
        other.table = world.table.clone();
        other.context.settings.table = Some(world.table.clone());
        put_json(other.context.storage.as_ref(), &other.area.job(), &other.job, PutMode::Overwrite).await.unwrap();
        other
    }

    /// Forgets what a process keeps of its tables.
    pub(crate) fn restart(&mut self) {
        self.context.tables = Tables::default();
    }

    /// What another process has.
    pub(crate) fn other_process(&self) -> LoadContext {
        let (table_store, tables) = (TableStore::default(), Tables::default());
        LoadContext { table_store, tables, ..self.context.clone() }
    }

    /// Has another process, whose tables are reached by this store, go on.
    pub(crate) fn restart_with(&mut self, store: ObjectStoreRef) {
        self.context = self.other_process();
        self.context.table_store.object_store = Some(store);
    }

    /// Stores a chunk and gives the message that tells of it.
    pub(crate) async fn chunk(&self, index: u32, rows: &RecordBatch) -> Message {
        let entry = self.store(index, rows).await;
        message(&entry.task(&self.area, &self.job.job_id).body().unwrap())
    }

    pub(crate) async fn store(&self, index: u32, rows: &RecordBatch) -> ChunkEntry {
        self.store_encoded(index, rows.num_rows() as u64, encode(rows)).await
    }

    pub(crate) async fn store_encoded(&self, index: u32, rows: u64, bytes: Vec<u8>) -> ChunkEntry {
        let mut checksum = Checksum::default();
        checksum.update(&bytes);
        let length = bytes.len() as u64;
        self.context.storage.put(&self.area.chunk(index), bytes.into(), PutMode::Overwrite).await.unwrap();
        ChunkEntry { index, rows, bytes: length, checksum: checksum.text() }
    }

    /// Says that the job consists of these chunks.
    pub(crate) async fn manifest(&self, chunks: Vec<ChunkEntry>) {
        let records = chunks.iter().map(|chunk| chunk.rows).sum();
        let job_id = self.job.job_id.clone();
        let manifest = Manifest {
            version: 1,
            job_id,
            records,
            quarantined: 0,
            shortened: 0,
            chunks,
            quarantine: vec![],
            content: None,
            lines: None,
            run: None,
        };
        put_json(self.context.storage.as_ref(), &self.area.manifest(), &manifest, PutMode::Overwrite).await.unwrap();
    }

    pub(crate) async fn load(&self, messages: &[Message]) -> Vec<Verdict> {
        load(&self.context, messages).await
    }

    pub(crate) async fn load_done(&self, messages: &[Message]) {
        for verdict in self.load(messages).await {
            assert_eq!(verdict, Verdict::Done);
        }
    }

    /// The reason for which a message is rejected.
    pub(crate) async fn rejected(&self, message: Message) -> String {
        match self.load(&[message]).await.remove(0) {
            Verdict::Reject { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn chunk_receipt(&self, index: u32) -> ChunkReceipt {
        get_json(self.context.storage.as_ref(), &self.area.chunk_receipt(index), "chunk receipt").await.unwrap()
    }

    pub(crate) async fn receipt(&self) -> Option<Receipt> {
        try_get_json(self.context.storage.as_ref(), &self.area.receipt(), "receipt").await.unwrap()
    }

    pub(crate) async fn delta(&self) -> DeltaTable {
        deltalake::open_table(url::Url::from_directory_path(self.table.key()).unwrap()).await.unwrap()
    }

    pub(crate) fn no_table(&self) -> bool {
        !std::path::Path::new(self.table.key()).join("_delta_log").exists()
    }

    /// Commits of the table's log, as text.
    pub(crate) fn log(&self) -> Vec<String> {
        let folder = std::path::Path::new(self.table.key()).join("_delta_log");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|ending| ending == "json"));
        files.sort();
        files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
    }

    /// The rows that readers of the table see: each as `column=value` in the order of the table's columns, sorted.
    pub(crate) async fn rows(&self) -> Vec<String> {
        let table = self.delta().await;
        let state = table.snapshot().unwrap();
        let names: Vec<String> = state.schema().fields().map(|field| field.name().clone()).collect();
        let mut rows = Vec::new();
        for file in state.log_data().iter() {
            let path = std::path::Path::new(self.table.key()).join(Path::parse(file.path()).unwrap().as_ref());
            let partition = file.partition_values_map();
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
            for batch in reader {
                let batch = batch.unwrap();
                for row in 0..batch.num_rows() {
                    let value = |name: &String| {
                        let in_path = partition.get(name).map(|value| value.clone().unwrap_or("null".to_owned()));
                        let in_file =
                            || batch.column_by_name(name).map_or("null".to_owned(), |column| show(column, row));
                        format!("{name}={}", in_path.unwrap_or_else(in_file))
                    };
                    rows.push(names.iter().map(value).collect::<Vec<_>>().join(" "));
                }
            }
        }
        rows.sort();
        rows
    }

    /// Data files that lie in the table's folder, named by the log or not.
    pub(crate) fn files_on_disk(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
            entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
        }
        count(std::path::Path::new(self.table.key()))
            - count(&std::path::Path::new(self.table.key()).join("_delta_log"))
    }
}

fn show(column: &ArrayRef, row: usize) -> String {
    let options = FormatOptions::default().with_null("null");
    ArrayFormatter::try_new(column.as_ref(), &options).unwrap().value(row).to_string()
}

pub(crate) fn job(source: &Location, table: &Location, chunk_bytes: u64, load: &Load<'_>) -> Job {
    let source = SourceObject { uri: source.clone(), size: 1, version: ObjectVersion("1".to_owned()) };
    let format = if load.of_parquet {
        Format::Parquet { column_names: vec![], int96_instants: false }
    } else {
        Format::Ndjson(NdjsonPolicy {
            data_start: 0,
            columns: vec![],
            null_words: vec![],
            other_keys: OtherKeys::default(),
        })
    };
    let policy = Policy {
        encoder: 0,
        chunk_bytes,
        block_bytes: 1 << 20,
        max_record_bytes: 1 << 20,
        codec: "snappy".to_owned(),
        bad_records: load.bad_records,
        text: TextPolicy::default(),
        format,
    };
    let partition_by = load.partition_by.iter().map(|&name| name.to_owned()).collect();
    let load =
        LoadPolicy { sql: load.sql.map(str::to_owned), partition_by, commit: load.commit, ..LoadPolicy::default() };
    Job::new(source, table, 1, Some(table.clone()), policy, load)
}

pub(crate) fn message(body: &str) -> Message {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let id = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
    Message { receipt: ReceiptHandle(id.clone()), id, body: body.to_owned(), receive_count: 1 }
}

/// Parquet with several row groups.
pub(crate) fn encode(rows: &RecordBatch) -> Vec<u8> {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.into_inner().unwrap()
}

pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true))).unwrap()
}

/// Rows with an `id` of their own and a `name`.
pub(crate) fn numbered(ids: std::ops::Range<i64>) -> RecordBatch {
    let names: StringArray = ids.clone().map(|id| Some(format!("n{}", id % 3))).collect();
    let ids: Int64Array = ids.map(Some).collect();
    batch(vec![("id", Arc::new(ids)), ("name", Arc::new(names))])
}

/// The rows of [`numbered`] as [`World::rows`] gives them.
pub(crate) fn expected(ids: std::ops::Range<i64>) -> Vec<String> {
    let mut rows: Vec<String> = ids.map(|id| format!("id={id} name=n{}", id % 3)).collect();
    rows.sort();
    rows
}

pub(crate) fn strings(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

pub(crate) fn longs(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}
