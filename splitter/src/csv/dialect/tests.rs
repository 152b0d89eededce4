//! What is found in which text.

use proptest::prelude::*;
use shared::ColumnNames;

use super::*;

fn with_table(text: &str, table: &[&str]) -> Found {
    let table: Vec<String> = table.iter().map(|name| (*name).to_owned()).collect();
    let known = KnownNames::of(&table, ColumnNames::Lower);
    find(text.as_bytes(), true, &CsvSettings::default(), &known)
}

fn found(text: &str) -> Found {
    with_table(text, &[])
}

/// Dialect in short: delimiter, then what differs from the usual, then names and the first record's place.
fn in_short(found: &Found) -> String {
    let usual = Dialect::default();
    let Dialect { delimiter, quote, escape, comment, decimal, trailing_delimiter, .. } = &found.dialect;
    let mut short = delimiter.escape_default().to_string();
    let mut add = |name: &str, differs: bool, value: Option<char>| {
        if differs {
            short.extend([" ", name, "=", &value.map_or("none".to_owned(), |value| value.to_string())]);
        }
    };
    add("quote", *quote != usual.quote, *quote);
    add("escape", *escape != usual.escape, *escape);
    add("comment", *comment != usual.comment, *comment);
    add("decimal", *decimal != usual.decimal, Some(*decimal));
    add("trailing", *trailing_delimiter, Some('1'));
    let names: Vec<_> = found.names.iter().map(|name| String::from_utf8_lossy(name)).collect();
    format!("{short} [{}] {}+{}", names.join("|"), found.preamble_lines, found.header.len())
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(in_short(&found(text)), *expected, "{text}");
    }
}

#[test]
fn delimiters() {
    check(&[
        ("a,b\n1,2\n", ", [a|b] 0+1"),
        ("a;b\n1;2\n", "; [a|b] 0+1"),
        ("a\tb\n1\t2\n", "\\t [a|b] 0+1"),
        ("a|b\n1|2\n", "| [a|b] 0+1"),
        ("a\x1fb\n1\x1f2\n", "\\u{1f} [a|b] 0+1"),
        ("a\x01b\n1\x012\n", "\\u{1} [a|b] 0+1"),
        ("a^b\n1^2\n", "^ [a|b] 0+1"),
        ("a~b\n1~2\n", "~ [a|b] 0+1"),
        ("a:b:c\n1:x:2\n3:y:4\n", ": [a|b|c] 0+1"),
        ("a b c\n1 x 2\n3 y 4\n", "  [a|b|c] 0+1"),
        ("a,b\r1,2\r", ", [a|b] 0+1"),
        ("a,b\r\n1,2\r\n", ", [a|b] 0+1"),
        // Delimiters that are text.
        ("id,tags\n1,a|b\n2,c|d\n", ", [id|tags] 0+1"),
        ("id;name\n1;Smith, John\n2;Doe, Jane\n", "; [id|name] 0+1"),
        ("at,city\n2013-01-01 10:00:00,Rome\n2013-01-01 11:00:00,Oslo\n", ", [at|city] 0+1"),
        ("id,note\n1,\"a;b\"\n2,\"c;d\"\n", ", [id|note] 0+1"),
        ("id,note\n1,\"x\ny\"\n2,\"a\tb\"\n", ", [id|note] 0+1"),
        // One column.
        ("code\n7\n8\n", ", [code] 0+1"),
        ("at\n2013-01-01 10:00:00\n2013-01-02 11:30:00\n", ", [at] 0+1"),
        ("2013-01-01 10:00:00\n2013-01-02 11:30:00\n", ", [] 0+0"),
        ("first last\nJohn Smith\nMary Jones\n", ", [first last] 0+1"),
        ("first last age\nJohn Smith x\nMary Jones y\n", ", [first last age] 0+1"),
        ("name\nJohn Smith\nMary Jones\n", ", [name] 0+1"),
        ("note\nHello, world\nHow are you, bob\n", "\\u{1f} [note] 0+1"),
        ("note\nwell\nso, it goes, on\nyes, and no\n", "\\u{1f} [note] 0+1"),
        ("id\nMG-1\nMG-2\n", ", [id] 0+1"),
        ("name", ", [name] 0+1"),
        ("", ", [] 0+0"),
    ]);
}

