//! Look-ups: small tables that SQL joins to the rows of a chunk, each pinned in one version with the job.

use std::fmt;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hex::hex;
use crate::location::Location;
use crate::storage::{ObjectStat, Storage, StorageError};

/// Look-ups that a query may have at most.
const MOST: usize = 16;

/// Bytes of a look-up's file that are read at once while it is pinned.
const PIECE_BYTES: u64 = 8 << 20;

/// Bytes of a file, or of a log's entry, that is pinned at most.
const MOST_BYTES: u64 = 1 << 30;

/// Bytes of a digest.
const DIGEST_BYTES: usize = 16;

/// Names that the chunk has in SQL.
const TAKEN: [&str; 2] = ["chunk", "source"];

/// A look-up as settings name it: `LOOKUPS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Its name in SQL.
    pub name: String,
    /// Where it lies: a file, or the root of a Delta table.
    pub from: Location,
}

/// How a look-up is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupFormat {
    /// A Parquet file: its name ends with `.parquet`.
    Parquet,
    /// A CSV file with a header: its name ends with `.csv`.
    Csv,
    /// A Delta table: anything else.
    Delta,
}

/// A look-up in one version, as a job keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedLookup {
    /// Its name in SQL.
    pub name: String,
    /// Where it lies.
    pub from: Location,
    /// Version of a Delta table; none of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_version: Option<u64>,
    /// Bytes of the file; of a Delta table, those of the log's entry of that version.
    pub size: u64,
    /// Digest of the same bytes.
    pub digest: String,
}

/// Why a look-up cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}look-up '{name}', {from}: {problem}", .place.as_ref().map(|place| format!("{place}, ")).unwrap_or_default())]
pub struct LookupError {
    /// Where the look-up is given, as far as that is known: the route, with its line.
    pub place: Option<String>,
    /// Its name in SQL.
    pub name: String,
    /// Where it lies.
    pub from: Location,
    /// What is wrong.
    pub problem: LookupProblem,
    /// What the store answered, where it is to blame.
    #[source]
    pub source: Option<StorageError>,
}

/// What is wrong with a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupProblem {
    /// There is no such file, or no such table.
    Missing(String),
    /// It is no longer what the job was begun with.
    Changed(String),
    /// It has more bytes than there is room for.
    TooLarge(String),
    /// It cannot be decoded, or a key has several rows.
    Unusable(String),
    /// Its store did not do its work.
    Store,
}

impl fmt::Display for LookupProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(reason) | Self::TooLarge(reason) | Self::Unusable(reason) => f.write_str(reason),
            Self::Changed(reason) => write!(f, "it changed since the job was begun: {reason}"),
            Self::Store => f.write_str("it cannot be read"),
        }
    }
}

impl LookupError {
    /// What may help.
    pub fn hint(&self) -> Option<&'static str> {
        match &self.problem {
            LookupProblem::Missing(_) => Some(
                "a look-up is a file that ends with .parquet or .csv, or the root of a Delta table; put it there, then replay",
            ),
            LookupProblem::Changed(_) => Some(
                "put the former version back and replay; or take the job out with `sluice undo`, then ingest with --again, which takes \
                 the present version. A Delta table keeps its versions",
            ),
            LookupProblem::TooLarge(_) => {
                Some("keep the rows and columns in it that SQL needs, or set a larger MEMORY_MB for the workers")
            }
            LookupProblem::Unusable(_) => Some("docs/sql.md says what a look-up must be like"),
            LookupProblem::Store => None,
        }
    }

    /// The same with where the look-up is given.
    #[must_use]
    pub fn at(self, place: Option<&str>) -> Self {
        Self { place: place.map(str::to_owned), ..self }
    }
}

impl Lookup {
    /// `NAME=URI`, several separated by commas; the error says what is expected.
    pub(crate) fn list(text: &str) -> Result<Vec<Self>, String> {
        let mut all: Vec<Self> = Vec::new();
        for given in text.split(',').map(str::trim).filter(|given| !given.is_empty()) {
            let (name, from) = given.split_once('=').ok_or("NAME=URI, separated by commas")?;
            let (name, from) = (name.trim(), from.trim());
            check_name(name)?;
            if all.iter().any(|known| known.name == name) {
                return Err(format!("each name once; '{name}' is there twice"));
            }
            let from = from.parse().map_err(|error| format!("NAME=URI, separated by commas; {name}: {error}"))?;
            all.push(Self { name: name.to_owned(), from });
        }
        if all.len() > MOST { Err(format!("{MOST} look-ups at most")) } else { Ok(all) }
    }

    /// How it is stored, by the ending of its name.
    pub fn format(&self) -> LookupFormat {
        format_of(&self.from)
    }

