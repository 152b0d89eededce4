//! Routes: files that cannot be used, and the choice among routes against a slow reference.

use std::fmt::Write;

use shared::{ExpectedRoute, Location, RouteError, RouteFate, Routes};

fn parsed(text: &str) -> Result<Routes, String> {
    Routes::parse(text.as_bytes(), &"s3://b/routes.toml".parse().unwrap()).map_err(|error| error.to_string())
}

fn at(text: &str) -> Location {
    text.parse().unwrap()
}

/// Versions that jobs came by are read without it.
#[test]
fn sql_is_checked_of_new_routes() {
    let expected = "call the capture {source} otherwise: SQL has a parameter $source of its own";
    for (sql, expected) in [
        ("select total(a) from chunk", Some("the SQL cannot be run: there is no function total()")),
        ("select *, $source as s from chunk", Some(expected)),
        ("select *, $job as s from chunk", None),
    ] {
        let text = format!(
            "version = 1\n[[route]]\nname = \"a\"\nkey = \"{{source}}/*\"\ntable = \"s3://lake/a\"\nsql = \"{sql}\"\n"
        );
        assert!(parsed(&text).is_ok(), "{sql}");
        let read = Routes::parse_new(text.as_bytes(), &"s3://b/routes.toml".parse().unwrap());
        let said = read.err().map(|error| error.to_string());
        assert_eq!(said.is_some(), expected.is_some(), "{said:?}");
        assert!(said.unwrap_or_default().contains(expected.unwrap_or_default()), "{sql}");
    }
}

const ORDERS: &str = "[[route]]\nname = \"orders\"\nkey = \"orders/*\"\ntable = \"s3://lake/orders\"\n";

/// Files that cannot be used, and why.
#[test]
fn what_is_wrong_is_named_with_line_and_route() {
    let start = "version = 1\n";
    for (text, expected) in [
        ("version = 2\n", "line 1, version: it is 2, and this build of Sluice reads version 1"),
        ("version = 1\n", "line 1, [[route]]: there is none"),
        (
            "version = 1\ncolour = 1\n",
            "line 2, colour: unknown field `colour`, expected one of `version`, `route`, `example`",
        ),
        ("[[route]]\nkey = \n", "line 3, key: string values must be quoted, expected literal string"),
        (
            "[[route]]\ncolour = 1\nname = \"x\"\nchunk_size_mb = 0\nchunk_bucket = \"b\"\nSQL = \"x\"\n",
            "line 3, route 'x', key: the route does not have it; line 3, route 'x', table: the route does not have it; \
             line 3, route 'x', colour: a route has no such key: it has name, bucket, key, suffix, also, table, from_table, and settings \
             by their names in lower case; line 5, route 'x', chunk_size_mb: '0' cannot be used: it must be a whole number \
             from 1 to 5120; line 6, route 'x', chunk_bucket: this setting is one of the whole deployment, not of a route; \
             line 7, route 'x', SQL: write it in lower case: sql",
        ),
        (
            "[[route]]\nname = \"x y\"\nbucket = \"s3://b\"\nkey = \"a/\"\ntable = \"t\"\nalso = 1\nsuffix = []\n",
            "line 3, name: 'x y' cannot be used: a name has letters, digits, '-', '_' and '.', 100 at most; \
             line 4, bucket: 's3://b' is not the name of a bucket; \
             line 5, key: an object's key does not end with a slash: write a/**; line 7, also: its value must be true or false; \
             line 8, suffix: its value must be a text or a list of texts",
        ),
        (
            "[[route]]\nname = \"x\"\nkey = \"{a}/*\"\ntable = \"s3://lake/{b}\"\ntable_uri = \"t\"\ntransform_sql = \"\"\nschema = 1.5\n",
            "line 5, route 'x', table: '{b}' is not a capture of the route's key, which has a; \
             line 6, route 'x', table_uri: write it as table; line 7, route 'x', transform_sql: write it as sql; \
             line 8, route 'x', schema: its value must be a text, a whole number, true or false, or a list of texts",
        ),
        (
            "[[route]]\nname = \"x\"\nkey = \"*\"\ntable = \"s3://lake/x\"\ncsv_delimiter = \"#\"\ncsv_comment = \"#\"\npartition_by = [\"a\", \"b,c\"]\n",
            "line 7, route 'x', csv_comment: '#' cannot be used: it must be another character than that of CSV_DELIMITER; \
             line 8, route 'x', partition_by: 'b,c' is empty or holds a comma",
        ),
        (
            &format!("{ORDERS}{}", ORDERS.replace("orders/*", "{x}/*")),
            "line 7, route 'orders', name: the route of line 3 has this name too",
        ),
        (
            &format!("{ORDERS}{}", ORDERS.replace("\"orders\"", "\"again\"").replace("orders/*", "orders/{x}")),
            "line 7, route 'again', key: 'orders/{x}' is as specific as 'orders/*' of route 'orders' (line 3), and there are \
             objects that both take: make one more specific, or set also = true in one if both are meant",
        ),
        (
            &format!(
                "{ORDERS}[[route.example]]\nkey = \"gs://b/x\"\n[[route.example]]\nexpect = \"x\"\n[[example]]\nkey = \"s3://b/x\"\nexpect = \"x\"\n"
            ),
            "line 7, route 'orders', key: 'gs://b/x' has the scheme 'gs'; known are s3:// and plain paths; \
             line 9, route 'orders', expect: an example here has key and table; \
             line 12, expect: 'x' cannot be used: it must be \"no route\", or the word table and a URI, as \"table s3://lake/raw\"",
        ),
    ] {
        let text = if text.starts_with("version") { text.to_owned() } else { format!("{start}{text}") };
        let expected = format!("the routes cannot be used: s3://b/routes.toml, {expected}");
        assert_eq!(parsed(&text).unwrap_err(), expected, "{text}");
    }
    let error = Routes::parse(b"version = 1\n# \xff", &at("/r.toml").into()).unwrap_err().to_string();
    assert_eq!(error, "the routes cannot be used: /r.toml, line 2, the file: it is not UTF-8");
}

