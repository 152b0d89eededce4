//! Routes from table to table, as a file has them.

use shared::{ChainStart, Location, Routes, Settings, UpstreamChanges};

fn parsed(text: &str) -> Result<Routes, String> {
    let text = format!("version = 1\n{text}");
    Routes::parse_new(text.as_bytes(), &"s3://b/routes.toml".parse().unwrap()).map_err(|error| error.to_string())
}

fn chain(name: &str, from: &str, table: &str) -> String {
    format!("[[route]]\nname = \"{name}\"\nfrom_table = \"s3://lake/{from}\"\ntable = \"s3://lake/{table}\"\n")
}

#[test]
fn routes_from_table_to_table() {
    let gold = chain("gold", "silver", "gold");
    let silver = chain("silver", "bronze/", "silver");
    let drops = "[[route]]\nname = \"drops\"\nkey = \"**\"\ntable = \"s3://lake/bronze\"\n";
    let more = "sql = \"SELECT id FROM chunk\"\npartition_by = [\"day\"]\nstart = 3\nupstream_changes = \"ignore\"\n";
    let routes = parsed(&format!("{gold}{drops}{silver}{more}")).unwrap();
    let names: Vec<&str> = routes.chains.iter().map(|chain| chain.name.as_str()).collect();
    assert_eq!(names, ["silver", "gold"]);
    let object: Location = "s3://landing/a.csv".parse().unwrap();
    assert_eq!(routes.targets(&object).unwrap().len(), 1, "a chain takes no objects");
    let [silver, gold] = routes.chains.as_slice() else { panic!("{routes:?}") };
    assert_eq!((silver.from.to_string().as_str(), silver.line), ("s3://lake/bronze", 11));
    assert_eq!((silver.start, silver.upstream_changes), (ChainStart::Version(3), UpstreamChanges::Ignore));
    assert_eq!((gold.start, gold.upstream_changes), (ChainStart::Version(0), UpstreamChanges::Fail));
    let settings = silver.settings(&Settings::from_lookup(|_| None).unwrap(), &routes.version).unwrap();
    assert_eq!(settings.load.sql.as_deref(), Some("SELECT id FROM chunk"));
    assert_eq!((settings.load.partition_by, settings.table), (vec!["day".to_owned()], Some(silver.table.clone())));
}

/// Chains that cannot be used, and why.
#[test]
fn what_is_wrong_with_a_chain_is_named() {
    let one = chain("a", "x", "y");
    for (text, expected) in [
        (
            format!("{one}key = \"*\"\nchunk_size_mb = 10\ncolour = 1\n"),
            "line 6, route 'a', key: a route with from_table reads a table, and no dropped files; \
             line 7, route 'a', chunk_size_mb: a route with from_table gives no more than sql, partition_by and bad_records; \
             line 8, route 'a', colour: a route has no such key: it has name, bucket, key, suffix, also, table, from_table, and \
             settings by their names in lower case",
        ),
        (
            format!("{one}start = \"first\"\nupstream_changes = \"propagate\"\n"),
            "line 6, route 'a', start: 'first' cannot be used: it must be \"now\", or a version of the table, 0 or more; \
             line 7, route 'a', upstream_changes: 'propagate' is not supported: it must be fail or ignore",
        ),
        (
            format!("{one}sql = \"SELECT total(a) FROM chunk\"\n"),
            "line 6, route 'a', sql: the SQL cannot be run: there is no function total(), or it takes several rows together",
        ),
        (
            "[[route]]\nname = \"a\"\nfrom_table = \"s3://lake/{x}\"\ntable = \"s3://lake\"\n".to_owned(),
            "line 4, route 'a', from_table: '{x}' is not a capture of the route's key, which has none; \
             line 5, route 'a', table: 's3://lake' has no prefix below its bucket",
        ),
        (
            "[[route]]\nfrom_table = \"s3://lake/x\"\n".to_owned(),
            "line 3, name: the route does not have it; line 3, table: the route does not have it",
        ),
        (
            format!("{one}[[route.example]]\nkey = \"s3://b/x\"\n"),
            "line 3, route 'a', [[route.example]]: a route with from_table takes no objects",
        ),
        (format!("{one}{}", chain("a", "y", "z")), "line 7, route 'a', name: the route of line 3 has this name too"),
        (
            format!("{one}{}", chain("b", "x", "y")),
            "line 7, route 'b', from_table: the route of line 3 goes from s3://lake/x to s3://lake/y too: UNION ALL in one sql makes \
             both kinds of rows",
        ),
        (
            format!("{one}{}{}", chain("b", "y", "z"), chain("c", "z", "x")),
            "line 3, route 'a', from_table: routes go in a loop: s3://lake/x → s3://lake/y → s3://lake/z → s3://lake/x",
        ),
        (chain("a", "x", "x"), "line 3, route 'a', from_table: routes go in a loop: s3://lake/x → s3://lake/x"),
    ] {
        let expected = format!("the routes cannot be used: s3://b/routes.toml, {expected}");
        assert_eq!(parsed(&text).unwrap_err(), expected, "{text}");
    }
}
