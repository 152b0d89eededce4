//! Which columns a table wants statistics of.

use buoyant_kernel::expressions::ColumnName;
use buoyant_kernel::table_properties::DataSkippingNumIndexedCols;
use deltalake::kernel::{DataType, PrimitiveType, StructField};

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

/// A column that values can be compared in, by its path.
#[derive(Debug)]
pub(crate) struct Leaf<'a> {
    pub(crate) path: Vec<String>,
    pub(crate) kind: &'a PrimitiveType,
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
