//! Names of columns: those that the table has, or as the settings want them, such that Delta takes them, and unique.

use std::collections::{HashMap, HashSet};

use shared::{ColumnNames, Location};

use crate::error::{BadInput, SplitError};

/// Most columns of a table. With more, not only Sluice is slow: each entry of the table's log, and each footer, names them all.
pub(crate) const MOST_COLUMNS: usize = 10_000;

/// What may help where there are more.
const FEWER_COLUMNS: &str =
    "have it written as several files of fewer columns, or with a row for each value instead of a column";

/// Refuses a source of more columns.
pub(crate) fn check_columns(at: &Location, columns: usize) -> Result<(), SplitError> {
    if columns <= MOST_COLUMNS {
        return Ok(());
    }
    let reason = format!("it has {columns} columns, and a table may have {MOST_COLUMNS} at most");
    Err(BadInput::whole(at, reason, FEWER_COLUMNS).into())
}

/// Characters that Delta refuses in the name of a column, and the point: not all readers find a column by a name that has one.
const REFUSED: &[char] = &[' ', ',', ';', '{', '}', '(', ')', '\n', '\r', '\t', '=', '.'];

/// The name of each column in the chunks, where the table has columns of the names `table`.
///
/// A column of the table with a name that no column is given here, as it has a space or a point, is matched by the source's own
/// name, letters of either case being the same if need be. All others are named by the style, and the table has them or not.
///
/// A column without a name becomes `column_N`, N being its place from 1; of columns with the same name, upper and lower
/// case being the same to Delta, the first keeps it and the others get `_2`, `_3`, …
pub fn column_names<S: AsRef<str>>(source_names: &[S], style: ColumnNames, table: &[String]) -> Vec<String> {
    let of_table = names_of_table(source_names, style, table);
    let mut taken: HashSet<String> = of_table.iter().flatten().map(|name| name.to_lowercase()).collect();
    // The number that comes next for a name that is taken, so that a thousand columns of one name do not take a million tries.
    let mut next: HashMap<String, u32> = HashMap::new();
    let name = |(index, (source_name, of_table)): (usize, (&S, Option<&String>))| {
        if let Some(name) = of_table {
            return name.clone();
        }
        let legal = legal(source_name.as_ref(), style);
        let legal = if legal.is_empty() { format!("column_{}", index + 1) } else { legal };
        if taken.insert(legal.to_lowercase()) {
            return legal;
        }
        let number = next.entry(legal.to_lowercase()).or_insert(2);
        loop {
            let numbered = format!("{legal}_{number}");
            *number += 1;
            if taken.insert(numbered.to_lowercase()) {
                return numbered;
            }
        }
    };
    source_names.iter().zip(of_table).enumerate().map(name).collect()
}

/// The table's own name of each column of the source, if it is one that no column would be given here. Others are left alone: of
/// `A b` and `a_b`, which became `a_b` and `a_b_2`, the next file must not have the second in the place of the first.
fn names_of_table<'a, S: AsRef<str>>(
    source_names: &[S],
    style: ColumnNames,
    table: &'a [String],
) -> Vec<Option<&'a String>> {
    let is_other = |name: &&String| legal(name, style).to_lowercase() != name.to_lowercase();
    let others: Vec<&String> = table.iter().filter(is_other).collect();
    let mut found: Vec<Option<&String>> = vec![None; source_names.len()];
    let keys: [fn(&str) -> String; 2] = [str::to_owned, |name| name.trim().to_lowercase()];
    for key in keys {
        let met: HashSet<&String> = found.iter().flatten().copied().collect();
        let left = others.iter().copied().filter(|name| !met.contains(name));
        let mut by_key: HashMap<String, &String> = left.map(|name| (key(name), name)).collect();
        for (source_name, found) in source_names.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
            *found = by_key.remove(&key(source_name.as_ref()));
        }
    }
    found
}

/// A name in a style, with characters that Delta takes.
fn legal(name: &str, style: ColumnNames) -> String {
    let trimmed = name.trim();
    let styled = match style {
        ColumnNames::Keep => trimmed.to_owned(),
        ColumnNames::Lower => trimmed.to_lowercase(),
        ColumnNames::Snake => snake(trimmed),
    };
    styled.replace(REFUSED, "_")
}

/// `unitPrice`, `Unit Price` and `unit-price` all become `unit_price`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut after_small = false;
    for character in name.chars() {
        if !character.is_alphanumeric() {
            if !snake.is_empty() && !snake.ends_with('_') {
                snake.push('_');
            }
            after_small = false;
            continue;
        }
        if character.is_uppercase() && after_small {
            snake.push('_');
        }
        after_small = character.is_lowercase() || character.is_numeric();
        snake.extend(character.to_lowercase());
    }
    snake.trim_end_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_styled_legal_and_unique() {
        let names = |names: &[&str], style| column_names(names, style, &[]);
        assert_eq!(names(&["A", "a b", "É", ""], ColumnNames::Lower), ["a", "a_b", "é", "column_4"]);
        assert_eq!(names(&["A", "a b", "É", ""], ColumnNames::Keep), ["A", "a_b", "É", "column_4"]);
        assert_eq!(names(&["id", "ID", "Id", "id_2"], ColumnNames::Lower), ["id", "id_2", "id_3", "id_2_2"]);
        assert_eq!(names(&["id", "ID"], ColumnNames::Keep), ["id", "ID_2"]);
        assert_eq!(
            names(&["unitPrice", "Unit Price", "HTTPCode", "a--b", "x=1"], ColumnNames::Snake),
            ["unit_price", "unit_price_2", "httpcode", "a_b", "x_1"]
        );
    }
    #[test]
    fn columns_of_the_table_keep_their_names() {
        use ColumnNames::{Keep, Lower, Snake};
        for (source, style, table, expected) in [
            (&["Order ID", "id"][..], Lower, &["id", "Order ID"][..], &["Order ID", "id"][..]),
            (&[" order id "], Lower, &["Order ID"], &["Order ID"]),
            // The same letters come first, wherever they stand.
            (&["order id", "Order ID"], Keep, &["Order ID"], &["order_id", "Order ID"]),
            (&["Order ID", "order_id"], Lower, &["order_id", "Order ID"], &["Order ID", "order_id"]),
            (&["Order ID", "order_id"], Lower, &["order_id"], &["order_id", "order_id_2"]),
            (&["a.b", "a_b"], Lower, &["a_b", "a.b"], &["a.b", "a_b"]),
            (&["a.b", "a_b"], Lower, &[], &["a_b", "a_b_2"]),
            (&["a,;{}()=\tb"], Lower, &["a,;{}()=\tb"], &["a,;{}()=\tb"]),
            (&["unitPrice"], Snake, &["unitPrice"], &["unitPrice"]),
            (&["unitPrice"], Snake, &["unit_price"], &["unit_price"]),
            // What a first file was given, the next one is.
            (&["A b", "a_b", "a.b"], Lower, &["a_b", "a_b_2", "a_b_3"], &["a_b", "a_b_2", "a_b_3"]),
            (&["ID", "id"], Keep, &["ID", "id_2"], &["ID", "id_2"]),
        ] {
            let table: Vec<String> = table.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(column_names(source, style, &table), expected, "{source:?} {table:?}");
        }
    }
}