#[test]
fn ends_of_records() {
    for (text, expected) in [
        ("a,b\n1,2\n", None),
        ("a,b\r\n1,2\r\n", None),
        ("a,b\r1,2\r", Some('\r')),
        ("a,b\r", Some('\r')),
        ("a,b\r1,\"x\ny\"\r3,4", Some('\r')),
        ("a,b\r1,2\r3,4\r\n", Some('\r')),
        // Text of a few lines.
        ("a,b\r\n1,x\ry\rz\r\n", None),
        ("a,b\n1,x\ry\n", None),
        ("a\rb,c\n1,2\n", None),
        ("a,b", None),
    ] {
        assert_eq!(found(text).dialect.terminator, expected, "{text:?}");
    }
}

#[test]
fn quotes_and_escapes() {
    check(&[
        ("a,b\n'x,y',1\n'z',2\n", ", quote=' [a|b] 0+1"),
        ("a,b\n'x',1\n'y z',2\n", ", quote=' [a|b] 0+1"),
        ("a,b\nit's,1\n'tis,2\n", ", [a|b] 0+1"),
        ("a,b\n\"x \\\"y\\\" z\",1\n\"w\",2\n", ", escape=\\ [a|b] 0+1"),
        ("a,b\n\"C:\\dir\\\",1\n\"w\",2\n", ", [a|b] 0+1"),
        ("a,b\n\"say \"\"hi\"\"\",1\n\"w\",2\n", ", [a|b] 0+1"),
        ("a|b\n\"half|1\n\"x|2\n\"y|3\nz|4\n", "| quote=none [a|b] 0+1"),
        ("a|b\n\"half|1\nx|2\ny|3\n", "| [a|b] 0+1"),
        ("a,b\n\"x \\\"y\\\" z\",1\n\"C:\\new\",2\n", ", escape=\\ [a|b] 0+1"),
        ("a,b\n\"{\"\"k\"\": \"\"x \\\"\"y\\\"\" z\"\"}\",1\n\"w\",2\n", ", [a|b] 0+1"),
        ("\"Where, if any?\",\"Which\"\nPOINT (0 80),'delta'\nPOINT (1 80),'delta'\n", ", [Where, if any?|Which] 0+1"),
    ]);
}

#[test]
fn header_or_none() {
    check(&[
        ("1,2.5,x\n2,3.5,y\n3,4.5,z\n", ", [||] 0+0"),
        ("2013-01-01,x\n2013-01-02,y\n", ", [|] 0+0"),
        ("alice,berlin\nbob,berlin\nalice,rome\n", ", [|] 0+0"),
        ("name,city\nbob,berlin\nalice,rome\n", ", [name|city] 0+1"),
        ("country,2019,2020\nitaly,5,6\nspain,7,8\n", ", [country|2019|2020] 0+1"),
        (",0,1\n0,5.5,6\n1,7.5,8\n", ", [|0|1] 0+1"),
        ("x,1,2\n0,5.5,6\n1,7.5,8\n", ", [x|1|2] 0+1"),
        ("1,2,3\n4,5,6\n", ", [||] 0+0"),
        ("name,age\nbob,NA\nal,5\n", ", [name|age] 0+1"),
        ("name,age\nbob,unknown\nal,5\nmo,6\neve,7\n", ", [name|age] 0+1"),
        ("a,b,c\nm,kg,s\n1,2,3\n4,5,6\n7,8,9\n", ", [a m|b kg|c s] 0+2"),
        ("a,b\na,b\n1,2\n3,4\n", ", [a a|b b] 0+2"),
        ("a,,c\n1,2,3\n", ", [a||c] 0+1"),
        // Records, though no value stands in them, or nothing but a value.
        ("s,t,h\nk,unavailable,unknown\nk,21.5,48\nk,21.6,47\nk,21.7,46\n", ", [s|t|h] 0+1"),
        ("s,t,h\na,-,n/d\nb,21.5,48\nc,21.6,47\nd,21.7,46\n", ", [s|t|h] 0+1"),
        ("2026-03-01T10:00:00Z,21.5,48\n", ", [||] 0+0"),
        ("a,b,c\n", ", [a|b|c] 0+1"),
        // Numbers for names: years down, sizes, months.
        ("country,2023,2022,2021\nAT,12.5,11.2,10.1\nBE,22.1,21.0,20.5\n", ", [country|2023|2022|2021] 0+1"),
        ("model,36,38,40\nx,5,6,9\ny,7,8,1\n", ", [model|36|38|40] 0+1"),
        ("x,10,20,30\ny,20,30,40\nz,30,40,50\n", ", [|||] 0+0"),
        // Units.
        ("at;m1;m2\n;[C];[C]\n2020-08-14 22:00:00;1.5;2\n2020-08-14 22:10:00;1.6;3\n", "; [at|m1 [C]|m2 [C]] 0+2"),
        ("a,b,c\n", ", [a|b|c] 0+1"),
    ]);
}

