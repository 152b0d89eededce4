//! One JSON object a line: its keys, and its values as they stand.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::value::number::Notation;

/// How JSON writes numbers.
pub(crate) const NOTATION: Notation = Notation { point: b'.', bare_exponents: true };

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `null`.
    Null,
    Quoted,
    Bare,
}

/// Appends a value to a text: a string without its quotes and escapes, all else as it stands.
pub(super) fn append(value: &RawValue, text: &mut Vec<u8>) -> Result<Kind, String> {
    let raw = value.get();
    match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
        Some(inner) if memchr(b'\\', inner.as_bytes()).is_none() => text.extend_from_slice(inner.as_bytes()),
        Some(_) => {
            let unescaped: String = serde_json::from_str(raw).map_err(|error| parse_error(&error))?;
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
pub(super) struct Object<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Object<'a> {
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, String> {
        let line = std::str::from_utf8(line).map_err(|_| "the text is not valid UTF-8".to_owned())?;
        serde_json::from_str(line).map_err(|error| parse_error(&error))
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
pub(super) fn parse_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("not a JSON object: {what} at byte {} of the line", error.column())
}

/// Lines that are not blank, each with its place and without its line end.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    all_lines(text).filter(|(_, line)| !is_blank(line))
}

pub(super) fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

/// All lines, each with its place and without its line end.
pub(super) fn all_lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut place = 0;
    std::iter::from_fn(move || {
        let rest = text.get(place..).filter(|rest| !rest.is_empty())?;
        let length = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let start = place;
        place += length;
        let line = rest.get(..length)?;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        Some((start, line.strip_suffix(b"\r").unwrap_or(line)))
    })
}
