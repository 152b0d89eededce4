//! Files of this machine.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::SourcesError;
use super::left_out::{LOG, READ, base, is_hidden, is_left_out, is_unfinished};

/// Paths of the files in a folder and in the folders in it. Links to files are followed, links to folders are not.
pub(super) fn in_folder(folder: &Path) -> Result<Vec<String>, SourcesError> {
    refuse_table(folder)?;
    let mut found = Vec::new();
    walk(folder, &mut found).map_err(|(at, source)| SourcesError::Folder { at, source })?;
    found.into_iter().map(text).collect()
}

/// An error if a folder is a table, or lies in one.
fn refuse_table(folder: &Path) -> Result<(), SourcesError> {
    let whole = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    match whole.ancestors().find(|above| above.join(LOG).is_dir()) {
        Some(table) => Err(SourcesError::Table { at: table.display().to_string() }),
        None => Ok(()),
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
    // None of the files of a table is a source.
    if folder.join(LOG).is_dir() {
        return Ok(());
    }
    let failed = |source| (folder.to_owned(), source);
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if is_hidden(&name) {
            continue;
        }
        let (kind, path) = (entry.file_type().map_err(failed)?, entry.path());
        if kind.is_dir() {
            folders.push(path);
        } else if !is_unfinished(&name) && path.is_file() {
            found.push(path);
        }
    }
    folders.iter().try_for_each(|folder| walk(folder, found))
}

/// Paths of the files that match a pattern.
pub(super) fn matching(pattern: &str) -> Result<Vec<String>, SourcesError> {
    let invalid = |reason: &str| SourcesError::Pattern { pattern: pattern.to_owned(), reason: reason.to_owned() };
    let pattern = pattern.trim_start_matches("./");
    let paths = glob::glob_with(pattern, READ).map_err(|error| invalid(error.msg))?;
    let folder = base(pattern);
    refuse_table(Path::new(if folder.is_empty() { "." } else { folder }))?;
    let (mut found, mut tables) = (Vec::new(), HashMap::new());
    for path in paths {
        let path = path.map_err(|error| {
            let at = error.path().to_owned();
            SourcesError::Folder { at, source: error.into() }
        })?;
        let below = path.strip_prefix(folder).unwrap_or(&path);
        if path.is_file() && !is_left_out(&below.to_string_lossy(), pattern) && !is_of_table(&path, below, &mut tables)
        {
            found.push(text(path)?);
        }
    }
    Ok(found)
}

/// Whether a file lies in a table below the folder of the pattern.
fn is_of_table(path: &Path, below: &Path, tables: &mut HashMap<PathBuf, bool>) -> bool {
    let mut folders = path.ancestors().skip(1).take(below.components().count());
    let is_table = |folder: &Path| *tables.entry(folder.to_owned()).or_insert_with(|| folder.join(LOG).is_dir());
    folders.any(is_table)
}

fn text(path: PathBuf) -> Result<String, SourcesError> {
    path.into_os_string().into_string().map_err(|path| {
        let at = PathBuf::from(path);
        SourcesError::Folder { at, source: io::Error::new(io::ErrorKind::InvalidData, "its name is not UTF-8") }
    })
}
