//! Blocks of text become typed columns; what does not fit is rejected, with its place and the reason.

use arrow::error::ArrowError;
use shared::{BadRecords, Lines};

use crate::column;
use crate::column::batch::Batch;
use crate::column::invalid_values::{InvalidValues, reason};
use crate::column::reader::{Nulls, Reader, notation};
use crate::csv::fields::Fields;
use crate::json::Objects;
use crate::records::format::RecordFormat;
use crate::records::framer::Block;
use crate::records::rejects::Rejects;
use crate::records::rows::Rows;

/// A block, decoded.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The rows that were taken, in the order of the source.
    pub(crate) rows: Batch,
    /// Records that were read, rejected ones included.
    pub(crate) records: u64,
    /// Records that were rejected, numbered from 1 within the block.
    pub(crate) rejects: Rejects,
    /// Values of the rows that lost digits.
    pub(crate) shortened: u64,
    /// Lines of the records, and those between them.
    pub(crate) lines: Lines,
}

/// Decodes a block.
pub(crate) fn decode(
    block: &Block,
    format: &RecordFormat,
    bad_records: BadRecords,
    max_record_bytes: u64,
) -> Result<Decoded, ArrowError> {
    let max_record_bytes = usize::try_from(max_record_bytes).unwrap_or(usize::MAX);
    let mut invalid = InvalidValues::new(bad_records == BadRecords::Null);
    let (read, columns) = match format {
        RecordFormat::Csv(csv) => {
            let mut fields = Fields::new(block, csv, max_record_bytes);
            let reader = |column| Reader { column, notation: notation(csv), nulls: Nulls::of(csv, column) };
            let columns = column::decode(&mut fields, csv.columns.iter().map(reader), &mut invalid);
            (fields.into_rows(), columns)
        }
        RecordFormat::Ndjson(json) => Objects::read(block, json, max_record_bytes).decode(&mut invalid),
    };
    let Rows { taken: read, records, mut rejects, lines } = read;
    let mut rows = Batch { columns, rows: read.len() };
    let shortened = invalid.shortened();
    if !invalid.noted.is_empty() {
        let taken = (0..read.len()).map(|row| Some(invalid.of_row(row).is_none()));
        rows = rows.filter(&taken.collect())?;
        rejects = rejects.merged((0..).zip(&read).filter_map(|(number, row)| {
            let value = invalid.of_row(number)?;
            let column = format.columns().get(usize::try_from(value.column).ok()?)?;
            let fault = (Some(column.name.clone()), reason(invalid.shown(value), column));
            Some((row.record(), row.place(block, format.dialect()), fault))
        }));
    }
    if rejects.len() == 0 {
        // So that they hold the block's text no longer.
        rejects = Rejects::default();
    }
    Ok(Decoded { rows, records, rejects, shortened, lines })
}

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
