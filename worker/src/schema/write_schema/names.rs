//! Columns by their names.

use std::collections::HashMap;

use deltalake::kernel::StructField;

/// The places of fields by their names. Looking each of thousands of columns up among all others would take a step for each pair.
#[derive(Debug, Default)]
pub(super) struct Names {
    exact: HashMap<String, usize>,
    lower: HashMap<String, usize>,
}

impl Names {
    pub(super) fn of(fields: &[StructField]) -> Self {
        let mut names = Self::default();
        fields.iter().enumerate().for_each(|(place, field)| names.add(field.name(), place));
        names
    }

    pub(super) fn add(&mut self, name: &str, place: usize) {
        self.exact.entry(name.to_owned()).or_insert(place);
        self.lower.entry(name.to_lowercase()).or_insert(place);
    }

    /// The place of a name; of one that only differs in case, the first.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.exact.get(name).or_else(|| self.lower.get(&name.to_lowercase())).copied()
    }
}

/// The place of the one column that can be meant by a name that no column has: the source's own, say, of which a space became `_`. None
/// where several can, or none.
pub(super) fn single_like(name: &str, fields: &[StructField]) -> Option<usize> {
    let bare = |name: &str| name.to_lowercase().replace(|character: char| !character.is_alphanumeric(), "");
    let name = Some(bare(name)).filter(|name| !name.is_empty())?;
    let mut like = (0..).zip(fields).filter(|(_, field)| bare(field.name()) == name).map(|(place, _)| place);
    let first = like.next();
    first.filter(|_| like.next().is_none())
}

#[cfg(test)]
mod tests {
    use deltalake::kernel::DataType;

    use super::*;

    #[test]
    fn a_name_of_the_source_stands_for_one_column() {
        let field = |name: &&str| StructField::nullable(*name, DataType::STRING);
        for (name, columns, place) in [
            ("Extra Col", &["id", "extra_col"][..], Some(1)),
            ("ExtraCol", &["id", "extra_col"], Some(1)),
            ("Extra Col", &["extra_col", "extra_col_2"], Some(0)),
            ("Extra Col", &["extra_col", "extra__col"], None),
            ("Extra", &["extra_col"], None),
            ("-", &["_", "id"], None),
        ] {
            let fields: Vec<StructField> = columns.iter().map(field).collect();
            assert_eq!(single_like(name, &fields), place, "{name} {columns:?}");
        }
    }
}