#[test]
fn what_stands_around_the_table() {
    check(&[
        // Lines before it, and comments.
        ("Report of 2020\n\nid,name,price\n1,x,2.5\n2,y,3.5\n", ", [id|name|price] 2+1"),
        ("Report,,\n,,\nid,name,price\n1,x,2.5\n2,y,3.5\n", ", [id|name|price] 2+1"),
        ("# by hand\nid,name\n1,x\n2,y\n", ", [id|name] 1+1"),
        ("id,name\n1,x\n# by hand\n2,y\n", ", [id|name] 0+1"),
        ("id,name\n1,\"x\",z\n2,\"a b\n\",x\n3,y\n4,z\n", ", [id|name] 0+1"),
        ("#id,name\n1,x\n2,y\n", ", [#id|name] 0+1"),
        // Decimal commas, trailing delimiters, headers of another width.
        ("a;b\n1,5;x\n2,75;y\n", "; decimal=, [a|b] 0+1"),
        ("a;b\n1,500;x\n2,750;y\n", "; [a|b] 0+1"),
        ("a,b,\n1,2,\n3,4,\n", ", trailing=1 [a|b] 0+1"),
        ("3E2\t\n4E18\t\n2E8\t\n", "\\t [|] 0+0"),
        ("a|b\n1|2|\n3|4|\n", "| trailing=1 [a|b] 0+1"),
        ("a,b,\n1,2,\n3,4,5\n", ", [a|b|] 0+1"),
        ("a;b;c;\n1;2;3\n4;5;6\n", "; [a|b|c] 0+1"),
        ("\"n\";\"v\"\n\"p\";\"0\";\"\n\"\n\"q\";\"1\";\" \"\n", "; trailing=1 [n|v] 0+1"),
        // Row names of R.
        ("\"mpg\",\"cyl\"\n\"a\",20,4\n\"b\",21,5\n", ", [|mpg|cyl] 0+1"),
        ("\"mpg\",\"cyl\"\n\"1\",20,4\n\"2\",21,5\n", ", [|mpg|cyl] 0+1"),
        // What Excel is told, and a table that got a column.
        ("sep=;\nid;wert\n1;10\n2;20\n", "; [id|wert] 1+1"),
        ("time,cpu\n09:00,1\n09:01,2\ntime,cpu,gpu\n09:02,3,4\n09:03,3,4\n09:04,3,4\n", ", [time|cpu] 0+1"),
        ("a,b\n1,2,3\n", ", [a|b] 0+1"),
        ("a,b\n1,2,3\n4,5,6\n", ", [a|b] 0+1"),
    ]);
}

#[test]
fn a_header_of_another_width_gives_way_to_many_records() {
    let records = "1,x,2.5\n".repeat(8);
    assert_eq!(in_short(&found(&format!("a,b\n{records}"))), ", [a|b|] 0+1");
    assert_eq!(in_short(&found(&format!("a,,b,c\n{records}"))), ", [a|b|c] 0+1");
    assert_eq!(in_short(&found(&format!("a,b\n1,2\n{records}"))), ", [a|b] 0+1");
}

