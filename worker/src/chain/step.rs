//! One step of a chain: the rows of new data files of a table become data files of another one, which one commit adds.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use deltalake::kernel::Add;
use deltalake::{DeltaTableError, ObjectStoreError, Path};
use shared::{RowHash, Rows, error_chain};

use super::upstream::Upstream;
use crate::chunk::AssignedChunk;
use crate::commit::prepared::Prepared;
use crate::context::LoadContext;
use crate::delta::app_ids::step_tag;
use crate::delta::staging::StagingNote;
use crate::delta::table::Table;
use crate::delta::write::{DataFiles, Room};
use crate::error::LoadError;
use crate::fetch::data_file::StoredFile;
use crate::prepare::write_schema_of;
use crate::rows::conform::Conform;
use crate::rows::of_table::{in_all_columns, nullable, partition_values};
use crate::rows::quarantine::Quarantine;
use crate::rows::row_counts::RowCounts;
use crate::rows::row_hash::row_hash;
use crate::rows::shaping::Shape;
use crate::schema::checks::Checks;
use crate::schema::columns::accommodate;
use crate::schema::write_schema::WriteSchema;
use crate::sql::text_of;

/// What may help with files that are not read.
const UNREAD_HINT: &str =
    "begin after this version with a new target table (start in the route), and load the rows of before in another way";

/// New files of a version, and whether those that are gone are passed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewFiles<'a> {
    pub(super) added: &'a [Add],
    pub(super) accept_loss: bool,
}

/// Writes the rows of new files, or what SQL makes of them, to data files that nobody sees yet; gives the paths of those that are gone,
/// too.
pub(super) async fn write(
    context: &LoadContext,
    upstream: &Upstream,
    new: NewFiles<'_>,
    table: &Table,
    chunk: AssignedChunk,
) -> Result<(Prepared, Vec<String>), LoadError> {
    let columns = nullable(&upstream.columns);
    let shape = shape(&chunk, &columns)?;
    let before = write_schema_of(table)?.unwrap_or_else(|| WriteSchema::new(&chunk.partition_by));
    let unfit = |refusal| {
        let (chunk, table) = (chunk.at.clone(), Box::new(table.uri().clone()));
        LoadError::Unfit { chunk, table, refusal }
    };
    let (write_schema, sources) = accommodate(table, &before, shape.schema()).await.map_err(unfit)?;
    let checks = Checks::of(&write_schema).map_err(unfit)?;
    let of_rows = Arc::clone(shape.schema());
    let conform = Conform {
        chunk: &chunk,
        columns: &of_rows,
        write_schema: &write_schema,
        sources: &sources,
        checks: &checks,
        judge: None,
        rows: 0,
        shortened: 0,
        emptied: 0,
        dropped: 0,
    };
    let quarantine = Quarantine::new(context.storage.as_ref(), &chunk);
    let step = Step { context, upstream, columns, shape, conform, quarantine, read: 0, row_hash: RowHash::default() };
    let mut files = DataFiles::new(table, &write_schema, Room::of(&context.settings), &[])?;
    let (counts, gone) = match step.run(new, &mut files).await {
        Ok(done) => done,
        Err(error) => {
            files.abort().await;
            return Err(error);
        }
    };
    let version = u64::try_from(chunk.txn_version()).unwrap_or_default();
    let files = files.finish(Some(&step_tag(&upstream.id, version))).await?;
    let note = Some(StagingNote::put(table, &files).await?);
    Ok((Prepared { write_schema, files, counts, table_id: table.id(), note, chunk }, gone))
}

fn shape(chunk: &AssignedChunk, columns: &SchemaRef) -> Result<Shape, LoadError> {
    let shape = Shape::new(&chunk.shaping, columns).map_err(|error| wrong_sql(chunk, columns, text_of(&error)))?;
    if shape.asks_numbers() {
        return Err(wrong_sql(chunk, columns, "rows of a table have no record numbers ($record_number)".to_owned()));
    }
    Ok(shape)
}

fn wrong_sql(chunk: &AssignedChunk, columns: &SchemaRef, reason: String) -> LoadError {
    let columns = columns.fields().iter().map(|field| field.name().clone()).collect();
    let place = chunk.shaping.place.clone();
    LoadError::Sql { chunk: chunk.at.clone(), place, reason, columns }
}