    /// Finds its present version, and reads what tells that from others.
    pub async fn pin(&self, storage: &dyn Storage) -> Result<PinnedLookup, LookupError> {
        let pinned = |table_version, size, digest| {
            let Self { name, from } = self.clone();
            PinnedLookup { name, from, table_version, size, digest }
        };
        if self.format() != LookupFormat::Delta {
            let (size, digest) = self.digested(storage, &self.from, "there is no such file").await?;
            return Ok(pinned(None, size, digest));
        }
        let log = self.from.join("_delta_log");
        let listed = match storage.list(&log).await {
            Ok(listed) => listed,
            Err(StorageError::NotFound { .. }) => Vec::new(),
            Err(source) => return Err(self.store(source)),
        };
        let own = listed.iter().filter(|file| file.location.parent().as_ref() == Some(&log));
        let Some(version) = own.filter_map(|file| version_of(file.location.name())).max() else {
            return Err(
                self.wrong(LookupProblem::Missing("there is no Delta table, and no file of this name".to_owned()))
            );
        };
        let entry = log_entry(&self.from, version);
        let gone = "the last entry of its log is gone";
        let (size, digest) = self.digested(storage, &entry, gone).await?;
        Ok(pinned(Some(version), size, digest))
    }

    /// Length and digest of an object, read piece by piece in one version.
    async fn digested(
        &self,
        storage: &dyn Storage,
        at: &Location,
        missing: &str,
    ) -> Result<(u64, String), LookupError> {
        let stat = self.stat(storage, at, missing).await?;
        if stat.size > MOST_BYTES {
            let reason = format!("it has {} MiB, and a look-up has {} at most", stat.size >> 20, MOST_BYTES >> 20);
            return Err(self.wrong(LookupProblem::TooLarge(reason)));
        }
        let mut digest = Sha256::new();
        let mut read = 0;
        while read < stat.size {
            let end = stat.size.min(read + PIECE_BYTES);
            let piece = storage.get_range(at, &stat.version, read..end).await.map_err(|source| self.store(source))?;
            digest.update(&piece);
            read = end;
        }
        Ok((stat.size, hex(&digest.finalize(), DIGEST_BYTES)))
    }

    async fn stat(&self, storage: &dyn Storage, at: &Location, missing: &str) -> Result<ObjectStat, LookupError> {
        storage.stat(at).await.map_err(|source| match source {
            StorageError::NotFound { .. } => self.wrong(LookupProblem::Missing(missing.to_owned())),
            source => self.store(source),
        })
    }

    fn wrong(&self, problem: LookupProblem) -> LookupError {
        let Self { name, from } = self.clone();
        LookupError { place: None, name, from, problem, source: None }
    }

    fn store(&self, source: StorageError) -> LookupError {
        LookupError { source: Some(source), ..self.wrong(LookupProblem::Store) }
    }
}

impl PinnedLookup {
    /// The look-up, in whichever version.
    pub fn lookup(&self) -> Lookup {
        Lookup { name: self.name.clone(), from: self.from.clone() }
    }

    /// Reads the very bytes that were pinned: of a file, or of the log's entry of a Delta table.
    pub async fn read(&self, storage: &dyn Storage) -> Result<Bytes, LookupError> {
        let lookup = self.lookup();
        let changed = |reason: String| self.wrong(LookupProblem::Changed(reason));
        let (at, missing) = match self.table_version {
            Some(version) => (log_entry(&self.from, version), format!("version {version} is no longer in its log")),
            None => (self.from.clone(), "the file is gone".to_owned()),
        };
        let stat = match lookup.stat(storage, &at, &missing).await {
            Err(LookupError { problem: LookupProblem::Missing(reason), .. }) => return Err(changed(reason)),
            stat => stat?,
        };
        let what = self.table_version.map(|version| format!("version {version} of its log")).unwrap_or_default();
        if stat.size != self.size {
            let subject = if what.is_empty() { "it" } else { &what };
            return Err(changed(format!("{subject} has {} bytes, and had {}", stat.size, self.size)));
        }
        let (mut bytes, mut read) = (BytesMut::new(), 0);
        while read < stat.size {
            let end = stat.size.min(read + PIECE_BYTES);
            let piece = storage.get_range(&at, &stat.version, read..end).await;
            bytes.extend_from_slice(&piece.map_err(|source| lookup.store(source))?);
            read = end;
        }
        if hex(&Sha256::digest(&bytes), DIGEST_BYTES) != self.digest {
            return Err(changed(format!(
                "{} other bytes",
                if what.is_empty() { "it has".to_owned() } else { what + " has" }
            )));
        }
        Ok(bytes.freeze())
    }

    /// That something is wrong with it.
    pub fn wrong(&self, problem: LookupProblem) -> LookupError {
        self.lookup().wrong(problem)
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let is_word = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !is_word || name.is_empty() || name.len() > 64 || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("NAME=URI, separated by commas; '{name}' is not a name of small letters, digits and '_'"));
    }
    if TAKEN.contains(&name) { Err(format!("another name than '{name}', which is the chunk")) } else { Ok(()) }
}

