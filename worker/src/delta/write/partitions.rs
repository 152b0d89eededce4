//! Which partition of the table each row belongs to.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use buoyant_kernel::expressions::Scalar;
use deltalake::Path;
use deltalake::kernel::scalars::ScalarExt;
use deltalake::table::state::DeltaTableState;
use shared::Location;

use super::instants::InstantStyle;
use super::row_group::{Order, Rows};
use crate::error::LoadError;
use crate::schema::write_schema::WriteSchema;

/// The partitions of one chunk's rows.
#[derive(Debug)]
pub(super) struct Partitions {
    schema: SchemaRef,
    /// Places of the partition columns, in the order of the table.
    by: Vec<usize>,
    /// How instants in these are written.
    styles: Vec<InstantStyle>,
    most: usize,
    known: HashMap<Box<[u8]>, usize>,
    all: Vec<Arc<Partition>>,
    /// Of each row gathered, in order, its partition.
    rows: Vec<usize>,
    columns: Vec<usize>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Partition {
    /// Where its files are, below the table.
    pub(super) folder: Path,
    /// Values of the partition columns, as the log has them.
    pub(super) values: HashMap<String, Option<String>>,
}

/// Rows of one partition among those gathered.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) id: usize,
    pub(super) partition: Arc<Partition>,
    pub(super) rows: Order,
}

/// Why rows cannot be parted.
#[derive(Debug)]
pub(super) enum Refusal {
    TooMany { columns: String, most: usize },
    Failed(String),
}

impl Refusal {
    pub(super) fn of(self, table: &Location) -> LoadError {
        let table = table.clone();
        match self {
            Self::TooMany { columns, most } => LoadError::TooManyPartitions { table, columns, most },
            Self::Failed(reason) => LoadError::Bug { what: format!("partitions of {table}"), reason },
        }
    }
}

impl Partitions {
    /// The partitions of a table, as it is; none while there is no table.
    pub(super) fn new(write_schema: &WriteSchema, state: Option<&DeltaTableState>, most: usize) -> Self {
        let schema = Arc::clone(write_schema.file_schema());
        let by: Vec<usize> =
            write_schema.file_partition_by().iter().filter_map(|name| schema.index_of(name).ok()).collect();
        let style = |place: &usize| match schema.field(*place).data_type() {
            DataType::Timestamp(_, Some(_)) => {
                state.map(|state| InstantStyle::of(state, schema.field(*place).name())).unwrap_or_default()
            }
            _ => InstantStyle::default(),
        };
        let styles = by.iter().map(style).collect();
        let columns = (0..schema.fields().len()).filter(|place| !by.contains(place)).collect();
        let mut all = Vec::new();
        if by.is_empty() {
            all.push(Arc::new(Partition { folder: Path::default(), values: HashMap::new() }));
        }
        Self { schema, by, styles, most, known: HashMap::new(), all, rows: Vec::new(), columns }
    }

    /// The columns that files have.
    pub(super) fn file_columns(&self) -> SchemaRef {
        let fields = self.columns.iter().filter_map(|place| self.schema.fields().get(*place).cloned());
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Takes note of the partitions of rows that are gathered.
    pub(super) fn note(&mut self, rows: &RecordBatch) -> Result<(), Refusal> {
        if self.by.is_empty() {
            return Ok(());
        }
        let failed = |error: ArrowError| Refusal::Failed(error.to_string());
        let keys: Vec<ArrayRef> = self.by.iter().map(|place| Arc::clone(rows.column(*place))).collect();
        let fields = keys.iter().map(|values| SortField::new(values.data_type().clone())).collect();
        let converted = RowConverter::new(fields).and_then(|converter| converter.convert_columns(&keys));
        for (row, key) in converted.map_err(failed)?.iter().enumerate() {
            let id = match self.known.get(key.as_ref()) {
                Some(id) => *id,
                None => self.add(key.as_ref(), &keys, row)?,
            };
            self.rows.push(id);
        }
        Ok(())
    }

    fn add(&mut self, key: &[u8], values: &[ArrayRef], row: usize) -> Result<usize, Refusal> {
        let names = || self.by.iter().map(|place| self.schema.field(*place).name());
        if self.all.len() >= self.most {
            let columns = names().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
            return Err(Refusal::TooMany { columns, most: self.most });
        }
        let (mut folder, mut texts) = (Vec::new(), HashMap::new());
        for ((name, values), style) in names().zip(values).zip(&self.styles) {
            let value = Scalar::from_array(values.as_ref(), row);
            let value = value.ok_or_else(|| Refusal::Failed(format!("'{name}' is a {}", values.data_type())))?;
            folder.push(style.folder(name, &value));
            texts.insert(name.clone(), (!value.is_null()).then(|| style.in_log(&value)));
        }
        let folder = Path::parse(folder.join("/")).map_err(|error| Refusal::Failed(error.to_string()))?;
        let id = self.all.len();
        self.all.push(Arc::new(Partition { folder, values: texts }));
        self.known.insert(key.into(), id);
        Ok(id)
    }

    /// Parts what was gathered.
    pub(super) fn part(&mut self, batches: Vec<RecordBatch>) -> (Rows, Vec<Part>) {
        let rows = Rows { batches, columns: self.columns.clone() };
        let of = |id: usize, rows: Order| Some(Part { id, partition: Arc::clone(self.all.get(id)?), rows });
        let ids = std::mem::take(&mut self.rows);
        let first = ids.first().copied().unwrap_or_default();
        if ids.iter().all(|id| *id == first) {
            let count = rows.count();
            let parts = if count == 0 { None } else { of(first, Order::All(count)) };
            return (rows, parts.into_iter().collect());
        }
        let mut counts: HashMap<usize, usize> = HashMap::new();
        for id in &ids {
            *counts.entry(*id).or_default() += 1;
        }
        let mut places: HashMap<usize, Vec<(usize, usize)>> =
            counts.into_iter().map(|(id, rows)| (id, Vec::with_capacity(rows))).collect();
        let all = rows.batches.iter().enumerate().flat_map(|(batch, rows)| {
            let rows = rows.num_rows();
            (0..rows).map(move |row| (batch, row))
        });
        for (id, place) in ids.into_iter().zip(all) {
            places.entry(id).or_default().push(place);
        }
        let mut parts: Vec<Part> = places.into_iter().filter_map(|(id, rows)| of(id, Order::Of(rows))).collect();
        parts.sort_by_key(|part| part.id);
        (rows, parts)
    }

    /// Takes note of rows that [`collect`] has made of parts.
    pub(super) fn keep(&mut self, kept: &RecordBatch, parts: &[Part]) {
        self.rows = parts.iter().flat_map(|part| std::iter::repeat_n(part.id, part.rows.len())).collect();
        debug_assert_eq!(self.rows.len(), kept.num_rows());
    }
}

/// The rows of some parts, one after the other; none when there are none.
pub(super) fn collect(rows: &Rows, parts: &[Part]) -> Result<Option<RecordBatch>, ArrowError> {
    let places = parts.iter().filter_map(|part| match &part.rows {
        Order::All(_) => None,
        Order::Of(places) => Some(places.as_slice()),
    });
    let places = places.collect::<Vec<_>>().concat();
    if places.is_empty() {
        return Ok(None);
    }
    let batches: Vec<&RecordBatch> = rows.batches.iter().collect();
    interleave_record_batch(&batches, &places).map(Some)
}
