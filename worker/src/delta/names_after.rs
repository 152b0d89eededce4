//! Files of a folder whose names come after another one.
//!
//! The library's store makes a URL and a path of each name before it looks whether that is wanted. In a log of 10,000 entries, of which
//! those after the last checkpoint are wanted, that takes longer than all else.

use std::fs;
use std::path::Path as FilePath;

use deltalake::Path;
use deltalake::logstore::object_store::local::LocalFileSystem;
use deltalake::logstore::object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, Result};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

/// The files below `prefix` whose paths come after `offset`, as the store itself lists them.
pub(crate) fn list(files: &LocalFileSystem, prefix: &Path, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
    let (files, prefix, offset) = (files.clone(), prefix.clone(), offset.clone());
    let listed = async move {
        let names = match (files.path_to_filesystem(&prefix), name_below(&prefix, &offset)) {
            (Ok(folder), Some(after)) => {
                tokio::task::spawn_blocking(move || names(&folder, &after)).await.ok().flatten()
            }
            _ => None,
        };
        let Some(names) = names else { return Ok::<_, Error>(files.list_with_offset(Some(&prefix), &offset)) };
        let found = stream::iter(names).filter_map(move |name| {
            let (files, at) = (files.clone(), prefix.clone().join(name));
            async move {
                match files.head(&at).await {
                    Err(Error::NotFound { .. }) => None,
                    looked => Some(looked),
                }
            }
        });
        Ok(found.boxed())
    };
    stream::once(listed).try_flatten().boxed()
}

/// The name that a path has directly below a prefix; none when it lies deeper, or elsewhere.
fn name_below(prefix: &Path, at: &Path) -> Option<String> {
    let mut parts = at.prefix_match(prefix)?;
    let name = parts.next()?.as_ref().to_owned();
    parts.next().is_none().then_some(name)
}

/// Names of files in a folder that come after another one, in order; none where the store has to look itself: at folders, links, and names
/// that it writes in another way or leaves out.
fn names(folder: &FilePath, after: &str) -> Option<Vec<String>> {
    let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        if !is_plain(&name) || !entry.file_type().ok()?.is_file() {
            return None;
        }
        if name.as_str() > after {
            names.push(name);
        }
    }
    names.sort_unstable();
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn both(folder: &FilePath, offset: &str) -> (Vec<Path>, Vec<Path>) {
        let (files, prefix) = (LocalFileSystem::new(), Path::from_absolute_path(folder).unwrap());
        let offset = Path::from(format!("{prefix}/{offset}"));
        let paths = async |listed: BoxStream<'static, Result<ObjectMeta>>| {
            let mut paths: Vec<Path> = listed.map_ok(|meta| meta.location).try_collect().await.unwrap();
            paths.sort();
            paths
        };
        (paths(list(&files, &prefix, &offset)).await, paths(files.list_with_offset(Some(&prefix), &offset)).await)
    }

    #[tokio::test]
    async fn lists_what_the_store_lists() {
        let folder = tempfile::TempDir::new().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for version in 0..12 {
            fs::write(root.join(format!("{version:020}.json")), "{}").unwrap();
        }
        fs::write(root.join("_last_checkpoint"), "{}").unwrap();
        for (offset, count) in [("00000000000000000009", 4), ("00000000000000000009.json", 3), ("0", 13), ("z", 0)] {
            assert!(names(&root, offset).is_some());
            let (ours, theirs) = both(&root, offset).await;
            assert_eq!((ours.len(), &ours), (count, &theirs), "{offset}");
        }
        // What is left to the store.
        fs::create_dir(root.join("_sidecars")).unwrap();
        fs::write(root.join("_sidecars/a.parquet"), "").unwrap();
        fs::write(root.join("00000000000000000012.json#7"), "").unwrap();
        assert!(names(&root, "0").is_none());
        let (ours, theirs) = both(&root, "00000000000000000009").await;
        assert_eq!((ours.len(), ours), (5, theirs));
        let (ours, theirs) = both(&root.join("none"), "0").await;
        assert_eq!((ours.len(), theirs.len()), (0, 0));
    }
}