fn format_of(from: &Location) -> LookupFormat {
    let name = from.name().to_ascii_lowercase();
    match name.rsplit_once('.') {
        Some((_, "parquet")) => LookupFormat::Parquet,
        Some((_, "csv")) => LookupFormat::Csv,
        _ => LookupFormat::Delta,
    }
}

/// The version that the name of a log's entry says.
fn version_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

fn log_entry(table: &Location, version: u64) -> Location {
    table.join(&format!("_delta_log/{version:020}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::local::LocalStorage;

    #[test]
    fn names_and_places() {
        let list = |text: &str| {
            Lookup::list(text).map(|all| all.iter().map(|of| format!("{}={}", of.name, of.from)).collect::<Vec<_>>())
        };
        assert_eq!(list("a=s3://ref/a.csv, b_2=/x/b").unwrap(), ["a=s3://ref/a.csv", "b_2=/x/b"]);
        assert!(list("").unwrap().is_empty());
        for (text, expected) in [
            ("a", "NAME=URI, separated by commas"),
            ("A=x", "NAME=URI, separated by commas; 'A' is not a name of small letters, digits and '_'"),
            ("2a=x", "NAME=URI, separated by commas; '2a' is not a name of small letters, digits and '_'"),
            ("chunk=x", "another name than 'chunk', which is the chunk"),
            ("a=x,a=y", "each name once; 'a' is there twice"),
            (
                "a=gs://b/x",
                "NAME=URI, separated by commas; a: 'gs://b/x' has the scheme 'gs'; known are s3:// and plain paths",
            ),
        ] {
            assert_eq!(list(text).unwrap_err(), expected);
        }
        let format = |text: &str| Lookup::list(&format!("a={text}")).unwrap()[0].format();
        assert_eq!(
            ["/a.parquet", "/a.CSV", "/a.csv.d/t"].map(format),
            [LookupFormat::Parquet, LookupFormat::Csv, LookupFormat::Delta]
        );
    }

    #[tokio::test]
    async fn a_version_is_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let storage = LocalStorage;
        let at = |name: &str| folder.path().join(name);
        let pin = |name: &str| {
            let lookup = Lookup::list(&format!("k={}", at(name).display())).unwrap().remove(0);
            async move { lookup.pin(&LocalStorage).await }
        };
        std::fs::write(at("k.csv"), "id\n1\n").unwrap();
        let pinned = pin("k.csv").await.unwrap();
        assert_eq!((pinned.size, pinned.table_version), (5, None));
        assert_eq!(pinned.read(&storage).await.unwrap(), "id\n1\n");
        // The same bytes, written again, are the same version.
        std::fs::write(at("k.csv"), "id\n1\n").unwrap();
        assert!(pinned.read(&storage).await.is_ok());
        for (text, expected) in [("id\n2\n", "it has other bytes"), ("id\n1\n2\n", "it has 7 bytes, and had 5")] {
            std::fs::write(at("k.csv"), text).unwrap();
            let changed = pinned.read(&storage).await.unwrap_err();
            assert_eq!(changed.problem, LookupProblem::Changed(expected.to_owned()));
        }
        std::fs::remove_file(at("k.csv")).unwrap();
        let gone = pinned.read(&storage).await.unwrap_err();
        assert_eq!(gone.problem, LookupProblem::Changed("the file is gone".to_owned()));
        let missing = pin("k.csv").await.unwrap_err().at(Some("route 'a'")).to_string();
        assert!(missing.starts_with("route 'a', look-up 'k', /") && missing.ends_with("k.csv: there is no such file"));
    }

    #[tokio::test]
    async fn a_table_is_pinned_in_its_latest_version() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("t/_delta_log");
        let lookup = Lookup::list(&format!("t={}", folder.path().join("t").display())).unwrap().remove(0);
        let missing = lookup.pin(&LocalStorage).await.unwrap_err();
        assert!(matches!(missing.problem, LookupProblem::Missing(_)), "{missing}");
        std::fs::create_dir_all(&log).unwrap();
        let entry = |version: u64| log.join(format!("{version:020}.json"));
        for version in [9, 10] {
            std::fs::write(entry(version), "{}").unwrap();
        }
        std::fs::write(log.join(format!("{:020}.{:020}.compacted.json", 0, 99)), "").unwrap();
        let pinned = lookup.pin(&LocalStorage).await.unwrap();
        assert_eq!((pinned.table_version, pinned.size), (Some(10), 2));
        std::fs::write(entry(11), "{}").unwrap();
        assert!(pinned.read(&LocalStorage).await.is_ok());
        std::fs::write(entry(10), "[]").unwrap();
        assert!(pinned.read(&LocalStorage).await.is_err(), "another table took its place");
        std::fs::remove_file(entry(10)).unwrap();
        let gone = pinned.read(&LocalStorage).await.unwrap_err();
        assert_eq!(gone.problem, LookupProblem::Changed("version 10 is no longer in its log".to_owned()));
    }
}
