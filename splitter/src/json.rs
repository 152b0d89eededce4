//! NDJSON: one JSON object a line, whose keys are the columns.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use memchr::memchr;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use shared::{Column, ColumnNames, ColumnType, NdjsonPolicy};

use crate::column::batch::Values;
use crate::column::cell::Cell;
use crate::column::decode_some;
use crate::column::misfits::Misfits;
use crate::column::reader::{Nulls, Reader};
use crate::records::field::Field;
use crate::records::format::LINES;
use crate::records::framer::Block;
use crate::records::rejects::Fault;
use crate::records::rows::{Row, Rows};
use crate::records::span::Span;
use crate::schema::column_names::{MOST_COLUMNS, column_names};
use crate::schema::infer::{Evidence, Written};
use crate::value::number::Notation;

/// How JSON writes numbers.
pub(crate) const NOTATION: Notation = Notation { point: b'.', bare_exponents: true };

/// Lines that are looked at to tell whether a text is NDJSON.
const LINES_LOOKED_AT: usize = 5;

/// The objects of a block, as far as they are made of the known keys.
#[derive(Debug)]
pub(crate) struct Objects<'a> {
    json: &'a NdjsonPolicy,
    /// Values one behind the other, record by record: strings without quotes, all else as it stands.
    text: Vec<u8>,
    /// By column, the values that it has, in the order of the rows. Nothing is kept of keys that a record does not have.
    values: Vec<Vec<Value>>,
    found: Rows,
}

/// A value that is not `null`.
#[derive(Clone, Copy, Debug)]
struct Value {
    row: u32,
    kind: Kind,
    /// Where it is in the text.
    span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `null`.
    Null,
    Quoted,
    Bare,
}

/// The columns of a source by their keys, and the record in which each came last, counted from 1.
struct Places<'a> {
    by_key: HashMap<&'a str, usize>,
    last: Vec<u64>,
}

impl<'a> Objects<'a> {
    /// Reads a block.
    pub(crate) fn read(block: &Block, json: &'a NdjsonPolicy, max_record_bytes: usize) -> Self {
        let found = match block.torn {
            None => Rows::of(block),
            Some(_) => Rows::torn(std::slice::from_ref(block), &LINES, max_record_bytes),
        };
        let text = Vec::with_capacity(block.text.len());
        let mut objects = Self { json, text, values: vec![Vec::new(); json.columns.len()], found };
        if block.torn.is_some() {
            return objects;
        }
        let by_key =
            json.columns.iter().enumerate().map(|(place, column)| (column.source_name.as_str(), place)).collect();
        let mut places = Places { by_key, last: vec![0; json.columns.len()] };
        for (start, line) in lines(&block.text) {
            objects.found.records += 1;
            let row = Row::new(objects.found.records, start, start + line.len());
            let taken = if line.len() > max_record_bytes {
                Err((None, format!("the record has {} bytes, more than MAX_RECORD_MB allows", line.len())))
            } else {
                objects.take(line, &mut places)
            };
            match taken {
                Ok(()) => objects.found.taken.push(row),
                Err(fault) => objects.found.rejects.push(row.record(), row.place(block, &LINES), fault),
            }
        }
        objects
    }

    /// Takes the values of one record; of one that is rejected none.
    fn take(&mut self, line: &[u8], places: &mut Places<'_>) -> Result<(), Fault> {
        let object = Object::parse(line).map_err(|reason| (None, reason))?;
        let mut values = Vec::with_capacity(object.0.len());
        for (number, (key, value)) in object.0.into_iter().enumerate() {
            let Some(place) = places.by_key.get(key.as_ref()).copied() else {
                let reason = "a key that no record of the sample has; name it in SCHEMA, or find types with INFER=full";
                return Err((Some(key.into_owned()), reason.to_owned()));
            };
            let last = places.last.get_mut(place).map(|last| std::mem::replace(last, self.found.records));
            if last == Some(self.found.records) {
                return Err((
                    Some(key.into_owned()),
                    format!("the key is there twice, the second time as key {}", number + 1),
                ));
            }
            values.push((place, value));
        }
        // Of several faults the one in the first column is told.
        values.sort_unstable_by_key(|(place, _)| *place);
        let (texts, row) = (self.text.len(), u32::try_from(self.found.taken.len()).unwrap_or(u32::MAX));
        for (number, (place, value)) in values.iter().enumerate() {
            let start = self.text.len();
            let kind = append(value, &mut self.text);
            let Some(of_column) = self.values.get_mut(*place) else { continue };
            match kind {
                Ok(Kind::Null) => {}
                Ok(kind) => of_column.push(Value { row, kind, span: Span::new(start, self.text.len()) }),
                Err(reason) => {
                    self.text.truncate(texts);
                    for (place, _) in values.iter().take(number) {
                        self.values.get_mut(*place).and_then(|of_column| of_column.pop_if(|last| last.row == row));
                    }
                    return Err((None, reason));
                }
            }
        }
        Ok(())
    }

