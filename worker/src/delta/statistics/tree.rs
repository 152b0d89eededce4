//! Statistics of a data file as the log has them: JSON by column.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Statistics as the log has them.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileStatistics {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) num_records: Option<u64>,
    pub(crate) min_values: Tree,
    pub(crate) max_values: Tree,
    pub(crate) null_count: Tree,
    /// What is not known here, such as whether bounds are tight.
    #[serde(flatten)]
    pub(super) others: BTreeMap<String, Box<RawValue>>,
}

/// Values by column; those of a struct by its fields.
pub(crate) type Tree = BTreeMap<String, Node>;

/// A value as JSON, or those of the fields of a struct.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Node {
    Value(Box<RawValue>),
    Fields(Tree),
}

impl FileStatistics {
    /// Reads statistics of any writer.
    pub(crate) fn parse(json: &str) -> Result<Self, serde_json::Error> {
        let mut others: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json)?;
        let num_records = match others.remove("numRecords") {
            Some(records) => serde_json::from_str(records.get())?,
            None => None,
        };
        let mut tree = |name| match others.remove(name) {
            Some(tree) => {
                Ok::<_, serde_json::Error>(serde_json::from_str::<Option<Tree>>(tree.get())?.unwrap_or_default())
            }
            None => Ok(Tree::new()),
        };
        let (min_values, max_values, null_count) = (tree("minValues")?, tree("maxValues")?, tree("nullCount")?);
        Ok(Self { num_records, min_values, max_values, null_count, others })
    }

    pub(crate) fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// Puts a value, which is JSON, in its place; none takes out what is there.
pub(crate) fn put(tree: &mut Tree, path: &[String], value: Option<String>) -> Result<(), serde_json::Error> {
    let Some((name, below)) = path.split_first() else { return Ok(()) };
    if below.is_empty() {
        match value {
            Some(value) => tree.insert(name.clone(), Node::Value(RawValue::from_string(value)?)),
            None => tree.remove(name),
        };
        return Ok(());
    }
    if value.is_none() && !tree.contains_key(name) {
        return Ok(());
    }
    let node = tree.entry(name.clone()).or_insert_with(|| Node::Fields(Tree::new()));
    if let Node::Value(_) = node {
        *node = Node::Fields(Tree::new());
    }
    match node {
        Node::Fields(fields) => put(fields, below, value),
        Node::Value(_) => Ok(()),
    }
}

/// The value that a tree has of a column, as JSON; `null` is none.
pub(crate) fn value_of<'a>(tree: &'a Tree, path: &[String]) -> Option<&'a str> {
    let (name, below) = path.split_first()?;
    match tree.get(name)? {
        Node::Value(value) if below.is_empty() => Some(value.get()).filter(|value| *value != "null"),
        Node::Fields(fields) => value_of(fields, below),
        Node::Value(_) => None,
    }
}

impl<'de> Deserialize<'de> for Node {
    /// By way of the text of the value, for a number read as a number loses digits.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Box::<RawValue>::deserialize(deserializer)?;
        if value.get().starts_with('{') {
            return serde_json::from_str(value.get()).map(Self::Fields).map_err(serde::de::Error::custom);
        }
        Ok(Self::Value(value))
    }
}