/// Rows on their way from table to table.
struct Step<'a> {
    context: &'a LoadContext,
    upstream: &'a Upstream,
    columns: SchemaRef,
    shape: Shape,
    conform: Conform<'a>,
    quarantine: Quarantine<'a>,
    /// Rows that were read.
    read: u64,
    /// Hash of those that go into the table.
    row_hash: RowHash,
}

impl Step<'_> {
    /// Reads all files; gives what became of their rows, and the paths of files that are gone.
    async fn run(
        mut self,
        new: NewFiles<'_>,
        files: &mut DataFiles<'_>,
    ) -> Result<(RowCounts, Vec<String>), LoadError> {
        let mut gone = Vec::new();
        for add in new.added {
            match self.open(add).await {
                Ok(file) => self.file(add, &file, files).await?,
                Err(LoadError::UpstreamGone { .. }) if new.accept_loss => gone.push(add.path.clone()),
                Err(error) => return Err(error),
            }
        }
        Ok((self.counts().await?, gone))
    }

    async fn open(&self, add: &Add) -> Result<StoredFile, LoadError> {
        let unread = |reason: &str| LoadError::Upstream {
            from: Box::new(self.upstream.uri().clone()),
            table: self.chunk().table.clone(),
            reason: format!("file {} of version {} {reason}", add.path, self.chunk().txn_version()),
            hint: UNREAD_HINT,
        };
        if add.deletion_vector.is_some() {
            return Err(unread("has rows that a deletion vector takes out"));
        }
        if add.path.contains("://") || add.path.starts_with('/') {
            return Err(unread("lies outside of the table"));
        }
        let at = Path::parse(&add.path).map_err(|error| self.failed(add, &DeltaTableError::generic(error)))?;
        let opened = StoredFile::open_of_others(&self.upstream.table, at, &self.context.settings.memory).await;
        opened.map_err(|error| self.failed(add, &error))
    }

    /// Reads one file to its end.
    async fn file(&mut self, add: &Add, file: &StoredFile, files: &mut DataFiles<'_>) -> Result<(), LoadError> {
        let _share = file.take_memory(Room::needed).await?;
        let columns = &self.upstream.columns;
        let constants = partition_values(columns, &add.partition_values).map_err(|error| self.failed(add, &error))?;
        for group in 0..file.groups() {
            let batches = file.batches(group).await.map_err(|error| self.failed(add, &error))?;
            for batch in batches {
                let batch = batch.map_err(|error| self.failed(add, &error))?;
                let rows = in_all_columns(columns, &self.columns, &constants, &batch);
                let rows = rows.map_err(|error| self.failed(add, &error.into()))?;
                self.read += u64::try_from(rows.num_rows()).unwrap_or_default();
                let made = self.shape.run(&rows, None);
                let made = made.map_err(|error| wrong_sql(self.chunk(), &self.columns, text_of(&error)))?;
                for rows in made {
                    let (taken, rejected) = self.conform.conform(&rows)?;
                    let hash = row_hash(&taken, self.conform.write_schema.partition_by());
                    let hash = hash.map_err(|error| LoadError::Bug {
                        what: self.chunk().at.to_string(),
                        reason: error.to_string(),
                    })?;
                    self.row_hash += hash;
                    files.write(&taken).await?;
                    self.quarantine.add(rejected).await?;
                }
            }
        }
        Ok(())
    }

    fn chunk(&self) -> &AssignedChunk {
        self.conform.chunk
    }

    fn failed(&self, add: &Add, error: &DeltaTableError) -> LoadError {
        let from = self.upstream.uri();
        if let DeltaTableError::ObjectStore { source: ObjectStoreError::NotFound { .. } } = error {
            let what = format!("file {} of version {} is", add.path, self.chunk().txn_version());
            return LoadError::UpstreamGone { from: Box::new(from.clone()), table: self.chunk().table.clone(), what };
        }
        let source = DeltaTableError::generic(format!("{}: {}", add.path, error_chain(error)));
        LoadError::table(from, "read a data file of", source)
    }

    /// What became of the rows, once all are read.
    async fn counts(self) -> Result<RowCounts, LoadError> {
        let quarantined = self.quarantine.finish().await?;
        let Conform { rows: came, shortened, .. } = self.conform;
        let rows = Rows {
            read: self.read,
            committed: came - quarantined,
            filtered: self.read.saturating_sub(came),
            quarantined,
            added: came.saturating_sub(self.read),
            shortened,
            dropped: 0,
        };
        Ok(RowCounts { rows, row_hash: Some(self.row_hash), checksum: None, expectations: None })
    }
}
