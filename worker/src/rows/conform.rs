//! Rows in the columns of the table: each value is carried over whole, or its row is rejected.

pub(crate) mod carry;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use deltalake::kernel::DataType as DeltaType;
use shared::{BadRecords, column_chunk};

use self::carry::{Carried, carry, present};
use crate::chunk::AssignedChunk;
use crate::error::LoadError;
use crate::keyed;
use crate::rows::judge::{Fate, Judge};
use crate::rows::partition::{self, Misplaced, Placed};
use crate::rows::rejected::RejectedRow;
use crate::schema::checks::{Checks, Violations};
use crate::schema::write_schema::{Sources, WriteSchema};

/// Most characters of a value that a reason shows.
const SHOWN_CHARACTERS: usize = 80;

/// Carries batches of one chunk over to the table's columns.
#[derive(Debug)]
pub(crate) struct Conform<'a> {
    pub(crate) chunk: &'a AssignedChunk,
    /// The columns that rows come with, some of which may have keys ([`keyed`]).
    pub(crate) columns: &'a Schema,
    pub(crate) write_schema: &'a WriteSchema,
    pub(crate) sources: &'a Sources,
    /// What the table wants of each row.
    pub(crate) checks: &'a Checks,
    /// What the job expects of each row; none if it expects nothing.
    pub(crate) judge: Option<Judge>,
    /// Rows that came in so far.
    pub(crate) rows: u64,
    /// Values of rows that were taken that lost digits for which the table has no place.
    pub(crate) shortened: u64,
    /// Empty texts in partition columns of rows that were taken, which are null in the table.
    pub(crate) emptied: u64,
    /// Rows that expectations drop.
    pub(crate) dropped: u64,
}

/// Why a row is not taken: what the value of one column is, or the constraint, of those that were violated, that it is against.
#[derive(Clone, Copy, Debug)]
enum RejectReason {
    /// Expectations keep it out, and say why.
    Unexpected,
    InvalidValue,
    Misplaced(Misplaced),
    Null,
    Violation(usize),
}

/// The first reason of each row, with the place of its column.
type Reasons = Vec<Option<(usize, RejectReason)>>;

/// Reasons of rows that are against what is expected; none for others, and for all where nothing is expected.
fn reasons_by(fates: &[Fate], rows: usize) -> Reasons {
    let reason = |row: usize| fates.get(row).is_some_and(|fate| *fate != Fate::Kept);
    (0..rows).map(|row| reason(row).then_some((0, RejectReason::Unexpected))).collect()
}

/// Gives rows without a reason what is wrong with them.
fn note(reasons: &mut Reasons, wrong: impl Fn(usize) -> Option<(usize, RejectReason)>) {
    for (row, reason) in reasons.iter_mut().enumerate().filter(|(_, reason)| reason.is_none()) {
        *reason = wrong(row);
    }
}

