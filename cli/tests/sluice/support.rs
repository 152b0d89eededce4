//! A place of one's own, the real binary, and a look into tables.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use tempfile::TempDir;

/// A file of the fixtures.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// A directory of one test's own.
#[derive(Debug)]
pub(crate) struct Place {
    dir: TempDir,
    env: Vec<(String, String)>,
}

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Variables of an account that nothing is asked of.
pub(crate) fn account() -> Vec<(String, String)> {
    let variables = [("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), env: Vec::new() }
    }

    /// More variables for every run.
    pub(crate) fn with_env(env: Vec<(String, String)>) -> Self {
        Self { env, ..Self::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(args).current_dir(self.dir.path()).env_clear().envs(self.env.iter().cloned());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.ended(self.command(args).output().unwrap())
    }

    /// What a run left, with this place's name left out.
    pub(crate) fn ended(&self, output: Output) -> Ran {
        let Output { status, stdout, stderr } = output;
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(self.dir.path().canonicalize().unwrap().to_str().unwrap(), "[place]")
        };
        Ran { status: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
    }

    /// `sluice ingest SOURCE --table t --json` and more, which must succeed.
    pub(crate) fn ingest(&self, source: &Path, more: &[&str]) -> Value {
        let ran = self.run(&[&["ingest", source.to_str().unwrap(), "--table", "t", "--json"], more].concat());
        assert_eq!(ran.status, 0, "{ran:?}");
        ran.json()
    }

    /// The work area of the one job of table `t`.
    pub(crate) fn area(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.path("t/_sluice")).unwrap().map(|entry| entry.unwrap().path());
        entries.into_iter().find(|entry| entry.join("job.json").exists()).expect("a job")
    }

    /// All rows of the table `t`, in the order of its files.
    pub(crate) fn rows(&self) -> RecordBatch {
        rows(&self.path("t"))
    }

    /// Data files of the table `t`, as its log has them.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        data_files(&self.path("t"))
    }
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Data files of a table, as its log has them.
pub(crate) fn data_files(table: &Path) -> Vec<PathBuf> {
    let url = url::Url::from_directory_path(table.canonicalize().unwrap()).unwrap();
    let opened = tokio::runtime::Runtime::new().unwrap().block_on(deltalake::open_table(url));
    let uris: Vec<String> = opened.unwrap().get_file_uris().unwrap().collect();
    let mut files: Vec<PathBuf> = uris.iter().map(|uri| PathBuf::from(uri.trim_start_matches("file://"))).collect();
    files.sort();
    files
}

/// All rows of a table, in the order of its files.
pub(crate) fn rows(table: &Path) -> RecordBatch {
    let batches: Vec<RecordBatch> = data_files(table).iter().map(|file| read(file)).collect();
    concat_batches(&batches.first().expect("a data file").schema(), &batches).unwrap()
}

/// All rows of a Parquet file.
pub(crate) fn read(file: &Path) -> RecordBatch {
    let file = std::fs::File::open(file).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}
