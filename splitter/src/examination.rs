//! What is found out about a source before it is split, and who may refuse it.

use std::fmt;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use shared::{Examined, Policy, SourceObject, TableFit};

use crate::contract::difference::Difference;
use crate::csv::header::Layout;
use crate::error::SplitError;
use crate::schema::infer::Evidence;

/// What is found out about a source before it is split.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The source.
    pub source: SourceObject,
    /// How a job that begins now would cut and read it.
    pub policy: Policy,
    /// Columns of its chunks.
    pub schema: SchemaRef,
    /// Whether it has nothing but what stands before the first record.
    pub is_empty: bool,
    /// For each column of a source of text, what its type follows from, unless that was given.
    pub evidence: Vec<Evidence>,
    /// What was found around the table of a CSV.
    pub layout: Option<Layout>,
    /// What is told of it, beside the policy.
    pub examined: Examined,
    /// How it differs from its contract, where it has one: in ways that are not refused.
    pub differences: Vec<Difference>,
}

/// Looks at what was found out about a new source, and may refuse it, before anything is pinned or written.
#[async_trait]
pub trait Gate: fmt::Debug + Send + Sync {
    /// Lets the source in, or says why not. Gives how its columns meet those of the table, where SQL stands between, if that is known.
    async fn admit(&self, found: &Examination) -> Result<Option<TableFit>, SplitError>;
}
