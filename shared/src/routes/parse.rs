//! Routes, read from their text: keys with their places.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::{Spanned, Value};

use super::terms::RouteProblem;

/// Version of the files that are read.
pub(super) const VERSION: i64 = 1;

/// Keys of a table, with their places.
pub(super) type Keys = BTreeMap<Spanned<String>, Spanned<Value>>;

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) version: Spanned<i64>,
    #[serde(default)]
    pub(super) route: Vec<RouteTable>,
    #[serde(default)]
    pub(super) example: Vec<Keys>,
}

/// `[[route]]`, with its `[[route.example]]`.
#[derive(Default)]
pub(super) struct RouteTable {
    pub(super) keys: Keys,
    pub(super) examples: Vec<Keys>,
}

impl<'de> Deserialize<'de> for RouteTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RouteVisitor)
    }
}

struct RouteVisitor;

impl<'de> Visitor<'de> for RouteVisitor {
    type Value = RouteTable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RouteTable, A::Error> {
        let mut table = RouteTable::default();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            if key.get_ref() == "example" {
                table.examples = map.next_value()?;
            } else {
                let value = map.next_value()?;
                table.keys.insert(key, value);
            }
        }
        Ok(table)
    }
}

/// The text of a file, for places in it.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// Reads a file; the error is what it is not TOML, or not of this shape, by.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Self, File), RouteProblem> {
        let problem = |line, key: &str, reason: String| RouteProblem { line, route: None, key: key.to_owned(), reason };
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
            problem(line, "the file", "it is not UTF-8".to_owned())
        })?;
        let text = Self(text.strip_prefix('\u{feff}').unwrap_or(text));
        let file: File = toml::from_str(text.0).map_err(|error| {
            let line = text.line(error.span().map_or(0, |span| span.start));
            let written = text.0.lines().nth(line - 1).unwrap_or_default();
            let key = written.split('=').next().unwrap_or_default().trim();
            problem(line, if key.is_empty() { "the file" } else { key }, error.message().replace('\n', "; "))
        })?;
        let version = *file.version.get_ref();
        if version != VERSION {
            let reason = format!("it is {version}, and this build of Sluice reads version {VERSION}");
            return Err(problem(text.line(file.version.span().start), "version", reason));
        }
        Ok((text, file))
    }

    /// The line of a byte, from 1.
    fn line(self, byte: usize) -> usize {
        self.0.get(..byte).unwrap_or(self.0).matches('\n').count() + 1
    }

    /// The keys of a table in the order of their lines.
    pub(super) fn keys(self, keys: Keys) -> Vec<Key> {
        let key = |(key, value): (Spanned<String>, Spanned<Value>)| {
            let line = self.line(key.span().start);
            Key { name: key.into_inner(), value: value.into_inner(), line }
        };
        let mut keys: Vec<Key> = keys.into_iter().map(key).collect();
        keys.sort_by_key(|key| key.line);
        keys
    }
}

/// A key with its line.
pub(super) struct Key {
    pub(super) name: String,
    pub(super) value: Value,
    pub(super) line: usize,
}

impl Key {
    /// Its value, if it is a text.
    pub(super) fn text(&self) -> Result<String, String> {
        let text = self.value.as_str().ok_or_else(|| "its value must be a text".to_owned())?;
        if text.trim().is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
    }

    /// One text, or a list of some.
    pub(super) fn texts(&self) -> Result<Vec<String>, String> {
        let Value::Array(values) = &self.value else { return self.text().map(|text| vec![text]) };
        let texts: Option<Vec<String>> =
            values.iter().map(|value| Some(value.as_str().filter(|text| !text.is_empty())?.to_owned())).collect();
        texts.filter(|texts| !texts.is_empty()).ok_or_else(|| "its value must be a text or a list of texts".to_owned())
    }

    /// A table of texts as `NAME=TEXT`, separated by commas.
    fn named(table: &toml::Table) -> Result<String, String> {
        let pair = |(name, value): (&String, &Value)| match value.as_str() {
            Some(text) if !text.is_empty() && !text.contains(',') => Ok(format!("{name}={text}")),
            Some(text) => Err(format!("'{text}' is empty or holds a comma")),
            None => Err(format!("the value of '{name}' must be a text")),
        };
        if table.is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(table.iter().map(pair).collect::<Result<Vec<_>, _>>()?.join(","))
    }

    /// Its value as the variable of a setting has it.
    pub(super) fn setting(&self) -> Result<String, String> {
        match &self.value {
            Value::Integer(number) => Ok(number.to_string()),
            Value::Boolean(is_so) => Ok(is_so.to_string()),
            Value::String(_) => self.text(),
            Value::Array(_) => match self.texts()?.iter().find(|word| word.contains(',') || word.trim().is_empty()) {
                Some(word) => Err(format!("'{word}' is empty or holds a comma")),
                None => Ok(self.texts()?.join(",")),
            },
            Value::Table(named) if self.name == "lookups" => Self::named(named),
            Value::Float(_) | Value::Datetime(_) | Value::Table(_) => {
                Err("its value must be a text, a whole number, true or false, or a list of texts".to_owned())
            }
        }
    }
}
