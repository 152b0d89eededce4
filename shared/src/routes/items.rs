//! Routes of a table of `DynamoDB`, written as a routes file: whatever reads routes then knows them.
//!
//! An item is a route. Its attributes are the keys of a route in a file, or those of the usual table: `PartitionKey` (the routing key),
//! `target_table` and `query_sql` with `{s3_input_path}`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::hex::hex;
use crate::location::Location;

/// An item: its attributes, those of numbers, texts, booleans and lists as JSON.
pub(crate) type Item = BTreeMap<String, Value>;

/// Names of the attribute that holds the routing key.
const ROUTING_KEYS: [&str; 2] = ["PartitionKey", "routing_key"];

/// What `query_sql` has in place of its source, and what is read instead.
const INPUT: &str = "'{s3_input_path}'";
const CHUNK: &str = "chunk";

const ELSEWHERE: &str = "the SQL has {s3_input_path} elsewhere than as the source, in single quotes";

/// Writes items as a routes file. The same items make the same text, in whatever order they come. `tables` is what tables that are named
/// as `database.table` are below. The error names the item.
pub(crate) fn document(mut items: Vec<Item>, tables: Option<&Location>) -> Result<String, String> {
    items.sort_by_cached_key(|item| {
        (routing_key(item).unwrap_or_default().to_owned(), Value::from_iter(item.clone()).to_string())
    });
    let mut text = String::from("version = 1\n");
    // Routing keys that differ may make the same name.
    let mut names = BTreeSet::new();
    for item in &items {
        let routing_key = routing_key(item)?;
        let route = |error| format!("the item '{routing_key}': {error}");
        for mut keys in routes(item, routing_key, tables).map_err(route)? {
            if let Some(Value::String(name)) = keys.get_mut("name")
                && !names.insert(name.clone())
                && !item.contains_key("name")
            {
                let digest = hex(&Sha256::digest(routing_key), 4);
                name.push('-');
                name.push_str(&digest);
            }
            text.push_str("\n[[route]]\n");
            for (key, value) in keys {
                // A key that no route has is refused when the text is read; here it only has to be written.
                let _ = writeln!(
                    text,
                    "{} = {}",
                    quoted(&key),
                    written(&value).map_err(|error| route(format!("{key} {error}")))?
                );
            }
        }
    }
    Ok(text)
}

fn routing_key(item: &Item) -> Result<&str, String> {
    let attribute = ROUTING_KEYS.iter().find_map(|name| item.get(*name));
    let key = attribute.and_then(Value::as_str).filter(|key| !key.is_empty());
    key.ok_or_else(|| {
        format!("an item has no text in {}: {}", ROUTING_KEYS.join(" or "), Value::from_iter(item.clone()))
    })
}

/// The keys of the routes that an item stands for. A routing key without a slash is a bucket, or the first folder of any.
fn routes(item: &Item, routing_key: &str, tables: Option<&Location>) -> Result<Vec<Item>, String> {
    let mut keys = Item::new();
    for (attribute, value) in item.iter().filter(|(name, _)| !ROUTING_KEYS.contains(&name.as_str())) {
        let (key, value) = match (attribute.as_str(), value) {
            ("target_table" | "table", Value::String(table)) => ("table", table_uri(table, tables)?.into()),
            ("query_sql" | "sql", Value::String(sql)) => ("sql", over_chunk(sql)?.into()),
            (key, value) => (key, value.clone()),
        };
        if keys.insert(key.to_owned(), value).is_some() {
            return Err(format!("it has {key} twice, by two names"));
        }
    }
    keys.entry("name".to_owned()).or_insert_with(|| name(routing_key).into());
    if keys.contains_key("key") {
        return Ok(vec![keys]);
    }
    let route = |bucket: Option<&str>, folder: &str, suffix: &str| {
        let mut keys = keys.clone();
        let key = if folder.is_empty() { "**".to_owned() } else { format!("{folder}/**") };
        keys.insert("key".to_owned(), key.into());
        if let Some(bucket) = bucket {
            keys.insert("bucket".to_owned(), bucket.into());
        }
        if let Some(Value::String(name)) = keys.get_mut("name") {
            name.push_str(suffix);
        }
        keys
    };
    let trimmed = routing_key.trim_end_matches('/');
    Ok(match trimmed.split_once('/') {
        Some(("", folder)) => vec![route(None, folder, "")],
        Some((bucket, folder)) => vec![route(Some(bucket), folder, "")],
        None if keys.contains_key("bucket") => vec![route(None, trimmed, "")],
        None if trimmed.chars().any(|c| c.is_ascii_uppercase() || c == '_') => vec![route(None, trimmed, "")],
        None => vec![route(Some(trimmed), "", ""), route(None, trimmed, ".folder")],
    })
}

