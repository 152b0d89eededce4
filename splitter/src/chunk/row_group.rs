//! Encoded row groups, and what a footer says of them.

use std::sync::Arc;

use arrow::datatypes::Schema;
use bytes::Bytes;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowSchemaConverter, encode_arrow_schema};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, RowGroupMetaData};
use parquet::schema::types::SchemaDescPtr;
use shared::{Lines, ResumePoint};
use tokio::sync::mpsc;

use crate::error::SplitError;
use crate::records::rejects::Rejects;

/// The four bytes that a Parquet file begins and ends with.
pub(crate) const MAGIC: &[u8; 4] = b"PAR1";

/// What came of a block, or of a piece of one, in the order of the source.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// Where the block begins: a byte offset in the text, or for Parquet the number of a row group.
    pub(crate) block_start: u64,
    /// The last place before that at which reading can resume.
    pub(crate) resume_point: Option<Arc<ResumePoint>>,
    /// What a digest of the source takes of it; nothing of what is not text.
    pub(crate) content: Option<String>,
    /// Records in it.
    pub(crate) records: u64,
    /// Records that were rejected, numbered from 1 within it.
    pub(crate) rejects: Rejects,
    /// Values of the others that lost digits.
    pub(crate) shortened: u64,
    /// Lines of the records, and those between them; none of what is no text.
    pub(crate) lines: Lines,
    /// The rest.
    pub(crate) row_groups: Vec<RowGroup>,
}

impl Encoded {
    /// Row groups with the rows of row group `number` of a Parquet source.
    pub(crate) fn of_parquet(number: u64, rows: i64, row_groups: Vec<RowGroup>) -> Self {
        Self {
            block_start: number,
            resume_point: None,
            content: None,
            records: u64::try_from(rows).unwrap_or_default(),
            rejects: Rejects::default(),
            shortened: 0,
            lines: Lines::default(),
            row_groups,
        }
    }
}

/// One encoded row group, and where its bytes are.
#[derive(Debug)]
pub(crate) struct RowGroup {
    /// Its metadata, with the offsets at which its columns stand in `payload`.
    pub(crate) metadata: RowGroupMetaData,
    /// Its bytes.
    pub(crate) payload: Payload,
    /// What a file of this row group says of its schema.
    pub(crate) schema: Arc<ChunkSchema>,
}

/// Where the bytes of a row group are.
#[derive(Debug)]
pub(crate) enum Payload {
    /// In memory: what a file of this row group alone has before its footer, or all of such a file.
    Memory(Bytes),
    /// In the source, a Parquet file itself: they come in pieces, one column after the other.
    Source(mpsc::Receiver<Result<Bytes, SplitError>>),
}

/// What the footer of a chunk says of its columns.
#[derive(Clone, Debug)]
pub(crate) struct ChunkSchema {
    /// Columns as Parquet knows them.
    pub(crate) columns: SchemaDescPtr,
    /// The Arrow schema, and what else is kept by key.
    pub(crate) key_values: Option<Vec<KeyValue>>,
}

impl ChunkSchema {
    /// Of chunks whose rows have this schema.
    pub(crate) fn of(schema: &Schema) -> Result<Self, ParquetError> {
        let columns = Arc::new(ArrowSchemaConverter::new().convert(schema)?);
        let arrow_schema = KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), encode_arrow_schema(schema));
        Ok(Self { columns, key_values: Some(vec![arrow_schema]) })
    }
}
