//! Row groups, encoded a column at a time.
//!
//! The writer of a column takes some 100 KB before it has a value, for its dictionary and its codec. Written one after the other,
//! columns take that once, where a writer of rows takes it for each of thousands.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::interleave;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

/// Rows that are brought into order at once.
const PIECE_ROWS: usize = 8192;

/// A Parquet file in the making, without what was taken of it.
pub(super) type ParquetFile = SerializedFileWriter<Vec<u8>>;

/// Rows that were gathered.
#[derive(Debug)]
pub(super) struct Rows {
    /// All of the same columns.
    pub(super) batches: Vec<RecordBatch>,
    /// Columns that go into files, by their places in the batches.
    pub(super) columns: Vec<usize>,
}

/// Which of the rows, in which order: batch and row of each.
#[derive(Debug)]
pub(super) enum Order {
    /// All, as they come.
    All(usize),
    /// These.
    Of(Vec<(usize, usize)>),
}

impl Order {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::Of(rows) => rows.len(),
        }
    }
}

impl Rows {
    pub(super) fn none() -> Self {
        Self { batches: Vec::new(), columns: Vec::new() }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// Encodes rows of the same columns in the same way.
pub(super) struct Encoder {
    schema: SchemaRef,
    properties: WriterProperties,
    /// Makes the writers of one column each.
    columns: Vec<ArrowRowGroupWriterFactory>,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Encoder {
    /// `own` are the properties of columns that have others, by their names.
    pub(super) fn new(
        schema: SchemaRef,
        properties: WriterProperties,
        own: &HashMap<String, WriterProperties>,
    ) -> Result<Self> {
        let columns = schema.fields().iter().map(|field| {
            let alone = Arc::new(Schema::new(vec![Arc::clone(field)]));
            // Each writer has a copy, so what thousands of columns want is not among the properties of all.
            let properties = own.get(field.name()).unwrap_or(&properties).clone();
            let writer = ArrowWriter::try_new(io::sink(), alone, Some(properties))?;
            Ok(writer.into_serialized_writer()?.1)
        });
        let columns = columns.collect::<Result<_>>()?;
        Ok(Self { schema, properties, columns })
    }

    /// A file without rows.
    pub(super) fn begin(&self) -> Result<ParquetFile> {
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&self.schema), Some(self.properties.clone()))?;
        Ok(writer.into_serialized_writer()?.0)
    }

    /// Columns of the files, those within columns included, as far as they are worth counting.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Adds a row group to a file.
    pub(super) fn append(&self, file: &mut ParquetFile, rows: &Rows, order: &Order) -> Result<()> {
        let mut group = file.next_row_group()?;
        for ((field, factory), column) in self.schema.fields().iter().zip(&self.columns).zip(&rows.columns) {
            let mut writers = factory.create_column_writers(0)?;
            let arrays: Vec<&dyn Array> = rows.batches.iter().map(|batch| batch.column(*column).as_ref()).collect();
            let mut write = |array: &ArrayRef| {
                let leaves = compute_leaves(field, array)?;
                writers.iter_mut().zip(&leaves).try_for_each(|(writer, leaf)| writer.write(leaf))
            };
            match order {
                Order::All(_) => rows.batches.iter().try_for_each(|batch| write(batch.column(*column)))?,
                Order::Of(places) => {
                    for piece in places.chunks(PIECE_ROWS) {
                        write(&interleave(&arrays, piece).map_err(ParquetError::from)?)?;
                    }
                }
            }
            for writer in writers {
                writer.close()?.append_to_row_group(&mut group)?;
            }
        }
        group.close()?;
        Ok(())
    }
}

/// Takes the bytes that a file has so far.
pub(super) fn take_bytes(file: &mut ParquetFile) -> io::Result<Vec<u8>> {
    file.flush()?;
    let mut bytes = std::mem::take(file.inner_mut());
    // They wait for their upload, and half of what a vector grew to may be empty.
    bytes.shrink_to_fit();
    Ok(bytes)
}
