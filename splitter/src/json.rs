//! NDJSON: one JSON object a line, whose keys are the columns.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use memchr::memchr;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use shared::{Column, ColumnNames, ColumnType, NdjsonPolicy};

use crate::column::{Cell, Cells, Place};
use crate::field::Field;
use crate::fields::{Row, Rows, torn_reason};
use crate::infer::{Evidence, Written};
use crate::names::column_names;
use crate::record::Span;
use crate::record_format::LINES;
use crate::records::Block;
use crate::value::number::Notation;

/// How JSON writes numbers.
pub(crate) const NOTATION: Notation = Notation { point: b'.', bare_exponents: true };

/// Most columns that are found. What has more keys than this has data for keys.
const MOST_COLUMNS: usize = 10_000;

/// Lines that are looked at to tell whether a text is NDJSON.
const LINES_LOOKED_AT: usize = 5;

/// The objects of a block, as far as they are made of the known keys.
#[derive(Debug)]
pub(crate) struct Objects<'a> {
    json: &'a NdjsonPolicy,
    /// Values one behind the other, record by record: strings without quotes, all else as it stands.
    text: Vec<u8>,
    /// Of each value what it is, and where it ends in `text`.
    values: Vec<(Kind, usize)>,
    found: Rows,
    /// Number of the first row in hand.
    first: usize,
    /// How many are in hand.
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `null`, or no value at all.
    Null,
    Quoted,
    Bare,
}

/// Why a record is rejected: a column, where it is one's fault, and the reason.
type Fault = (Option<String>, String);

impl<'a> Objects<'a> {
    /// Reads a block.
    pub(crate) fn read(block: &Block, json: &'a NdjsonPolicy, max_record_bytes: usize) -> Self {
        let text = Vec::with_capacity(block.text.len());
        let mut objects = Self { json, text, values: Vec::new(), found: Rows::default(), first: 0, count: 0 };
        if let Some(torn) = block.torn {
            objects.found.records = 1;
            let record = Row { record: 1, start: 0, end: block.text.len() };
            objects.found.rejects.push(record.reject(block, &LINES, None, torn_reason(torn, max_record_bytes)));
            return objects;
        }
        let places: HashMap<&str, usize> =
            json.columns.iter().enumerate().map(|(place, column)| (column.source_name.as_str(), place)).collect();
        for (start, line) in lines(&block.text) {
            objects.found.records += 1;
            let row = Row { record: objects.found.records, start, end: start + line.len() };
            let taken = if line.len() > max_record_bytes {
                Err((None, format!("the record has {} bytes, more than MAX_RECORD_MB allows", line.len())))
            } else {
                objects.take(line, &places)
            };
            match taken {
                Ok(()) => objects.found.taken.push(row),
                Err((column, reason)) => objects.found.rejects.push(row.reject(block, &LINES, column, reason)),
            }
        }
        objects
    }

    /// Takes the values of one record; of one that is rejected none.
    fn take(&mut self, line: &[u8], places: &HashMap<&str, usize>) -> Result<(), Fault> {
        let object = Object::parse(line).map_err(|reason| (None, reason))?;
        let mut slots: Vec<Option<&RawValue>> = vec![None; self.json.columns.len()];
        for (number, (key, value)) in object.0.into_iter().enumerate() {
            let Some(place) = places.get(key.as_ref()).copied() else {
                let reason = "a key that no record of the sample has; name it in SCHEMA, or find types with INFER=full";
                return Err((Some(key.into_owned()), reason.to_owned()));
            };
            if slots.get_mut(place).is_some_and(|slot| slot.replace(value).is_some()) {
                return Err((
                    Some(key.into_owned()),
                    format!("the key is there twice, the second time as key {}", number + 1),
                ));
            }
        }
        let (texts, values) = (self.text.len(), self.values.len());
        for slot in slots {
            let kind = match slot.map(|value| append(value, &mut self.text)) {
                None => Kind::Null,
                Some(Ok(kind)) => kind,
                Some(Err(reason)) => {
                    self.text.truncate(texts);
                    self.values.truncate(values);
                    return Err((None, reason));
                }
            };
            self.values.push((kind, self.text.len()));
        }
        Ok(())
    }

    /// What was found.
    pub(crate) fn into_rows(self) -> Rows {
        self.found
    }
}

impl Cells for Objects<'_> {
    fn advance(&mut self, most: usize) -> usize {
        self.first += self.count;
        self.count = most.min(self.found.taken.len() - self.first);
        self.count
    }

    fn expected(&self) -> usize {
        self.found.taken.len()
    }

    fn bytes(&self) -> usize {
        self.text.len()
    }

    fn column<'s>(&'s self, (index, column): Place<'s>) -> impl Fn(usize) -> Cell<'s> + Copy {
        move |row| {
            let place = (self.first + row) * self.json.columns.len() + index;
            let before = place.checked_sub(1).and_then(|before| self.values.get(before));
            let start = before.map_or(0, |(_, end)| *end);
            let (kind, end) = self.values.get(place).copied().unwrap_or((Kind::Null, start));
            cell(kind, Field::at(&self.text, Span::new(start, end)), column, &self.json.null_words)
        }
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
    places: HashMap<String, usize>,
    evidence: Vec<Evidence>,
    records: u64,
}

impl Keys {
    /// Makes a key known that may not be seen, or later than others.
    pub(crate) fn declare(&mut self, key: &str) {
        self.evidence_of(key);
    }

    fn evidence_of(&mut self, key: &str) -> Option<&mut Evidence> {
        let place = match self.places.get(key) {
            Some(place) => *place,
            None if self.names.len() < MOST_COLUMNS => {
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
