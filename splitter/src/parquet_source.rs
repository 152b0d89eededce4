//! Parquet sources: row groups are copied encoded, unless one of them is larger than a chunk.

mod checks;
mod columns;
mod cut;
pub(crate) mod footer;

use std::pin::pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::StreamExt;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use shared::{Policy, SourceObject};
use tokio::sync::mpsc;

use crate::chunk::assemble::{byte_range, file_bytes, joined, payload_bytes};
use crate::chunk::row_group::{ChunkSchema, Encoded, Payload, RowGroup};
use crate::context::SplitContext;
use crate::error::SplitError;
use crate::parquet_source::checks::{check_codecs, check_columns, check_places};
use crate::parquet_source::columns::{chunk_schema, has_values, renamed_arrow};
use crate::parquet_source::cut::Cutter;
use crate::parquet_source::footer::read_footer;
use crate::source::ranged_file::{RangedFile, reader_error};
use crate::text::ExpansionLimit;

/// What comes of a row group, or why none comes.
type Sent = Result<Encoded, SplitError>;

/// A Parquet source whose footer was read.
#[derive(Clone, Debug)]
pub(crate) struct ParquetSource {
    file: RangedFile,
    metadata: ArrowReaderMetadata,
    /// Whether its `INT96` timestamps are instants.
    pub(crate) int96_instants: bool,
}

impl ParquetSource {
    /// Columns of its chunks, by these names.
    pub(crate) fn schema(&self, column_names: &[String]) -> SchemaRef {
        renamed_arrow(self.metadata.schema(), column_names)
    }

    /// Reads and checks the footer; `int96_instants` as a job that has begun has it.
    pub(crate) async fn open(
        context: &SplitContext,
        source: &SourceObject,
        int96_instants: Option<bool>,
    ) -> Result<Self, SplitError> {
        let (storage, progress) = (Arc::clone(&context.storage), Arc::clone(&context.progress));
        let file = RangedFile::new(storage, source.clone(), progress);
        let (reader, settings) = (file.clone(), context.settings.clone());
        let loaded = tokio::task::spawn_blocking(move || read_footer(&reader, int96_instants, &settings));
        let loaded = loaded.await.map_err(|error| reader_error(&source.uri, error))?;
        let (metadata, int96_instants) = loaded?;
        let opened = Self { file, metadata, int96_instants };
        check_columns(&source.uri, &opened.metadata)?;
        check_places(source, opened.parquet())?;
        let limit = ExpansionLimit::new(&context.settings, source.size);
        limit.check(&source.uri, "Parquet", opened.expanded_bytes())?;
        Ok(opened)
    }

    /// Names of the top-level columns.
    pub(crate) fn column_names(&self) -> Vec<String> {
        self.metadata.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Names of top-level groups without fields, which are not columns.
    pub(crate) fn empty_groups(&self) -> Vec<String> {
        let root = self.parquet().file_metadata().schema();
        let empty = root.get_fields().iter().filter(|field| !has_values(field));
        empty.map(|field| field.name().to_owned()).collect()
    }

    /// Rows of the whole source.
    pub(crate) fn rows(&self) -> u64 {
        self.parquet().row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or_default()).sum()
    }

    /// Types of the top-level columns.
    pub(crate) fn columns(&self) -> Vec<String> {
        self.metadata.schema().fields().iter().map(|field| field.data_type().to_string()).collect()
    }

    /// Bytes of all pages, decompressed.
    fn expanded_bytes(&self) -> u64 {
        let columns = self.parquet().row_groups().iter().flat_map(RowGroupMetaData::columns);
        let sizes = columns.map(|column| u64::try_from(column.uncompressed_size()).unwrap_or_default());
        sizes.fold(0, u64::saturating_add)
    }

    /// Bytes of each row group.
    pub(crate) fn row_group_bytes(&self) -> Vec<u64> {
        self.parquet().row_groups().iter().map(payload_bytes).collect()
    }

