//! Parquet sources: row groups are copied encoded, unless one of them is larger than a chunk.

pub(crate) mod footer;

use arrow::record_batch::RecordBatchReader;
use std::pin::pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use bytes::Bytes;
use futures::StreamExt;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema};
use parquet::basic::{Compression, LogicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData, RowGroupMetaData};
use parquet::schema::types::{SchemaDescriptor, Type};
use shared::{INSTANTS_KEY, Location, Policy, SourceObject, page_sizes};
use tokio::sync::mpsc;

use crate::chunk::assemble::{byte_range, file_bytes, joined, payload_bytes};
use crate::chunk::encode::{EncodeError, encode, properties};
use crate::chunk::row_group::Encoded;
use crate::chunk::row_group::{ChunkSchema, Payload, RowGroup};
use crate::context::SplitContext;
use crate::error::{BadInput, SplitError};
use crate::parquet_source::footer::{read_footer, unread_column};
use crate::records::rejects::Rejects;
use crate::source::ranged_file::{HINT, RangedFile, gave_up};
use crate::text::ExpansionLimit;

/// Text bytes of a row group's worth of rows, when a source's row group is cut into smaller ones.
const PIECE_BYTES: i64 = 16 << 20;

/// Most rows of such a piece: how large rows are once decoded, the footer does not tell.
const MOST_ROWS: usize = 64 << 10;

/// Most bytes that they may take once decoded, as far as dictionaries tell. It decides the bytes of chunks, so it is no part of the memory.
const MOST_DECODED: u64 = 192 << 20;

