//! Look-ups that a process keeps between chunks.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use shared::{Memory, PinnedLookup};

use crate::sql::references::Reference;

/// Part of the account that kept look-ups may have while no chunk uses them.
const PART: u64 = 32;
const LEAST_BYTES: u64 = 4 << 20;
const MOST_BYTES: u64 = 64 << 20;

/// Look-ups by their versions. Small ones stay for the next chunks; large ones are there as long as some chunk uses them. Clones are the
/// same.
#[derive(Clone, Debug, Default)]
pub struct KeptLookups(Arc<Mutex<Vec<Kept>>>);

#[derive(Debug)]
struct Kept {
    pinned: PinnedLookup,
    in_use: Weak<Reference>,
    held: Option<Arc<Reference>>,
}

impl KeptLookups {
    /// The look-up of this version, if it is in memory.
    pub(crate) fn get(&self, pinned: &PinnedLookup) -> Option<Arc<Reference>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|kept| kept.pinned == *pinned)?.in_use.upgrade()
    }

    /// Keeps a look-up; the oldest ones make room.
    pub(crate) fn keep(&self, memory: &Memory, pinned: PinnedLookup, reference: &Arc<Reference>) {
        let most = memory.part(PART, LEAST_BYTES, MOST_BYTES);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = (reference.bytes() <= most).then(|| Arc::clone(reference));
        kept.retain(|kept| kept.pinned != pinned && kept.in_use.strong_count() > 0);
        kept.push(Kept { pinned, in_use: Arc::downgrade(reference), held });
        let mut bytes = 0_u64;
        for kept in kept.iter_mut().rev() {
            bytes = bytes.saturating_add(kept.held.as_ref().map_or(0, |held| held.bytes()));
            if bytes > most {
                kept.held = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringBuilder};
    use arrow::record_batch::RecordBatch;

    use super::*;

    #[test]
    fn small_ones_stay_and_large_ones_while_they_are_used() {
        let kept = KeptLookups::default();
        let memory = Memory::of_mb(128);
        let look_up = |name: &str, mib: usize| {
            let mut column = StringBuilder::with_capacity(1, mib << 20);
            column.append_value("x".repeat(mib << 20));
            let column: ArrayRef = Arc::new(column.finish());
            let rows = RecordBatch::try_from_iter([("id", column)]).unwrap();
            let from: shared::Location = format!("/{name}.csv").parse().unwrap();
            let pinned = PinnedLookup {
                name: name.to_owned(),
                from: from.clone(),
                table_version: None,
                size: 1,
                digest: String::new(),
            };
            (pinned, Arc::new(Reference { name: name.to_owned(), from, rows }))
        };
        let (small, small_rows) = look_up("small", 1);
        let (large, large_rows) = look_up("large", 5);
        kept.keep(&memory, small.clone(), &small_rows);
        kept.keep(&memory, large.clone(), &large_rows);
        drop(small_rows);
        assert!(kept.get(&small).is_some() && kept.get(&large).is_some());
        drop(large_rows);
        assert!(kept.get(&small).is_some() && kept.get(&large).is_none());
        assert!(kept.get(&PinnedLookup { digest: "other".to_owned(), ..small.clone() }).is_none());
        let (other, other_rows) = look_up("other", 3);
        kept.keep(&memory, other.clone(), &other_rows);
        drop(other_rows);
        assert!(kept.get(&small).is_none() || kept.get(&other).is_some(), "the latest is kept");
        assert!(kept.get(&other).is_some());
    }
}
