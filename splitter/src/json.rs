//! NDJSON: one JSON object a line, whose keys are the columns.

pub(crate) mod detect;
pub(crate) mod keys;
mod object;
mod record;
mod scan;

use std::collections::HashMap;

use shared::{Column, ColumnType, NdjsonPolicy, OtherKeys};

use crate::column::cell::Cell;
use crate::column::decode_some;
use crate::column::invalid_values::InvalidValues;
use crate::column::reader::{Nulls, Reader};
use crate::json::object::{Kind, NOTATION, Object, all_lines, append, is_blank};
use crate::json::record::{Found, RecordReader, Source};
use crate::records::block_lines::BlockLines;
use crate::records::field::Field;
use crate::records::format::LINES;
use crate::records::framer::Block;
use crate::records::object::append_json;
use crate::records::rejects::Fault;
use crate::records::rows::{Row, Rows};
use crate::records::span::Span;
use crate::records::unterminated::UnterminatedFaults;
use shared::values::Values;

/// The objects of a block, as far as they are made of the known keys.
#[derive(Debug)]
pub(crate) struct Objects<'a> {
    json: &'a NdjsonPolicy,
    records: &'a [u8],
    /// Values that are not in the text of the records as they are, or of records that were read by [`Object`].
    copied: Vec<u8>,
    /// By column, the values that it has, in the order of the rows. Nothing is kept of keys that a record does not have.
    values: Vec<Vec<Value>>,
    found: Rows,
}

/// Why a record is rejected that has a key of no column.
const NOT_IN_SAMPLE: &str = "a key that no record of the sample has; name it in SCHEMA, or find types with INFER=full";
const NOT_IN_CONTRACT: &str =
    "a key that the contract does not have; add it there, or say what becomes of it by new_columns";

/// A value that is not `null`.
#[derive(Clone, Copy, Debug)]
struct Value {
    row: u32,
    kind: Kind,
    source: Source,
    /// Where it is there: a string without its quotes, all else as it stands.
    span: Span,
}

/// The columns of a source by their keys, and the record in which each came last, counted from 1.
struct KeyIndex<'a> {
    by_key: HashMap<&'a str, usize>,
    last: Vec<u64>,
}

impl<'a> Objects<'a> {
    /// Reads a block.
    pub(crate) fn read(block: &'a Block, json: &'a NdjsonPolicy, max_record_bytes: usize) -> Self {
        let is_utf8 = std::str::from_utf8(&block.text).is_ok();
        Self::read_by(is_utf8.then(|| RecordReader::new(column_keys(json))), block, json, max_record_bytes)
    }

    /// The same; a reader, if there is one, reads what it can.
    fn read_by(
        mut reader: Option<RecordReader<'_>>,
        block: &'a Block,
        json: &'a NdjsonPolicy,
        max_record_bytes: usize,
    ) -> Self {
        let values = vec![Vec::new(); json.columns.len()];
        let mut objects = Self { json, records: &block.text, copied: Vec::new(), values, found: Rows::of(block) };
        let (mut unterminated, faults) = (block.unterminated.lines(), UnterminatedFaults::new(max_record_bytes));
        let by_key = column_keys(json).enumerate().map(|(place, key)| (key, place)).collect();
        let mut index = KeyIndex { by_key, last: vec![0; json.columns.len()] };
        let mut seen = BlockLines::default();
        for (start, line) in all_lines(&block.text) {
            let given_up = if start == unterminated.start() { unterminated.pass(&block.text, b'\n') } else { None };
            if is_blank(line) && given_up.is_none() {
                seen.skip_blank(start, start + line.len());
                continue;
            }
            seen.add_record(1);
            objects.found.records += 1;
            let row = Row::new(objects.found.records, start, start + line.len());
            let taken = if let Some((_, why)) = given_up {
                Err(faults.of(why).clone())
            } else if line.len() > max_record_bytes {
                Err((None, format!("the record has {} bytes, more than MAX_RECORD_MB allows", line.len())))
            } else if reader.as_mut().is_some_and(|reader| objects.take(reader, (start, start + line.len()))) {
                Ok(())
            } else {
                objects.add(line, &mut index)
            };
            match taken {
                Ok(()) => objects.found.taken.push(row),
                Err(fault) => objects.found.rejects.push(row.record(), row.place(block, &LINES), &fault),
            }
        }
        objects.found.lines = seen.of_block(&block.text, block.start);
        objects
    }

    /// Takes the values of the record between two places, if the reader reads it.
    fn take(&mut self, reader: &mut RecordReader<'_>, record: (usize, usize)) -> bool {
        let (copied, row) = (self.copied.len(), self.row());
        let Some(values) = reader.read(self.records, record, &mut self.copied) else {
            self.copied.truncate(copied);
            return false;
        };
        for Found { column, kind, source, span } in values.iter().copied() {
            if let Some(of_column) = self.values.get_mut(column) {
                of_column.push(Value { row, kind, source, span });
            }
        }
        true
    }

