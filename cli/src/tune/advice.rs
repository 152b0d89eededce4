//! Which of the sizes to take, and why.

use serde::Serialize;

use super::candidate::{Candidate, Deployment};
use super::model::mib;

/// The size to take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Advice {
    pub(super) chunk_size_mb: u64,
    /// In one sentence.
    pub(super) reason: String,
}

/// Dollars a GB by which a size may be dearer than the cheapest and still count as cheap: a tenth of what a GB costs with its storage.
const AS_CHEAP: f64 = 0.001;

/// What `CHUNK_SIZE_MB` is where nobody sets it.
pub(super) const DEFAULT_MIB: u64 = 100;

/// What the data files of a table should be like: readers open each, and skip none that holds a bit of everything.
const DATA_FILE_MIB: f64 = 128.0;

/// Share of its time that a worker may take for a chunk: another one may be slower, or the table busier.
const TIME_SHARE: f64 = 0.5;

/// Of the sizes that memory and time allow, those that are about as cheap as the cheapest, and of these the one whose data files come
/// nearest to what readers like. `None` of no sizes.
pub(super) fn advise(candidates: &[Candidate], deployment: &Deployment) -> Option<Advice> {
    let smallest = candidates.first()?;
    if let [only] = candidates
        && only.chunks <= 1
        && only.is_held(deployment)
    {
        // Larger files of the kind may come, for which the smallest size that was looked at is none to keep to.
        let from = only.chunk_size_mb;
        let reason =
            format!("the whole source is one chunk at any size from {from} on, so none is better than another");
        return Some(Advice { chunk_size_mb: from.max(DEFAULT_MIB), reason });
    }
    let is_in_time =
        |candidate: &Candidate| candidate.worker.seconds <= f64::from(deployment.timeout_seconds) * TIME_SHARE;
    let fitting: Vec<&Candidate> =
        candidates.iter().filter(|candidate| candidate.is_held(deployment) && is_in_time(candidate)).collect();
    let cheapest = fitting.iter().map(|candidate| candidate.cost_per_gb.all).min_by(f64::total_cmp);
    let Some(cheapest) = cheapest else {
        let reason =
            "no size fits these functions, and the smallest takes the least: give them more memory, or more time";
        return Some(Advice { chunk_size_mb: smallest.chunk_size_mb, reason: reason.to_owned() });
    };
    let cheap = fitting.iter().filter(|candidate| candidate.cost_per_gb.all <= cheapest + AS_CHEAP);
    let best = cheap.min_by(|one, other| distance(one).total_cmp(&distance(other)))?;
    Some(Advice { chunk_size_mb: best.chunk_size_mb, reason: reason(best, candidates, fitting.len()) })
}

/// How far data files are from what they should be, in doublings.
fn distance(candidate: &Candidate) -> f64 {
    (mib(candidate.data_file_bytes).max(f64::MIN_POSITIVE) / DATA_FILE_MIB).log2().abs()
}

fn reason(best: &Candidate, candidates: &[Candidate], fitting: usize) -> String {
    let fit = match candidates.len() - fitting {
        0 => "all sizes fit these functions".to_owned(),
        1 => "1 size does not fit these functions".to_owned(),
        more => format!("{more} sizes do not fit these functions"),
    };
    let (cost, seconds, data) = (best.cost_per_gb.all, best.worker.seconds, mib(best.data_file_bytes));
    format!(
        "{fit}; of those that do, and are at most a tenth of a cent a GB dearer than the cheapest, its full data files, {data:.0} MiB, come \
         nearest to {DATA_FILE_MIB:.0}; it costs ${cost:.4} a GB, and a worker takes {seconds:.1} s a chunk"
    )
}
