//! What is known of the sizes, for people and machines.

use serde::Serialize;

use super::advice::Advice;
use super::candidate::{Candidate, Deployment};
use super::cost::Prices;
use super::model::Model;

/// What is known of the sizes.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    pub(super) source: String,
    pub(super) bytes: u64,
    pub(super) format: &'static str,
    /// Rows of the whole source; of text, estimated from its start.
    pub(super) rows: u64,
    /// Chunks that were made and loaded at each size that is no larger, in MiB.
    pub(super) sample_mb: u16,
    pub(super) deployment: Deployment,
    pub(super) prices: Prices,
    pub(super) sizes: Vec<Candidate>,
    pub(super) model: Model,
    pub(super) recommended: Advice,
}
