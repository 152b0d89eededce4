//! Objects of a bucket.

use shared::{Location, Storage, StorageError};
use splitter::SplitError;

use super::error::SourcesError;
use super::left_out::{LOG, READ, base, is_hidden, is_left_out, is_unfinished};
use crate::error::CliError;

/// URIs of the objects below a key that ends at a slash, or in a bucket.
pub(super) async fn below(storage: &dyn Storage, bucket: &str, key: &str) -> Result<Vec<String>, CliError> {
    let keys = keys(storage, bucket, key).await?;
    if keys.iter().any(|found| found.strip_prefix(key).is_some_and(|below| below.starts_with(&format!("{LOG}/")))) {
        return Err(SourcesError::Table { at: format!("s3://{bucket}/{}", key.trim_end_matches('/')) }.into());
    }
    refuse_within_table(storage, bucket, key).await?;
    let is_wanted = |below: &str| {
        let name = below.rsplit('/').next().unwrap_or_default();
        !below.split('/').any(is_hidden) && !is_unfinished(name)
    };
    let wanted = without_tables(&keys).filter(|found| found.strip_prefix(key).is_some_and(is_wanted));
    Ok(wanted.map(|key| format!("s3://{bucket}/{key}")).collect())
}

/// URIs of the objects whose keys match a pattern.
pub(super) async fn matching(storage: &dyn Storage, bucket: &str, pattern: &str) -> Result<Vec<String>, CliError> {
    let invalid =
        |reason: &str| SourcesError::Pattern { pattern: format!("s3://{bucket}/{pattern}"), reason: reason.to_owned() };
    let compiled = glob::Pattern::new(pattern).map_err(|error| invalid(error.msg))?;
    let folder = base(pattern);
    let keys = keys(storage, bucket, folder).await?;
    refuse_within_table(storage, bucket, folder).await?;
    let is_wanted = |key: &str| {
        let below = key.strip_prefix(folder).unwrap_or(key);
        compiled.matches_with(key, READ) && !is_left_out(below, pattern)
    };
    let wanted = without_tables(&keys).filter(|key| is_wanted(key));
    Ok(wanted.map(|key| format!("s3://{bucket}/{key}")).collect())
}

/// Keys of the objects below another key, but for those that stand for folders.
async fn keys(storage: &dyn Storage, bucket: &str, key: &str) -> Result<Vec<String>, CliError> {
    let prefix = Location::S3 { bucket: bucket.to_owned(), key: key.trim_end_matches('/').to_owned() };
    let listed = storage.list(&prefix).await.map_err(|error| CliError::Split(SplitError::Source(error)))?;
    let keys = listed.into_iter().map(|listed| listed.location.key().to_owned());
    Ok(keys.filter(|key| !key.ends_with('/')).collect())
}

/// An error if a key lies in a table whose log is further up. Where it is not allowed to look, no table is known.
async fn refuse_within_table(storage: &dyn Storage, bucket: &str, key: &str) -> Result<(), CliError> {
    let at = Location::S3 { bucket: bucket.to_owned(), key: key.trim_end_matches('/').to_owned() };
    let mut above = at.parent();
    while let Some(folder) = above {
        match storage.list(&folder.join(LOG)).await {
            Ok(log) if log.is_empty() => {}
            Ok(_) => return Err(SourcesError::Table { at: folder.to_string() }.into()),
            Err(StorageError::Denied { .. }) => {}
            Err(error) => return Err(CliError::Split(SplitError::Source(error))),
        }
        above = folder.parent();
    }
    Ok(())
}

/// Those that lie in no table among them.
fn without_tables(keys: &[String]) -> impl Iterator<Item = &String> {
    let (log, log_of_bucket) = (format!("/{LOG}/"), format!("{LOG}/"));
    let is_table = keys.iter().any(|key| key.starts_with(&log_of_bucket));
    let of_log = |key: &String| key.find(&log).map(|at| key.get(..=at).unwrap_or_default().to_owned());
    let tables: std::collections::BTreeSet<String> = keys.iter().filter_map(of_log).collect();
    keys.iter().filter(move |key| {
        let mut folders = key.match_indices('/').filter_map(|(at, _)| key.get(..=at));
        !is_table && !folders.any(|folder| tables.contains(folder))
    })
}
