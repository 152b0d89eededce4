//! Names that the columns of a feed have, known before a source is read: evidence for which of its rows is the header.

use std::collections::HashSet;

use shared::ColumnNames;

use crate::schema::column_names::column_names;

/// Names of the columns of the target table, and of those that `SCHEMA` names. To Delta both cases are the same.
#[derive(Debug)]
pub(crate) struct KnownNames<'a> {
    table: &'a [String],
    lower: HashSet<String>,
    style: ColumnNames,
}

impl<'a> KnownNames<'a> {
    /// Those of a table; none if it is not there. New columns are named in this style.
    pub(crate) fn of(table: &'a [String], style: ColumnNames) -> Self {
        Self { table, lower: table.iter().map(|name| name.to_lowercase()).collect(), style }
    }

    /// Whether a row has names of the table's columns: in more than half of its cells that are not blank, or in half of them and two.
    pub(crate) fn are_of<'c>(&self, cells: impl Iterator<Item = &'c [u8]>) -> bool {
        if self.table.is_empty() {
            return false;
        }
        let filled: Vec<_> = cells.map(String::from_utf8_lossy).filter(|cell| !cell.trim().is_empty()).collect();
        let named = column_names(&filled, self.style, self.table);
        let met = named.iter().filter(|name| self.lower.contains(&name.to_lowercase())).count();
        met * 2 > filled.len() || (met >= 2 && met * 2 == filled.len())
    }

    /// Whether the table has the columns of a source of so many without a header: `column_1` and so on.
    pub(crate) fn are_places(&self, columns: usize) -> bool {
        columns > 0 && (1..=columns).all(|place| self.lower.contains(&format!("column_{place}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_names_of_the_table() {
        let table = ["id", "Unit Price", "note", "column_1"].map(str::to_owned);
        let known = KnownNames::of(&table, ColumnNames::Lower);
        for (cells, expected) in [
            ("ID,unit price,Note", true),
            ("id,unit_price,x", false),
            ("id,note,x", true),
            ("id,note,x,y", true),
            ("id,x", false),
            ("note,,", true),
            ("id,id,id", false),
            ("7,8,9", false),
            ("", false),
            (",", false),
        ] {
            assert_eq!(known.are_of(cells.split(',').map(str::as_bytes)), expected, "{cells}");
        }
        assert_eq!((known.are_places(1), known.are_places(2), known.are_places(0)), (true, false, false));
        assert!(!KnownNames::of(&[], ColumnNames::Lower).are_of([b"id".as_slice()].into_iter()));
    }
}
