//! Columns of a source and those of its contract.

use std::collections::{HashMap, HashSet, VecDeque};

use shared::{
    Column, ColumnNames, Contract, ContractColumn, ContractType, FieldMap, Match, MissingColumns, NewColumns,
    OtherKeys, RESCUED, RescuedField, TypeOrigin,
};

use crate::contract::difference::{Difference, DifferenceKind, DifferenceOutcome};
use crate::schema::column_names::column_names;

/// How columns are named and read that the contract does not have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Naming<'a> {
    /// `COLUMN_NAMES`.
    pub(crate) style: ColumnNames,
    /// Names of the table's columns.
    pub(crate) table: &'a [String],
    /// Whether null words are given, so that they hold in text too.
    pub(crate) null_words_set: bool,
}

/// The columns of a CSV source under its contract.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CsvColumns {
    pub(crate) columns: Vec<Column>,
    /// None where each record has a field for each column, in this order.
    pub(crate) fields: Option<FieldMap>,
    /// Columns of the contract that the header has.
    pub(crate) matched: usize,
    pub(crate) differences: Vec<Difference>,
}

/// Matches the names in the header of a CSV source, one a field.
pub(crate) fn of_csv(contract: &Contract, names: &[String], naming: Naming<'_>) -> CsvColumns {
    let mut of_columns = match contract.policies.match_by {
        Match::Name => by_name(&contract.columns, names),
        Match::Position => {
            (0..contract.columns.len()).map(|place| Some(place).filter(|place| *place < names.len())).collect()
        }
    };
    let matched = of_columns.iter().flatten().count();
    let mut columns: Vec<Column> =
        contract.columns.iter().map(|column| declared(column, naming.null_words_set)).collect();
    let mut differences = missing(contract, |place| of_columns.get(place).copied().flatten().is_some());
    let taken: HashSet<usize> = of_columns.iter().flatten().copied().collect();
    let new: Vec<usize> = (0..names.len()).filter(|field| !taken.contains(field)).collect();
    let sources: Vec<String> = new.iter().filter_map(|field| names.get(*field).cloned()).collect();
    let shown = |field: &usize| {
        let name = names.get(*field).map_or("", String::as_str).trim();
        (
            if name.is_empty() { format!("column_{}", field + 1) } else { name.to_owned() },
            format!("field {}", field + 1),
        )
    };
    differences.extend(new.iter().map(shown).map(|shown| added(contract, shown)));
    let mut rescued = Vec::new();
    match contract.policies.new_columns {
        NewColumns::Add => {
            let names = new_names(&contract.columns, &sources, naming);
            let text = sources.into_iter().zip(names).map(|(source, name)| of_text(source, name, naming));
            columns.extend(text);
            of_columns.extend(new.into_iter().map(Some));
        }
        NewColumns::Rescue => {
            columns.push(rescue_column(naming));
            of_columns.push(None);
            let mut known = HashSet::new();
            for field in new {
                let (mut name, place) = shown(&field);
                if !known.insert(name.clone()) {
                    name = format!("{name} ({place})");
                }
                rescued.push(RescuedField { name, field });
            }
        }
        NewColumns::Fail | NewColumns::Ignore => {}
    }
    let count = names.len();
    let is_plain = rescued.is_empty()
        && count == of_columns.len()
        && of_columns.iter().enumerate().all(|(place, field)| *field == Some(place));
    // A source without a header has no records either.
    let fields = (!is_plain && count > 0).then_some(FieldMap { count, of_columns, rescued });
    CsvColumns { columns, fields, matched, differences: if count > 0 { differences } else { Vec::new() } }
}

/// The columns of an NDJSON source under its contract, by the keys of its sample; without any record nothing is missing.
pub(crate) fn of_ndjson(
    contract: &Contract,
    keys: &[String],
    has_records: bool,
    naming: Naming<'_>,
) -> (Vec<Column>, OtherKeys, Vec<Difference>) {
    let mut columns: Vec<Column> =
        contract.columns.iter().map(|column| declared(column, naming.null_words_set)).collect();
    let there: HashSet<&str> = keys.iter().map(String::as_str).collect();
    let is_there =
        |place: usize| contract.columns.get(place).is_some_and(|column| there.contains(column.source.as_str()));
    let mut differences = if has_records { missing(contract, is_there) } else { Vec::new() };
    let known: HashSet<&str> = contract.columns.iter().map(|column| column.source.as_str()).collect();
    let new: Vec<String> = keys.iter().filter(|key| !known.contains(key.as_str())).cloned().collect();
    differences.extend(new.iter().map(|key| added(contract, (key.clone(), "a key".to_owned()))));
    let others = match contract.policies.new_columns {
        NewColumns::Add => {
            let names = new_names(&contract.columns, &new, naming);
            columns.extend(new.into_iter().zip(names).map(|(source, name)| of_text(source, name, naming)));
            OtherKeys::Reject
        }
        NewColumns::Fail => OtherKeys::RejectByContract,
        NewColumns::Ignore => OtherKeys::Ignore,
        NewColumns::Rescue => {
            columns.push(rescue_column(naming));
            OtherKeys::Rescue
        }
    };
    (columns, others, differences)
}

