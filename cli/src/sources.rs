//! Which files a command is about: those that are named, and those in folders, below prefixes and under patterns.

pub(crate) mod error;
mod left_out;
mod list;
mod local;
mod s3;

use std::collections::HashSet;
use std::path::PathBuf;

use shared::{Location, Storage};

use crate::args;
use crate::error::CliError;
use crate::spool::is_pipe;
use error::SourcesError;
use left_out::is_pattern;
pub(crate) use list::listed;

/// A file that is to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedSource {
    /// As it was named, or as it was found.
    pub(crate) named: String,
    /// Where it lies: links are resolved.
    pub(crate) at: Location,
}

/// The files of a command, in the order of their locations, each once, and what names none.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) files: Vec<NamedSource>,
    /// As it was named, and what is wrong with it.
    pub(crate) failed: Vec<(String, CliError)>,
}

/// What a text names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    /// One file or object, whether it is there or not.
    One,
    /// All files of a folder and of the folders in it.
    Folder(PathBuf),
    /// Local files whose names match.
    Pattern(String),
    /// All objects below a key that ends at a slash, or of the bucket.
    Prefix { bucket: String, key: String },
    /// Objects whose keys match.
    KeyPattern { bucket: String, pattern: String },
}

impl Named {
    /// What a text names. A file of that very name comes before a pattern.
    async fn of(storage: &dyn Storage, text: &str) -> Result<Self, CliError> {
        let s3 = text.strip_prefix("s3://").or_else(|| text.strip_prefix("s3a://"));
        if let Some(rest) = s3 {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            let (bucket, key) = (bucket.to_owned(), key.to_owned());
            if is_pattern(&key) && !storage.exists(&args::location(text)?).await.is_ok_and(|is_there| is_there) {
                return Ok(Self::KeyPattern { bucket, pattern: key });
            }
            let is_prefix = !bucket.is_empty() && (key.is_empty() || key.ends_with('/'));
            return Ok(if is_prefix { Self::Prefix { bucket, key } } else { Self::One });
        }
        let path = text.strip_prefix("file://").unwrap_or(text);
        let is_pattern = is_pattern(path) && std::fs::symlink_metadata(path).is_err();
        Ok(match std::fs::metadata(path) {
            _ if path == "-" => Self::One,
            Ok(found) if found.is_dir() => Self::Folder(PathBuf::from(path)),
            _ if is_pattern => Self::Pattern(path.to_owned()),
            _ => Self::One,
        })
    }
}

/// Whether a text names one file, rather than those that are found.
pub(crate) async fn is_one(storage: &dyn Storage, text: &str) -> Result<bool, CliError> {
    Ok(Named::of(storage, text).await? == Named::One)
}

/// The files that texts name. `work_areas` are where this command keeps its own files, which are no sources.
pub(crate) async fn find(storage: &dyn Storage, texts: &[String], work_areas: &[Location]) -> Sources {
    let mut sources = Sources::default();
    for text in texts {
        match found(storage, text, work_areas).await {
            Ok(found) => sources.files.extend(found),
            Err(error) => sources.failed.push((text.clone(), error)),
        }
    }
    // Of two names for one file the first counts.
    sources.files.sort_by(|one, other| one.at.cmp(&other.at));
    let mut seen = HashSet::new();
    sources.files.retain(|file| seen.insert(file.at.clone()));
    sources
}

