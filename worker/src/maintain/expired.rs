//! Log entries that are older than the table keeps them, and that no version within that time is made of.

use deltalake::logstore::ObjectStoreRef;
use deltalake::table::config::TablePropertiesExt;
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaResult, ObjectMeta, Path};
use futures::TryStreamExt;

use super::cleared::{Found, before};
use crate::schema::features::protects_log;

/// What an object of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Entry of a version, or what belongs to it alone.
    Entry,
    /// A checkpoint in one piece.
    Checkpoint,
    /// A piece of a checkpoint; whether all are there is not looked into, so that nothing is built on it.
    Piece,
}

/// Finds expired entries; none when the table wants to keep all.
pub(super) async fn find(store: &ObjectStoreRef, state: &DeltaTableState) -> DeltaResult<Option<Found>> {
    let settings = state.table_config();
    if !settings.enable_expired_log_cleanup() || protects_log(state.protocol()) {
        return Ok(None);
    }
    let listed: Vec<ObjectMeta> = store.list(Some(&Path::from("_delta_log"))).try_collect().await?;
    let cutoff = chrono::DateTime::<chrono::Utc>::from(before(settings.log_retention_duration()));
    let known: Vec<(&ObjectMeta, u64, Kind)> = listed.iter().filter_map(read_name).collect();
    // The oldest version of which the entry is to be kept, and the checkpoint that it, and all after it, can be read from.
    let young = known.iter().filter(|(object, _, kind)| *kind == Kind::Entry && object.last_modified >= cutoff);
    let oldest = young.map(|(_, version, _)| *version).min().unwrap_or_else(|| state.version());
    let checkpoints = known.iter().filter(|(_, version, kind)| *kind == Kind::Checkpoint && *version <= oldest);
    let Some(from) = checkpoints.map(|(_, version, _)| *version).max() else { return Ok(Some(Found::default())) };
    let expired = known.iter().filter(|(object, version, _)| *version < from && object.last_modified < cutoff);
    Ok(Some(Found(expired.map(|(object, ..)| (object.location.clone(), object.size)).collect())))
}

fn read_name(object: &ObjectMeta) -> Option<(&ObjectMeta, u64, Kind)> {
    const DIGITS: usize = 20;
    let (version, rest) = object.location.filename()?.split_at_checked(DIGITS)?;
    let kind = match rest {
        ".json" | ".crc" => Kind::Entry,
        ".checkpoint.parquet" => Kind::Checkpoint,
        piece if piece.starts_with(".checkpoint.") => Kind::Piece,
        _ => return None,
    };
    version.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    Some((object, version.parse().ok()?, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let kind = |name: &str| {
            let (location, last_modified) = (Path::from(format!("_delta_log/{name}")), chrono::DateTime::UNIX_EPOCH);
            let object = ObjectMeta { location, last_modified, size: 0, e_tag: None, version: None };
            read_name(&object).map(|(_, version, kind)| (version, kind))
        };
        assert_eq!(kind("00000000000000000017.json"), Some((17, Kind::Entry)));
        assert_eq!(kind("00000000000000000017.crc"), Some((17, Kind::Entry)));
        assert_eq!(kind("00000000000000000017.checkpoint.parquet"), Some((17, Kind::Checkpoint)));
        assert_eq!(kind("00000000000000000017.checkpoint.0000000001.0000000002.parquet"), Some((17, Kind::Piece)));
        for other in ["_last_checkpoint", "_commit_1.json.tmp", "17.json", "0000000000000000001x.json", "été.json"] {
            assert_eq!(kind(other), None, "{other}");
        }
    }
}
