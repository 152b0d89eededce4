//! Which partition of the table each row belongs to.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array};
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
use super::order::Order;
use super::rows::Rows;
use crate::error::LoadError;
use crate::keyed;
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
    known: HashMap<Box<[u8]>, u32>,
    all: Vec<Arc<Partition>>,
    /// Of each row gathered, in order, its partition.
    rows: Vec<u32>,
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
    pub(super) id: u32,
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
        if let [place] = self.by[..]
            && let Some(keyed) = keyed::of(rows.column(place))
        {
            let (keys, values) = keyed::with_null(keyed).map_err(failed)?;
            return self.note_keys(&keys, values);
        }
        let plain = |place: &usize| keyed::plain(rows.column(*place));
        let keys: Vec<ArrayRef> = self.by.iter().map(plain).collect::<Result<_, _>>().map_err(failed)?;
        for (row, key) in converted(&keys).map_err(failed)?.iter().enumerate() {
            let id = self.id(key.as_ref(), &keys, row)?;
            self.rows.push(id);
        }
        Ok(())
    }

    /// The same where there is one column, of which each value is known.
    fn note_keys(&mut self, keys: &Int32Array, values: ArrayRef) -> Result<(), Refusal> {
        let values = [values];
        let converted = converted(&values).map_err(|error| Refusal::Failed(error.to_string()))?;
        let mut ids: Vec<Option<u32>> = vec![None; converted.num_rows()];
        for key in keys.values() {
            let place = usize::try_from(*key).unwrap_or_default();
            let id = if let Some(id) = ids.get(place).copied().flatten() {
                id
            } else {
                let id = self.id(converted.row(place).as_ref(), &values, place)?;
                ids.get_mut(place).into_iter().for_each(|known| *known = Some(id));
                id
            };
            self.rows.push(id);
        }
        Ok(())
    }

    /// The partition of a row, known by its values in comparable form.
    fn id(&mut self, key: &[u8], values: &[ArrayRef], row: usize) -> Result<u32, Refusal> {
        match self.known.get(key) {
            Some(id) => Ok(*id),
            None => self.add(key, values, row),
        }
    }

    fn add(&mut self, key: &[u8], values: &[ArrayRef], row: usize) -> Result<u32, Refusal> {
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
        let id = u32::try_from(self.all.len()).map_err(|error| Refusal::Failed(error.to_string()))?;
        self.all.push(Arc::new(Partition { folder, values: texts }));
        self.known.insert(key.into(), id);
        Ok(id)
    }

    /// Parts what was gathered.
    pub(super) fn part(&mut self, batches: Vec<RecordBatch>) -> Result<(Rows, Vec<Part>), ArrowError> {
        let rows = Rows::new(batches, self.columns.clone())?;
        let partition = |id: u32| self.all.get(usize::try_from(id).ok()?);
        let of = |id: u32, rows: Order| Some(Part { id, partition: Arc::clone(partition(id)?), rows });
        let ids = std::mem::take(&mut self.rows);
        let first = ids.first().copied().unwrap_or_default();
        if ids.iter().all(|id| *id == first) {
            let count = rows.count();
            let parts = if count == 0 { None } else { of(first, Order::All(count)) };
            return Ok((rows, parts.into_iter().collect()));
        }
        let place = |id: u32| usize::try_from(id).unwrap_or(usize::MAX);
        let mut counts = vec![0; self.all.len()];
        for id in &ids {
            counts.get_mut(place(*id)).into_iter().for_each(|count| *count += 1);
        }
        let mut places: Vec<Vec<(u32, u32)>> = counts.into_iter().map(Vec::with_capacity).collect();
        let all = (0..).zip(rows.counts()).flat_map(|(batch, rows)| {
            let rows = u32::try_from(rows).unwrap_or(u32::MAX);
            (0..rows).map(move |row| (batch, row))
        });
        for (id, at) in ids.into_iter().zip(all) {
            places.get_mut(place(id)).into_iter().for_each(|rows| rows.push(at));
        }
        let parts = (0..).zip(places).filter(|(_, rows)| !rows.is_empty());
        let parts = parts.filter_map(|(id, rows)| of(id, Order::Of(rows))).collect();
        Ok((rows, parts))
    }

    /// Takes note of rows that [`collect`] has made of parts.
    pub(super) fn keep(&mut self, kept: &RecordBatch, parts: &[Part]) {
        self.rows = parts.iter().flat_map(|part| std::iter::repeat_n(part.id, part.rows.len())).collect();
        debug_assert_eq!(self.rows.len(), kept.num_rows());
    }
}

/// Rows in a form in which they can be told apart as bytes.
fn converted(keys: &[ArrayRef]) -> Result<arrow::row::Rows, ArrowError> {
    let fields = keys.iter().map(|values| SortField::new(values.data_type().clone())).collect();
    RowConverter::new(fields)?.convert_columns(keys)
}

/// The rows of some parts, one after the other; none when there are none.
pub(super) fn collect(rows: &Rows, parts: &[Part]) -> Result<Option<RecordBatch>, ArrowError> {
    let places = parts.iter().filter_map(|part| match &part.rows {
        Order::All(_) => None,
        Order::Of(places) => Some(places.as_slice()),
    });
    rows.collect(&Order::Of(places.collect::<Vec<_>>().concat()))
}
