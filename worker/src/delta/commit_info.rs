//! What a commit of Sluice says about itself in the log: the program, the jobs, their sources.
//!
//! Other tools show it: deltalake's `history()` has all of it, Spark's `DESCRIBE HISTORY` has `engineInfo` and `userMetadata`.

use std::collections::{BTreeMap, HashMap};
use std::iter;

use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, CommitInfo, Transaction};
use deltalake::protocol::DeltaOperation;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::Removed;

/// The program, as the log names engines.
pub(crate) const ENGINE: &str = concat!("Sluice/", env!("CARGO_PKG_VERSION"));

/// Most sources that a commit names in words; an entry of the log is read by everyone.
const MOST_NAMED: usize = 10;

/// Where the rows of a chunk come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct LoadedFrom {
    /// The job; none for a file that no splitter made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) job_id: Option<String>,
    /// URI of the source object.
    pub(crate) source: String,
}

/// A commit with the program's name in it, and with `about` under the key `sluice`.
pub(crate) fn commit_data(
    actions: Vec<Action>,
    operation: DeltaOperation,
    about: Value,
    metadata: HashMap<String, Value>,
    transactions: Vec<Transaction>,
) -> CommitData {
    let mut info = operation.get_commit_info();
    info.timestamp = Some(crate::delta::log::now());
    info.engine_info = Some(ENGINE.to_owned());
    info.user_metadata = about.get("text").and_then(Value::as_str).map(str::to_owned);
    let metadata = metadata.into_iter().chain([("sluice".to_owned(), about)]).collect();
    let actions = iter::once(Action::CommitInfo(info)).chain(actions).collect();
    CommitData::new(actions, operation, metadata, transactions)
}

/// What an append says: how many chunks of which job and source it has.
pub(crate) fn loaded<'a>(chunks: impl Iterator<Item = &'a LoadedFrom>) -> Value {
    let mut counts: BTreeMap<&LoadedFrom, usize> = BTreeMap::new();
    for chunk in chunks {
        *counts.entry(chunk).or_default() += 1;
    }
    let mut named: Vec<String> = counts.keys().take(MOST_NAMED).map(|from| from.source.clone()).collect();
    if let Some(rest) = counts.len().checked_sub(MOST_NAMED).filter(|rest| *rest > 0) {
        named.push(format!("{rest} more"));
    }
    let jobs: Vec<Value> = counts
        .iter()
        .map(|(from, chunks)| json!({ "job_id": from.job_id, "source": from.source, "chunks": chunks }))
        .collect();
    json!({ "text": format!("loaded from {}", named.join(", ")), "jobs": jobs })
}

/// Where, in what a commit says, the tables stand that its rows came through.
const HOPS: &str = "hops";

/// The same for rows that came through other tables, by their ids, the last of them first.
pub(crate) fn with_hops(mut about: Value, hops: Option<&[String]>) -> Value {
    if let (Some(about), Some(hops)) = (about.as_object_mut(), hops) {
        about.insert(HOPS.to_owned(), json!(hops));
    }
    about
}

/// Ids of the tables that the rows of a commit came through; none for rows that came from elsewhere.
pub(crate) fn hops_of(info: &CommitInfo) -> Vec<String> {
    let hops = info.info.get("sluice").and_then(|about| about.get(HOPS)).and_then(Value::as_array);
    hops.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What was removed, as an entry of a commit's metadata.
pub(crate) fn metrics(removed: Removed) -> (String, Value) {
    let Removed { files, rows, bytes } = removed;
    ("operationMetrics".to_owned(), json!(Metrics { files, rows, bytes }))
}

/// What was removed, by the names that other tools know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Metrics {
    #[serde(rename = "numRemovedFiles")]
    pub(crate) files: u64,
    #[serde(rename = "numDeletedRows")]
    pub(crate) rows: Option<u64>,
    #[serde(rename = "numRemovedBytes")]
    pub(crate) bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_counted_and_only_some_are_named() {
        let from = |source: String| LoadedFrom { job_id: Some("j".to_owned()), source };
        let two = [from("s3://b/x".to_owned()), from("s3://b/x".to_owned())];
        let expected = json!({
            "text": "loaded from s3://b/x",
            "jobs": [{ "job_id": "j", "source": "s3://b/x", "chunks": 2 }],
        });
        assert_eq!(loaded(two.iter()), expected);
        let many: Vec<LoadedFrom> = (10..22).map(|number| from(number.to_string())).collect();
        let text = "loaded from 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 2 more";
        assert_eq!(loaded(many.iter())["text"], text);
    }
}
