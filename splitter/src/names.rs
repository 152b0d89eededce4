//! Names of columns: as the settings want them, such that Delta takes them, and unique.

use std::collections::{HashMap, HashSet};

use shared::ColumnNames;

/// Characters that Delta refuses in the name of a column.
const REFUSED: &[char] = &[' ', ',', ';', '{', '}', '(', ')', '\n', '\r', '\t', '='];

/// The name of each column in the chunks.
///
/// A column without a name becomes `column_N`, N being its place from 1; of columns with the same name, upper and lower
/// case being the same to Delta, the first keeps it and the others get `_2`, `_3`, …
pub(crate) fn column_names<'a>(source_names: impl IntoIterator<Item = &'a str>, style: ColumnNames) -> Vec<String> {
    let mut taken = HashSet::new();
    // The number that comes next for a name that is taken, so that a thousand columns of one name are no million tries.
    let mut next: HashMap<String, u32> = HashMap::new();
    let name = |(index, source_name): (usize, &str)| {
        let trimmed = source_name.trim();
        let styled = match style {
            ColumnNames::Keep => trimmed.to_owned(),
            ColumnNames::Lower => trimmed.to_lowercase(),
            ColumnNames::Snake => snake(trimmed),
        };
        let legal = styled.replace(REFUSED, "_");
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
    source_names.into_iter().enumerate().map(name).collect()
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
        let names = |names: &[&str], style| column_names(names.iter().copied(), style);
        assert_eq!(names(&["A", "a b", "É", ""], ColumnNames::Lower), ["a", "a_b", "é", "column_4"]);
        assert_eq!(names(&["A", "a b", "É", ""], ColumnNames::Keep), ["A", "a_b", "É", "column_4"]);
        assert_eq!(names(&["id", "ID", "Id", "id_2"], ColumnNames::Lower), ["id", "id_2", "id_3", "id_2_2"]);
        assert_eq!(names(&["id", "ID"], ColumnNames::Keep), ["id", "ID_2"]);
        assert_eq!(
            names(&["unitPrice", "Unit Price", "HTTPCode", "a--b", "x=1"], ColumnNames::Snake),
            ["unit_price", "unit_price_2", "httpcode", "a_b", "x_1"]
        );
    }
}