#[test]
fn what_is_told_is_not_looked_for() {
    use shared::Setting::Explicit;
    let auto = CsvSettings::default;
    for (text, told, expected) in [
        ("a;b\n1;2\n", CsvSettings { delimiter: Explicit(','), ..auto() }, ", [a;b] 0+1"),
        ("a@b\n1@2\n", CsvSettings { delimiter: Explicit('@'), ..auto() }, "@ [a|b] 0+1"),
        ("a,b\n'x,y',1\n", CsvSettings { quote: Explicit(Some('"')), ..auto() }, ", [a|b] 0+1"),
        ("a,b\n\"x\",1\n", CsvSettings { quote: Explicit(None), ..auto() }, ", quote=none [a|b] 0+1"),
        ("1,2\n3,4\n", CsvSettings { header: Explicit(1), ..auto() }, ", [1|2] 0+1"),
        ("a,b\n3,4\n", CsvSettings { header: Explicit(0), ..auto() }, ", [|] 0+0"),
        ("a,b\nc,d\n3,4\n", CsvSettings { header: Explicit(2), ..auto() }, ", [a c|b d] 0+2"),
        ("x,y\na,b\n3,4\n", CsvSettings { skip_lines: Explicit(1), ..auto() }, ", [a|b] 0+1"),
        ("a;b\n1,5;2\n", CsvSettings { decimal: Explicit('.'), ..auto() }, "; [a|b] 0+1"),
        ("a,b\n1,2\n#,3\n", CsvSettings { comment: Explicit(Some('#')), ..auto() }, ", comment=# [a|b] 0+1"),
        ("a,b!1,2!", CsvSettings { terminator: Explicit(Some('!')), ..auto() }, ", [a|b] 0+1"),
    ] {
        let known = KnownNames::of(&[], ColumnNames::Lower);
        assert_eq!(in_short(&find(text.as_bytes(), true, &told, &known)), expected, "{text} {told:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_found_something_in(
        text in proptest::collection::vec(proptest::sample::select(b"a1,;\"'\\#\n\r .-".to_vec()), 0..200),
        whole: bool,
    ) {
        let known = KnownNames::of(&[], ColumnNames::Lower);
        let found = find(&text, whole, &CsvSettings::default(), &known);
        prop_assert!(found.data_start <= text.len());
        prop_assert!((0.0..=1.0).contains(&found.confidence));
        prop_assert_eq!(&found, &find(&text, whole, &CsvSettings::default(), &known));
    }
}

#[test]
fn names_of_the_table_show_the_header() {
    for (text, table, expected) in [
        // Texts over texts.
        ("grade,town\nkg,Rome\nlb,Oslo\n", &["grade", "town"][..], ", [grade|town] 0+1"),
        ("kg,Rome\nlb,Oslo\nkg,Bonn\n", &["column_1", "column_2"], ", [|] 0+0"),
        ("grade,town\nkg,Rome\nlb,Oslo\n", &["column_1", "column_2"], ", [|] 0+0"),
        ("id,town\nkg,Rome\nlb,Oslo\n", &["column_1", "column_2"], ", [id|town] 0+1"),
        // Names of numbers, over numbers.
        ("2019,2021,2020\n1,2,3\n4,5,6\n", &["2019", "2020", "2021"], ", [2019|2021|2020] 0+1"),
        // A header that the values show none of, below a title of as many cells.
        ("Sales,May,\ngrade,town,n\nkg,Rome,x\nlb,Oslo,y\n", &["grade", "town", "n"], ", [Sales|May|] 0+1"),
        ("Sales,,\ngrade,town,n\nkg,Rome,x\nlb,Oslo,y\n", &["grade", "town", "n"], ", [grade|town|n] 1+1"),
        // Rows before names are records.
        ("1,Rome\n2,Oslo\nid,town\n3,Bonn\n", &["id", "town"], ", [1|Rome] 0+1"),
        // New columns beside known ones.
        ("grade,town,new\nkg,Rome,a\nlb,Oslo,b\n", &["grade", "town"], ", [grade|town|new] 0+1"),
        // A single column.
        ("name\nRome\nOslo\n", &["name"], ", [name] 0+1"),
        ("Rome\nname\nOslo\n", &["name"], ", [Rome] 0+1"),
    ] {
        assert_eq!(in_short(&with_table(text, table)), expected, "{text} {table:?}");
    }
    let is_doubtful = |table: &[&str]| with_table("grade,town\nkg,Rome\nlb,Oslo\n", table).is_header_doubtful;
    assert!(is_doubtful(&[]) && !is_doubtful(&["grade", "town"]));
}
