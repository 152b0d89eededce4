//! What a contract expects of rows, and what becomes of those that are against it.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use serde_json::json;

use crate::support::Place;

const CONTRACT: &str = r#"version = 1

[read]
format = "csv"

[[columns]]
name = "id"
type = "int64"

[[columns]]
name = "amount"
type = "decimal(9,2)"

[[columns]]
name = "country"
type = "text"
"#;

const ORDERS: &str = "id,amount,country\n1,10,DE\n2,-5,DE\n3,,FR\n4,20,XX\n5,30,\n6,40,FR\nx,1,DE\n";

const EXPECT: &str = r#"
[[expect]]
name = "amount there"
column = "amount"
not_null = true

[[expect]]
name = "amount in range"
column = "AMOUNT"
range = { min = 0, max = 99.5 }
on = "drop"

[[expect]]
name = "country known"
column = "country"
accepted = ["DE", "FR"]
on = "quarantine"
max_violations = "40%"

[[expect]]
name = "country code"
column = "country"
matches = "^[A-Z]{2}$"

[[expect]]
name = "few"
sql = "id < 6"
"#;

/// A place with a contract that expects something, and its file.
fn place(expect: &str) -> Place {
    let place = Place::new();
    place.write("c.toml", format!("{CONTRACT}{expect}"));
    place.write("orders.csv", ORDERS);
    place
}

fn ids(place: &Place) -> Vec<i64> {
    let rows = place.rows();
    rows.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec()
}

const INGEST: [&str; 6] = ["ingest", "orders.csv", "--table", "t", "--contract", "c.toml"];

#[test]
fn rows_are_counted_left_out_or_kept_aside() {
    let place = place(EXPECT);
    let ran = place.run(&INGEST);
    assert_eq!(ran.status, 0, "{ran:?}");
    let shown: Vec<&str> =
        ran.stdout.lines().filter(|line| line.contains("expect") || line.contains("quarantined")).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
          filtered     2 (2 by expectations)
          quarantined  3
          expected     amount there: 1 row against it, 1 by nulls (warn)
          expected     amount in range: 2 rows against it, 1 by nulls (drop)
          expected     country known: 2 rows against it, 1 by nulls (quarantine)
          expected     country code: 1 row against it, 1 by nulls (warn)
          expected     few: 1 row against it (warn)
        ");
    assert_eq!(ids(&place), [1, 6]);

    let status = place.run(&["status", "orders.csv", "--table", "t", "--verify", "--json"]).json();
    let expected = json!({"read": 7, "committed": 2, "filtered": 2, "quarantined": 3, "added": 0, "dropped": 2});
    assert_eq!(status[0]["rows"], expected);
    let receipt: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.area().join("receipt.json")).unwrap()).unwrap();
    let again = place.run(&[&INGEST[..], &["--json"]].concat()).json();
    for document in [&status[0], &receipt, &again] {
        let of = &document["expectations"];
        let counts: Vec<String> =
            of["all"].as_array().unwrap().iter().map(|one| format!("{} {}", one["violations"], one["nulls"])).collect();
        assert_eq!((&of["rows"], counts), (&json!(6), ["1 1", "2 1", "2 1", "1 1", "1 0"].map(str::to_owned).to_vec()));
    }
    assert_eq!(again["already_done"], true);
    let job: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.area().join("job.json")).unwrap()).unwrap();
    let pinned = &job["load"]["expectations"];
    assert_eq!(
        (&pinned["digest"], &pinned["all"][1]["name"]),
        (&receipt["expectations"]["digest"], &json!("amount in range"))
    );

    let kept = place.run(&["quarantine", "show", "orders.csv", "--table", "t"]);
    insta::assert_snapshot!(kept.stdout.lines().skip(3).collect::<Vec<_>>().join("\n"), @r#"
                2  column 'country': against expectation 'country known'
                   record 4 (row 4 of chunk 0): {"amount":"20.00","country":"XX","id":4}
                   record 5 (row 5 of chunk 0): {"amount":"30.00","country":null,"id":5}
                1  column 'id': is not an integer of 64 bits
                   record 7, byte 62: x,1,DE
        "#);

    // What is loaded is not judged again.
    place.write("c.toml", CONTRACT);
    let ran = place.run(&INGEST);
    assert_eq!((ran.status, ran.stdout.contains("already done")), (0, true), "{ran:?}");
    assert!(ran.stderr.contains("it keeps the expectations that it was first seen with"), "{ran:?}");
    assert_eq!(ids(&place), [1, 6]);
}

/// Rows of several chunks, of which a late one has no country.
fn large() -> String {
    let mut text = "id,amount,country\n".to_owned();
    let mut state = 1_u64;
    for id in 0..150_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (amount, country) = (state >> 40, if id == 149_990 { String::new() } else { format!("{state:016x}") });
        text += &format!("{id},{}.{:02},{country}\n", amount % 1_000_000, amount % 100);
    }
    text
}