impl Conform<'_> {
    /// The rows that fit, with exactly the columns of the schema, and the rows that do not.
    pub(crate) fn conform(&mut self, batch: &RecordBatch) -> Result<(RecordBatch, Vec<RejectedRow>), LoadError> {
        let internal =
            |error: ArrowError| LoadError::Bug { what: self.chunk.at.to_string(), reason: error.to_string() };
        let (mut columns, mut shortened, mut emptied) =
            (Vec::with_capacity(self.sources.len()), Vec::new(), Vec::new());
        let fates = match &mut self.judge {
            Some(judge) => judge.judge(&keyed::plain_as(batch, self.columns).map_err(internal)?),
            None => Vec::new(),
        };
        let mut reasons = reasons_by(&fates, batch.num_rows());
        for (place, (field, source)) in self.write_schema.schema().fields().iter().zip(self.sources).enumerate() {
            let nulls = || new_null_array(&DataType::Null, batch.num_rows());
            let source = source.map_or_else(nulls, |source| batch.column(source).clone());
            let carried = carry_column(&source, field.data_type()).map_err(internal)?;
            let Carried { values, invalid, shortened: cut } = carried;
            let nulls_wanted = self.chunk.bad_records == BadRecords::Null && field.is_nullable();
            let Placed { values, misplaced, emptied: empty } = self.place(field, values).map_err(internal)?;
            emptied.extend(empty);
            for (row, why) in misplaced.into_iter().filter(|_| !nulls_wanted) {
                if let Some(reason) = reasons.get_mut(row).filter(|reason| reason.is_none()) {
                    *reason = Some((place, RejectReason::Misplaced(why)));
                }
            }
            let wrong = |row: usize| {
                if invalid.value(row) && !nulls_wanted {
                    Some((place, RejectReason::InvalidValue))
                } else {
                    (!field.is_nullable() && values.is_null(row)).then_some((place, RejectReason::Null))
                }
            };
            if invalid.count_set_bits() > 0 || (!field.is_nullable() && values.logical_null_count() > 0) {
                note(&mut reasons, wrong);
            }
            shortened.extend(Some(cut).filter(|cut| cut.count_set_bits() > 0));
            columns.push(values);
        }
        let violations = self.check(&columns, &mut reasons)?;
        let taken = |row: &usize| reasons.get(*row).is_some_and(Option::is_none);
        let cut: usize = shortened.iter().map(|cut| cut.set_indices().filter(taken).count()).sum();
        self.shortened += u64::try_from(cut).unwrap_or(u64::MAX);
        self.emptied += u64::try_from(emptied.iter().filter(|row| taken(row)).count()).unwrap_or(u64::MAX);
        let violated = |place: usize, row| {
            let value = |column: usize| columns.get(column).map(|values| shown(values, row)).unwrap_or_default();
            violations.get(place).map(|violations| self.checks.reason(violations, value)).unwrap_or_default()
        };
        let rejected = self.rejected(batch, &reasons, &fates, violated)?;
        let dropped = fates.iter().filter(|fate| **fate == Fate::Dropped).count();
        self.dropped += u64::try_from(dropped).unwrap_or(u64::MAX);
        self.rows += u64::try_from(batch.num_rows()).unwrap_or(0);
        Ok((self.taken(columns, &reasons).map_err(internal)?, rejected))
    }

    /// The rows that are not taken, in order.
    fn rejected(
        &self,
        batch: &RecordBatch,
        reasons: &Reasons,
        fates: &[Fate],
        violated: impl Fn(usize, usize) -> String,
    ) -> Result<Vec<RejectedRow>, LoadError> {
        if reasons.iter().all(Option::is_none) {
            return Ok(Vec::new());
        }
        let internal =
            |error: ArrowError| LoadError::Bug { what: self.chunk.at.to_string(), reason: error.to_string() };
        let batch = &keyed::plain_as(batch, self.columns).map_err(internal)?;
        let mut rejected = self.reject(batch, reasons, violated)?;
        rejected.extend(self.unexpected(batch, fates));
        rejected.sort_by_key(|row| row.number);
        Ok(rejected)
    }

    /// Values that a partition can have, if the column is one that the table is partitioned by.
    fn place(&self, field: &Field, values: ArrayRef) -> Result<Placed, ArrowError> {
        let Some(name) = self.write_schema.folder_name(field.name()) else {
            return Ok(Placed { values, misplaced: Vec::new(), emptied: Vec::new() });
        };
        let columns = self.write_schema.partition_by().len();
        if let Some(keyed) = keyed::of(&values) {
            let each = partition::place(name, columns, keyed.values())?;
            if each.misplaced.is_empty() && each.emptied.is_empty() {
                return Ok(Placed { values, ..each });
            }
        }
        partition::place(name, columns, &keyed::plain(&values)?)
    }

    /// Rows that are against a constraint of the table get a reason, unless they have one.
    fn check(&self, columns: &[ArrayRef], reasons: &mut Reasons) -> Result<Vec<Violations>, LoadError> {
        let (false, Some(schema)) = (self.checks.is_empty(), self.checks.schema()) else { return Ok(Vec::new()) };
        let bug = |reason| LoadError::Bug { what: self.chunk.at.to_string(), reason };
        let rows = keyed::batch(schema, columns.to_vec(), reasons.len());
        let rows = rows.and_then(|rows| keyed::plain_as(&rows, schema)).map_err(|error| bug(error.to_string()))?;
        let violations = self.checks.violations(&rows).map_err(|reason| {
            let (chunk, table) = (self.chunk.at.clone(), Box::new(self.chunk.table.clone()));
            LoadError::Unfit { chunk, table, refusal: reason.into() }
        })?;
        for (place, violation) in violations.iter().enumerate() {
            for row in violation.rows.set_indices() {
                if let Some(reason) = reasons.get_mut(row).filter(|reason| reason.is_none()) {
                    *reason = Some((violation.column, RejectReason::Violation(place)));
                }
            }
        }
        Ok(violations)
    }

    fn taken(
        &self,
        columns: Vec<ArrayRef>,
        reasons: &[Option<(usize, RejectReason)>],
    ) -> Result<RecordBatch, ArrowError> {
        let schema = self.write_schema.schema();
        if reasons.iter().all(Option::is_none) {
            return keyed::batch(schema, columns, reasons.len());
        }
        // Columns that must not be null may be so until the faulty rows are gone.
        let lax: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let batch = keyed::batch(&Schema::new(lax), columns, reasons.len())?;
        let keep: BooleanArray = reasons.iter().map(|reason| Some(reason.is_none())).collect();
        let kept = filter_record_batch(&batch, &keep)?;
        keyed::batch(schema, kept.columns().to_vec(), kept.num_rows())
    }

    /// The rows that expectations reject.
    fn unexpected(&self, batch: &RecordBatch, fates: &[Fate]) -> Vec<RejectedRow> {
        let reject = |(row, fate): (usize, &Fate)| {
            let (Fate::Quarantined(place), Some(judge)) = (fate, &self.judge) else { return None };
            let schema = batch.schema();
            let (column, reason) = judge.reason(*place, &schema, |column| shown(batch.column(column), row));
            let number = self.rows + u64::try_from(row).unwrap_or(0) + 1;
            Some(RejectedRow { number, column, reason, raw: json(&schema, batch.columns(), row) })
        };
        fates.iter().enumerate().filter_map(reject).collect()
    }

    /// The rows that have a reason which expectations do not say; `violated` says why for a constraint, by its place, and a row.
    fn reject(
        &self,
        batch: &RecordBatch,
        reasons: &[Option<(usize, RejectReason)>],
        violated: impl Fn(usize, usize) -> String,
    ) -> Result<Vec<RejectedRow>, LoadError> {
        let mut rejected = Vec::new();
        for (row, (place, reason)) in reasons.iter().enumerate().filter_map(|(row, reason)| Some((row, (*reason)?))) {
            let number = self.rows + u64::try_from(row).unwrap_or(0) + 1;
            let field = self.write_schema.fields().get(place);
            let column = field.map(|field| field.name().clone()).unwrap_or_default();
            let source = self.sources.get(place).copied().flatten();
            let value = source.map(|source| text(batch.column(source), row)).unwrap_or_default();
            let shown: String = value.chars().take(SHOWN_CHARACTERS).collect();
            let is_there = source.is_some_and(|source| present(batch.column(source)).value(row));
            let reason = match reason {
                RejectReason::Unexpected => continue,
                RejectReason::Violation(place) => violated(place, row),
                RejectReason::Null if is_there => {
                    "an empty text is null in a partition, and the table takes no null here".to_owned()
                }
                RejectReason::Null => "the table takes no null here".to_owned(),
                RejectReason::InvalidValue => {
                    invalid_value(&shown, field.map(deltalake::kernel::StructField::data_type))
                }
                RejectReason::Misplaced(why) => why.reason(&shown),
            };
            if self.chunk.bad_records == BadRecords::Fail {
                return Err(LoadError::BadRow { chunk: self.chunk.at.clone(), row: number, column, reason });
            }
            rejected.push(RejectedRow { number, column, reason, raw: json(batch.schema_ref(), batch.columns(), row) });
        }
        Ok(rejected)
    }
}

