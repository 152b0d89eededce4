//! Statistics of a data file for the table's log, from the footer of the file.
//!
//! Readers skip a file if its bounds exclude what they look for, so a bound that is too tight loses rows. Bounds here hold for
//! every value of the file: rounded outward where the log's form is coarser, and left out where a footer does not prove them.

mod bound;
mod correct;
mod footer;
mod numbers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bound::Side;
use buoyant_kernel::expressions::ColumnName;
use buoyant_kernel::table_properties::DataSkippingNumIndexedCols;
use deltalake::kernel::{DataType, PrimitiveType, StructField};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use correct::FixedValue;
pub(crate) use correct::{Corrected, correct};
pub(crate) use footer::{Footer, read_footer};
pub(crate) use numbers::{NotNumbers, find_not_numbers};

/// Which columns the table wants statistics of.
#[derive(Debug)]
pub(crate) struct Indexed {
    /// The first so many columns, those that the table is partitioned by left out.
    pub(crate) first: DataSkippingNumIndexedCols,
    /// Or these, with all below them.
    pub(crate) named: Option<Vec<String>>,
    /// And these.
    pub(crate) also: Vec<Vec<String>>,
}

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
    others: BTreeMap<String, Box<RawValue>>,
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

/// A column that values can be compared in, by its path.
#[derive(Debug)]
pub(crate) struct Leaf<'a> {
    pub(crate) path: Vec<String>,
    pub(crate) kind: &'a PrimitiveType,
}

/// The statistics of a file with `rows` rows as JSON, for a table with these columns; those that it is partitioned by left out.
pub(crate) fn statistics(
    footer: &Footer<'_>,
    rows: u64,
    columns: &[&StructField],
    indexed: &Indexed,
    not_numbers: &NotNumbers,
) -> Result<String, serde_json::Error> {
    let mut all = FileStatistics { num_records: Some(rows), ..FileStatistics::default() };
    for leaf in indexed.leaves(columns) {
        let (low, high) = if not_numbers.has(&leaf.path) { (None, None) } else { footer.bounds(&leaf.path, leaf.kind) };
        let low = low.and_then(|bound| bound.value.json(Side::Low));
        let high = high.and_then(|bound| bound.value.json(Side::High));
        let nulls = footer.null_count(&leaf.path).map(|nulls| nulls.to_string());
        put(&mut all.min_values, &leaf.path, low)?;
        put(&mut all.max_values, &leaf.path, high)?;
        put(&mut all.null_count, &leaf.path, nulls)?;
    }
    all.json()
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

impl Indexed {
    /// The columns that the table wants statistics of, those within structs among them.
    pub(crate) fn leaves<'a>(&self, columns: &[&'a StructField]) -> Vec<Leaf<'a>> {
        let mut leaves = Vec::new();
        for (place, column) in columns.iter().enumerate() {
            self.add_leaves(column, &[], self.named.is_some() || self.has(place), &mut leaves);
        }
        leaves
    }

    fn add_leaves<'a>(&self, column: &'a StructField, above: &[String], is_first: bool, leaves: &mut Vec<Leaf<'a>>) {
        let mut path = above.to_vec();
        path.push(column.name().clone());
        match column.data_type() {
            DataType::Primitive(kind) if is_first && self.names(&path) || self.also.contains(&path) => {
                leaves.push(Leaf { path, kind });
            }
            DataType::Struct(fields) => {
                for field in fields.fields() {
                    self.add_leaves(field, &path, is_first, leaves);
                }
            }
            _ => {}
        }
    }

    fn has(&self, place: usize) -> bool {
        match self.first {
            DataSkippingNumIndexedCols::AllColumns => true,
            DataSkippingNumIndexedCols::NumColumns(first) => u64::try_from(place).is_ok_and(|place| place < first),
        }
    }

    fn names(&self, path: &[String]) -> bool {
        let Some(named) = &self.named else { return true };
        let prefixes = (1..=path.len()).filter_map(|length| path.get(..length));
        prefixes.map(|prefix| ColumnName::new(prefix).to_string()).any(|prefix| named.contains(&prefix))
    }
}