/// A routing key as the name of a route.
fn name(routing_key: &str) -> String {
    let trimmed = routing_key.trim_matches('/');
    trimmed.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

/// A table as it is named, or `database.table` below the place of tables.
fn table_uri(table: &str, tables: Option<&Location>) -> Result<String, String> {
    if table.contains('/') {
        return Ok(table.to_owned());
    }
    match (tables, table.split_once('.')) {
        (Some(tables), Some((database, name))) => Ok(tables.join(database).join(name).to_string()),
        (Some(tables), None) => Ok(tables.join(table).to_string()),
        (None, _) => Err(format!(
            "the table '{table}' is not a URI: name the place of such tables, as in dynamodb://NAME?tables=s3://bucket/prefix"
        )),
    }
}

/// SQL over the chunk, where it is written over a file whose path is to be filled in: `FROM '{s3_input_path}'`, or a function that reads
/// it, as `read_parquet('{s3_input_path}')`.
fn over_chunk(sql: &str) -> Result<String, String> {
    let (mut read, mut rest) = (String::new(), sql);
    while let Some(at) = rest.find(INPUT) {
        let (before, after) = (rest.get(..at).unwrap_or_default(), rest.get(at + INPUT.len()..).unwrap_or_default());
        let called = before.trim_end().strip_suffix('(').map(str::trim_end);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let function = called.and_then(|called| {
            let begin = called.rfind(|c| !is_part(c)).map_or(0, |last| last + 1);
            let known = called.get(begin..)?.to_ascii_lowercase();
            ["read_", "parquet_scan", "scan_"].iter().any(|prefix| known.starts_with(prefix)).then_some(begin)
        });
        rest = match (function, after.trim_start().strip_prefix(')')) {
            (Some(begin), Some(behind)) if is_source(before.get(..begin).unwrap_or_default()) => {
                read.push_str(before.get(..begin).unwrap_or_default());
                behind
            }
            (Some(begin), None) if is_source(before.get(..begin).unwrap_or_default()) => {
                return Err("the SQL gives the function that reads {s3_input_path} more than the path".to_owned());
            }
            (None, _) if is_source(before) => {
                read.push_str(before);
                after
            }
            _ => return Err(ELSEWHERE.to_owned()),
        };
        read.push_str(CHUNK);
    }
    read.push_str(rest);
    if read.contains("{s3_input_path}") {
        return Err(ELSEWHERE.to_owned());
    }
    Ok(read)
}

/// Whether SQL that goes on with a table follows.
fn is_source(before: &str) -> bool {
    let word = before.trim_end().rsplit(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    before.ends_with(char::is_whitespace) && ["from", "join"].contains(&word.to_ascii_lowercase().as_str())
}

/// A text of TOML. JSON's escapes are TOML's, but for a character that JSON has as it is.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn written(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(quoted(text)),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Array(values) => {
            let texts: Result<Vec<String>, String> = values.iter().map(written).collect();
            Ok(format!("[{}]", texts?.join(", ")))
        }
        _ => Err("is no text, number, boolean or list of them".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::routes::terms::Routes;

    fn item(value: Value) -> Item {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn items_are_routes() {
        let items = [
            json!({"PartitionKey": "landing", "target_table": "sales.orders", "query_sql": "SELECT a + 1 AS b FROM read_parquet('{s3_input_path}') WHERE a > 0"}),
            json!({"routing_key": "landing/crm/orders/", "table": "s3://lake/crm", "chunk_size_mb": 50, "partition_by": ["day"]}),
            json!({"PartitionKey": "any", "key": "x/{system}/*.csv", "table": "s3://lake/{system}", "also": true}),
        ];
        let tables = "s3://warehouse/bronze".parse().unwrap();
        let text = document(items.iter().cloned().map(item).collect(), Some(&tables)).unwrap();
        insta::assert_snapshot!(text);
        let routes = Routes::parse(text.as_bytes(), &"dynamodb://routes".parse().unwrap()).unwrap();
        for (object, table) in [
            ("s3://landing/a.parquet", "s3://warehouse/bronze/sales/orders"),
            ("s3://other/landing/a.parquet", "s3://warehouse/bronze/sales/orders"),
            ("s3://landing/crm/orders/a.csv", "s3://lake/crm"),
        ] {
            let targets = routes.targets(&object.parse().unwrap()).unwrap();
            assert_eq!(targets.first().map(|target| target.table.to_string()).as_deref(), Some(table), "{object}");
        }
        let again = document(items.iter().rev().cloned().map(item).collect(), Some(&tables)).unwrap();
        assert_eq!(again, text, "the order of items has no meaning");
    }

    #[test]
    fn names_that_would_be_the_same_differ() {
        let items = ["landing/crm", "landing-crm"].map(|key| item(json!({"PartitionKey": key, "table": "s3://a/b"})));
        let text = document(items.to_vec(), None).unwrap();
        let names: Vec<&str> = text.lines().filter(|line| line.starts_with("\"name\"")).collect();
        assert_eq!(
            names,
            ["\"name\" = \"landing-crm\"", "\"name\" = \"landing-crm.folder\"", "\"name\" = \"landing-crm-31f52cbe\""]
        );
    }

    #[test]
    fn sql_reads_the_chunk() {
        for (sql, expected) in [
            ("SELECT * FROM read_parquet('{s3_input_path}')", Ok("SELECT * FROM chunk")),
            ("SELECT * FROM READ_CSV_AUTO ( '{s3_input_path}' ) c", Ok("SELECT * FROM chunk c")),
            ("SELECT * FROM '{s3_input_path}'", Ok("SELECT * FROM chunk")),
            ("SELECT '{s3_input_path}' AS source FROM chunk", Err(ELSEWHERE)),
            ("SELECT read_text('{s3_input_path}') AS source FROM chunk", Err(ELSEWHERE)),
            ("SELECT 1 FROM chunk", Ok("SELECT 1 FROM chunk")),
            (
                "SELECT * FROM read_csv('{s3_input_path}', delim = ';')",
                Err("the SQL gives the function that reads {s3_input_path} more than the path"),
            ),
            ("SELECT * FROM read_csv({s3_input_path})", Err(ELSEWHERE)),
        ] {
            assert_eq!(over_chunk(sql).as_deref().map_err(String::as_str), expected, "{sql}");
        }
    }

    #[test]
    fn what_is_no_route_is_refused() {
        for (value, expected) in [
            (
                json!({"table": "s3://a/b"}),
                "an item has no text in PartitionKey or routing_key: {\"table\":\"s3://a/b\"}",
            ),
            (
                json!({"PartitionKey": "a", "table": "db.t"}),
                "the item 'a': the table 'db.t' is not a URI: name the place of such tables, as in dynamodb://NAME?tables=s3://bucket/prefix",
            ),
            (
                json!({"PartitionKey": "a", "table": "s3://x/y", "target_table": "s3://x/z"}),
                "the item 'a': it has table twice, by two names",
            ),
            (
                json!({"PartitionKey": "a", "table": "s3://x/y", "tags": {"a": 1}}),
                "the item 'a': tags is no text, number, boolean or list of them",
            ),
        ] {
            assert_eq!(document(vec![item(value)], None).unwrap_err(), expected);
        }
    }
}
