//! Values in the types of the table: each is carried over whole, or its row is rejected.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{CastOptions, SortOptions, cast, cast_with_options, concat, filter_record_batch, nullif};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use deltalake::kernel::DataType as DeltaType;
use shared::BadRecords;

use crate::error::LoadError;
use crate::plan::{Plan, Sources};
use crate::route::RoutedChunk;

/// Most characters of a value that a reason shows.
const SHOWN_CHARACTERS: usize = 80;

/// A decimal that has room for more digits than any decimal of Delta.
const EXACT: DataType = DataType::Decimal256(76, 38);

/// A date with its time of day.
const MOMENT: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// A row that is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RejectedRow {
    /// Number of the row among those that came in, from 1.
    pub(crate) number: u64,
    pub(crate) column: String,
    pub(crate) reason: String,
    /// The row as a JSON object.
    pub(crate) raw: String,
}

/// Carries batches of one chunk over to the table's columns.
#[derive(Debug)]
pub(crate) struct Conform<'a> {
    pub(crate) chunk: &'a RoutedChunk,
    pub(crate) plan: &'a Plan,
    pub(crate) sources: &'a Sources,
    /// Rows that came in so far.
    pub(crate) rows: u64,
}

/// What a value of one column is that cannot be taken.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Misfit,
    Null,
}

impl Conform<'_> {
    /// The rows that fit, with exactly the columns of the plan, and the rows that do not.
    pub(crate) fn conform(&mut self, batch: &RecordBatch) -> Result<(RecordBatch, Vec<RejectedRow>), LoadError> {
        let internal =
            |error: ArrowError| LoadError::Bug { what: self.chunk.at.to_string(), reason: error.to_string() };
        let mut columns = Vec::with_capacity(self.sources.len());
        let mut faults: Vec<Option<(usize, Fault)>> = vec![None; batch.num_rows()];
        for (place, (field, source)) in self.plan.schema().fields().iter().zip(self.sources).enumerate() {
            let (values, misfits) = match source {
                Some(source) => carry_over(batch.column(*source), field).map_err(internal)?,
                None => (new_null_array(field.data_type(), batch.num_rows()), none(batch.num_rows())),
            };
            let nulls_wanted = self.chunk.bad_records == BadRecords::Null && field.is_nullable();
            for (row, fault) in faults.iter_mut().enumerate().filter(|(_, fault)| fault.is_none()) {
                if misfits.value(row) && !nulls_wanted {
                    *fault = Some((place, Fault::Misfit));
                } else if !field.is_nullable() && values.is_null(row) {
                    *fault = Some((place, Fault::Null));
                }
            }
            columns.push(values);
        }
        let rejected = self.reject(batch, &faults)?;
        self.rows += u64::try_from(batch.num_rows()).unwrap_or(0);
        let taken = self
            .taken(columns, &faults)
            .map_err(|error| LoadError::Bug { what: self.chunk.at.to_string(), reason: error.to_string() })?;
        Ok((taken, rejected))
    }

    fn taken(&self, columns: Vec<ArrayRef>, faults: &[Option<(usize, Fault)>]) -> Result<RecordBatch, ArrowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(faults.len()));
        let schema = self.plan.schema();
        if faults.iter().all(Option::is_none) {
            return RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options);
        }
        // Columns that must not be null may be so until the faulty rows are gone.
        let lax: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(lax)), columns, &options)?;
        let keep: BooleanArray = faults.iter().map(|fault| Some(fault.is_none())).collect();
        let kept = filter_record_batch(&batch, &keep)?;
        let options = RecordBatchOptions::new().with_row_count(Some(kept.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(schema), kept.columns().to_vec(), &options)
    }

    fn reject(&self, batch: &RecordBatch, faults: &[Option<(usize, Fault)>]) -> Result<Vec<RejectedRow>, LoadError> {
        let mut rejected = Vec::new();
        for (row, (place, fault)) in faults.iter().enumerate().filter_map(|(row, fault)| Some((row, (*fault)?))) {
            let number = self.rows + u64::try_from(row).unwrap_or(0) + 1;
            let field = self.plan.fields().get(place);
            let column = field.map(|field| field.name().clone()).unwrap_or_default();
            let source = self.sources.get(place).copied().flatten();
            let reason = match (fault, source) {
                (Fault::Null, _) => "the table takes no null here".to_owned(),
                (Fault::Misfit, source) => {
                    let value = source.map(|source| text(batch.column(source), row)).unwrap_or_default();
                    misfit(&value, field.map(deltalake::kernel::StructField::data_type))
                }
            };
            if self.chunk.bad_records == BadRecords::Fail {
                return Err(LoadError::BadRow { chunk: self.chunk.at.clone(), row: number, column, reason });
            }
            rejected.push(RejectedRow { number, column, reason, raw: json(batch, row) });
        }
        Ok(rejected)
    }
}

