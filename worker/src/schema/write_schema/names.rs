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
