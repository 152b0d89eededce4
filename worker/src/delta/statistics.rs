//! Statistics of a data file for the table's log, from the footer of the file.
//!
//! Readers skip a file if its bounds exclude what they look for, so a bound that is too tight loses rows. Bounds here hold for
//! every value of the file: rounded outward where the log's form is coarser, and left out where a footer does not prove them.

mod bound;
pub(crate) mod correct;
pub(crate) mod footer;
pub(crate) mod indexed;
pub(crate) mod numbers;
#[cfg(test)]
mod tests;
pub(crate) mod tree;

use bound::Side;
use deltalake::kernel::StructField;

use footer::Footer;
use indexed::Indexed;
use numbers::NotNumbers;
use tree::{FileStatistics, put};

/// The statistics of a file with `rows` rows as JSON, for a table with these columns; those that it is partitioned by left out.
pub(crate) fn statistics(
    footer: &Footer<'_>,
    rows: u64,
    columns: &[&StructField],
    indexed: &Indexed,
    not_numbers: &NotNumbers,
) -> Result<String, serde_json::Error> {
    let mut all = FileStatistics { num_records: Some(rows), ..FileStatistics::default() };
    for leaf in indexed.leaves(columns) {
        let (low, high) = if not_numbers.has(&leaf.path) { (None, None) } else { footer.bounds(&leaf.path, leaf.kind) };
        let low = low.and_then(|bound| bound.value.json(Side::Low));
        let high = high.and_then(|bound| bound.value.json(Side::High));
        let nulls = footer.null_count(&leaf.path).map(|nulls| nulls.to_string());
        put(&mut all.min_values, &leaf.path, low)?;
        put(&mut all.max_values, &leaf.path, high)?;
        put(&mut all.null_count, &leaf.path, nulls)?;
    }
    all.json()
}