fn misfit(value: &str, data_type: Option<&DeltaType>) -> String {
    let shown: String = value.chars().take(SHOWN_CHARACTERS).collect();
    let data_type = data_type.map(ToString::to_string).unwrap_or_default();
    format!("'{shown}' does not fit type {data_type}")
}

/// The values in the type of `field`, and which of them do not fit it; those are null.
fn carry_over(values: &ArrayRef, field: &Field) -> Result<(ArrayRef, BooleanBuffer), ArrowError> {
    let (from, to) = (values.data_type(), field.data_type());
    if from == to {
        return Ok((Arc::clone(values), none(values.len())));
    }
    if let DataType::Dictionary(_, inner) = from {
        return carry_over(&cast(values, inner)?, field);
    }
    if to.is_nested() {
        return carry_over_nested(values, to);
    }
    let safe = CastOptions { safe: true, ..CastOptions::default() };
    let there = cast_with_options(values, to, &safe)?;
    let lost = &present(values) & &!&present(&there);
    let misfits = match to {
        DataType::Decimal128(..) if from.is_string() => &lost | &rounded(values, &there, &EXACT)?,
        DataType::Date32 if from.is_string() => &lost | &rounded(values, &there, &MOMENT)?,
        _ if may_lose(from, to) => &lost | &differing(values, &there)?,
        _ => lost,
    };
    without(there, misfits)
}

/// Texts of which a finer type takes more than the table's type has.
fn rounded(texts: &ArrayRef, there: &ArrayRef, finer: &DataType) -> Result<BooleanBuffer, ArrowError> {
    let safe = CastOptions { safe: true, ..CastOptions::default() };
    let exact = cast_with_options(texts, finer, &safe)?;
    let there = cast_with_options(there, finer, &safe)?;
    let compare = arrow::array::make_comparator(&exact, &there, SortOptions::default())?;
    Ok((0..texts.len()).map(|row| exact.is_valid(row) && compare(row, row).is_ne()).collect())
}

/// Nested values fit as a whole or not at all.
fn carry_over_nested(values: &ArrayRef, to: &DataType) -> Result<(ArrayRef, BooleanBuffer), ArrowError> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let (there, lost) = match cast_with_options(values, to, &strict) {
        Ok(there) => (there, none(values.len())),
        Err(_) => row_by_row(values, to, &strict)?,
    };
    let misfits = if may_lose(values.data_type(), to) { &lost | &differing(values, &there)? } else { lost };
    without(there, misfits)
}

fn row_by_row(
    values: &ArrayRef,
    to: &DataType,
    strict: &CastOptions<'_>,
) -> Result<(ArrayRef, BooleanBuffer), ArrowError> {
    let one_by_one = (0..values.len()).map(|row| cast_with_options(&values.slice(row, 1), to, strict).ok());
    let rows: Vec<Option<ArrayRef>> = one_by_one.collect();
    let lost = rows.iter().map(Option::is_none).collect();
    let null = new_null_array(to, 1);
    let rows: Vec<&dyn Array> = rows.iter().map(|row| row.as_ref().map_or(null.as_ref(), AsRef::as_ref)).collect();
    Ok((concat(&rows)?, lost))
}

/// Values that are there and are another after the way to the table's type and back.
fn differing(values: &ArrayRef, there: &ArrayRef) -> Result<BooleanBuffer, ArrowError> {
    let safe = CastOptions { safe: true, ..CastOptions::default() };
    let back = cast_with_options(there, values.data_type(), &safe)?;
    let compare = arrow::array::make_comparator(values, &back, SortOptions::default())?;
    let present = present(values);
    Ok((0..values.len()).map(|row| present.value(row) && compare(row, row).is_ne()).collect())
}

fn without(values: ArrayRef, misfits: BooleanBuffer) -> Result<(ArrayRef, BooleanBuffer), ArrowError> {
    if misfits.count_set_bits() == 0 {
        return Ok((values, misfits));
    }
    Ok((nullif(&values, &BooleanArray::new(misfits.clone(), None))?, misfits))
}

fn none(rows: usize) -> BooleanBuffer {
    BooleanBuffer::new_unset(rows)
}

fn present(values: &ArrayRef) -> BooleanBuffer {
    let nulls = values.logical_nulls();
    nulls.as_ref().map(NullBuffer::inner).cloned().unwrap_or_else(|| BooleanBuffer::new_set(values.len()))
}