/// The values of a column in the type `to`: where it has keys, each once, as long as all are carried over as they are.
fn carry_column(values: &ArrayRef, to: &DataType) -> Result<Carried, ArrowError> {
    let Some(keyed) = keyed::of(values).filter(|keyed| keyed.values().len() <= keyed.len()) else {
        return carry(&keyed::plain(values)?, to);
    };
    let each = carry(keyed.values(), to)?;
    if !column_chunk::encodes(to) || each.invalid.count_set_bits() + each.shortened.count_set_bits() > 0 {
        return carry(&keyed::plain(values)?, to);
    }
    Ok(Carried::whole(keyed::column(keyed.keys(), &each.values)?))
}

/// A value as a reason shows it.
fn shown(values: &ArrayRef, row: usize) -> String {
    if !present(values).value(row) {
        return "null".to_owned();
    }
    format!("'{}'", text(values, row).chars().take(SHOWN_CHARACTERS).collect::<String>())
}

fn invalid_value(shown: &str, data_type: Option<&DeltaType>) -> String {
    let data_type = data_type.map(ToString::to_string).unwrap_or_default();
    format!("'{shown}' does not fit type {data_type}")
}

fn text(values: &ArrayRef, row: usize) -> String {
    let shown = |values: &ArrayRef, row| {
        let options = FormatOptions::default();
        ArrayFormatter::try_new(values.as_ref(), &options)?.value(row).try_to_string()
    };
    // What no calendar has, or is in a zone that nobody knows, is kept as the number that it is stored as.
    let as_numbers = || shown(&cast(&values.slice(row, 1), &in_numbers(values.data_type()))?, 0);
    shown(values, row).or_else(|_| as_numbers()).unwrap_or_else(|_| format!("{:?}", values.slice(row, 1)))
}

