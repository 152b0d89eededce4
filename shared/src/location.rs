//! Where an object lies.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An object, or a prefix of objects, on S3 or on the local file system.
///
/// Written as `s3://bucket/key` or as an absolute path, and read from these, from relative paths and from `file://` URIs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Location {
    /// An object on S3.
    S3 {
        /// Bucket.
        bucket: String,
        /// Key, without a leading slash; empty for the whole bucket.
        key: String,
    },
    /// A file.
    Local {
        /// Absolute path.
        path: String,
    },
}

/// Why a text is not a location.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocationError {
    /// A scheme other than `s3` and `file`.
    #[error("'{text}' has the scheme '{scheme}'; known are s3:// and plain paths")]
    Scheme {
        /// What was given.
        text: String,
        /// Its scheme.
        scheme: String,
    },
    /// No bucket, or no path.
    #[error("'{text}' names no object")]
    Empty {
        /// What was given.
        text: String,
    },
    /// The current directory is gone or its name is no UTF-8.
    #[error("'{text}' cannot be made an absolute UTF-8 path")]
    Path {
        /// What was given.
        text: String,
    },
}

/// The bucket that stands for the local file system in a chunk task.
const LOCAL_BUCKET: &str = "file://";

impl Location {
    /// The location that a chunk task names by bucket and key.
    pub fn from_bucket_and_key(bucket: &str, key: &str) -> Result<Self, LocationError> {
        match bucket {
            LOCAL_BUCKET => key.parse(),
            _ if bucket.is_empty() || key.is_empty() => Err(LocationError::Empty { text: format!("{bucket}/{key}") }),
            _ => Ok(Self::S3 { bucket: bucket.to_owned(), key: key.to_owned() }),
        }
    }

    /// The location that this text was printed of, though links may lead elsewhere by now.
    pub fn as_written(text: &str) -> Self {
        match text.parse() {
            Ok(s3 @ Self::S3 { .. }) => s3,
            _ => Self::Local { path: text.to_owned() },
        }
    }

    /// The bucket; `file://` for a local path.
    pub fn bucket(&self) -> &str {
        match self {
            Self::S3 { bucket, .. } => bucket,
            Self::Local { .. } => LOCAL_BUCKET,
        }
    }

    /// The key within the bucket; the absolute path of a local file.
    pub fn key(&self) -> &str {
        match self {
            Self::S3 { key, .. } => key,
            Self::Local { path } => path,
        }
    }

    /// The last part of the key.
    pub fn name(&self) -> &str {
        self.key().trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }

    /// The location below this one.
    #[must_use]
    pub fn join(&self, below: &str) -> Self {
        let glue = |parent: &str| match parent.trim_end_matches('/') {
            "" if matches!(self, Self::S3 { .. }) => below.to_owned(),
            parent => format!("{parent}/{below}"),
        };
        match self {
            Self::S3 { bucket, key } => Self::S3 { bucket: bucket.clone(), key: glue(key) },
            Self::Local { path } => Self::Local { path: glue(path) },
        }
    }

    /// The location beside this one whose name has this ending more.
    #[must_use]
    pub fn beside(&self, ending: &str) -> Self {
        let name = |key: &str| format!("{}{ending}", key.trim_end_matches('/'));
        match self {
            Self::S3 { bucket, key } => Self::S3 { bucket: bucket.clone(), key: name(key) },
            Self::Local { path } => Self::Local { path: name(path) },
        }
    }

    /// Whether another location lies below this one.
    pub fn contains(&self, other: &Self) -> bool {
        let prefix = self.key().trim_end_matches('/');
        let below = other.key().strip_prefix(prefix);
        let is_below = |below: &str| below.starts_with('/') || prefix.is_empty() && !below.is_empty();
        self.bucket() == other.bucket() && below.is_some_and(is_below)
    }

