//! Rows held against the expectations of their job.

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use shared::{Expectation, ExpectationResults, Expectations, OnViolation, RowCondition};

use crate::sql::{Query, text_of};

/// Judges the rows of one chunk, batch by batch, after SQL.
#[derive(Debug)]
pub(crate) struct Judge {
    /// A column for each expectation.
    all: Query,
    each: Vec<Judged>,
    results: ExpectationResults,
}

/// One expectation.
#[derive(Debug)]
struct Judged {
    expectation: Expectation,
    query: Query,
    /// Places of the columns that it names.
    columns: Vec<usize>,
}

/// What becomes of a row by expectations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on.
    Kept,
    /// It is left out.
    Dropped,
    /// It is rejected, by the expectation at this place.
    Quarantined(usize),
}

impl Judge {
    /// For rows with these columns. The error names the contract, and the expectation that cannot be judged.
    pub(crate) fn new(expectations: &Expectations, columns: &SchemaRef) -> Result<Self, String> {
        let contract = &expectations.contract;
        let mut each = Vec::new();
        for expectation in &expectations.all {
            let Expectation { name, condition, .. } = expectation;
            let query = Query::of_condition(condition, columns)
                .map_err(|error| format!("{contract}, expectation '{name}': {}", text_of(&error)))?;
            each.push(Judged { expectation: expectation.clone(), columns: query.reads(), query });
        }
        let conditions = expectations.all.iter().map(|one| &one.condition);
        let all = Query::of_conditions(conditions, columns);
        let all = all.map_err(|error| format!("{contract}, its expectations together: {}", text_of(&error)))?;
        Ok(Self { all, each, results: expectations.no_results() })
    }

    /// What becomes of each row of a batch. The worst holds of a row that several expectations have something to say about.
    pub(crate) fn judge(&mut self, rows: &RecordBatch) -> Vec<Fate> {
        let mut fates = vec![Fate::Kept; rows.num_rows()];
        let together = self.all.run(rows).ok().and_then(|made| <[RecordBatch; 1]>::try_from(made).ok());
        self.results.rows += count(rows.num_rows());
        for (place, (judged, result)) in self.each.iter().zip(&mut self.results.all).enumerate() {
            let holds = together.as_ref().and_then(|[made]| made.column(place).as_boolean_opt().cloned());
            // A value that one of them cannot compute with says nothing of the others.
            let holds = holds.unwrap_or_else(|| alone(&judged.query, rows));
            let is_known = holds.logical_nulls().map(NullBuffer::into_inner);
            let is_met = is_known.as_ref().map_or_else(|| holds.values().clone(), |known| known & holds.values());
            let violations = rows.num_rows() - is_met.count_set_bits();
            if violations == 0 {
                continue;
            }
            let unknown = is_known.map_or(0, |known| rows.num_rows() - known.count_set_bits());
            let is_of_nulls = matches!(judged.expectation.condition, RowCondition::NotNull { .. });
            result.violations += count(violations);
            result.nulls += count(if is_of_nulls { violations } else { unknown });
            mark(&mut fates, &!&is_met, judged.expectation.on, place);
        }
        fates
    }

    /// The column that a rejected row is shown with, and why it was rejected. `value` gives the value of a column, by its place.
    pub(crate) fn reason(
        &self,
        place: usize,
        columns: &SchemaRef,
        value: impl Fn(usize) -> String,
    ) -> (String, String) {
        let Some(Judged { expectation, columns: places, .. }) = self.each.get(place) else { return Default::default() };
        let name = |place: &usize| columns.fields().get(*place).map(|field| field.name().as_str()).unwrap_or_default();
        let values = places.iter().map(|place| format!("{} is {}", name(place), value(*place)));
        let values = values.collect::<Vec<_>>().join(", ");
        let reason = format!("against expectation '{}': {values}", expectation.name);
        (places.first().map(name).unwrap_or_default().to_owned(), reason)
    }

    /// What came of all rows so far.
    pub(crate) fn results(&self) -> &ExpectationResults {
        &self.results
    }
}

fn mark(fates: &mut [Fate], rows: &BooleanBuffer, on: OnViolation, place: usize) {
    for row in rows.set_indices() {
        let Some(fate) = fates.get_mut(row) else { continue };
        *fate = match (*fate, on) {
            (Fate::Kept | Fate::Dropped, OnViolation::Quarantine) => Fate::Quarantined(place),
            (Fate::Kept, OnViolation::Drop) => Fate::Dropped,
            (fate, _) => fate,
        };
    }
}

