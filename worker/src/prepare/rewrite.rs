//! Chunks whose rows are written to data files again, as SQL or the table wants them.

use std::sync::Arc;

use futures::StreamExt;
use shared::{BadRecords, ExpectationResult, ExpectationResults, RowHash, Rows};

use crate::chunk::AssignedChunk;
use crate::context::LoadContext;
use crate::delta::data_file::DataFile;
use crate::delta::table::Table;
use crate::delta::write::{DataFiles, Room};
use crate::error::LoadError;
use crate::fetch::chunk_file::ChunkFile;
use crate::lookups::with_lookups;
use crate::rows::conform::Conform;
use crate::rows::judge::Judge;
use crate::rows::quarantine::Quarantine;
use crate::rows::row_counts::RowCounts;
use crate::rows::transform::{self, transform};
use crate::schema::checks::Checks;
use crate::schema::columns::accommodate;
use crate::schema::write_schema::{Sources, WriteSchema};

/// Writes the rows of a chunk, or what SQL makes of them, to data files.
pub(crate) async fn rewrite(
    context: &LoadContext,
    table: &Table,
    write_schema: &WriteSchema,
    chunk: &AssignedChunk,
    file: &Arc<ChunkFile>,
) -> Result<(WriteSchema, Vec<DataFile>, RowCounts), LoadError> {
    let room = Room::of(&context.settings);
    // Rows are decoded as soon as they are asked for.
    let _share = file.take_memory().await?;
    let shaping = with_lookups(context, &chunk.shaping).await?;
    let rows = transform(context.storage.as_ref(), file, chunk, &shaping).await?;
    let unfit = |refusal| {
        let (chunk, table) = (chunk.at.clone(), Box::new(table.uri().clone()));
        LoadError::Unfit { chunk, table, refusal }
    };
    let (write_schema, sources) = accommodate(table, write_schema, &rows.schema).await.map_err(unfit)?;
    let checks = Checks::of(&write_schema).map_err(unfit)?;
    let judge = chunk.expectations.as_ref().map(|expectations| Judge::new(expectations, &rows.schema));
    let judge = judge.transpose().map_err(|reason| LoadError::Expectations { chunk: chunk.at.clone(), reason })?;
    let plain = plain(file, &rows.unchanged, &sources);
    let mut files = DataFiles::new(table, &write_schema, room, &plain)?;
    let columns = Arc::clone(&rows.schema);
    let conform = Conform {
        chunk,
        columns: &columns,
        write_schema: &write_schema,
        sources: &sources,
        checks: &checks,
        judge,
        rows: 0,
        shortened: 0,
        emptied: 0,
        dropped: 0,
    };
    let written = write(context, chunk, file, conform, rows, &mut files).await;
    match written {
        Ok(written) => {
            let adds = files.finish(Some(&chunk.app_id)).await?;
            Ok((write_schema, adds, written.counts(file.rows())))
        }
        Err(error) => {
            files.abort().await;
            Err(error)
        }
    }
}

/// Columns of the table that have the values of a column without a dictionary in the chunk.
fn plain(file: &ChunkFile, unchanged: &[Option<usize>], sources: &Sources) -> Vec<usize> {
    let of_chunk = |place: &usize| unchanged.get((*sources.get(*place)?)?).copied().flatten();
    let is_plain = |place: &usize| of_chunk(place).is_some_and(|column| file.is_without_dictionary(column));
    (0..sources.len()).filter(is_plain).collect()
}

/// Rows that came out of a chunk's SQL.
#[derive(Debug)]
struct Written {
    came: u64,
    /// How many of them were kept back.
    quarantined: u64,
    /// Values of the others that lost digits.
    shortened: u64,
    /// Hash of the others.
    row_hash: RowHash,
    /// How many of them expectations drop.
    dropped: u64,
    /// What came of them by expectations, if there are some.
    expectations: Option<ExpectationResults>,
}

/// Writes rows, and keeps those that do not fit.
async fn write(
    context: &LoadContext,
    chunk: &AssignedChunk,
    file: &ChunkFile,
    mut conform: Conform<'_>,
    mut rows: transform::Rows,
    files: &mut DataFiles<'_>,
) -> Result<Written, LoadError> {
    let mut row_hash = RowHash::default();
    let mut quarantine = Quarantine::new(context.storage.as_ref(), chunk);
    let mut undecoded = 0;
    while let Some(batch) = rows.batches.next().await {
        undecoded += set_aside(file, chunk, &mut quarantine).await?;
        let (taken, rejected) = conform.conform(&batch?)?;
        row_hash += crate::rows::row_hash::row_hash(&taken, conform.write_schema.partition_by())
            .map_err(|error| LoadError::Bug { what: chunk.at.to_string(), reason: error.to_string() })?;
        files.write(&taken).await?;
        quarantine.add(rejected).await?;
    }
    undecoded += set_aside(file, chunk, &mut quarantine).await?;
    if conform.emptied > 0 {
        tracing::warn!(
            chunk = %chunk.at,
            values = conform.emptied,
            "empty texts in columns that the table is partitioned by are null in it, as Delta has it"
        );
    }
    let quarantined = quarantine.finish().await?;
    context.progress.rows_quarantined.add(quarantined);
    let Conform { rows, shortened, dropped, judge, .. } = conform;
    let expectations = judge.map(|judge| judge.results().clone());
    tell(context, chunk, expectations.as_ref(), dropped);
    Ok(Written { came: rows + undecoded, quarantined, shortened, row_hash, dropped, expectations })
}

/// Counts what rows of a chunk are against expectations, and logs it.
fn tell(context: &LoadContext, chunk: &AssignedChunk, results: Option<&ExpectationResults>, dropped: u64) {
    context.progress.rows_dropped.add(dropped);
    for ExpectationResult { name, on, violations, nulls } in results.iter().flat_map(|results| &results.all) {
        if *violations > 0 {
            context.progress.expectation_violations.add(*violations);
            let (on, rows) = (on.word(), results.map_or(0, |results| results.rows));
            tracing::info!(chunk = %chunk.at, expectation = name, on, violations, nulls, rows, "rows are against an expectation");
        }
    }
}

/// Keeps the rows that could not be decoded so far, and counts them.
async fn set_aside(file: &ChunkFile, chunk: &AssignedChunk, quarantine: &mut Quarantine<'_>) -> Result<u64, LoadError> {
    let rejected = file.take_rejected();
    if let (Some(first), BadRecords::Fail) = (rejected.first(), chunk.bad_records) {
        let (column, reason) = (first.column.clone(), first.reason.clone());
        return Err(LoadError::BadRow { chunk: chunk.at.clone(), row: first.number, column, reason });
    }
    let count = u64::try_from(rejected.len()).unwrap_or(u64::MAX);
    quarantine.add(rejected).await?;
    Ok(count)
}

impl Written {
    /// The account of a chunk that `read` rows were in.
    fn counts(&self, read: u64) -> RowCounts {
        let Self { came, quarantined, shortened, row_hash, dropped, ref expectations } = *self;
        let rows = Rows {
            read,
            committed: came - quarantined - dropped,
            filtered: read.saturating_sub(came) + dropped,
            quarantined,
            added: came.saturating_sub(read),
            shortened,
            dropped,
        };
        RowCounts { rows, row_hash: Some(row_hash), checksum: None, expectations: expectations.clone() }
    }
}