    /// The columns, and what was found. What a column was made of is let go before the next one is.
    pub(crate) fn decode(self, misfits: &mut Misfits) -> (Rows, Vec<Values>) {
        let Self { json, text, values, found } = self;
        let decode = |((index, column), values): ((usize, &'a Column), Vec<Value>)| {
            let given: Vec<u32> = values.iter().map(|value| value.row).collect();
            let cell = |number: usize| {
                let value = values.get(number);
                value.map_or(Cell::Null, |value| {
                    cell(value.kind, Field::at(&text, value.span), column, &json.null_words)
                })
            };
            let reader = Reader { column, notation: NOTATION, nulls: Nulls::NONE };
            decode_some((index, column), reader, (given, found.taken.len()), text.len(), cell, misfits)
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

/// What a value is in a column. Where the type was inferred, quotes tell numbers from names.
fn cell<'a>(kind: Kind, field: Field<'a>, column: &Column, null_words: &[String]) -> Cell<'a> {
    let text = field.bytes();
    let (column_type, is_told) = (column.column_type, column.origin.is_told());
    let is_text = column_type == ColumnType::Utf8;
    match kind {
        Kind::Null => Cell::Null,
        Kind::Quoted if column.null_words && null_words.iter().any(|word| word.as_bytes() == text) => Cell::Null,
        Kind::Quoted if is_told && !is_text && text.is_empty() => Cell::Null,
        Kind::Quoted if is_told || is_text || column_type.has_dates() => Cell::Text(field),
        Kind::Bare if is_told || !column_type.has_dates() => Cell::Text(field),
        Kind::Quoted | Kind::Bare => Cell::Misfit(text),
    }
}

/// Appends a value to a text: a string without its quotes and escapes, all else as it stands.
fn append(value: &RawValue, text: &mut Vec<u8>) -> Result<Kind, String> {
    let raw = value.get();
    match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
        Some(inner) if memchr(b'\\', inner.as_bytes()).is_none() => text.extend_from_slice(inner.as_bytes()),
        Some(_) => {
            let unescaped: String = serde_json::from_str(raw).map_err(|error| said(&error))?;
            text.extend_from_slice(unescaped.as_bytes());
        }
        None if raw == "null" => return Ok(Kind::Null),
        None => {
            text.extend_from_slice(raw.as_bytes());
            return Ok(Kind::Bare);
        }
    }
    Ok(Kind::Quoted)
}

/// The keys and values of one object, in its order.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Object<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, String> {
        let line = std::str::from_utf8(line).map_err(|_| "the text is not valid UTF-8".to_owned())?;
        serde_json::from_str(line).map_err(|error| said(&error))
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    pairs.push((key, value));
                }
                Ok(Object(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

/// What the parser complains of. Its line is always the first.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("not a JSON object: {what} at byte {} of the line", error.column())
}

/// Lines that are not blank, each with its place and without its line end.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut place = 0;
    let all = std::iter::from_fn(move || {
        let rest = text.get(place..).filter(|rest| !rest.is_empty())?;
        let length = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let start = place;
        place += length;
        let line = rest.get(..length)?;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        Some((start, line.strip_suffix(b"\r").unwrap_or(line)))
    });
    all.filter(|(_, line)| !line.trim_ascii().is_empty())
}

/// The keys of objects, in the order of their first appearance, and what their values can be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    names: Vec<String>,
    /// Bytes of all of them.
    bytes: usize,
    places: HashMap<String, usize>,
    evidence: Vec<Evidence>,
    records: u64,
}

/// Most bytes of all keys together that become columns: as many as a header may have.
const MOST_KEY_BYTES: usize = 4 << 20;

impl Keys {
    /// Makes a key known that may not be seen, or later than others.
    pub(crate) fn declare(&mut self, key: &str) {
        self.evidence_of(key);
    }

