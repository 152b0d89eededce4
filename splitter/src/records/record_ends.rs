//! Bytes to which a dialect gives a meaning, and the ends of records.
//!
//! Unless a dialect has another byte for it, a record ends with `\n`. What stands before that as `\r`, or as several, belongs to the end;
//! so does `\r` at the end of a text. Any other `\r` is text.

use shared::Dialect;

/// A character of a dialect as its byte: settings and policies keep them to ASCII.
pub(crate) fn byte(character: char) -> u8 {
    u8::try_from(character).unwrap_or(b',')
}

/// The byte that ends a record.
pub(crate) fn end_byte(dialect: &Dialect) -> u8 {
    dialect.terminator.map_or(b'\n', byte)
}

/// Whether a byte ends a record, or begins such an end.
pub(crate) fn may_end(byte: u8, dialect: &Dialect) -> bool {
    dialect.ends_record(byte) || (dialect.terminator.is_none() && byte == b'\r')
}

/// Skips blank lines.
pub(crate) fn after_line_ends(text: &[u8], mut place: usize, dialect: &Dialect) -> usize {
    while let Some(end) = end_at(text, place, dialect).filter(|end| *end > place) {
        place = end;
    }
    place
}

/// The place after the record end that stands at a place, or at the end of the text; none where text stands there.
#[inline]
pub(crate) fn end_at(text: &[u8], place: usize, dialect: &Dialect) -> Option<usize> {
    match text.get(place) {
        None => Some(text.len()),
        Some(byte) if dialect.ends_record(*byte) => Some(place + 1),
        Some(b'\r') if dialect.terminator.is_none() => after_returns(text, place),
        Some(_) => None,
    }
}

/// The place after a line end that begins with `\r`.
#[cold]
fn after_returns(text: &[u8], place: usize) -> Option<usize> {
    let rest = text.get(place..).unwrap_or_default();
    match rest.iter().position(|byte| *byte != b'\r') {
        None => Some(text.len()),
        Some(returns) => (rest.get(returns) == Some(&b'\n')).then_some(place + returns + 1),
    }
}

/// Where a record ends before its record end, of which `end` is the last byte, or the end of the text.
#[inline]
pub(crate) fn before_returns(text: &[u8], start: usize, mut end: usize, dialect: &Dialect) -> usize {
    if dialect.terminator.is_none() {
        while end > start && text.get(end - 1) == Some(&b'\r') {
            end -= 1;
        }
    }
    end
}

/// Strips the end of a record.
pub(crate) fn without_line_end<'a>(mut text: &'a [u8], dialect: &Dialect) -> &'a [u8] {
    let is_return = |byte: u8| dialect.terminator.is_none() && byte == b'\r';
    while let Some((last, rest)) = text.split_last()
        && (dialect.ends_record(*last) || is_return(*last))
    {
        text = rest;
    }
    text
}