/// What may help where a column cannot be decoded, though the file is whole.
const REWRITE: &str = "have the file written again, the column in another type or with another codec";

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
        let loaded = loaded.await.map_err(|error| gave_up(&source.uri, error))?;
        let (metadata, int96_instants) = loaded?;
        let opened = Self { file, metadata, int96_instants };
        opened.check_columns()?;
        opened.check_places()?;
        let limit = ExpansionLimit::new(&context.settings, source.size);
        limit.check(&source.uri, "Parquet", opened.expanded_bytes())?;
        Ok(opened)
    }

    /// Names of the top-level columns.
    pub(crate) fn column_names(&self) -> Vec<String> {
        self.metadata.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Names of top-level groups without fields, which are no columns.
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

    /// The error of a row group that cannot be decoded, by the column that is to blame.
    fn bad_pages(&self, group: usize, error: &ParquetError) -> SplitError {
        if let Some(failure) = self.file.store_failure() {
            return SplitError::Source(failure);
        }
        let (column, said) = shared::undecodable(&self.file, &self.metadata, group, error);
        if let Some(failure) = self.file.store_failure() {
            return SplitError::Source(failure);
        }
        let reason = format!("the values of row group {group} cannot be decoded: {said}");
        BadInput { column, ..BadInput::whole(&self.file.source.uri, reason, HINT) }.into()
    }

    fn parquet(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    /// The columns that Arrow reads must be those of the footer, one by one. Groups without fields are none: they have no
    /// values, and Arrow leaves them out.
    fn check_columns(&self) -> Result<(), SplitError> {
        let at = &self.file.source.uri;
        if let Some((column, reason)) = unread_column(self.parquet()) {
            return Err(BadInput { column: Some(column), ..BadInput::whole(at, reason, REWRITE) }.into());
        }
        let root = self.parquet().file_metadata().schema();
        let described = root.get_fields().iter().filter(|field| has_values(field)).map(|field| field.name());
        if !described.eq(self.metadata.schema().fields().iter().map(|field| field.name().as_str())) {
            let reason = "its columns are read in another order than the footer has them";
            return Err(BadInput::whole(at, reason, HINT).into());
        }
        Ok(())
    }

    /// Pages must lie within the file, and in it only.
    fn check_places(&self) -> Result<(), SplitError> {
        let at = &self.file.source.uri;
        for (number, group) in self.parquet().row_groups().iter().enumerate().filter(|(_, group)| group.num_rows() != 0)
        {
            for column in group.columns() {
                let range = byte_range(column);
                let is_negative =
                    column.compressed_size() < 0 || column.dictionary_page_offset().is_some_and(|at| at < 0);
                if is_negative || column.data_page_offset() < 4 || range.end > self.file.source.size {
                    let path = column.column_path().string();
                    let reason = format!("column '{path}' of row group {number} lies outside of the file");
                    return Err(BadInput::at_byte(at, range.start, reason, HINT).into());
                }
                if column.file_path().is_some() {
                    let reason = format!("row group {number} keeps its pages in another file");
                    return Err(BadInput::whole(at, reason, "merge the files first").into());
                }
            }
            if group.num_rows() < 0 {
                let reason = format!("row group {number} says it has {} rows", group.num_rows());
                return Err(BadInput::whole(at, reason, HINT).into());
            }
        }
        Ok(())
    }

    /// The row groups from number `from` on, each as often as it takes. Runs until all were sent or nobody listens.
    pub(crate) fn send(self, from: u64, policy: &Policy, column_names: &[String]) -> mpsc::Receiver<Sent> {
        let (sender, receiver) = mpsc::channel(2);
        let (policy, column_names) = (policy.clone(), column_names.to_vec());
        let (at, of_panic) = (self.file.source.uri.clone(), sender.clone());
        let work = tokio::spawn(async move {
            let sent = self.send_all(from, policy, column_names, &sender).await;
            if let Err(Some(error)) = sent {
                // Nobody listening means that nobody wants to know.
                drop(sender.send(Err(error)).await);
            }
        });
        // The end of the channel means the end of the source, so a panic must not look like one.
        tokio::spawn(async move {
            if let Err(panic) = work.await {
                drop(of_panic.send(Err(gave_up(&at, panic))).await);
            }
        });
        receiver
    }

    /// The error is `None` when nobody listens.
    async fn send_all(
        self,
        from: u64,
        policy: Policy,
        column_names: Vec<String>,
        sender: &mpsc::Sender<Sent>,
    ) -> Result<(), Option<SplitError>> {
        let blame = |error: ParquetError| Some(self.file.blame(&error));
        let schema = Arc::new(self.chunk_schema(&column_names).map_err(blame)?);
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
            self.row_groups(from).try_for_each(|(number, _)| self.send_pieces(number, &policy, &column_names, &sender))
        });
        pieces.await.map_err(|error| gave_up(&at, error))?
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
            sender.send(Ok(encoded(number, records, vec![row_group]))).await.map_err(|_| None)?;
            while left > 0 {
                if rest.is_empty() {
                    let read = bytes.next().await;
                    let read = read.unwrap_or_else(|| Err(SplitError::internal(&self.file.source.uri, "no bytes")));
                    match read {
                        Ok(read) => rest = read,
                        Err(error) => {
                            // Whoever waits for the bytes is to know why none come, or else whoever waits for row groups.
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

    /// As many rows of a row group as were to be decoded at once, or fewer if a few bytes stand for much.
    fn rows_within(&self, group: &RowGroupMetaData, rows: usize) -> usize {
        let wanted = u64::try_from(rows).unwrap_or(u64::MAX);
        let row = page_sizes::row_bytes_by_words(&self.file, group, wanted, MOST_DECODED);
        usize::try_from(MOST_DECODED / row.max(1)).unwrap_or(usize::MAX).clamp(1, rows)
    }

    /// Decodes a row group, and encodes it again as several.
    fn send_pieces(
        &self,
        number: u64,
        policy: &Policy,
        column_names: &[String],
        sender: &mpsc::Sender<Sent>,
    ) -> Result<(), Option<SplitError>> {
        let blame = |error: ParquetError| Some(self.file.blame(&error));
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        let group = self.parquet().row_group(place);
        let pieces = (group.total_byte_size() / PIECE_BYTES.min(signed(policy.block_bytes)) + 1).max(1);
        let rows_at_once = usize::try_from(group.num_rows() / pieces).unwrap_or(usize::MAX).clamp(1, MOST_ROWS);
        let rows_at_once = self.rows_within(group, rows_at_once);
        let bad_pages = |error: ParquetError| Some(self.bad_pages(place, &error));
        let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.metadata.clone())
            .with_row_groups(vec![place])
            .with_batch_size(rows_at_once)
            .build()
            .map_err(bad_pages)?;
        let schema = renamed_arrow(&reader.schema(), column_names);
        let properties = properties(&policy.codec);
        let mut next = || shared::guarded(|| reader.next().transpose().map_err(ParquetError::from));
        while let Some(rows) = next().map_err(bad_pages)? {
            let rows = RecordBatch::try_new(Arc::clone(&schema), rows.columns().to_vec());
            let rows = rows.map_err(|error| blame(error.into()))?;
            let count = i64::try_from(rows.num_rows()).unwrap_or(i64::MAX);
            let row_groups = encode(&rows, &properties, policy.chunk_bytes).map_err(|error| match error {
                EncodeError::Parquet(error) => blame(error),
                EncodeError::RowTooLarge => {
                    let reason = format!("a row of row group {number} is larger than a chunk");
                    Some(
                        BadInput::whole(&self.file.source.uri, reason, "run with a higher CHUNK_SIZE_MB and --again")
                            .into(),
                    )
                }
            })?;
            sender.blocking_send(Ok(encoded(number, count, row_groups))).map_err(|_| None)?;
        }
        Ok(())
    }

    fn chunk_schema(&self, column_names: &[String]) -> Result<ChunkSchema, ParquetError> {
        let described = self.parquet().file_metadata();
        let root = described.schema();
        let columns: Vec<_> = root.get_fields().iter().filter(|field| has_values(field)).collect();
        if columns.len() != column_names.len() {
            let (there, known) = (columns.len(), column_names.len());
            return Err(ParquetError::General(format!("the file has {there} columns, and its job knows {known}")));
        }
        let fields = columns.into_iter().zip(column_names).map(|(field, name)| renamed(field, name).map(Arc::new));
        let fields: Result<Vec<_>, ParquetError> = fields.collect();
        let root = Type::group_type_builder(root.name()).with_fields(fields?).build()?;
        let key_values = described.key_value_metadata().map(|pairs| {
            let kept = |pair: &KeyValue| match pair.key.as_str() {
                ARROW_SCHEMA_META_KEY => {
                    let schema = renamed_arrow(self.metadata.schema(), column_names);
                    Some(KeyValue::new(pair.key.clone(), encode_arrow_schema(&schema)))
                }
                // Other keys may speak of columns by their old names (pandas does).
                _ => None,
            };
            let instants = self.int96_instants.then(|| KeyValue::new(INSTANTS_KEY.to_owned(), "true".to_owned()));
            pairs.iter().filter_map(kept).chain(instants).collect()
        });
        Ok(ChunkSchema { columns: Arc::new(SchemaDescriptor::new(Arc::new(root))), key_values })
    }
}

/// Row groups can only be cut where they can be decoded.
fn check_codecs(at: &Location, parquet: &ParquetMetaData, has_brotli: bool) -> Result<(), SplitError> {
    let mut columns = parquet.row_groups().iter().flat_map(RowGroupMetaData::columns);
    if has_brotli || !columns.any(|column| matches!(column.compression(), Compression::BROTLI(_))) {
        return Ok(());
    }
    let largest = parquet.row_groups().iter().map(payload_bytes).max().unwrap_or_default();
    let reason = format!(
        "row groups of up to {largest} bytes do not fit into a chunk, and the function cannot cut them: they are compressed with Brotli"
    );
    Err(BadInput::whole(at, reason, "load it with `sluice ingest`, or with a larger CHUNK_SIZE_MB").into())
}

fn encoded(block_start: u64, records: i64, row_groups: Vec<RowGroup>) -> Encoded {
    let records = u64::try_from(records).unwrap_or_default();
    Encoded {
        block_start,
        restart: None,
        content: Vec::new(),
        records,
        rejects: Rejects::default(),
        shortened: 0,
        row_groups,
    }
}

fn renamed_arrow(schema: &SchemaRef, column_names: &[String]) -> SchemaRef {
    let fields = schema.fields().iter().zip(column_names);
    let fields: Vec<Field> = fields.map(|(field, name)| field.as_ref().clone().with_name(name)).collect();
    Arc::new(Schema::new(fields))
}

/// A field under another name. A logical type that this version does not know cannot be written, and so goes: what it is
/// about is read as the bytes or numbers that it is made of, in the source as in the chunks.
fn renamed(field: &Type, name: &str) -> Result<Type, ParquetError> {
    let info = field.get_basic_info();
    let id = info.has_id().then(|| info.id());
    let is_known = |logical: &&LogicalType| !matches!(logical, LogicalType::_Unknown { .. });
    let logical = info.logical_type_ref().filter(is_known).cloned();
    match field {
        Type::PrimitiveType { physical_type, type_length, scale, precision, .. } => {
            Type::primitive_type_builder(name, *physical_type)
                .with_repetition(info.repetition())
                .with_converted_type(info.converted_type())
                .with_logical_type(logical)
                .with_length(*type_length)
                .with_precision(*precision)
                .with_scale(*scale)
                .with_id(id)
                .build()
        }
        Type::GroupType { fields, .. } => {
            let fields = fields.iter().filter(|field| has_values(field));
            let fields = fields.map(|field| renamed(field, field.name()).map(Arc::new));
            Type::group_type_builder(name)
                .with_repetition(info.repetition())
                .with_converted_type(info.converted_type())
                .with_logical_type(logical)
                .with_fields(fields.collect::<Result<_, _>>()?)
                .with_id(id)
                .build()
        }
    }
}

/// Whether a field has a column of values, at any depth.
fn has_values(field: &Arc<Type>) -> bool {
    field.is_primitive() || field.get_fields().iter().any(has_values)
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::BrotliLevel;
    use parquet::file::metadata::ParquetMetaDataReader;
    use parquet::file::properties::WriterProperties;

    use super::*;

    #[test]
    fn what_cannot_be_decoded_is_not_cut() {
        let at = "s3://b/k".parse().unwrap();
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..9));
        let rows = RecordBatch::try_from_iter([("id", column)]).unwrap();
        for (codec, is_cut) in [(Compression::SNAPPY, true), (Compression::BROTLI(BrotliLevel::default()), false)] {
            let properties = WriterProperties::builder().set_compression(codec).build();
            let mut file = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
            file.write(&rows).unwrap();
            let file = Bytes::from(file.into_inner().unwrap());
            let parquet = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
            assert!(check_codecs(&at, &parquet, true).is_ok(), "{codec}");
            let checked = check_codecs(&at, &parquet, false);
            assert_eq!(checked.is_ok(), is_cut, "{codec}");
            if let Err(error) = checked {
                insta::assert_snapshot!(error, @"s3://b/k: row groups of up to 84 bytes do not fit into a chunk, and the function cannot cut them: they are compressed with Brotli");
                assert!(error.is_bad_input());
            }
        }
    }
}