const FEEDS: &str = r#"
version = 1

[[route]]
name = "orders"
bucket = "landing"
key = "{system}/orders/**"
suffix = [".csv", ".csv.gz"]
table = "s3://lake/{system}/orders"
sql = "SELECT * FROM chunk"
partition_by = ["day", "shop"]
chunk_size_mb = 10
csv_header = true

[[route.example]]
key = "s3://landing/crm/orders/2026/a.csv"
table = "s3://lake/crm/orders"

[[route.example]]
key = "s3://landing/crm/orders/2026/a.json"

[[route]]
name = "rest"
key = "**"
table = "s3://lake/rest"

[[route]]
name = "raw"
also = true
key = "{system}/orders/**"
table = "s3://lake/raw/{system}"

[[example]]
key = "s3://landing/x.bin"
expect = "table s3://lake/rest"

[[example]]
key = "s3://landing/x.bin"
expect = "no route"
"#;

#[test]
fn where_objects_go() {
    let routes = parsed(FEEDS).unwrap();
    let goes = |object: &str| {
        let targets = routes.targets(&at(object)).map_err(|error| error.to_string())?;
        Ok::<_, String>(
            targets.iter().map(|target| format!("{} {}", target.route.name, target.table)).collect::<Vec<_>>(),
        )
    };
    for (object, expected) in [
        ("s3://landing/crm/orders/a.csv", &["orders s3://lake/crm/orders", "raw s3://lake/raw/crm"][..]),
        ("s3://landing/crm/orders/a.json", &["rest s3://lake/rest", "raw s3://lake/raw/crm"]),
        ("s3://other/crm/orders/a.csv", &["rest s3://lake/rest", "raw s3://lake/raw/crm"]),
        ("s3://landing/a b/orders/x/a.csv.gz", &["orders s3://lake/a b/orders", "raw s3://lake/raw/a b"]),
        ("/no-such/a.csv", &["rest s3://lake/rest"]),
    ] {
        assert_eq!(goes(object).unwrap(), expected, "{object}");
    }
    let error = goes("s3://landing/../orders/a.csv").unwrap_err();
    insta::assert_snapshot!(error, @r#"route 'orders' cannot take s3://landing/../orders/a.csv: the capture {system} is '.' or holds '..': ".." (s3://b/routes.toml, line 5)"#);
}

#[test]
fn what_a_route_gives_comes_before_what_was_given() {
    let given = |name: &str| match name {
        "CHUNK_SIZE_MB" => Some("20".to_owned()),
        "MAX_RECORD_MB" => Some("2".to_owned()),
        "TABLE_URI" => Some("s3://lake/other".to_owned()),
        _ => None,
    };
    let settings = shared::Settings::from_lookup(given).unwrap();
    let target = parsed(FEEDS).unwrap().targets(&at("s3://landing/crm/orders/a.csv")).unwrap().remove(0);
    let routed = target.settings(&settings).unwrap();
    assert_eq!((routed.read.chunk_bytes, routed.read.max_record_bytes), (10 << 20, 2 << 20));
    assert_eq!(routed.load.sql.as_deref(), Some("SELECT * FROM chunk"));
    assert_eq!(routed.load.partition_by, ["day", "shop"]);
    assert_eq!((routed.table, routed.route), (Some(at("s3://lake/crm/orders")), Some(target.route)));
}

#[test]
fn why_a_route_does_not_win() {
    let routes = parsed(&FEEDS.replace("also = true", "bucket = \"landing\"")).unwrap();
    let fates = |object: &str| {
        let fates = routes.fates(&at(object)).into_iter().map(|(route, fate)| {
            let fate = match fate {
                RouteFate::Wins => "wins".to_owned(),
                RouteFate::Also => "also".to_owned(),
                RouteFate::Loses(to, why) => format!("loses to {to}: {why}"),
                RouteFate::Differs(why) => why,
            };
            format!("{}: {fate}", route.name)
        });
        fates.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(fates("s3://landing/crm/orders/a.csv"), @r"
    orders: wins
    raw: loses to orders: it names no suffix
    rest: loses to orders: it names no bucket
    ");
    insta::assert_snapshot!(fates("s3://landing/a.json"), @r"
    orders: the key does not end with .csv or .csv.gz
    raw: the key does not match {system}/orders/**
    rest: wins
    ");
    insta::assert_snapshot!(fates("/crm/orders/a.csv"), @r"
    orders: the bucket is not landing
    raw: the bucket is not landing
    rest: wins
    ");
}

#[test]
fn two_routes_to_one_table_are_refused() {
    let routes = parsed(&FEEDS.replace("raw/{system}", "{system}/orders")).unwrap();
    let error = routes.targets(&at("s3://landing/crm/orders/a.csv")).unwrap_err().to_string();
    assert!(error.contains("gives it the same table, s3://lake/crm/orders"), "{error}");
}

#[test]
fn examples_are_tried() {
    let routes = parsed(FEEDS).unwrap();
    let failing: Vec<_> = routes
        .examples
        .iter()
        .filter_map(|example| {
            Some(format!("line {}, {}: {}", example.line, example.expected, routes.failing(example)?))
        })
        .collect();
    assert_eq!(
        failing,
        [
            "line 20, route 'orders': route 'rest' gives it table s3://lake/rest; route 'raw' gives it table s3://lake/raw/crm",
            "line 38, no route: route 'rest' gives it table s3://lake/rest",
        ]
    );
    assert!(routes.examples.iter().any(|example| matches!(example.expected, ExpectedRoute::Table(_))));
}

/// A row of numbers that looks like chance.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.roll(all.len())]
    }
}

const NAMES: &[&str] = &["a", "b", "ab", "ba", "a-b", "b-a", "a-b-a", "aab", "x", "xy"];

#[derive(Clone, Debug)]
struct Drawn {
    name: String,
    bucket: Option<&'static str>,
    key: String,
    suffix: Option<&'static str>,
}

fn draw_route(dice: &mut Dice, number: usize) -> Drawn {
    let shapes = &["*", "?", "?-?", "a?", "a*", "?.csv", "*.json", "**", "*b", "a-?-*", "*-x?"];
    let segments: Vec<String> = (0..=dice.roll(4))
        .map(|place| {
            let shape = if dice.roll(2) == 0 { dice.pick(NAMES) } else { dice.pick(shapes) };
            let mut written = String::new();
            for (index, character) in shape.chars().enumerate() {
                match character {
                    '?' => write!(written, "{{c{place}_{index}}}").unwrap(),
                    other => written.push(other),
                }
            }
            written
        })
        .collect();
    let bucket = [None, Some("one"), Some("two")][dice.roll(3)];
    let suffix = [None, None, Some(".csv"), Some(".json")][dice.roll(4)];
    Drawn { name: format!("r{number}"), bucket, key: segments.join("/"), suffix }
}

fn file(routes: &[Drawn]) -> String {
    let mut text = "version = 1\n".to_owned();
    for Drawn { name, bucket, key, suffix } in routes {
        writeln!(text, "[[route]]\nname = \"{name}\"\nkey = \"{key}\"\ntable = \"s3://lake/{name}\"").unwrap();
        for (key, value) in [("bucket", bucket), ("suffix", suffix)] {
            if let Some(value) = value {
                writeln!(text, "{key} = \"{value}\"").unwrap();
            }
        }
    }
    text
}

/// Routes that can be used together, as many as that. Those that are refused beside an earlier one have its rank.
fn draw_routes(dice: &mut Dice, count: usize) -> Vec<Drawn> {
    let mut routes: Vec<Drawn> = (0..count * 3).map(|number| draw_route(dice, number)).collect();
    let error = Routes::parse(file(&routes).as_bytes(), &at("/r.toml").into());
    for problem in error.err().iter().flat_map(|error| &error.problems) {
        assert!(problem.reason.contains("is as specific as"), "{problem}");
        let refused = routes.iter().find(|route| Some(&route.name) == problem.route.as_ref()).unwrap().clone();
        let first = problem.reason.split("of route '").nth(1).unwrap().split('\'').next().unwrap();
        let first = routes.iter().find(|route| route.name == first);
        assert!(first.is_none_or(|first| slow_rank(first) == slow_rank(&refused)), "{problem}");
        routes.retain(|route| route.name != refused.name);
    }
    routes.truncate(count);
    routes
}

/// What captures are in a segment, by trying all ways, the shortest first.
fn slow_segment(pattern: &str, text: &str) -> Option<Vec<(String, String)>> {
    let ends = || (0..=text.len()).filter(|end| text.is_char_boundary(*end));
    if let Some(rest) = pattern.strip_prefix('*') {
        return ends().find_map(|end| slow_segment(rest, &text[end..]));
    }
    if let Some((name, rest)) = pattern.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
        return ends().filter(|end| *end > 0).find_map(|end| {
            let after = slow_segment(rest, &text[end..])?;
            Some([vec![(name.to_owned(), text[..end].to_owned())], after].concat())
        });
    }
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => Some(Vec::new()),
        (Some(a), Some(b)) if a == b => slow_segment(&pattern[a.len_utf8()..], &text[b.len_utf8()..]),
        _ => None,
    }
}

fn slow_key(pattern: &[&str], key: &[&str]) -> Option<Vec<(String, String)>> {
    match pattern {
        [] => key.is_empty().then(Vec::new),
        ["**"] => (!key.is_empty()).then(Vec::new),
        ["**", rest @ ..] => (0..=key.len()).find_map(|left_out| slow_key(rest, &key[left_out..])),
        [first, rest @ ..] => {
            let (segment, after) = key.split_first()?;
            Some([slow_segment(first, segment)?, slow_key(rest, after)?].concat())
        }
    }
}

/// A text that sorts after those of routes which are less specific.
fn slow_rank(route: &Drawn) -> Vec<String> {
    let mut rank = vec![u8::from(route.bucket.is_some()).to_string()];
    for segment in route.key.split('/') {
        let mut text = segment.to_owned();
        while let Some((before, after)) = text.split_once('{') {
            text = format!("{before}*{}", after.split_once('}').unwrap().1);
        }
        let literal = text.replace('*', "");
        let kind = match (text.as_str(), literal.len()) {
            ("**", _) => 'a',
            (_, 0) => 'b',
            (text, _) if text.contains('*') => 'c',
            _ => 'd',
        };
        rank.push(format!("{kind}{:04}", literal.len()));
    }
    rank.push(format!(" {}", u8::from(route.suffix.is_some())));
    rank
}

/// The route that wins by the reference, with its captures; none if none takes it.
fn slow_winner(routes: &[(&Drawn, Vec<&str>)], bucket: &str, key: &str) -> Option<(String, Vec<(String, String)>)> {
    let parts: Vec<&str> = key.split('/').collect();
    let mut taking: Vec<_> = routes
        .iter()
        .filter(|(route, _)| route.bucket.is_none_or(|wanted| wanted == bucket))
        .filter(|(route, _)| route.suffix.is_none_or(|suffix| key.ends_with(suffix)))
        .filter_map(|(route, pattern)| {
            let captured = slow_key(pattern, &parts)?;
            Some((slow_rank(route), route.name.clone(), captured))
        })
        .collect();
    taking.sort();
    let (rank, name, captured) = taking.pop()?;
    assert!(taking.last().is_none_or(|(next, ..)| *next < rank), "{key}: {name} and {:?}", taking.last());
    Some((name, captured))
}

/// How many of the keys were taken by a route.
fn agree(seed: u64, routes: usize, keys: usize) -> usize {
    let mut dice = Dice(seed);
    let drawn = draw_routes(&mut dice, routes);
    assert_eq!(drawn.len(), routes);
    let loaded = parsed(&file(&drawn)).unwrap();
    let split: Vec<(&Drawn, Vec<&str>)> = drawn.iter().map(|route| (route, route.key.split('/').collect())).collect();
    let mut taken = 0;
    for _ in 0..keys {
        let bucket = dice.pick(&["one", "two", "three"]);
        let parts: Vec<&str> = (0..=dice.roll(5)).map(|_| dice.pick(NAMES)).collect();
        let key = format!("{}{}", parts.join("/"), dice.pick(&["", ".csv", ".json"]));
        let object = Location::S3 { bucket: bucket.to_owned(), key: key.clone() };
        let winner = match loaded.targets(&object) {
            Ok(mut targets) => Some((targets[0].route.name.clone(), std::mem::take(&mut targets[0].captured))),
            Err(error) => {
                assert!(matches!(*error, RouteError::NoRoute { .. }), "{error}");
                None
            }
        };
        taken += usize::from(winner.is_some());
        assert_eq!(winner, slow_winner(&split, bucket, &key), "seed {seed}: {object}");
    }
    taken
}

#[test]
fn routes_are_chosen_as_by_the_reference() {
    let taken = agree(1, 200, 10_000);
    assert!((2000..10_000).contains(&taken), "{taken} of the keys are taken");
    for seed in 2..30 {
        agree(seed, 8, 100);
    }
}