/// The names in the chunks of the columns of a Parquet source, given by name and type.
pub(crate) fn of_parquet(
    contract: &Contract,
    columns: &[(String, String)],
    naming: Naming<'_>,
) -> (Vec<String>, Vec<Difference>) {
    let sources: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    let places = by_name(&contract.columns, &sources);
    let mut differences = missing(contract, |place| places.get(place).copied().flatten().is_some());
    let mut names: Vec<Option<String>> = vec![None; columns.len()];
    for (column, place) in contract.columns.iter().zip(&places) {
        let Some(place) = *place else { continue };
        let (expected, found) = (column.column_type.to_string(), columns.get(place).map_or("", |(_, found)| found));
        if expected != found {
            let (name, found, outcome) = (column.name.clone(), found.to_owned(), DifferenceOutcome::Refused);
            differences.push(Difference { kind: DifferenceKind::Type, name, expected, found, outcome });
        }
        if let Some(name) = names.get_mut(place) {
            *name = Some(column.name.clone());
        }
    }
    let new: Vec<&(String, String)> =
        columns.iter().zip(&names).filter(|(_, name)| name.is_none()).map(|(column, _)| column).collect();
    differences.extend(new.iter().map(|column| added(contract, (*column).clone())));
    let new: Vec<String> = new.into_iter().map(|(name, _)| name.clone()).collect();
    let mut new_names = new_names(&contract.columns, &new, naming).into_iter();
    let names = names.into_iter().map(|name| name.or_else(|| new_names.next()).unwrap_or_default());
    (names.collect(), differences)
}

/// The field of each column: the one of the same letters, or else one of which only upper and lower case differ. Of fields with
/// one name, each is taken once, in order.
fn by_name(columns: &[ContractColumn], names: &[String]) -> Vec<Option<usize>> {
    let keys: [fn(&str) -> String; 2] = [|name| name.trim().to_owned(), |name| name.trim().to_lowercase()];
    let mut found: Vec<Option<usize>> = vec![None; columns.len()];
    for key in keys {
        let taken: HashSet<usize> = found.iter().flatten().copied().collect();
        let mut fields: HashMap<String, VecDeque<usize>> = HashMap::new();
        for (field, name) in names.iter().enumerate().filter(|(field, _)| !taken.contains(field)) {
            fields.entry(key(name)).or_default().push_back(field);
        }
        for (column, found) in columns.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
            *found = fields.get_mut(&key(&column.source)).and_then(VecDeque::pop_front);
        }
    }
    found
}

/// A difference for each column of the contract that is not there.
fn missing(contract: &Contract, is_there: impl Fn(usize) -> bool) -> Vec<Difference> {
    let outcome = match contract.policies.missing_columns {
        MissingColumns::Null => DifferenceOutcome::Null,
        MissingColumns::Fail => DifferenceOutcome::Refused,
    };
    let missing = contract.columns.iter().enumerate().filter(|(place, _)| !is_there(*place));
    let difference = |(_, column): (usize, &ContractColumn)| Difference {
        kind: DifferenceKind::Missing,
        name: if column.source.is_empty() { column.name.clone() } else { column.source.clone() },
        expected: column.column_type.to_string(),
        found: "none".to_owned(),
        outcome,
    };
    missing.map(difference).collect()
}

/// The difference of a column that the contract does not have, by its name and what is known of it.
fn added(contract: &Contract, (name, found): (String, String)) -> Difference {
    let outcome = match contract.policies.new_columns {
        NewColumns::Add => DifferenceOutcome::Added,
        NewColumns::Fail => DifferenceOutcome::Refused,
        NewColumns::Ignore => DifferenceOutcome::Ignored,
        NewColumns::Rescue => DifferenceOutcome::Rescued,
    };
    Difference { kind: DifferenceKind::New, name, expected: "none".to_owned(), found, outcome }
}

/// Names of columns that the contract does not have, unlike those that it has.
fn new_names(columns: &[ContractColumn], new: &[String], naming: Naming<'_>) -> Vec<String> {
    let known = columns.iter().map(|column| column.name.as_str());
    let all: Vec<&str> = known.chain(new.iter().map(String::as_str)).collect();
    let mut taken: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    taken.extend(naming.table.iter().cloned());
    column_names(&all, naming.style, &taken).split_off(columns.len())
}

fn declared(column: &ContractColumn, null_words_set: bool) -> Column {
    let of_text = Column::of_text(column.source.clone(), column.name.clone());
    let ContractType::Text(column_type, date_format) = column.column_type else { return of_text };
    Column {
        column_type,
        date_format: date_format.unwrap_or_default(),
        origin: TypeOrigin::Declared,
        null_words: null_words_set || column_type != of_text.column_type,
        ..of_text
    }
}

fn of_text(source: String, name: String, naming: Naming<'_>) -> Column {
    let origin = TypeOrigin::Declared;
    Column { origin, null_words: naming.null_words_set, ..Column::of_text(source, name) }
}