async fn found(storage: &dyn Storage, text: &str, work_areas: &[Location]) -> Result<Vec<NamedSource>, CliError> {
    let (what, named) = match Named::of(storage, text).await? {
        Named::One if is_pipe(text) || text == "-" => {
            return Err(SourcesError::PipeAmongOthers { pipe: text.to_owned() }.into());
        }
        Named::One => return Ok(vec![NamedSource { named: text.to_owned(), at: args::location(text)? }]),
        Named::Folder(folder) => ("file to load is in the folder", local::in_folder(&folder)?),
        Named::Pattern(pattern) => ("file to load matches the pattern", local::matching(&pattern)?),
        Named::Prefix { bucket, key } => ("object to load is below", s3::below(storage, &bucket, &key).await?),
        Named::KeyPattern { bucket, pattern } => {
            ("object to load matches the pattern", s3::matching(storage, &bucket, &pattern).await?)
        }
    };
    let is_own = |at: &Location| work_areas.iter().any(|area| area.contains(at));
    let located = named.into_iter().map(|named| Ok(NamedSource { at: args::location(&named)?, named }));
    let mut found = located.collect::<Result<Vec<_>, CliError>>()?;
    found.retain(|file| !is_own(&file.at));
    if found.is_empty() {
        return Err(SourcesError::NothingFound { what, named: text.to_owned() }.into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use shared::testing::MemoryStorage;
    use shared::{PutMode, error_chain};

    use super::*;

    /// What is found, below the folder or the bucket, or why nothing is.
    async fn shown(storage: &dyn Storage, root: &str, texts: &[&str], work_areas: &[Location]) -> String {
        let texts: Vec<String> = texts.iter().map(|text| text.replace("ROOT", root)).collect();
        let sources = find(storage, &texts, work_areas).await;
        let below = |text: &str| text.replace(&format!("{root}/"), "").replace(root, "ROOT");
        let files = sources.files.iter().map(|file| below(&file.at.to_string()));
        let failed = sources.failed.iter().map(|(_, error)| format!("! {}", below(&error_chain(error))));
        files.chain(failed).collect::<Vec<_>>().join(" ")
    }

    fn folder() -> (tempfile::TempDir, String) {
        let folder = tempfile::TempDir::new().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in [
            "b.csv",
            "a.csv",
            "a[1].csv",
            "notes.txt",
            ".hidden.csv",
            "half.csv.part",
            "edited.csv~",
            "day/1/c.csv",
            "day/2/d.csv",
            "day/2/_SUCCESS",
            "day/_temporary/e.csv",
            "empty/.keep",
            "lake/t/_delta_log/00000000000000000000.json",
            "lake/t/part-0.parquet",
            "lake/t/day=1/part-1.parquet",
            "work/j-1/chunks/00000.parquet",
        ] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink(root.join("b.csv"), root.join("day/link.csv")).unwrap();
        let root = root.to_str().unwrap().to_owned();
        (folder, root)
    }

    #[tokio::test]
    async fn local_files() {
        let (_folder, root) = folder();
        let storage = MemoryStorage::default();
        let work: Location = format!("{root}/work").parse().unwrap();
        for (texts, expected) in [
            // In order, and once.
            (&["ROOT/b.csv", "ROOT/a.csv", "ROOT/./b.csv"][..], "a.csv b.csv"),
            (&["ROOT/day/1", "ROOT/day/1/"], "day/1/c.csv"),
            (&["ROOT"], "a.csv a[1].csv b.csv day/1/c.csv day/2/d.csv notes.txt"),
            (&["ROOT/*.csv"], "a.csv a[1].csv b.csv"),
            (&["ROOT/day/*/*.csv"], "day/1/c.csv day/2/d.csv"),
            (&["ROOT/day/**/*.csv"], "b.csv day/1/c.csv day/2/d.csv"),
            (&["ROOT/day/[!1]/*"], "day/2/d.csv"),
            // What is named itself is meant.
            (&["ROOT/.hidden.csv", "ROOT/edited.csv~"], ".hidden.csv edited.csv~"),
            (&["ROOT/day/_temporary/*", "ROOT/*.part", "ROOT/.h*"], ".hidden.csv day/_temporary/e.csv half.csv.part"),
            // A file of that name comes before the pattern.
            (&["ROOT/a[1].csv"], "a[1].csv"),
            // A file that is missing is found out when it is to be read.
            (&["ROOT/none.csv"], "none.csv"),
            (&["ROOT/empty"], "! no file to load is in the folder ROOT/empty"),
            (&["ROOT/*.json", "ROOT/a.csv"], "a.csv ! no file to load matches the pattern ROOT/*.json"),
            (&["ROOT/lake/t"], "! ROOT/lake/t is a Delta table"),
            (&["ROOT/lake/t/day=1"], "! ROOT/lake/t is a Delta table"),
            (&["ROOT/lake/t/day=1/*"], "! ROOT/lake/t is a Delta table"),
            (&["ROOT/lake/*/*"], "! no file to load matches the pattern ROOT/lake/*/*"),
            (&["ROOT/a[.csv"], "! ROOT/a[.csv is not a valid pattern: invalid range pattern"),
            (&["-"], "! - is a pipe, which can only be loaded alone"),
        ] {
            let shown = shown(&storage, &root, texts, std::slice::from_ref(&work)).await;
            assert_eq!(shown.replace("ROOT/", ""), expected.replace("ROOT/", ""), "{texts:?}");
        }
    }

    #[tokio::test]
    async fn objects() {
        let storage = MemoryStorage::default();
        for key in [
            "in/b.csv",
            "in/a.csv",
            "in/x[1].csv",
            "in/.tmp/q.csv",
            "in/2026/c.csv",
            "in/2026/d.csv.tmp",
            "inner/e.csv",
            "t/_delta_log/00000000000000000000.json",
            "t/part-0.parquet",
            "t/day=1/part-1.parquet",
            "work/j-1/chunks/00000.parquet",
        ] {
            let at = Location::S3 { bucket: "b".to_owned(), key: key.to_owned() };
            storage.put(&at, "x".into(), PutMode::Overwrite).await.unwrap();
        }
        let folder = Location::S3 { bucket: "b".to_owned(), key: "in/folder/".to_owned() };
        storage.put(&folder, bytes::Bytes::new(), PutMode::Overwrite).await.unwrap();
        let work: Location = "s3://b/work".parse().unwrap();
        for (texts, expected) in [
            (&["ROOT/in/"][..], "in/2026/c.csv in/a.csv in/b.csv in/x[1].csv"),
            (&["ROOT/in/*.csv"], "in/a.csv in/b.csv in/x[1].csv"),
            (&["ROOT/in/**/*.csv"], "in/2026/c.csv in/a.csv in/b.csv in/x[1].csv"),
            (&["ROOT/in*/[ab].csv"], "in/a.csv in/b.csv"),
            (&["ROOT/in/x[1].csv"], "in/x[1].csv"),
            (&["ROOT"], "in/2026/c.csv in/a.csv in/b.csv in/x[1].csv inner/e.csv"),
            (&["ROOT/t/"], "! ROOT/t is a Delta table"),
            (&["ROOT/t/day=1/"], "! ROOT/t is a Delta table"),
            (&["ROOT/t/day=1/*"], "! ROOT/t is a Delta table"),
            (&["ROOT/none/"], "! no object to load is below ROOT/none/"),
            (&["ROOT/in/*.json"], "! no object to load matches the pattern ROOT/in/*.json"),
            // Without the slash it is an object.
            (&["ROOT/in"], "in"),
        ] {
            let shown = shown(&storage, "s3://b", texts, std::slice::from_ref(&work)).await;
            assert_eq!(shown.replace("ROOT/", ""), expected.replace("ROOT/", ""), "{texts:?}");
        }
    }

    #[tokio::test]
    async fn a_bucket_that_is_a_table() {
        let storage = MemoryStorage::default();
        for key in ["_delta_log/00000000000000000000.json", "part-0.parquet", "day=1/part-1.parquet"] {
            let at = Location::S3 { bucket: "b".to_owned(), key: key.to_owned() };
            storage.put(&at, "x".into(), PutMode::Overwrite).await.unwrap();
        }
        for asked in ["ROOT", "ROOT/", "ROOT/*.parquet", "ROOT/*/*", "ROOT/day=1/", "ROOT/day=1/*"] {
            let shown = shown(&storage, "s3://b", &[asked], &[]).await;
            assert!(shown.starts_with("! "), "{asked}: {shown}");
        }
    }

    #[tokio::test]
    async fn one_or_more() {
        let (_folder, root) = folder();
        let storage = MemoryStorage::default();
        for (text, is_one_file) in [
            ("ROOT/a.csv", true),
            ("ROOT/none.csv", true),
            ("ROOT/a[1].csv", true),
            ("-", true),
            ("/dev/stdin", true),
            ("s3://b/k.csv", true),
            ("ROOT/*.csv", false),
            ("ROOT/day", false),
            ("s3://b/k/", false),
            ("s3://b/k/*.csv", false),
            ("s3://b", false),
        ] {
            assert_eq!(is_one(&storage, &text.replace("ROOT", &root)).await.unwrap(), is_one_file, "{text}");
        }
    }
}