/// The type with numbers in place of dates and times.
fn in_numbers(data_type: &DataType) -> DataType {
    use DataType as T;
    let inner = |field: &Field| Arc::new(field.clone().with_data_type(in_numbers(field.data_type())));
    match data_type {
        T::Date32 | T::Time32(_) => T::Int32,
        T::Date64 | T::Time64(_) | T::Timestamp(..) => T::Int64,
        T::List(item) => T::List(inner(item)),
        T::LargeList(item) => T::LargeList(inner(item)),
        T::Struct(fields) => T::Struct(fields.iter().map(|field| inner(field)).collect::<Fields>()),
        T::Map(entries, is_sorted) => T::Map(inner(entries), *is_sorted),
        other => other.clone(),
    }
}

/// A row as a JSON object: numbers and booleans as such, all else as text.
pub(crate) fn json(schema: &Schema, columns: &[ArrayRef], row: usize) -> String {
    let value = |values: &ArrayRef| {
        if !present(values).value(row) {
            return serde_json::Value::Null;
        }
        let text = text(values, row);
        let plain = values.data_type().is_integer() || values.data_type().is_floating();
        let parsed = (plain || *values.data_type() == DataType::Boolean).then(|| serde_json::from_str(&text).ok());
        parsed.flatten().unwrap_or(serde_json::Value::String(text))
    };
    let fields = schema.fields().iter().zip(columns);
    let object: serde_json::Map<_, _> = fields.map(|(field, values)| (field.name().clone(), value(values))).collect();
    serde_json::Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BooleanArray as Booleans, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };

    use arrow::datatypes::TimeUnit;

    use super::*;

    const MOMENT: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

    /// Each value as text, `!` where it does not fit.
    fn carried(values: impl Array + 'static, to: &DataType) -> Vec<String> {
        let values: ArrayRef = Arc::new(values);
        let Carried { values: there, invalid, .. } = carry(&values, to).unwrap();
        assert_eq!(there.data_type(), to);
        let show = |row| {
            assert!(!invalid.value(row) || there.is_null(row));
            if invalid.value(row) { "!".to_owned() } else { text(&there, row) }
        };
        (0..there.len()).map(show).collect()
    }

    #[test]
    fn numbers() {
        let doubles = || Float64Array::from(vec![Some(2.0), Some(2.5), Some(1e30), Some(f64::NAN), None]);
        assert_eq!(carried(doubles(), &DataType::Int64), ["2", "!", "!", "!", ""]);
        assert_eq!(carried(doubles(), &DataType::Decimal128(10, 2)), ["2.00", "2.50", "!", "!", ""]);
        assert_eq!(carried(doubles(), &DataType::Utf8), ["2.0", "2.5", "1e30", "NaN", ""]);
        assert_eq!(carried(Float64Array::from(vec![0.1]), &DataType::Float32), ["0.1"]);
        assert_eq!(carried(Float64Array::from(vec![0.125]), &DataType::Decimal128(10, 2)), ["!"]);
        let longs = || Int64Array::from(vec![Some(1), Some(300), Some((1 << 53) + 1), None]);
        assert_eq!(carried(longs(), &DataType::Int8), ["1", "!", "!", ""]);
        assert_eq!(carried(longs(), &DataType::Float64), ["1.0", "300.0", "9007199254740992.0", ""]);
        assert_eq!(carried(longs(), &DataType::Boolean), ["true", "!", "!", ""]);
        assert_eq!(carried(Booleans::from(vec![true]), &DataType::Int32), ["1"]);
        let money = Decimal128Array::from(vec![150, 200]).with_precision_and_scale(10, 2).unwrap();
        assert_eq!(carried(money, &DataType::Int64), ["!", "2"]);
    }

    #[test]
    fn texts() {
        let texts = || StringArray::from(vec!["12", "1.5", "1.239", "x", "", "true", "2020-02-30", "2020-02-29"]);
        let numbers = ["12", "!", "!", "!", "!", "!", "!", "!"];
        assert_eq!(carried(texts(), &DataType::Int32), numbers);
        assert_eq!(carried(texts(), &DataType::Decimal128(5, 2))[..4], ["12.00", "1.50", "!", "!"]);
        assert_eq!(carried(texts(), &DataType::Date32)[6..], ["!", "2020-02-29"]);
        let moments = StringArray::from(vec!["2020-01-01T10:00:00", "2020-01-01 10:00:00", "2020-01-01"]);
        assert_eq!(carried(moments.clone(), &DataType::Date32), ["!", "!", "2020-01-01"]);
        assert_eq!(carried(moments, &MOMENT)[..2], ["2020-01-01T10:00:00", "2020-01-01T10:00:00"]);
    }

    #[test]
    fn times() {
        let moments = TimestampMicrosecondArray::from(vec![0, 86_400_000_000, 1]);
        assert_eq!(carried(moments, &DataType::Date32), ["1970-01-01", "1970-01-02", "!"]);
    }
}
