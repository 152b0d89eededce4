//! Contracts: what `sluice plan --save` writes, `--contract` reads by, and what becomes of files that deviate.

mod changed;

use std::path::{Path, PathBuf};

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use shared::testing::Emulator;

use crate::support::{Place, Ran, fixture, read};

/// Columns of a chunk or data file as text, and its rows, in order: `id=1 b=x`, a null as `-`.
fn shown(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let mut rows = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let cell = |(field, column): (&arrow::datatypes::FieldRef, &arrow::array::ArrayRef)| {
                format!("{}={}", field.name(), ArrayFormatter::try_new(column, &options).unwrap().value(row))
            };
            rows.push(schema.fields().iter().zip(batch.columns()).map(cell).collect::<Vec<_>>().join(" "));
        }
    }
    rows
}

/// Writes the contract `c.toml` of a text, with policies of its own.
fn save(place: &Place, name: &str, text: &[u8], policies: &[(&str, &str)]) {
    place.write(name, text);
    let ran = place.run(&["plan", name, "--save", "c.toml"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let mut contract = std::fs::read_to_string(place.path("c.toml")).unwrap();
    for (key, word) in policies {
        let start = contract.find(&format!("\n{key} = ")).unwrap() + 1;
        let end = start + contract[start..].find('\n').unwrap();
        contract.replace_range(start..end, &format!("{key} = \"{word}\""));
    }
    place.write("c.toml", contract);
}

fn chunks(place: &Place, out: &str, args: &[&str]) -> Vec<RecordBatch> {
    let ran = place.run(&[&["split"], args, &["--out", out, "--json"]].concat());
    assert_eq!(ran.status, 0, "{args:?}: {ran:?}");
    let key = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["s3_object_key"].as_str().unwrap().to_owned()
    };
    let file =
        |key: String| PathBuf::from(key.replace("[place]", place.path("").canonicalize().unwrap().to_str().unwrap()));
    ran.stdout.lines().map(|line| read(&file(key(line)))).collect()
}

const ORDERS: &[u8] =
    b"# of Tuesday\nId;Name;Day;Price\n1;Ann;01.02.2024;1,50\n2;Bob;02.02.2024;2,25\n3;Cy;13.02.2024;\n";

#[test]
fn a_contract_as_it_is_written() {
    let place = Place::new();
    save(&place, "orders.csv", ORDERS, &[]);
    let contract = std::fs::read_to_string(place.path("c.toml")).unwrap();
    let contract = contract.replace(place.path("").canonicalize().unwrap().to_str().unwrap(), "[place]");
    insta::assert_snapshot!(contract);
    let again = place.run(&["plan", "orders.csv", "--save", "c.toml"]);
    assert_eq!(again.status, 2, "{again:?}");
    assert!(
        again.stderr.contains("[place]/c.toml exists, and is not overwritten\nhint: --force overwrites it"),
        "{again:?}"
    );
    let forced = place.run(&["plan", "orders.csv", "--save", "c.toml", "--force", "--json"]);
    assert_eq!((forced.status, &forced.json()["saved"]), (0, &"[place]/c.toml".into()));
}

/// What is split by a contract is what is split without it.
#[test]
fn a_file_is_read_the_same_by_its_contract() {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(fixture("hard")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.push(fixture("flights.csv"));
    let texts: &[(&str, &[u8])] = &[
        ("orders.csv", ORDERS),
        ("no_header.csv", b"1,2.5,x\n2,3.5,y\n3,4.5,z\n"),
        ("two_rows.csv", b"a,b\n[m],[s]\n1,2\n3,4\n"),
        ("tabs.txt", b"a\tb\n1\t'x'\n2\t'y'\n"),
        ("sep.csv", b"sep=;\na;b\n1;2\n"),
        ("latin.csv", b"name,n\nM\xfcller,1\nJos\xe9,2\nFran\xe7ois,3\n"),
        ("returns.csv", b"a,b\r1,2\r3,4\r"),
        ("trailing.csv", b"a,b,\n1,2,\n3,4,\n"),
        ("keys.ndjson", b"{\"id\":1,\"d\":\"2024-01-02\"}\n{\"id\":2,\"x\":{\"y\":1}}\n"),
    ];
    let place = Place::new();
    files.extend(texts.iter().map(|(name, text)| place.write(name, text)));
    files.sort();
    let mut saved = 0;
    for (number, file) in files.iter().enumerate() {
        let (name, contract) = (file.to_str().unwrap(), format!("{number}.toml"));
        let ran = place.run(&["plan", name, "--save", &contract]);
        if ran.status != 0 {
            // Refused by any command, or with a column of null words alone, of which a contract could not say what it is.
            let reasons = ["a column would be read otherwise", "the source has no columns"];
            let is_said = reasons.iter().any(|reason| ran.stderr.contains(reason));
            assert!(ran.status == 3 || is_said, "{name}: {ran:?}");
            continue;
        }
        saved += 1;
        let without = place.run(&["split", name, "--out", &format!("a{number}"), "--max-bad-records", "100%"]);
        assert_eq!(without.status, 0, "{name}: {without:?}");
        let args = [name, "--max-bad-records", "100%"];
        let without = chunks(&place, &format!("a{number}"), &args);
        let with = chunks(&place, &format!("b{number}"), &[&args[..], &["--contract", &contract]].concat());
        let schemas = |chunks: &[RecordBatch]| chunks.first().map(RecordBatch::schema);
        assert_eq!(schemas(&with), schemas(&without), "{name}");
        assert_eq!(shown(&with), shown(&without), "{name}");
    }
    assert!(saved > 30, "{saved}");
}

/// A changed file with its policies; the status, and the rows or a part of what is said.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [u8], i32, &'a [&'a str]);

const NULL: (&str, &str) = ("missing_columns", "null");
const ADD: (&str, &str) = ("new_columns", "add");
const IGNORE: (&str, &str) = ("new_columns", "ignore");
const RESCUE: (&str, &str) = ("new_columns", "rescue");
const FAIL: (&str, &str) = ("type_changes", "fail");
const POSITION: (&str, &str) = ("match", "position");

#[rustfmt::skip]
const CSV: &[Case<'_>] = &[
    (&[], b"x\nId;Name;Day;Price\n7;Di;03.03.2024;9,75\n", 0, &["id=7 name=Di day=2024-03-03 price=9.75"]),
    (&[], b"x\nPrice;id;DAY;Name\n9,75;7;03.03.2024;Di\n", 0, &["id=7 name=Di day=2024-03-03 price=9.75"]),
    (&[], b"x\nId;Client;Day;Price\n7;Di;03.03.2024;9,75\n", 3, &["column 'Name' (text) is missing; column 'Client' (field 2) is not in the contract"]),
    (&[], b"x\nId;Day;Price\n7;03.03.2024;9,75\n", 3, &["x.csv deviates from its contract [place]/c.toml: column 'Name' (text) is missing\nhint: "]),
    (&[NULL], b"x\nId;Day;Price\n7;03.03.2024;9,75\n", 0, &["id=7 name=- day=2024-03-03 price=9.75"]),
    (&[], b"x\nId;Name;Size;Day;Price\n7;Di;XL;03.03.2024;9,75\n", 3, &["column 'Size' (field 3) is not in the contract"]),
    (&[ADD], b"x\nId;Name;Size;Day;Price\n7;Di;010;03.03.2024;9,75\n", 0, &["id=7 name=Di day=2024-03-03 price=9.75 size=010"]),
    (&[IGNORE], b"x\nId;Name;Size;Day;Price\n7;Di;XL;03.03.2024;9,75\n", 0, &["id=7 name=Di day=2024-03-03 price=9.75"]),
    (&[RESCUE], b"x\nId;Name;Day;Price\n7;Di;03.03.2024;9,75\n", 0, &["id=7 name=Di day=2024-03-03 price=9.75 _rescued=-"]),
    (&[RESCUE], b"x\nId;Size;Name;Day;\"a \"\"b\"\"\";Price\n7;;Di;03.03.2024;\"x;\"\"y\"\"\";9,75\n8;\"\n\";\"D\"\"i\";03.03.2024;\\;1,00\n", 0, &[
        r#"id=7 name=Di day=2024-03-03 price=9.75 _rescued={"Size":null,"a \"b\"":"x;\"y\""}"#,
        r#"id=8 name=D"i day=2024-03-03 price=1.0 _rescued={"Size":"\n","a \"b\"":"\\"}"#]),
    (&[RESCUE, NULL], b"x\nSize;Id\nXL;7\n", 0, &[r#"id=7 name=- day=- price=- _rescued={"Size":"XL"}"#]),
    (&[], b"x\nId;Name;Day;Price\n7;Di;03.03.2024;9,75\nx;Di;03.03.2024;9,75\n8;Di;2024-03-03;9,75\n", 0, &["id=7 name=Di day=2024-03-03 price=9.75"]),
    (&[FAIL], b"x\nId;Name;Day;Price\n7;Di;03.03.2024;9,75\nx;Di;03.03.2024;9,75\n", 3, &["x.csv, record 2, byte 41, column 'id': 'x' is not an integer of 64 bits\nhint: the contract says type_changes"]),
    (&[FAIL], b"x\nId;Name;Day;Price\n7;Di;03.03.2024;9,75\n8;Di\n", 3, &["record 2, byte 41: 2 fields where 4 are expected"]),
    (&[ADD, NULL], b"x\nId,Name,Day,Price\n7,Di,03.03.2024,9.75\n", 3, &["csv_delimiter is ',', the contract says ';'"]),
    (&[ADD, NULL], b"x\rId;Name;Day;Price\r7;Di;03.03.2024;9,75\r", 3, &["csv_terminator is 0x0d, the contract says line ends"]),
    (&[ADD, NULL], b"x\nUno;Due\n7;Di\n", 3, &["the header is 'Uno, Due', the contract says 'Id, Name, Day, Price'"]),
    (&[], "x\nId;Name;Day;Price\n7;D\u{ef};03.03.2024;9,75\n".as_bytes(), 0, &["id=7 name=D\u{ef} day=2024-03-03 price=9.75"]),
    (&[], b"x\nId;Name;Day;Price\n7;J\xfcrgen;03.03.2024;9,75\n", 3, &["encoding is windows-1252, the contract says UTF-8"]),
    (&[], b"\x1f\x8b\x08\0\0\0\0\0\0\x03", 3, &["compression is gzip, the contract says none"]),
    (&[], b"PAR1\0\0\0\0PAR1", 3, &["format is parquet, the contract says text"]),
    (&[], b"{\"Id\":1}\n{\"Id\":2}\n", 3, &["is missing"]),
    (&[], b"", 0, &[]),
    (&[POSITION], b"x\nNo;Client;When;Sum\n7;Di;03.03.2024;9,75\n", 0, &["id=7 name=Di day=2024-03-03 price=9.75"]),
    (&[POSITION], b"x\nNo;Client;When\n7;Di;03.03.2024\n", 3, &["column 'Price' (float64) is missing"]),
    (&[POSITION, NULL, IGNORE], b"x\nNo,Client,When,Sum\n7,Di,03.03.2024,9.75\n", 3, &["csv_delimiter is ',', the contract says ';'"]),
    (&[POSITION, ADD], b"x\nNo;Client;When;Sum;\n7;Di;03.03.2024;9,75;z\n", 0, &["id=7 name=Di day=2024-03-03 price=9.75 column_5=z"]),
];

const KEYS: &[u8] = b"{\"id\":1,\"Day\":\"2024-01-02\"}\n{\"id\":2,\"n\":1.5}\n";

#[rustfmt::skip]
const NDJSON: &[Case<'_>] = &[
    (&[], b"{\"n\":2.5,\"id\":7}\n", 0, &["id=7 day=- n=2.5"]),
    (&[], b"{\"id\":7,\"size\":\"XL\"}\n", 3, &["column 'size' (a key) is not in the contract"]),
    (&[("missing_columns", "fail")], b"{\"id\":7,\"n\":1}\n", 3, &["column 'Day' (date(YYYY-MM-DD)) is missing"]),
    (&[ADD], b"{\"id\":7,\"size\":12}\n", 0, &["id=7 day=- n=- size=12"]),
    (&[IGNORE], b"{\"id\":7,\"size\":12}\n", 0, &["id=7 day=- n=-"]),
    (&[RESCUE], b"{\"id\":7,\"size\":12,\"a\":{\"b\":[1,null]},\"_rescued\":\"\\u00e9\"}\n{\"id\":8}\n", 0, &[
        r#"id=7 day=- n=- _rescued={"size":12,"a":{"b":[1,null]},"_rescued":"\u00e9"}"#, "id=8 day=- n=- _rescued=-"]),
    (&[], b"{\"id\":7}\n{\"id\":\"x\"}\n", 0, &["id=7 day=- n=-"]),
    (&[FAIL], b"{\"id\":7}\n{\"id\":\"x\"}\n", 3, &["record 2, byte 9, column 'id': 'x' is not an integer of 64 bits"]),
    (&[], b"id,n\n1,2\n", 3, &["format is text without an object in its first lines, the contract says ndjson"]),
    (&[], b"", 0, &[]),
];

#[test]
fn what_becomes_of_changed_files() {
    for (name, first, cases) in [("x.csv", ORDERS, CSV), ("x.ndjson", KEYS, NDJSON)] {
        for (policies, text, status, expected) in cases {
            let place = Place::new();
            save(&place, name, first, policies);
            place.write(name, text);
            let what = format!("{policies:?} {:?}", String::from_utf8_lossy(text));
            let checked = place.run(&["contract", "check", name, "--contract", "c.toml", "--json"]);
            assert_eq!(checked.status, *status, "{what}: {checked:?}");
            let ran = place.run(&["ingest", name, "--table", "t", "--contract", "c.toml"]);
            assert_eq!(ran.status, *status, "{what}: {ran:?}");
            if *status == 0 {
                let rows = if expected.is_empty() { Vec::new() } else { shown(&[place.rows()]) };
                assert_eq!(rows, *expected, "{what}: {ran:?}");
            } else {
                assert!(ran.stderr.contains(expected[0]), "{what}: {ran:?}");
                assert!(!place.path("t").exists(), "{what}: nothing is pinned or written");
            }
        }
    }
}

#[test]
fn a_column_that_is_added_is_told_of() {
    let place = Place::new();
    save(&place, "x.csv", b"id\n1\n", &[ADD]);
    place.write("y.csv", b"id,Size\n1,2\n");
    let ran = place.run(&["ingest", "y.csv", "--table", "t", "--contract", "c.toml"]);
    assert!(ran.stderr.contains("column 'Size' (field 2) is not in the contract, and is added to the table as text; to say so for good, write the contract again: sluice plan "), "{ran:?}");
}

/// A Parquet file of these columns.
fn parquet(place: &Place, name: &str, text: &str) {
    place.write("source.csv", text);
    let out = format!("chunks-{name}");
    let ran = place.run(&["split", "source.csv", "--again", "--out", &out, "--json"]);
    let chunk = ran.json()["s3_object_key"].as_str().unwrap().trim_start_matches("[place]/").to_owned();
    std::fs::copy(place.path(&chunk), place.path(name)).unwrap();
}

#[test]
fn parquet_files() {
    for (policies, changed, status, expected) in [
        (&[][..], "N,ID\nx,7\n", 0, "n=x id=7"),
        (&[], "id,n\n1.5,x\n", 3, "column 'id' is Float64, the contract says Int64"),
        (&[], "id\n7\n", 3, "column 'n' (Utf8) is missing"),
        (&[NULL], "id\n7\n", 0, "id=7"),
        (&[], "id,n,z\n7,x,1\n", 3, "column 'z' (Int64) is not in the contract"),
        (&[ADD], "id,n,z\n7,x,1\n", 0, "id=7 n=x z=1"),
        (
            &[IGNORE],
            "id,n\n7,x\n",
            2,
            "new_columns: columns of Parquet files are copied as they are: it must be \"add\" or \"fail\"\nhint: leave columns out with SQL",
        ),
    ] {
        let place = Place::new();
        parquet(&place, "first.parquet", "id,n\n1,a\n");
        let first = std::fs::read(place.path("first.parquet")).unwrap();
        save(&place, "first.parquet", &first, policies);
        parquet(&place, "x.parquet", changed);
        let checked = place.run(&["contract", "check", "x.parquet", "--contract", "c.toml"]);
        assert_eq!(checked.status, status, "{checked:?}");
        let ran = place.run(&["ingest", "x.parquet", "--table", "t", "--contract", "c.toml"]);
        assert_eq!(ran.status, status, "{changed}: {ran:?}");
        match status {
            0 => assert_eq!(shown(&[place.rows()]), [expected]),
            _ => assert!(ran.stderr.contains(expected), "{changed}: {ran:?}"),
        }
    }
}

fn check(place: &Place, source: &str, more: &[&str]) -> Ran {
    place.run(&[&["contract", "check", source, "--contract", "c.toml"], more].concat())
}

#[test]
fn what_a_check_says() {
    let place = Place::new();
    save(&place, "orders.csv", ORDERS, &[NULL]);
    place.write("new.csv", b"# x\nName;Id;Size;Price\nAnn;1;XL;1,50\nBob;x;S;2,25\nCy;3;M;abc\nDi;y;M;1\n");
    let refused = check(&place, "new.csv", &[]);
    insta::assert_snapshot!("check_refused", format!("{}\n{}", refused.stdout, refused.stderr));
    let contract = std::fs::read_to_string(place.path("c.toml")).unwrap();
    place.write("c.toml", contract.replace("new_columns = \"fail\"", "new_columns = \"ignore\""));
    let loaded = check(&place, "new.csv", &[]);
    assert_eq!(loaded.status, 0);
    insta::assert_snapshot!("check_loaded", loaded.stdout);
    insta::assert_snapshot!("check_loaded_as_json", check(&place, "new.csv", &["--json"]).stdout);
    place.write("bad.csv", b"# x\nName;Id;Day;Price\nAnn;x;01.02.2024;1,50\n");
    let bad = check(&place, "bad.csv", &[]);
    assert_eq!(bad.status, 4, "{bad:?}");
    let none = place.run(&["contract", "check", "bad.csv"]);
    assert_eq!(none.status, 2, "{none:?}");
    assert!(none.stderr.contains("no contract is given\nhint: set --contract FILE"), "{none:?}");
}

#[test]
fn a_contract_that_cannot_be_used() {
    let place = Place::new();
    save(&place, "orders.csv", ORDERS, &[]);
    let contract = std::fs::read_to_string(place.path("c.toml")).unwrap();
    for (from, to, args, expected) in [
        ("version = 1", "version = 1\ncolour = 2", &[][..], "[place]/c.toml, line 5, colour: unknown field `colour`"),
        (
            "csv_quote = \"\\\"\"",
            "csv_quote = \"ab\"",
            &[],
            "csv_quote: 'ab' cannot be used: it must be one ASCII character",
        ),
        ("name = \"name\"", "name = \"ID\"", &[], "name: the column of line"),
        (
            "csv_skip_lines = 1",
            "csv_skip_lines = 1",
            &["--csv-skip-lines", "3"],
            "csv_skip_lines: it is '1', and CSV_SKIP_LINES='3' says something else\nhint: leave the option or the variable out",
        ),
        (
            "type = \"int64\"",
            "type = \"int64\"",
            &["--schema", "id:text"],
            "id: it is int64, and SCHEMA='id:text' says something else",
        ),
    ] {
        assert!(contract.contains(from), "{from}:\n{contract}");
        place.write("c.toml", contract.replacen(from, to, 1));
        for command in [
            &["plan", "orders.csv"][..],
            &["split", "orders.csv", "--out", "o"],
            &["ingest", "orders.csv", "--table", "t"],
        ] {
            let ran = place.run(&[command, &["--contract", "c.toml"], args].concat());
            assert_eq!(ran.status, 2, "{to}: {ran:?}");
            assert!(ran.stderr.contains(expected), "{to}: {ran:?}");
        }
    }
    let missing = place.run(&["plan", "orders.csv", "--contract", "no.toml"]);
    assert_eq!(missing.status, 2, "{missing:?}");
    assert!(missing.stderr.contains("cannot read the contract: [place]/no.toml does not exist"), "{missing:?}");
    assert!(!place.path("t").exists() && !place.path("o").exists(), "nothing is written");
}

#[test]
fn rejected_records_are_replayed_by_their_contract() {
    for (name, first, text, policies, expected) in [
        (
            "x.csv",
            &b"a,b,c\n1,2,z\n"[..],
            &b"z,c,b,a\n9,x,5,4\n8,\"y\",6,q\n"[..],
            &[RESCUE][..],
            ["a=4 b=5 c=x _rescued={\"z\":\"9\"}", "a=- b=6 c=y _rescued={\"z\":\"8\"}"],
        ),
        ("x.csv", b"a,b,c\n1,2,z\n", b"z,b,a\n9,5,4\n8,6,q\n", &[IGNORE, NULL], ["a=4 b=5 c=-", "a=- b=6 c=-"]),
        (
            "x.ndjson",
            b"{\"a\":1,\"b\":2}\n",
            b"{\"z\":9,\"b\":5,\"a\":4}\n{\"a\":\"q\",\"z\":[8],\"b\":6}\n",
            &[RESCUE],
            ["a=4 b=5 _rescued={\"z\":9}", "a=- b=6 _rescued={\"z\":[8]}"],
        ),
    ] {
        let place = Place::new();
        save(&place, name, first, policies);
        place.write("y.csv", text);
        let report = place.ingest(Path::new("y.csv"), &["--contract", "c.toml"]);
        assert_eq!(report["rows"]["quarantined"], 1, "{report}");
        let job = report["job_id"].as_str().unwrap();
        let ran = place.run(&["quarantine", "replay", job, "--table", "t", "--bad-records", "null"]);
        assert_eq!(ran.status, 0, "{ran:?}");
        let rows: Vec<RecordBatch> = place.files().iter().map(|file| read(file)).collect();
        let mut rows = shown(&rows);
        rows.sort_by_key(|row| row.contains("a=-"));
        assert_eq!(rows, expected);
    }
    let place = Place::new();
    save(&place, "x.ndjson", b"{\"a\":1}\n", &[RESCUE]);
    place.write("y.ndjson", b"{\"a\":1,\"z\":1}\n{\"a\":\"q\",\"z\":2}\n");
    let report = place.ingest(Path::new("y.ndjson"), &["--contract", "c.toml"]);
    let job = report["job_id"].as_str().unwrap();
    let ran = place.run(&["quarantine", "replay", job, "--table", "t", "--bad-records", "null", "--schema", "z:int64"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let rows = shown(&place.files().iter().map(|file| read(file)).collect::<Vec<_>>());
    assert!(rows.contains(&"a=- z=2 _rescued=-".to_owned()), "{rows:?}");
}

#[test]
fn a_contract_on_s3() {
    let emulator = Emulator::start();
    tokio::runtime::Runtime::new().unwrap().block_on(emulator.create_bucket("lake"));
    let place = Place::with_env(emulator.env());
    place.write("x.csv", b"id,n\n1,2\n");
    let at = "s3://lake/contracts/x.toml";
    let save = || place.run(&["plan", "x.csv", "--save", at]);
    assert_eq!([save().status, save().status], [0, 2]);
    place.write("y.csv", b"n,ID\n2,1\n");
    let ran = place.run(&["ingest", "y.csv", "--table", "t", "--contract", at]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(shown(&[place.rows()]), ["id=1 n=2"]);
}