    /// Takes the values of one record; of one that is rejected none.
    fn add(&mut self, line: &[u8], index: &mut KeyIndex<'_>) -> Result<(), Fault> {
        let object = Object::parse(line).map_err(|reason| (None, reason))?;
        let mut values = Vec::with_capacity(object.0.len());
        let mut rescued = Vec::new();
        for (number, (key, value)) in object.0.into_iter().enumerate() {
            let Some(place) = index.by_key.get(key.as_ref()).copied() else {
                let reason = match self.json.other_keys {
                    OtherKeys::Ignore => continue,
                    OtherKeys::Rescue => {
                        append_json(&mut rescued, &key, value.get());
                        continue;
                    }
                    OtherKeys::Reject => NOT_IN_SAMPLE,
                    OtherKeys::RejectByContract => NOT_IN_CONTRACT,
                };
                return Err((Some(key.into_owned()), reason.to_owned()));
            };
            let last = index.last.get_mut(place).map(|last| std::mem::replace(last, self.found.records));
            if last == Some(self.found.records) {
                return Err((
                    Some(key.into_owned()),
                    format!("the key is there twice, the second time as key {}", number + 1),
                ));
            }
            values.push((place, value));
        }
        // Of several faults the one in the first column is reported.
        values.sort_unstable_by_key(|(place, _)| *place);
        let (copied, row) = (self.copied.len(), self.row());
        for (number, (place, value)) in values.iter().enumerate() {
            let start = self.copied.len();
            let kind = append(value, &mut self.copied);
            let Some(of_column) = self.values.get_mut(*place) else { continue };
            match kind {
                Ok(Kind::Null) => {}
                Ok(kind) => {
                    let span = Span::new(start, self.copied.len());
                    of_column.push(Value { row, kind, source: Source::Copied, span });
                }
                Err(reason) => {
                    self.copied.truncate(copied);
                    for (place, _) in values.iter().take(number) {
                        self.values.get_mut(*place).and_then(|of_column| of_column.pop_if(|last| last.row == row));
                    }
                    return Err((None, reason));
                }
            }
        }
        self.add_rescued(&rescued);
        Ok(())
    }

    /// Takes the keys and values of a record that have no column, as the beginning of an object; nothing where there are none.
    fn add_rescued(&mut self, rescued: &[u8]) {
        let row = self.row();
        if let (false, Some(of_column)) = (rescued.is_empty(), self.values.last_mut()) {
            let start = self.copied.len();
            self.copied.extend_from_slice(rescued);
            self.copied.push(b'}');
            let span = Span::new(start, self.copied.len());
            of_column.push(Value { row, kind: Kind::Quoted, source: Source::Copied, span });
        }
    }

    /// The number of the next row.
    fn row(&self) -> u32 {
        u32::try_from(self.found.taken.len()).unwrap_or(u32::MAX)
    }

    /// The columns, and what was found. What a column was made of is let go before the next one is.
    pub(crate) fn decode(self, invalid: &mut InvalidValues) -> (Rows, Vec<Values>) {
        let Self { json, records, copied, values, found } = self;
        let bytes = records.len() + copied.len();
        let decode = |((index, column), values): ((usize, &'a Column), Vec<Value>)| {
            let given: Vec<u32> = values.iter().map(|value| value.row).collect();
            let cell = |number: usize| {
                let value = values.get(number);
                value.map_or(Cell::Null, |value| {
                    let field = Field::at(value.source.of(records, &copied), value.span);
                    cell(value.kind, field, column, &json.null_words)
                })
            };
            let reader = Reader { column, notation: NOTATION, nulls: Nulls::NONE };
            decode_some((index, column), reader, (given, found.taken.len()), bytes, cell, invalid)
        };
        let columns = json.columns.iter().enumerate().zip(values).map(decode).collect();
        (found, columns)
    }

    /// How many rows were taken.
    #[cfg(feature = "stages")]
    pub(crate) fn rows(&self) -> usize {
        self.found.taken.len()
    }
}

/// The key of each column. The last one, if other keys are collected in it, has no key of its own.
fn column_keys(json: &NdjsonPolicy) -> impl Iterator<Item = &str> + Clone {
    let unkeyed = usize::from(json.other_keys == OtherKeys::Rescue);
    json.columns.iter().take(json.columns.len().saturating_sub(unkeyed)).map(|column| column.source_name.as_str())
}

/// What a value is in a column. Where the type was inferred, quotes distinguish names from numbers.
fn cell<'a>(kind: Kind, field: Field<'a>, column: &Column, null_words: &[String]) -> Cell<'a> {
    let text = field.bytes();
    let (column_type, is_given) = (column.column_type, column.origin.is_given());
    let is_text = column_type == ColumnType::Utf8;
    match kind {
        Kind::Null => Cell::Null,
        Kind::Quoted if column.null_words && null_words.iter().any(|word| word.as_bytes() == text) => Cell::Null,
        Kind::Quoted if is_given && !is_text && text.is_empty() => Cell::Null,
        Kind::Quoted if is_given || is_text || column_type.has_dates() => Cell::Text(field),
        Kind::Bare if is_given || !column_type.has_dates() => Cell::Text(field),
        Kind::Quoted | Kind::Bare => Cell::Invalid(text),
    }
}

#[cfg(test)]
mod tests;