/// Whether a cast may give another value without saying so. Text is read as a whole or not at all; that doubles are rounded
/// to floats, and timestamps to microseconds, is what these types are for.
fn may_lose(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (T::Struct(from), T::Struct(to)) => {
            to.iter().any(|to| from.find(to.name()).is_some_and(|(_, from)| may_lose(from.data_type(), to.data_type())))
        }
        (T::Map(from, _), T::Map(to, _)) => may_lose(from.data_type(), to.data_type()),
        (T::List(from) | T::LargeList(from) | T::FixedSizeList(from, _), T::List(to)) => {
            may_lose(from.data_type(), to.data_type())
        }
        (T::Timestamp(..), T::Date32) => true,
        _ if from.is_floating() && to.is_floating() => false,
        _ => numeric(from) && numeric(to),
    }
}

fn numeric(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == DataType::Boolean
}

fn text(values: &ArrayRef, row: usize) -> String {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(values.as_ref(), &options);
    let text = formatter.and_then(|formatter| formatter.value(row).try_to_string());
    // An unknown time zone, say; what is rejected is to be kept all the same.
    text.unwrap_or_else(|_| format!("{:?}", values.slice(row, 1)))
}

/// A row as a JSON object: numbers and booleans as such, all else as text.
fn json(batch: &RecordBatch, row: usize) -> String {
    let value = |values: &ArrayRef| {
        if !present(values).value(row) {
            return serde_json::Value::Null;
        }
        let text = text(values, row);
        let plain = values.data_type().is_integer() || values.data_type().is_floating();
        let parsed = (plain || *values.data_type() == DataType::Boolean).then(|| serde_json::from_str(&text).ok());
        parsed.flatten().unwrap_or(serde_json::Value::String(text))
    };
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(batch.columns());
    let object: serde_json::Map<_, _> = fields.map(|(field, values)| (field.name().clone(), value(values))).collect();
    serde_json::Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BooleanArray as Booleans, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };

    use super::*;

    /// Each value as text, `!` where it does not fit.
    fn carried(values: impl Array + 'static, to: DataType) -> Vec<String> {
        let values: ArrayRef = Arc::new(values);
        let field = Field::new("x", to, true);
        let (there, misfits) = carry_over(&values, &field).unwrap();
        assert_eq!(there.data_type(), field.data_type());
        let show = |row| {
            assert!(!misfits.value(row) || there.is_null(row));
            if misfits.value(row) { "!".to_owned() } else { text(&there, row) }
        };
        (0..there.len()).map(show).collect()
    }

    #[test]
    fn numbers() {
        let doubles = || Float64Array::from(vec![Some(2.0), Some(2.5), Some(1e30), Some(f64::NAN), None]);
        assert_eq!(carried(doubles(), DataType::Int64), ["2", "!", "!", "!", ""]);
        assert_eq!(carried(doubles(), DataType::Decimal128(10, 2)), ["2.00", "2.50", "!", "!", ""]);
        assert_eq!(carried(doubles(), DataType::Utf8), ["2.0", "2.5", "1e30", "NaN", ""]);
        assert_eq!(carried(Float64Array::from(vec![0.1]), DataType::Float32), ["0.1"]);
        assert_eq!(carried(Float64Array::from(vec![0.125]), DataType::Decimal128(10, 2)), ["!"]);
        let longs = || Int64Array::from(vec![Some(1), Some(300), Some((1 << 53) + 1), None]);
        assert_eq!(carried(longs(), DataType::Int8), ["1", "!", "!", ""]);
        assert_eq!(carried(longs(), DataType::Float64), ["1.0", "300.0", "!", ""]);
        assert_eq!(carried(longs(), DataType::Boolean), ["true", "!", "!", ""]);
        assert_eq!(carried(Booleans::from(vec![true]), DataType::Int32), ["1"]);
        let money = Decimal128Array::from(vec![150, 200]).with_precision_and_scale(10, 2).unwrap();
        assert_eq!(carried(money, DataType::Int64), ["!", "2"]);
    }

    #[test]
    fn texts() {
        let texts = || StringArray::from(vec!["12", "1.5", "1.239", "x", "", "true", "2020-02-30", "2020-02-29"]);
        let numbers = ["12", "!", "!", "!", "!", "!", "!", "!"];
        assert_eq!(carried(texts(), DataType::Int32), numbers);
        assert_eq!(carried(texts(), DataType::Decimal128(5, 2))[..4], ["12.00", "1.50", "!", "!"]);
        assert_eq!(carried(texts(), DataType::Date32)[6..], ["!", "2020-02-29"]);
        let moments = StringArray::from(vec!["2020-01-01T10:00:00", "2020-01-01 10:00:00", "2020-01-01"]);
        assert_eq!(carried(moments.clone(), DataType::Date32), ["!", "!", "2020-01-01"]);
        assert_eq!(carried(moments, MOMENT)[..2], ["2020-01-01T10:00:00", "2020-01-01T10:00:00"]);
    }

    #[test]
    fn times() {
        let moments = TimestampMicrosecondArray::from(vec![0, 86_400_000_000, 1]);
        assert_eq!(carried(moments, DataType::Date32), ["1970-01-01", "1970-01-02", "!"]);
    }
}
