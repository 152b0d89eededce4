//! What processes that were killed had been writing: files under temporary names, which no listing of a store shows.
//!
//! Only local disks have them. On S3 the parts of unfinished uploads are taken by a lifecycle rule of the bucket.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::time::SystemTime;

use shared::Location;

use super::cleared::Cleared;

/// Removes unfinished files that were last written to before a time, in a table, and in work areas and drops beside it. A file that
/// `named` has, by its path in the table, is the table's, whatever it is called. None when there are none.
pub(super) async fn clear(
    table: &Location,
    prefix: &Location,
    named: HashSet<String>,
    before: SystemTime,
    dry_run: bool,
) -> io::Result<Option<Cleared>> {
    let local = |location: &Location| match location {
        Location::Local { path } => Some(PathBuf::from(path)),
        Location::S3 { .. } => None,
    };
    let table = local(table);
    let (prefix, drops) = (local(prefix), local(&prefix.beside("_drops")));
    let work = move || {
        let mut roots = prefix.as_deref().map(work_areas).transpose()?.unwrap_or_default();
        roots.extend(drops);
        // What lies in the table is found there.
        roots.retain(|root| table.as_ref().is_none_or(|table| !root.starts_with(table)));
        let is_named = |path: &FilePath| {
            let in_table = table.as_ref().and_then(|table| path.strip_prefix(table).ok());
            in_table.and_then(FilePath::to_str).is_some_and(|path| named.contains(path))
        };
        let mut cleared = Cleared::default();
        for root in roots.iter().chain(&table) {
            let mut found = Vec::new();
            walk(root, before, &mut found)?;
            for (path, bytes) in found.into_iter().filter(|(path, _)| !is_named(path)) {
                tracing::info!(path = %path.display(), bytes, dry_run, "unfinished, to be removed");
                cleared.add(bytes);
                if !dry_run {
                    gone_is_fine(fs::remove_file(path))?;
                }
            }
        }
        Ok((cleared != Cleared::default()).then_some(cleared))
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Folders below a prefix that are Sluice's own. A folder that somebody gives may hold what other programs are writing, too.
fn work_areas(prefix: &FilePath) -> io::Result<Vec<PathBuf>> {
    let Some(entries) = gone_is_fine(fs::read_dir(prefix))? else { return Ok(Vec::new()) };
    let mut areas = Vec::new();
    for entry in entries {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let is_failures = name == "_failures";
        let is_of_bare_file = name.to_str().and_then(|name| name.strip_prefix("bare-")).is_some_and(is_hex);
        if is_failures || is_of_bare_file || path.join("job.json").is_file() {
            areas.push(path);
        }
    }
    Ok(areas)
}

fn walk(folder: &FilePath, before: SystemTime, found: &mut Vec<(PathBuf, u64)>) -> io::Result<()> {
    let Some(entries) = gone_is_fine(fs::read_dir(folder))? else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let Some(kind) = gone_is_fine(entry.file_type())? else { continue };
        if kind.is_dir() {
            walk(&entry.path(), before, found)?;
        } else if kind.is_file() && is_unfinished(&entry.file_name()) {
            let Some(metadata) = gone_is_fine(entry.metadata())? else { continue };
            if metadata.modified()? < before {
                found.push((entry.path(), metadata.len()));
            }
        }
    }
    Ok(())
}

/// Somebody else was faster.
fn gone_is_fine<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// Whether a file has a temporary name: one of a work area, or one of a table's store, which is that of a file of a table with `#` and
/// digits behind it.
fn is_unfinished(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    if let Some(name) = name.strip_suffix(".partial") {
        return name.rsplit_once('.').is_some_and(|(_, id)| is_hex(id));
    }
    name.rsplit_once('#').is_some_and(|(name, digits)| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let ending = FilePath::new(name).extension().and_then(OsStr::to_str);
        is_number && (matches!(ending, Some("parquet" | "json" | "crc")) || name == "_last_checkpoint")
    })
}

/// Whether this is what makes a temporary name its own.
fn is_hex(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in [
            "a.json.0123456789abcdef0123456789abcdef.partial",
            "part-0.snappy.parquet#1",
            "00000000000000000001.json#42",
            "_last_checkpoint#3",
        ] {
            assert!(is_unfinished(OsStr::new(name)), "{name}");
        }
        for name in [
            "a.parquet",
            "a.parquet#",
            "a.parquet#1x",
            "notes#1",
            "_last_checkpoint",
            "partial",
            "a.partial",
            "a.0f.partial",
        ] {
            assert!(!is_unfinished(OsStr::new(name)), "{name}");
        }
    }
}