#[test]
fn a_file_is_judged_as_a_whole_before_any_of_it_is_loaded() {
    const FAIL: &str = "\n[[expect]]\nname = \"country there\"\ncolumn = \"country\"\nnot_null = true\non = \"fail\"\n";
    let place = place(FAIL);
    place.write("orders.csv", large());
    let small = [&INGEST[..], &["--chunk-size-mb", "1"]].concat();
    let chunk_mode = place.run(&[&small[..], &["--commit-mode", "chunk"]].concat());
    assert_eq!(chunk_mode.status, 2, "{chunk_mode:?}");
    assert!(
        chunk_mode.stderr.contains("[place]/c.toml, line 19, on: expectation 'country there' is judged by all rows"),
        "{chunk_mode:?}"
    );
    for _ in 0..2 {
        let ran = place.run(&small);
        assert_eq!(ran.status, 3, "{ran:?}");
        let said = "its rows are against contract [place]/c.toml: expectation 'country there': 1 of 150000 rows are against it, 1 of them by nulls (on = \"fail\")\nhint: fix the file";
        assert!(ran.stderr.contains(said), "{ran:?}");
        assert!(!place.path("t/_delta_log").exists());
    }
    let status = place.run(&["status", "orders.csv", "--table", "t"]);
    assert!(status.stdout.contains("split, not loaded: the last run failed"), "{status:?}");
    assert!(status.stdout.contains("1 of 150000 rows are against it"), "{status:?}");

    place.write("c.toml", format!("{CONTRACT}{FAIL}max_violations = 1\n"));
    let ran = place.run(&[&small[..], &["--json"]].concat());
    assert_eq!(ran.status, 0, "{ran:?}");
    let done = ran.json();
    assert!(done["chunks"].as_array().unwrap().len() > 1, "{done}");
    assert_eq!((&done["rows"]["committed"], &done["table"]["version"]), (&json!(150_000), &json!(1)), "one commit");
    assert_eq!(
        done["expectations"]["all"][0],
        json!({"name": "country there", "on": "fail", "violations": 1, "nulls": 1})
    );
}

#[test]
fn what_cannot_be_judged_is_refused_before_the_file_is_split() {
    let named = |condition: &str| format!("\n[[expect]]\nname = \"e\"\n{condition}\n");
    for (condition, sql, expected) in [
        ("sql = \"sum(amount) > 1\"", None, "[place]/c.toml, expectation 'e': sum() does not take each row by itself"),
        ("sql = \"amount + 1\"", None, "[place]/c.toml, expectation 'e': it is not true or false, but decimal"),
        (
            "column = \"country\"\nrange = { min = 1 }",
            None,
            "[place]/c.toml, expectation 'e': column 'country' is text, and cannot be compared with the number 1",
        ),
        (
            "column = \"amount\"\nnot_null = true",
            Some("select id from chunk"),
            "[place]/c.toml, expectation 'e': there is no column 'amount', only id",
        ),
        (
            "column = \"price\"\nnot_null = true",
            None,
            "[place]/c.toml, line 19, column: expectation 'e': the contract has no column 'price'",
        ),
        (
            "column = \"country\"\nmatches = \"(\"",
            None,
            "[place]/c.toml, line 21, matches: '(' is not a regular expression: unclosed group",
        ),
    ] {
        let place = place(&named(condition));
        for command in [
            &INGEST[..],
            &["plan", "orders.csv", "--contract", "c.toml"],
            &["contract", "check", "orders.csv", "--contract", "c.toml"],
        ] {
            if command[0] == "contract" && sql.is_some() {
                continue;
            }
            let option = sql.map(|sql| vec!["--sql", sql]).unwrap_or_default();
            let ran = place.run(&[command, &option].concat());
            assert_eq!(ran.status, 2, "{command:?} {ran:?}");
            assert!(ran.stderr.contains(expected), "{command:?} {ran:?}");
            assert!(!place.path("t").exists(), "{command:?}");
        }
    }
}

#[test]
fn a_plan_tries_what_is_expected() {
    let place = place(EXPECT);
    for command in [
        &["plan", "orders.csv", "--contract", "c.toml"][..],
        &["contract", "check", "orders.csv", "--contract", "c.toml"],
    ] {
        let ran = place.run(command);
        assert_eq!(ran.status, 0, "{ran:?}");
        let expected =
            "expectations, on the first 6 rows\n  expected     amount there: 1 row against it, 1 by nulls (warn)\n";
        assert!(ran.stdout.contains(expected), "{ran:?}");
        assert_eq!(place.run(&[command, &["--json"]].concat()).json()["expectations"]["rows"], 6);
    }
    let saved = place.run(&["plan", "orders.csv", "--contract", "c.toml", "--save", "again.toml"]);
    assert_eq!(saved.status, 0, "{saved:?}");
    let written = std::fs::read_to_string(place.path("again.toml")).unwrap();
    assert!(written.contains("[[expect]]\nname = \"country known\"\ncolumn = \"country\"\naccepted = [\"DE\", \"FR\"]\non = \"quarantine\"\nmax_violations = \"40%\"\n"), "{written}");
}
