//! Statistics of the log compared with the footer of their file, and put right.

use serde::Serialize;

use super::bound::Side;
use super::footer::Footer;
use super::indexed::Leaf;
use super::numbers::NotNumbers;
use super::tree::{FileStatistics, put, value_of};

/// A statistic that was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FixedValue {
    /// The column, with the structs that it is in; none where it is of the whole file.
    pub column: Option<String>,
    /// One of `rows`, `min`, `max`, `nulls`, or `all` where the file had no statistics that can be read.
    pub statistic: &'static str,
    /// As JSON of the log.
    pub before: Option<String>,
    /// As JSON of the log.
    pub after: Option<String>,
    /// Why there is none after.
    pub reason: Option<&'static str>,
}

/// What came of a comparison.
#[derive(Debug, Default)]
pub(crate) struct Corrected {
    pub(crate) values: Vec<FixedValue>,
    /// Columns whose bounds the footer neither proves nor refutes.
    pub(crate) unproven: Vec<String>,
}

impl FixedValue {
    pub(crate) fn all(before: Option<String>, after: &str) -> Self {
        Self { column: None, statistic: "all", before, after: Some(after.to_owned()), reason: None }
    }
}

/// Compares statistics with the footer of their file, and replaces what excludes a value of it. What is wider than it has to
/// be stays, and so does what the footer does not tell.
pub(crate) fn correct(
    log: &mut FileStatistics,
    footer: &Footer<'_>,
    leaves: &[Leaf<'_>],
    not_numbers: &NotNumbers,
) -> Result<Corrected, serde_json::Error> {
    let mut corrected = Corrected::default();
    if footer.rows().is_some() && log.num_records != footer.rows() {
        let text = |rows: Option<u64>| rows.map(|rows| rows.to_string());
        corrected.note(None, "rows", text(log.num_records), text(footer.rows()), None);
        log.num_records = footer.rows();
    }
    for leaf in leaves {
        corrected.correct_nulls(log, footer, leaf)?;
        corrected.correct_bounds(log, footer, leaf, not_numbers)?;
    }
    Ok(corrected)
}

impl Corrected {
    fn note(
        &mut self,
        column: Option<String>,
        statistic: &'static str,
        before: Option<String>,
        after: Option<String>,
        reason: Option<&'static str>,
    ) {
        if before != after {
            self.values.push(FixedValue { column, statistic, before, after, reason });
        }
    }

    fn correct_nulls(
        &mut self,
        log: &mut FileStatistics,
        footer: &Footer<'_>,
        leaf: &Leaf<'_>,
    ) -> Result<(), serde_json::Error> {
        let before = value_of(&log.null_count, &leaf.path).map(str::to_owned);
        let Some(after) = footer.null_count(&leaf.path).map(|nulls| nulls.to_string()) else { return Ok(()) };
        if before.as_ref().is_some_and(|before| *before != after) {
            put(&mut log.null_count, &leaf.path, Some(after.clone()))?;
            self.note(Some(leaf.path.join(".")), "nulls", before, Some(after), None);
        }
        Ok(())
    }

    fn correct_bounds(
        &mut self,
        log: &mut FileStatistics,
        footer: &Footer<'_>,
        leaf: &Leaf<'_>,
        not_numbers: &NotNumbers,
    ) -> Result<(), serde_json::Error> {
        const NOT_NUMBERS: &str = "the column has values that are not a number";
        const NO_FORM: &str = "the log has no form for the value";
        let path = &leaf.path;
        let low = value_of(&log.min_values, path).map(str::to_owned);
        let high = value_of(&log.max_values, path).map(str::to_owned);
        if low.is_none() && high.is_none() {
            return Ok(());
        }
        let (right_low, right_high, reason) = if not_numbers.has(path) {
            (None, None, NOT_NUMBERS)
        } else {
            let (Some(proven_low), Some(proven_high)) = footer.bounds(path, leaf.kind) else {
                self.unproven.push(path.join("."));
                return Ok(());
            };
            let is_wrong = low.as_ref().is_some_and(|low| proven_low.contradicts(Side::Low, low))
                || high.as_ref().is_some_and(|high| proven_high.contradicts(Side::High, high));
            if !is_wrong {
                return Ok(());
            }
            (proven_low.value.json(Side::Low), proven_high.value.json(Side::High), NO_FORM)
        };
        for (tree, statistic, before, after) in
            [(&mut log.min_values, "min", low, right_low), (&mut log.max_values, "max", high, right_high)]
        {
            put(tree, path, after.clone())?;
            let reason = after.is_none().then_some(reason);
            self.note(Some(path.join(".")), statistic, before, after, reason);
        }
        Ok(())
    }
}
