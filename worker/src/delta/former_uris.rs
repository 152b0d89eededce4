//! URIs that a table had before it was moved or copied.

use std::collections::HashMap;

use shared::Location;

/// URIs that tables had, so that their jobs are known by them.
#[derive(Clone, Debug, Default)]
pub struct FormerUris {
    /// By a former URI the one that the table has. Jobs that are bound for the former go there.
    pub moved: HashMap<Location, Location>,
    /// Whether `moved` has all former URIs of a table whose log does not say them, as those were that Sluice loaded before its log
    /// did.
    pub are_all_known: bool,
}

impl FormerUris {
    /// Where a table is now.
    pub(crate) fn present(&self, table: Location) -> Location {
        self.moved.get(&table).cloned().unwrap_or(table)
    }
}