fn rescue_column(naming: Naming<'_>) -> Column {
    of_text(RESCUED.to_owned(), RESCUED.to_owned(), Naming { null_words_set: false, ..naming })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMING: Naming<'_> = Naming { style: ColumnNames::Lower, table: &[], null_words_set: false };

    fn contract(policies: &str) -> Contract {
        let text = format!(
            "version = 1\n[policy]\n{policies}\n[[columns]]\nname = \"id\"\nsource = \"Id\"\ntype = \"int64\"\n[[columns]]\nname = \"b\"\ntype = \"date(DD.MM.YYYY)\"\n[[columns]]\nname = \"b_2\"\nsource = \"b\"\ntype = \"text\"\n"
        );
        Contract::parse(text.as_bytes(), &"s3://b/c.toml".parse().unwrap()).unwrap()
    }

    fn shown(differences: &[Difference]) -> Vec<String> {
        differences.iter().map(|difference| format!("{difference}: {:?}", difference.outcome)).collect()
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn fields_of_a_csv() {
        const RESCUE: &str = "new_columns = \"rescue\"\nmissing_columns = \"null\"";
        for (policies, header, columns, fields, differences) in [
            ("", "Id,b,b", "id b b_2", "plain", &[][..]),
            ("", "ID, b ,B", "id b b_2", "plain", &[]),
            ("", "b,Id,b", "id b b_2", "1 0 2 of 3", &[]),
            ("", "Id,b", "id b b_2", "0 1 - of 2", &["column 'b' (text) is missing: Refused"]),
            ("", "Id,b,b,c", "id b b_2", "0 1 2 of 4", &["column 'c' (field 4) is not in the contract: Refused"]),
            (
                "new_columns = \"add\"",
                "Id,b,B_2,b,",
                "id b b_2 b_2_2 column_5",
                "0 1 3 2 4 of 5",
                &[
                    "column 'B_2' (field 3) is not in the contract: Added",
                    "column 'column_5' (field 5) is not in the contract: Added",
                ],
            ),
            (
                "new_columns = \"ignore\"",
                "c,Id,b,b",
                "id b b_2",
                "1 2 3 of 4",
                &["column 'c' (field 1) is not in the contract: Ignored"],
            ),
            (RESCUE, "Id,b,b", "id b b_2 _rescued", "0 1 2 - of 3", &[]),
            (
                RESCUE,
                "x,Id,x,b",
                "id b b_2 _rescued",
                "1 3 - - of 4 x=0 x (field 3)=2",
                &[
                    "column 'b' (text) is missing: Null",
                    "column 'x' (field 1) is not in the contract: Rescued",
                    "column 'x' (field 3) is not in the contract: Rescued",
                ],
            ),
            ("match = \"position\"", "x,y,z", "id b b_2", "plain", &[]),
            (
                "match = \"position\"\nmissing_columns = \"null\"",
                "b,Id",
                "id b b_2",
                "0 1 - of 2",
                &["column 'b' (text) is missing: Null"],
            ),
        ] {
            let names: Vec<String> = header.split(',').map(str::to_owned).collect();
            let found = of_csv(&contract(policies), &names, NAMING);
            let given: Vec<&str> = found.columns.iter().map(|column| column.name.as_str()).collect();
            let mapped = found.fields.map_or_else(
                || "plain".to_owned(),
                |map| {
                    let fields: Vec<String> = map
                        .of_columns
                        .iter()
                        .map(|field| field.map_or("-".to_owned(), |field| field.to_string()))
                        .collect();
                    let rescued = map.rescued.iter().map(|field| format!("{}={}", field.name, field.field));
                    let count = format!("{} of {}", fields.join(" "), map.count);
                    std::iter::once(count).chain(rescued).collect::<Vec<_>>().join(" ")
                },
            );
            let expected =
                (columns.to_owned(), fields.to_owned(), differences.iter().map(|one| (*one).to_owned()).collect());
            assert_eq!((given.join(" "), mapped, shown(&found.differences)), expected, "{policies} {header}");
        }
    }

    #[test]
    fn columns_of_parquet() {
        let text = "version = 1\n[read]\nformat = \"parquet\"\n[policy]\nnew_columns = \"add\"\n[[columns]]\nname = \"id\"\ntype = \"Int64\"\n[[columns]]\nname = \"n\"\nsource = \"N\"\ntype = \"Utf8\"\n";
        let contract = Contract::parse(text.as_bytes(), &"s3://b/c.toml".parse().unwrap()).unwrap();
        let columns =
            [("N", "Utf8"), ("ID", "Int32"), ("Id", "Date32")].map(|(name, of)| (name.to_owned(), of.to_owned()));
        let (names, differences) = of_parquet(&contract, &columns, NAMING);
        assert_eq!(names, ["n", "id", "id_2"]);
        assert_eq!(
            shown(&differences),
            [
                "column 'id' is Int32, the contract says Int64: Refused",
                "column 'Id' (Date32) is not in the contract: Added"
            ]
        );
    }
}