    /// The first rows. Blocks, so off the async threads only.
    pub(crate) fn first_rows(&self, rows: usize) -> Result<Vec<RecordBatch>, SplitError> {
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.metadata.clone())
            .with_limit(rows)
            .with_batch_size(rows)
            .build()
            .map_err(|error| self.file.blame(&error))?;
        reader.map(|batch| batch.map_err(|error| self.file.blame(&error.into()))).collect()
    }

    fn parquet(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    /// The row groups from number `from` on, each as often as it takes. Runs until all are sent or the receiver is dropped.
    pub(crate) fn send(self, from: u64, policy: &Policy, column_names: &[String]) -> mpsc::Receiver<Sent> {
        let (sender, receiver) = mpsc::channel(2);
        let (policy, column_names) = (policy.clone(), column_names.to_vec());
        let (at, of_panic) = (self.file.source.uri.clone(), sender.clone());
        let work = tokio::spawn(async move {
            let sent = self.send_all(from, policy, column_names, &sender).await;
            if let Err(Some(error)) = sent {
                // Without a receiver, nobody needs the error.
                drop(sender.send(Err(error)).await);
            }
        });
        // The end of the channel means the end of the source, so a panic must not look like one.
        tokio::spawn(async move {
            if let Err(panic) = work.await {
                drop(of_panic.send(Err(reader_error(&at, panic))).await);
            }
        });
        receiver
    }

    /// The error is `None` when the receiver is dropped.
    async fn send_all(
        self,
        from: u64,
        policy: Policy,
        column_names: Vec<String>,
        sender: &mpsc::Sender<Sent>,
    ) -> Result<(), Option<SplitError>> {
        let blame = |error: ParquetError| Some(self.file.blame(&error));
        let schema = Arc::new(chunk_schema(&self.metadata, self.int96_instants, &column_names).map_err(blame)?);
        // All or none, so that every chunk of the job has the same schema.
        let mut copied = true;
        for group in self.parquet().row_groups() {
            copied = copied && file_bytes(group, &schema).map_err(blame)? <= policy.chunk_bytes;
        }
        if copied {
            return self.copy(from, &schema, sender).await;
        }
        check_codecs(&self.file.source.uri, self.parquet(), cfg!(feature = "brotli")).map_err(Some)?;
        let (at, sender) = (self.file.source.uri.clone(), sender.clone());
        let pieces = tokio::task::spawn_blocking(move || {
            let send = |encoded| sender.blocking_send(Ok(encoded)).ok();
            let cutter =
                Cutter { file: &self.file, metadata: &self.metadata, policy: &policy, column_names: &column_names };
            self.row_groups(from).try_for_each(|(number, _)| cutter.cut(number, send))
        });
        pieces.await.map_err(|error| reader_error(&at, error))?
    }

    /// The row groups with rows, from number `from` on.
    fn row_groups(&self, from: u64) -> impl Iterator<Item = (u64, &RowGroupMetaData)> {
        let all = (0_u64..).zip(self.parquet().row_groups());
        all.filter(move |(number, group)| *number >= from && group.num_rows() != 0)
    }

    /// Sends row groups as they are stored. They are read as one run of bytes, some way ahead, however small they are.
    async fn copy(
        &self,
        from: u64,
        schema: &Arc<ChunkSchema>,
        sender: &mpsc::Sender<Sent>,
    ) -> Result<(), Option<SplitError>> {
        let columns = self.row_groups(from).flat_map(|(_, group)| group.columns());
        let mut bytes = pin!(self.file.bytes_of(joined(columns.map(byte_range))));
        let mut rest = Bytes::new();
        for (number, metadata) in self.row_groups(from) {
            let (pieces, payload) = mpsc::channel(1);
            let (metadata, payload) = (metadata.clone(), Payload::Source(payload));
            let (records, mut left) = (metadata.num_rows(), payload_bytes(&metadata));
            let row_group = RowGroup { metadata, payload, schema: Arc::clone(schema) };
            sender.send(Ok(Encoded::of_parquet(number, records, vec![row_group]))).await.map_err(|_| None)?;
            while left > 0 {
                if rest.is_empty() {
                    let read = bytes.next().await;
                    let read = read.unwrap_or_else(|| Err(SplitError::internal(&self.file.source.uri, "no bytes")));
                    match read {
                        Ok(read) => rest = read,
                        Err(error) => {
                            // The reader of the bytes gets the error, or else the reader of row groups.
                            let unsent = pieces.send(Err(error)).await.err();
                            return Err(unsent.and_then(|unsent| unsent.0.err()));
                        }
                    }
                }
                let piece = rest.split_to(usize::try_from(left).unwrap_or(usize::MAX).min(rest.len()));
                left -= u64::try_from(piece.len()).unwrap_or_default();
                // A row group that is not wanted is passed over, as long as others are.
                if pieces.send(Ok(piece)).await.is_err() && sender.is_closed() {
                    return Err(None);
                }
            }
        }
        Ok(())
    }
}
