//! Where rejected rows of a chunk are kept.

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use shared::{RejectedRecords, Storage, Upload, rejected_schema};

use crate::chunk::AssignedChunk;
use crate::error::LoadError;
use crate::rows::rejected::RejectedRow;

/// Bytes of rejected rows that are held before they are written.
const BUFFERED_BYTES: usize = 4 << 20;

/// Rejected rows of one chunk on their way to one object; without any row there is no object.
#[derive(Debug)]
pub(crate) struct Quarantine<'a> {
    storage: &'a dyn Storage,
    chunk: &'a AssignedChunk,
    rows: Vec<RejectedRow>,
    bytes: usize,
    written: u64,
    object: Option<Object>,
}

struct Object {
    upload: Box<dyn Upload>,
    writer: ArrowWriter<Vec<u8>>,
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object").field("upload", &self.upload).finish_non_exhaustive()
    }
}

impl<'a> Quarantine<'a> {
    pub(crate) fn new(storage: &'a dyn Storage, chunk: &'a AssignedChunk) -> Self {
        Self { storage, chunk, rows: Vec::new(), bytes: 0, written: 0, object: None }
    }

    /// Adds rejected rows.
    pub(crate) async fn add(&mut self, rows: Vec<RejectedRow>) -> Result<(), LoadError> {
        if let (Some(first), None) = (rows.first(), &self.chunk.quarantine) {
            // No place to keep it, and it must not be lost.
            let (chunk, row) = (self.chunk.at.clone(), first.number);
            let reason = format!("{}, and CHUNK_BUCKET, where such rows are kept, is not set", first.reason);
            return Err(LoadError::BadRow { chunk, row, column: first.column.clone(), reason });
        }
        self.bytes += rows.iter().map(|row| row.raw.len() + row.reason.len()).sum::<usize>();
        self.rows.extend(rows);
        if self.bytes >= BUFFERED_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Makes the object visible; gives the number of rows in it.
    pub(crate) async fn finish(mut self) -> Result<u64, LoadError> {
        self.flush().await?;
        if let Some(Object { mut upload, writer }) = self.object.take() {
            let bytes = writer.into_inner().map_err(|error| unwritable(self.chunk, &error))?;
            upload.write(bytes.into()).await?;
            upload.finish().await?;
        }
        Ok(self.written)
    }

    async fn flush(&mut self) -> Result<(), LoadError> {
        let Some(at) = self.chunk.quarantine.as_ref().filter(|_| !self.rows.is_empty()) else { return Ok(()) };
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let failed = |error: ParquetError| unwritable(self.chunk, &error);
        let object = match &mut self.object {
            Some(object) => object,
            none => {
                let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                let writer = ArrowWriter::try_new(Vec::new(), rejected_schema(), Some(properties)).map_err(failed)?;
                none.insert(Object { upload: self.storage.create(at).await?, writer })
            }
        };
        let batch = batch(&rows).map_err(|error| unwritable(self.chunk, &error))?;
        object.writer.write(&batch).and_then(|()| object.writer.flush()).map_err(failed)?;
        object.writer.sync().map_err(|error| unwritable(self.chunk, &error))?;
        let bytes = std::mem::take(object.writer.inner_mut());
        object.upload.write(bytes.into()).await?;
        self.written += u64::try_from(rows.len()).unwrap_or(0);
        Ok(())
    }
}

fn unwritable(chunk: &AssignedChunk, error: &dyn std::error::Error) -> LoadError {
    LoadError::Bug { what: format!("the rejected rows of {}", chunk.at), reason: error.to_string() }
}

fn batch(rows: &[RejectedRow]) -> Result<RecordBatch, ArrowError> {
    let mut records = RejectedRecords::default();
    for row in rows {
        records.add(row.number, None, Some(&row.column), &row.reason, row.raw.as_bytes());
    }
    records.finish()
}
