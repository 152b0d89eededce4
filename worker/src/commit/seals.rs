//! Chunks by the seals of their jobs: the table may hold the job in another cut, or hold that it was undone.

use std::collections::{BTreeSet, HashMap};
use std::iter;

use shared::{Location, Seal};

use crate::chunk::Origin;
use crate::commit::prepared::Prepared;
use crate::error::LoadError;

/// Application ids of the seals that chunks lean on: those of their jobs, of the jobs whose rejected records they replay, and of those
/// that theirs were begun in place of.
pub(super) fn ids(chunks: &[Prepared]) -> Vec<String> {
    let origins = chunks.iter().filter_map(|chunk| chunk.chunk.origin.as_ref());
    let ids: BTreeSet<String> = origins.flat_map(leant_on).collect();
    ids.into_iter().collect()
}

fn leant_on(origin: &Origin) -> impl Iterator<Item = String> {
    iter::once(origin.seal_id()).chain(origin.replayed_seal_ids()).chain(origin.superseded_seal_ids())
}

/// Parts the chunks whose seals are those of the table, or will be by the first of them, from the others, with the reasons.
pub(super) fn part(
    chunks: Vec<Prepared>,
    seals: &HashMap<String, i64>,
    table: &Location,
) -> (Vec<Prepared>, Vec<(Prepared, LoadError)>) {
    let (mut open, mut refused) = (Vec::new(), Vec::new());
    let mut first: HashMap<String, i64> = HashMap::new();
    for chunk in chunks {
        match refusal(&chunk, seals, &mut first, table) {
            Some(error) => refused.push((chunk, error)),
            None => open.push(chunk),
        }
    }
    (open, refused)
}

/// Why the seals keep a chunk out of its table; `first` has those that the table does not have yet.
fn refusal(
    chunk: &Prepared,
    seals: &HashMap<String, i64>,
    first: &mut HashMap<String, i64>,
    table: &Location,
) -> Option<LoadError> {
    let origin = chunk.chunk.origin.as_ref()?;
    let id = origin.seal_id();
    let seal = *seals.get(&id).unwrap_or_else(|| first.entry(id).or_insert(origin.seal.0));
    let mut superseded = origin.instead_of.iter().zip(origin.superseded_seal_ids());
    if let Some((former, _)) = superseded.find(|(_, id)| seals.get(id).is_some_and(|there| *there != Seal::UNDONE.0)) {
        let (job, former, table) = (origin.identity.job_id.clone(), former.clone(), table.clone());
        return Some(LoadError::Overtaken { job, former, table });
    }
    let replayed = origin.replay_of.iter().zip(origin.replayed_seal_ids());
    let mut there = replayed.filter_map(|(of, id)| Some((of, *seals.get(&id)?)));
    match there.find(|(of, there)| *there != of.seal.0) {
        Some((of, there)) => Some(LoadError::sealed(there, &of.job_id, table)),
        None if origin.is_sealed_by(seal) => None,
        None => Some(LoadError::sealed(seal, &origin.identity.job_id, table)),
    }
}
