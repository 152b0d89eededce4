//! The keys of a source of NDJSON become its columns.

use std::collections::HashMap;

use shared::{Column, ColumnNames};

use crate::json::object::{Kind, NOTATION, Object, append, lines};
use crate::schema::column_names::{MOST_COLUMNS, column_names};
use crate::schema::infer::{Evidence, Written};

/// The keys of objects, in the order of their first appearance, and what their values can be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(super) names: Vec<String>,
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

    /// The keys and values in a piece of text; lines that are not objects have no say.
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

    /// The keys, in the order of their first appearance.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Objects that were seen.
    pub(crate) fn records(&self) -> u64 {
        self.records
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