/// What one condition is for each row: null for a row with a value that it cannot compute with.
fn alone(query: &Query, rows: &RecordBatch) -> BooleanArray {
    let run = |rows: &RecordBatch| {
        let made = query.run(rows).ok()?;
        let [made] = <[RecordBatch; 1]>::try_from(made).ok()?;
        made.column(0).as_boolean_opt().cloned()
    };
    // Halves of what fails, so that a few such values cost a few runs more.
    let (mut holds, mut left) = (Vec::with_capacity(rows.num_rows()), vec![rows.clone()]);
    while let Some(rows) = left.pop() {
        let count = rows.num_rows();
        match run(&rows).filter(|made| made.len() == count) {
            Some(made) => holds.extend(&made),
            None if count <= 1 => holds.extend(vec![None; count]),
            None => left.extend([rows.slice(count / 2, count - count / 2), rows.slice(0, count / 2)]),
        }
    }
    BooleanArray::from(holds)
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn rows() -> RecordBatch {
        let columns: [(&str, ArrayRef); 2] = [
            ("a", Arc::new(Int64Array::from(vec![Some(0), Some(1), None, Some(9)]))),
            ("b", Arc::new(StringArray::from(vec![Some("1"), Some("x"), Some("3"), None]))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn judge(all: &[(&str, OnViolation)]) -> Result<Judge, String> {
        let one = |(place, (sql, on)): (usize, &(&str, OnViolation))| Expectation {
            name: format!("e{place}"),
            condition: RowCondition::Sql((*sql).to_owned()),
            on: *on,
            max_violations: None,
        };
        let all = all.iter().enumerate().map(one).collect();
        Judge::new(&Expectations::new(&"s3://b/c.toml".parse().unwrap(), all).unwrap(), rows().schema_ref())
    }

    #[test]
    fn the_worst_becomes_of_a_row() {
        let mut judge = judge(&[
            ("a > 0", OnViolation::Drop),
            ("a < 9", OnViolation::Quarantine),
            ("b is not null", OnViolation::Quarantine),
            ("false", OnViolation::Warn),
            ("true", OnViolation::Fail),
        ])
        .unwrap();
        let fates = judge.judge(&rows());
        assert_eq!(fates, [Fate::Dropped, Fate::Kept, Fate::Quarantined(1), Fate::Quarantined(1)]);
        judge.judge(&rows());
        let results = judge.results();
        let counted: Vec<_> = results.all.iter().map(|one| (one.violations, one.nulls)).collect();
        assert_eq!((results.rows, counted), (8, vec![(4, 2), (4, 2), (2, 0), (8, 0), (0, 0)]));
        let reason = judge.reason(1, rows().schema_ref(), |place| format!("'{place}'"));
        assert_eq!(reason, ("a".to_owned(), "against expectation 'e1': a is '0'".to_owned()));
    }

    #[test]
    fn a_value_that_cannot_be_computed_with_is_a_violation_of_that_row() {
        let mut judge = judge(&[("cast(b as bigint) > 0", OnViolation::Drop), ("a > 0", OnViolation::Warn)]).unwrap();
        assert_eq!(judge.judge(&rows()), [Fate::Kept, Fate::Dropped, Fate::Kept, Fate::Dropped]);
        let counted: Vec<_> = judge.results().all.iter().map(|one| (one.violations, one.nulls)).collect();
        assert_eq!(counted, [(2, 2), (2, 1)]);
    }

    /// Halves find them in some fifty runs of the condition; row by row it took one for each row.
    #[test]
    fn a_few_such_values_among_many() {
        let texts: Vec<String> =
            (0..8192).map(|row| if row % 4000 == 7 { "x".to_owned() } else { (row % 3).to_string() }).collect();
        let column: ArrayRef = Arc::new(StringArray::from(texts));
        let rows = RecordBatch::try_from_iter([("b", column)]).unwrap();
        let condition = RowCondition::Sql("cast(b as bigint) > 0".to_owned());
        let query = Query::of_condition(&condition, rows.schema_ref()).unwrap();
        let holds = alone(&query, &rows);
        let expected: Vec<Option<bool>> =
            (0..8192).map(|row| if row % 4000 == 7 { None } else { Some(row % 3 > 0) }).collect();
        assert_eq!(holds, BooleanArray::from(expected));
    }

    #[test]
    fn what_cannot_be_judged_is_named() {
        let error = judge(&[("a > 0", OnViolation::Warn), ("c > 0", OnViolation::Warn)]).unwrap_err();
        assert_eq!(error, "s3://b/c.toml, expectation 'e1': No field named c. Valid fields are chunk.a, chunk.b");
    }
}