    fn evidence_of(&mut self, key: &str) -> Option<&mut Evidence> {
        let place = match self.places.get(key) {
            Some(place) => *place,
            None if self.names.len() < MOST_COLUMNS && self.bytes + key.len() <= MOST_KEY_BYTES => {
                self.bytes += key.len();
                self.places.insert(key.to_owned(), self.names.len());
                self.names.push(key.to_owned());
                self.evidence.push(Evidence::default());
                self.names.len() - 1
            }
            None => return None,
        };
        self.evidence.get_mut(place)
    }

    /// The keys and values in a piece of text; lines that are no objects have no say.
    pub(crate) fn observe(text: &[u8], null_words: &[String], ends_open: bool) -> Self {
        let mut keys = Self::default();
        let mut unescaped = Vec::new();
        for (start, line) in lines(text) {
            if ends_open && start + line.len() >= text.len() {
                break;
            }
            let Ok(Object(pairs)) = Object::parse(line) else { continue };
            keys.records += 1;
            for (key, value) in pairs {
                unescaped.clear();
                let Ok(kind) = append(value, &mut unescaped) else { continue };
                let is_null_word = null_words.iter().any(|word| word.as_bytes() == unescaped.as_slice());
                let Some(evidence) = keys.evidence_of(&key) else { continue };
                match kind {
                    Kind::Null => {}
                    Kind::Quoted if is_null_word => {}
                    Kind::Quoted => evidence.observe(&unescaped, Written::Quoted),
                    Kind::Bare => evidence.observe(&unescaped, Written::Bare(NOTATION)),
                }
            }
        }
        keys
    }

    /// Adds what a later piece of text has.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.records += other.records;
        for (name, more) in other.names.iter().zip(&other.evidence) {
            if let Some(evidence) = self.evidence_of(name) {
                evidence.merge(more);
            }
        }
    }

    /// A column for each key, of which no type is known yet; `table` has the names of the table's columns.
    pub(crate) fn columns(&self, style: ColumnNames, table: &[String]) -> Vec<Column> {
        let names = column_names(&self.names, style, table);
        self.names.iter().cloned().zip(names).map(|(key, name)| Column::of_text(key, name)).collect()
    }

    /// The evidence of each key.
    pub(crate) fn into_evidence(mut self) -> Vec<Evidence> {
        for evidence in &mut self.evidence {
            evidence.count_records(self.records);
        }
        self.evidence
    }
}

/// Whether a text is NDJSON: its first lines that are not blank are objects, most of them, the first for sure. `whole` when
/// this is all there is; otherwise the last line may be cut off.
pub(crate) fn is_ndjson(head: &[u8], whole: bool) -> bool {
    let complete = |(start, line): &(usize, &[u8])| whole || start + line.len() < head.len();
    let looked_at: Vec<bool> =
        lines(head).filter(complete).take(LINES_LOOKED_AT).map(|(_, line)| Object::parse(line).is_ok()).collect();
    let objects = looked_at.iter().filter(|is_object| **is_object).count();
    looked_at.first() == Some(&true) && objects * 2 > looked_at.len()
}

/// The number, from 1, of the first line that seems to be an object and is not, with what is wrong with it; none where another shape of
/// JSON is more likely.
pub(crate) fn broken_line(head: &[u8]) -> Option<(usize, String)> {
    /// Characters of the value that are shown.
    const SHOWN: usize = 20;
    let (number, line) =
        head.split(|byte| *byte == b'\n').enumerate().find(|(_, line)| !line.trim_ascii().is_empty())?;
    let line = std::str::from_utf8(line).ok()?.trim_end();
    if !line.trim_start().starts_with('{') || !line.ends_with('}') {
        return None;
    }
    let error = serde_json::from_str::<Object<'_>>(line).err()?;
    let from = error.column().saturating_sub(1);
    let shown: String = line.get(from..).unwrap_or_default().chars().take(SHOWN).collect();
    Some((number + 1, format!("{}, at '{shown}'", said(&error))))
}

/// Whether a text is JSON in another shape: one array of objects, or an object over several lines.
pub(crate) fn is_other_json(head: &[u8]) -> bool {
    let opens = |text: &[u8], first: u8| text.strip_prefix(&[first]).map(<[u8]>::trim_ascii_start).map(<[u8]>::to_vec);
    let head = head.get(..head.len().min(4096)).unwrap_or_default().trim_ascii_start();
    let in_array = opens(head, b'[');
    let object = in_array.as_deref().unwrap_or(head);
    opens(object, b'{').is_some_and(|keys| keys.starts_with(b"\""))
}

#[cfg(test)]
mod tests;
