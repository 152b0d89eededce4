//! Bytes to which a dialect gives a meaning, and the ends of records.

use shared::Dialect;

/// A character of a dialect as its byte: settings and policies keep them to ASCII.
pub(crate) fn byte(character: char) -> u8 {
    u8::try_from(character).unwrap_or(b',')
}

/// Skips the record ends that stand before a record: the `\n` of the `\r\n` before it, and blank lines.
pub(crate) fn after_line_ends(text: &[u8], mut place: usize, dialect: &Dialect) -> usize {
    while text.get(place).is_some_and(|byte| dialect.ends_record(*byte)) {
        place += 1;
    }
    place
}

/// Strips the end of a record.
pub(crate) fn without_line_end<'a>(mut text: &'a [u8], dialect: &Dialect) -> &'a [u8] {
    while let Some((last, rest)) = text.split_last()
        && dialect.ends_record(*last)
    {
        text = rest;
    }
    text
}
