//! Where the values of JSON end.
//!
//! All that is passed over is validated as `serde_json` does it, so that it finds the same end. Line ends are not taken for blanks: a value
//! of NDJSON ends in its line. Sixteen bytes are compared at a time, since strings and numbers have hardly more, and a loop over bytes
//! ends where no processor expects it.

use wide::u8x16;

use crate::records::field::{WORD_BYTES, padded};

/// How a value is written, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// `null`.
    Null,
    /// A string, from after its quote to before the other.
    Quoted { end: usize, has_escapes: bool },
    /// All else.
    Bare { end: usize },
}

/// The value that begins at a place; `None` where none does that is valid, or where arrays and objects are nested deeper than 62.
#[inline]
pub(super) fn value(text: &[u8], start: usize) -> Option<Written> {
    match text.get(start)? {
        b'"' => string_end(text, start + 1).map(|(end, has_escapes)| Written::Quoted { end, has_escapes }),
        b'n' => word_end(text, start, b"null").map(|_| Written::Null),
        b'{' | b'[' => nested_end(text, start).map(|end| Written::Bare { end }),
        _ => bare_end(text, start).map(|end| Written::Bare { end }),
    }
}

/// The first place that is no blank.
#[inline]
pub(super) fn blanks_end(text: &[u8], start: usize) -> usize {
    let mut place = start;
    while matches!(text.get(place), Some(b' ' | b'\t' | b'\r')) {
        place += 1;
    }
    place
}

/// The place of the quote that ends a string, from after the one before it, and whether the string has escapes.
#[inline]
pub(super) fn string_end(text: &[u8], start: usize) -> Option<(usize, bool)> {
    const LAST_CONTROL: u8 = 0x1f;
    let (mut place, mut has_escapes) = (start, false);
    loop {
        // The zeros after the end of the text are control characters.
        let bytes = u8x16::new(sixteen(text, place)?);
        let controls = bytes.simd_eq(bytes.min(u8x16::splat(LAST_CONTROL)));
        let marks = bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\')) | controls;
        let marks = marks.to_bitmask();
        if marks == 0 {
            place += WORD_BYTES;
            continue;
        }
        place += usize::try_from(marks.trailing_zeros()).ok()?;
        match text.get(place)? {
            b'"' => return Some((place, has_escapes)),
            b'\\' => (place, has_escapes) = (escape_end(text, place)?, true),
            _ => return None,
        }
    }
}

/// The value of an object's key: the place where it begins, from where the key does.
#[inline]
pub(super) fn after_key(text: &[u8], start: usize) -> Option<usize> {
    if *text.get(start)? != b'"' {
        return None;
    }
    after_colon(text, string_end(text, start + 1)?.0 + 1)
}

/// The same from after the key's last quote.
#[inline]
pub(super) fn after_colon(text: &[u8], start: usize) -> Option<usize> {
    let colon = blanks_end(text, start);
    (*text.get(colon)? == b':').then(|| blanks_end(text, colon + 1))
}

/// Where an array or an object ends.
fn nested_end(text: &[u8], start: usize) -> Option<usize> {
    // A bit for each that is open, the innermost lowest, and before them a one: whether it is an object.
    let mut open = 1_u64;
    let mut place = start;
    loop {
        let first = *text.get(place)?;
        if matches!(first, b'{' | b'[') {
            let is_object = first == b'{';
            open = (open >> 62 == 0).then_some(open << 1 | u64::from(is_object))?;
            place = blanks_end(text, place + 1);
            match *text.get(place)? {
                b'}' if is_object => {}
                b']' if !is_object => {}
                _ if is_object => {
                    place = after_key(text, place)?;
                    continue;
                }
                _ => continue,
            }
        } else if first == b'"' {
            place = string_end(text, place + 1)?.0 + 1;
        } else {
            place = bare_end(text, place)?;
        }
        // After a value, or at the end of what is empty.
        loop {
            place = blanks_end(text, place);
            let is_object = open & 1 == 1;
            match *text.get(place)? {
                b',' => {
                    place = blanks_end(text, place + 1);
                    if is_object {
                        place = after_key(text, place)?;
                    }
                    break;
                }
                b'}' if is_object => {}
                b']' if !is_object => {}
                _ => return None,
            }
            (open, place) = (open >> 1, place + 1);
            if open == 1 {
                return Some(place);
            }
        }
    }
}

/// Where a number, `true`, `false` or `null` ends.
#[inline]
fn bare_end(text: &[u8], start: usize) -> Option<usize> {
    match text.get(start)? {
        b't' => word_end(text, start, b"true"),
        b'f' => word_end(text, start, b"false"),
        b'n' => word_end(text, start, b"null"),
        _ => number_end(text, start),
    }
}

#[inline]
fn word_end(text: &[u8], start: usize, word: &[u8]) -> Option<usize> {
    text.get(start..)?.starts_with(word).then_some(start + word.len())
}

#[inline]
fn number_end(text: &[u8], start: usize) -> Option<usize> {
    let whole = start + usize::from(*text.get(start)? == b'-');
    let mut end = digits_end(text, whole)?;
    // No zero comes before other digits.
    if text.get(whole) == Some(&b'0') && end > whole + 1 {
        return None;
    }
    if text.get(end) == Some(&b'.') {
        end = digits_end(text, end + 1)?;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let has_sign = matches!(text.get(end + 1), Some(b'-' | b'+'));
        end = digits_end(text, end + 1 + usize::from(has_sign))?;
    }
    Some(end)
}

/// Where digits end; `None` where there are none.
#[inline]
fn digits_end(text: &[u8], start: usize) -> Option<usize> {
    let mut place = start;
    loop {
        let from_zero = u8x16::new(sixteen(text, place)?) ^ u8x16::splat(b'0');
        let others = !from_zero.simd_eq(from_zero.min(u8x16::splat(9))).to_bitmask();
        let count = usize::try_from(others.trailing_zeros()).ok()?.min(WORD_BYTES);
        place += count;
        if count < WORD_BYTES {
            return (place > start).then_some(place);
        }
    }
}

#[cold]
fn escape_end(text: &[u8], start: usize) -> Option<usize> {
    match text.get(start + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(start + 2),
        b'u' => text.get(start + 2..start + 6)?.iter().all(u8::is_ascii_hexdigit).then_some(start + 6),
        _ => None,
    }
}

/// The bytes at a place, and zeros after the text's end.
#[inline]
fn sixteen(text: &[u8], place: usize) -> Option<[u8; WORD_BYTES]> {
    let rest = text.get(place..)?;
    Some(rest.first_chunk().copied().unwrap_or_else(|| padded(rest)))
}
