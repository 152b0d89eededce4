//! Row groups, encoded a column at a time.
//!
//! The writer of a column takes some 100 KB before it has a value, for its dictionary and its codec. Written one after the other,
//! columns take that once, where a writer of rows takes it for each of thousands.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, FieldRef, Float64Type, Int64Type, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnDescPtr, ColumnPath};
use shared::column_chunk::{self, ColumnChunk, Compressor};
use shared::values::Values;

use super::order::{Order, places};
use super::rows::Rows;
use crate::keyed;

/// Rows that are brought into order at once.
const PIECE_ROWS: usize = 8192;

/// Most bytes of a column without keys that becomes one page.
const PAGE_BYTES: usize = 8 << 20;

/// Values that are looked at to see whether they recur.
const SAMPLE: usize = 2048;

/// A Parquet file in the making, without what was taken of it.
pub(super) type ParquetFile = SerializedFileWriter<Vec<u8>>;

/// Encodes rows of the same columns in the same way.
pub(super) struct Encoder {
    schema: SchemaRef,
    properties: WriterProperties,
    /// Makes the writers of one column each.
    columns: Vec<ArrowRowGroupWriterFactory>,
    /// Columns whose values are known not to recur.
    plain: HashSet<String>,
    room: Mutex<Room>,
}

/// What is kept from one column to the next.
struct Room {
    compressor: Compressor,
    numbers: Vec<i32>,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Encoder {
    /// `own` are the properties of columns that have others, by their names; `plain` those whose values are known not to recur.
    pub(super) fn new(
        schema: SchemaRef,
        properties: WriterProperties,
        own: &HashMap<String, WriterProperties>,
        plain: &[String],
    ) -> Result<Self> {
        let columns = schema.fields().iter().map(|field| {
            let alone = Arc::new(Schema::new(vec![Arc::clone(field)]));
            // Each writer has a copy, so what thousands of columns want is not among the properties of all.
            let properties = own.get(field.name()).unwrap_or(&properties).clone();
            let writer = ArrowWriter::try_new(io::sink(), alone, Some(properties))?;
            Ok(writer.into_serialized_writer()?.1)
        });
        let columns = columns.collect::<Result<_>>()?;
        let compressor = Compressor::new(properties.compression(&ColumnPath::from(Vec::new())));
        let room = Mutex::new(Room { compressor, numbers: Vec::new() });
        Ok(Self { schema, properties, columns, plain: plain.iter().cloned().collect(), room })
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
        let room = &mut *self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let described = file.schema_descr().columns().to_vec();
        let mut leaves = described.as_slice();
        let mut group = file.next_row_group()?;
        for ((field, factory), column) in self.schema.fields().iter().zip(&self.columns).zip(rows.columns()) {
            let is_of_field = |leaf: &ColumnDescPtr| leaf.path().parts().first() == Some(field.name());
            let (own, rest) = leaves.split_at(leaves.iter().take_while(|leaf| is_of_field(leaf)).count());
            leaves = rest;
            let values = self.values(field, rows, (*column, order), &mut room.numbers)?;
            if let (Some(values), [described]) = (values, own) {
                let (bytes, closed) = ColumnChunk::of(&values, described, &mut room.compressor)?.close()?;
                group.append_column(&bytes, closed)?;
            } else {
                let writers = factory.create_column_writers(0)?;
                append_any(&mut group, field, writers, rows, (*column, order))?;
            }
        }
        group.close()?;
        Ok(())
    }

    /// A column for the encoder of columns whose values are known, or known not to recur; none for the one of all others, which finds
    /// that out.
    fn values(
        &self,
        field: &FieldRef,
        rows: &Rows,
        (column, order): (usize, &Order),
        numbers: &mut Vec<i32>,
    ) -> Result<Option<Values>> {
        if !column_chunk::encodes(field.data_type()) {
            return Ok(None);
        }
        if let Some(chosen) = rows.chosen(column, order, numbers)? {
            return Ok(Some(chosen.into_values()?));
        }
        let columns = rows.column(column);
        if !self.plain.contains(field.name()) && !columns.first().is_some_and(|values| differs(values)) {
            return Ok(None);
        }
        let bytes: usize = columns.iter().copied().map(Array::get_array_memory_size).sum();
        let share = bytes / rows.count().max(1) * order.len();
        if share > PAGE_BYTES { Ok(None) } else { Ok(Some(Values::Plain(rows.plain(column, order)?))) }
    }
}

/// Whether numbers of 64 bits, or less, hardly recur. Of texts that is not asked: those that recur now and then are worth the keys.
fn differs(values: &ArrayRef) -> bool {
    let bits = |values: &ArrayRef| -> Option<HashSet<u64>> {
        Some(match values.data_type() {
            DataType::Int64 => {
                values.as_primitive::<Int64Type>().values().iter().map(|one| one.cast_unsigned()).collect()
            }
            DataType::Float64 => {
                values.as_primitive::<Float64Type>().values().iter().map(|one| one.to_bits()).collect()
            }
            _ => return None,
        })
    };
    let sample = values.slice(0, values.len().min(SAMPLE));
    bits(&sample).is_some_and(|different| {
        sample.len() == SAMPLE && sample.null_count() == 0 && different.len() * 8 > sample.len() * 7
    })
}

/// Adds a column of any type to a row group.
fn append_any(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    field: &FieldRef,
    mut writers: Vec<ArrowColumnWriter>,
    rows: &Rows,
    (column, order): (usize, &Order),
) -> Result<()> {
    let columns = rows.column(column).into_iter().map(keyed::plain).collect::<Result<Vec<_>, _>>()?;
    let mut write = |array: &ArrayRef| {
        let leaves = compute_leaves(field, array)?;
        writers.iter_mut().zip(&leaves).try_for_each(|(writer, leaf)| writer.write(leaf))
    };
    match order {
        Order::All(_) => columns.iter().try_for_each(&mut write)?,
        Order::Of(order) => {
            let columns: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
            for piece in order.chunks(PIECE_ROWS) {
                write(&interleave(&columns, &places(piece)).map_err(ParquetError::from)?)?;
            }
        }
    }
    for writer in writers {
        writer.close()?.append_to_row_group(group)?;
    }
    Ok(())
}

/// Takes the bytes that a file has so far.
pub(super) fn take_bytes(file: &mut ParquetFile) -> io::Result<Vec<u8>> {
    file.flush()?;
    let mut bytes = std::mem::take(file.inner_mut());
    // They wait for their upload, and half of what a vector grew to may be empty.
    bytes.shrink_to_fit();
    Ok(bytes)
}
