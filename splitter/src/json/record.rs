//! Records, read along the order of their keys.
//!
//! Programs write the keys of all records in one order, and leave out some at most. So each key is compared with the one that is likely to
//! come next; only others are looked up. Nothing is copied but strings with escapes.
//!
//! What is read here is what `serde_json` reads. Of a record that has anything unusual nothing is said: a key that no column has, that
//! is there twice or has escapes, and all that is not valid. That record is then read by [`Object`](super::object::Object), which says what
//! is wrong.

use std::collections::HashMap;

use crate::json::object::Kind;
use crate::json::scan::{Written, after_colon, blanks_end, string_end, value};
use crate::records::field::{FIRST, WORD_BYTES, padded};
use crate::records::span::Span;

/// Keys that are compared before one is looked up.
const TRIES: usize = 4;

/// Reads the records of a text.
#[derive(Debug)]
pub(super) struct RecordReader<'a> {
    by_key: HashMap<&'a [u8], usize>,
    /// The key of each column.
    keys: Vec<Key>,
    /// The column whose key came first in a record, then by column the one whose key came after it. May be none.
    next: Vec<usize>,
    /// By column, the last record that has its key, counted from 1.
    seen: Vec<u64>,
    records: u64,
    found: Vec<Found>,
}

/// A value that is not `null`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) column: usize,
    pub(super) kind: Kind,
    pub(super) source: Source,
    /// Where it is there.
    pub(super) span: Span,
}

/// What a value is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The text of the records.
    Records,
    /// Another text, of values that are not in the first as they are.
    Copied,
}

impl Source {
    /// That text.
    #[inline]
    pub(super) fn of<'t>(self, records: &'t [u8], copied: &'t [u8]) -> &'t [u8] {
        match self {
            Self::Records => records,
            Self::Copied => copied,
        }
    }
}

/// A key as it is written, in quotes and with its colon.
#[derive(Debug)]
struct Key {
    written: Vec<u8>,
    /// The first of its bytes, and the bits that are theirs.
    first: u128,
    mask: u128,
}

impl Key {
    /// One that needs escapes is not compared with what is there, and never found.
    fn of(name: &str) -> Self {
        let needs_escapes = |byte: u8| byte < b' ' || matches!(byte, b'"' | b'\\');
        let written = format!("\"{name}\":").into_bytes();
        if name.bytes().any(needs_escapes) {
            return Self { written, first: 1, mask: 0 };
        }
        let first = written.first_chunk().copied().unwrap_or_else(|| padded(&written));
        let mask = FIRST.get(written.len()).copied().unwrap_or(u128::MAX);
        Self { written, first: u128::from_le_bytes(first), mask }
    }

    /// Where it ends, if it stands there.
    #[inline]
    fn end(&self, text: &[u8], start: usize) -> Option<usize> {
        let rest = text.get(start..)?;
        let first = u128::from_le_bytes(rest.first_chunk().copied().unwrap_or_else(|| padded(rest)));
        let is_it =
            first & self.mask == self.first && (self.written.len() <= WORD_BYTES || rest.starts_with(&self.written));
        is_it.then_some(start + self.written.len())
    }
}

impl<'a> RecordReader<'a> {
    /// One for columns with these keys, which are likely to come in the same order.
    pub(super) fn new(keys: impl Iterator<Item = &'a str> + Clone) -> Self {
        let by_key = keys.clone().enumerate().map(|(column, key)| (key.as_bytes(), column)).collect();
        let keys: Vec<Key> = keys.map(Key::of).collect();
        let (next, seen) = ((0..=keys.len()).collect(), vec![0; keys.len()]);
        Self { by_key, keys, next, seen, records: 0, found: Vec::new() }
    }

    /// The values of the record between two places of a text that is UTF-8, without its line end, in the record's order. Strings that have
    /// escapes are appended to `copied`. `None` for a record that is unusual; what was appended for it is not needed.
    pub(super) fn read(&mut self, text: &[u8], (start, end): (usize, usize), copied: &mut Vec<u8>) -> Option<&[Found]> {
        self.found.clear();
        self.records += 1;
        let mut place = blanks_end(text, start);
        if *text.get(place)? != b'{' {
            return None;
        }
        place = blanks_end(text, place + 1);
        let mut before = 0;
        let mut is_at_end = *text.get(place)? == b'}';
        while !is_at_end {
            let (column, start) = self.key(text, place, before)?;
            place = blanks_end(text, self.take(text, (column, start), copied)?);
            before = column + 1;
            match *text.get(place)? {
                b',' => place = blanks_end(text, place + 1),
                b'}' => is_at_end = true,
                _ => return None,
            }
        }
        (blanks_end(text, place + 1) >= end).then_some(&self.found)
    }

    /// The column of the key that begins at a place, after that of another column, and where its value begins.
    #[inline]
    fn key(&mut self, text: &[u8], start: usize, before: usize) -> Option<(usize, usize)> {
        let mut after = before;
        for _ in 0..TRIES {
            let Some(next) = self.next.get(after).copied() else { break };
            if let Some(end) = self.keys.get(next).and_then(|key| key.end(text, start)) {
                return Some((next, blanks_end(text, end)));
            }
            after = next + 1;
        }
        self.unexpected_key(text, start, before)
    }

    #[cold]
    fn unexpected_key(&mut self, text: &[u8], start: usize, before: usize) -> Option<(usize, usize)> {
        if *text.get(start)? != b'"' {
            return None;
        }
        let (end, has_escapes) = string_end(text, start + 1)?;
        if has_escapes {
            return None;
        }
        let column = *self.by_key.get(text.get(start + 1..end)?)?;
        *self.next.get_mut(before)? = column;
        Some((column, after_colon(text, end + 1)?))
    }

    /// Takes a value of a column. Returns where it ends.
    #[inline]
    fn take(&mut self, text: &[u8], (column, start): (usize, usize), copied: &mut Vec<u8>) -> Option<usize> {
        let seen = self.seen.get_mut(column)?;
        if std::mem::replace(seen, self.records) == self.records {
            return None;
        }
        let mut found = |kind, source, span| self.found.push(Found { column, kind, source, span });
        match value(text, start)? {
            Written::Null => Some(start + "null".len()),
            Written::Bare { end } => {
                found(Kind::Bare, Source::Records, Span::new(start, end));
                Some(end)
            }
            Written::Quoted { end, has_escapes: false } => {
                found(Kind::Quoted, Source::Records, Span::new(start + 1, end));
                Some(end + 1)
            }
            Written::Quoted { end, has_escapes: true } => {
                let string: String = serde_json::from_slice(text.get(start..=end)?).ok()?;
                let from = copied.len();
                copied.extend_from_slice(string.as_bytes());
                found(Kind::Quoted, Source::Copied, Span::new(from, copied.len()));
                Some(end + 1)
            }
        }
    }
}