    /// The location above this one; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        let key = self.key().trim_end_matches('/');
        // What lies in a bucket without a folder between lies below the bucket.
        let (parent, name) = key.rsplit_once('/').unwrap_or(("", key));
        if name.is_empty() {
            return None;
        }
        Some(match self {
            Self::S3 { bucket, .. } => Self::S3 { bucket: bucket.clone(), key: parent.to_owned() },
            Self::Local { .. } => Self::Local { path: if parent.is_empty() { "/" } else { parent }.to_owned() },
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::Local { path } => f.write_str(path),
        }
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let empty = || LocationError::Empty { text: text.to_owned() };
        let path = match text.split_once("://") {
            Some(("s3" | "s3a", rest)) => {
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return Err(empty());
                }
                return Ok(Self::S3 { bucket: bucket.to_owned(), key: key.trim_end_matches('/').to_owned() });
            }
            Some(("file", rest)) => rest,
            Some((scheme, _)) => {
                return Err(LocationError::Scheme { text: text.to_owned(), scheme: scheme.to_owned() });
            }
            None => text,
        };
        if path.is_empty() {
            return Err(empty());
        }
        let absolute = canonical(Path::new(path))
            .and_then(|path| path.into_os_string().into_string().ok())
            .ok_or_else(|| LocationError::Path { text: text.to_owned() })?;
        Ok(Self::Local { path: absolute })
    }
}

/// The one absolute name of a path: links and `..` are resolved as far as the path exists, so that a file that is named
/// in two ways is still one file.
fn canonical(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let mut existing = absolute.as_path();
    loop {
        if let Ok(resolved) = existing.canonicalize() {
            let rest = absolute.strip_prefix(existing).ok()?;
            return if rest.components().any(|component| component == Component::ParentDir) {
                // What is to come back from does not exist, so nothing but its name can be meant.
                canonical(&rest.components().fold(resolved, |path, component| match component {
                    Component::ParentDir => path.parent().map_or_else(|| path.clone(), Path::to_owned),
                    name => path.join(name),
                }))
            } else {
                Some(rest.components().fold(resolved, |path, name| path.join(name)))
            };
        }
        existing = existing.parent()?;
    }
}

impl From<Location> for String {
    fn from(location: Location) -> Self {
        location.to_string()
    }
}

impl TryFrom<String> for Location {
    type Error = LocationError;

    fn try_from(text: String) -> Result<Self, LocationError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for (text, printed) in [
            ("s3://b/k/x.csv", "s3://b/k/x.csv"),
            ("s3a://b/k", "s3://b/k"),
            ("s3://b/k/", "s3://b/k"),
            ("s3://b", "s3://b/"),
            ("/no-such/a.csv", "/no-such/a.csv"),
            ("file:///no-such/a.csv", "/no-such/a.csv"),
            ("/no-such/a/../b//./c/", "/no-such/b/c"),
        ] {
            assert_eq!(text.parse::<Location>().unwrap().to_string(), printed, "{text}");
        }
        for text in ["", "s3://", "s3:///k", "gs://b/k", "file://"] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
    }

    #[test]
    fn survives_a_chunk_task() {
        for text in ["s3://b/in/my file+é=1.csv", "/no-such/a b.csv"] {
            let location: Location = text.parse().unwrap();
            assert_eq!(Location::from_bucket_and_key(location.bucket(), location.key()).unwrap(), location);
        }
    }

    #[test]
    fn contains_whole_parts_of_keys_only() {
        for (prefix, at, contained) in [
            ("s3://b/p", "s3://b/p/x", true),
            ("s3://b/p", "s3://b/px", false),
            ("s3://b/p", "s3://c/p/x", false),
            ("s3://b", "s3://b/x", true),
            ("s3://b/p", "s3://b/p", false),
            ("/no-such/p", "/no-such/p/x", true),
            ("/no-such/p", "/no-such/px", false),
            ("/", "/no-such", true),
        ] {
            assert_eq!(location(prefix).contains(&location(at)), contained, "{prefix} {at}");
        }
    }

    fn location(text: &str) -> Location {
        text.parse().unwrap()
    }

    #[test]
    fn joins_and_parts() {
        let location: Location = "s3://b/p".parse().unwrap();
        let below = location.join("chunks/00000.parquet");
        assert_eq!(below.to_string(), "s3://b/p/chunks/00000.parquet");
        assert_eq!(below.name(), "00000.parquet");
        assert_eq!(below.parent().unwrap().parent().unwrap(), location);
        let bucket: Location = "s3://b".parse().unwrap();
        assert_eq!(bucket.join("x").to_string(), "s3://b/x");
        assert_eq!((bucket.join("x").parent(), bucket.parent()), (Some(bucket), None));
        let top = "/no-such".parse::<Location>().unwrap().parent().unwrap();
        assert_eq!((top.to_string().as_str(), top.parent()), ("/", None));
        assert_eq!(location.beside("_drops").to_string(), "s3://b/p_drops");
        assert_eq!("s3://b".parse::<Location>().unwrap().beside("_drops").to_string(), "s3://b/_drops");
    }
}
