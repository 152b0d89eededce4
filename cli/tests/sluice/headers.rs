//! The target table as evidence for the header: neither are names loaded as values, nor values taken for names, without a word.

use crate::support::Place;

/// A first file, the options that it is loaded with, and the next one for the same table; the status, what is said, and the columns of
/// the table with its rows after that.
type Case<'a> = (&'a str, &'a [&'a str], &'a str, i32, &'a str, (&'a str, usize));

const NO_HEADER: &[&str] = &["--csv-header", "0"];

#[rustfmt::skip]
const CASES: &[Case<'_>] = &[
    // Texts over texts: the table's names show the header.
    ("unit,town\nkg,Rome\nlb,Oslo\n", &[], "unit,town\nst,Bonn\noz,Bern\n", 0, "", ("unit town", 4)),
    ("unit,town\nkg,Rome\nlb,Oslo\n", &[], "Town;Unit\nBonn;st\nBern;oz\n", 0, "", ("unit town", 4)),
    // Nothing shows whether the first row is one.
    ("unit,town\nkg,Rome\nlb,Oslo\n", &[], "st,Bonn\noz,Bern\n", 3,
     "none of the table's columns (unit, town) is named in the first row (st, Bonn), and no value shows that it is the header", ("unit town", 2)),
    // Values, where the table has names.
    ("id,town\n1,Rome\n2,Oslo\n", &[], "3,Bonn\n4,Bern\n", 3,
     "it has no header: its columns would be column_1, column_2, and the table's are id, town", ("id town", 2)),
    ("id,town\n1,Rome\n2,Oslo\n", &[], "3,Bonn\n", 3, "none of the table's columns (id, town) is named in the first row (3, Bonn)", ("id town", 2)),
    ("id,town\n1,Rome\n2,Oslo\n", &[], "3,Bonn\nid,town\n4,Bern\n", 3, "is named in the first row (3, Bonn)", ("id town", 2)),
    // A table of files without a header.
    ("kg,Rome\nlb,Oslo\n", NO_HEADER, "st,Bonn\noz,Bern\n", 0,
     "the first row is taken for a record (CSV_HEADER=1 if it has names), since the table, or SCHEMA, has columns column_1 and so on; CSV_HEADER=0 says so for good",
     ("column_1 column_2", 4)),
    ("1,Rome\n2,Oslo\n", &[], "3,Bonn\n4,Bern\n", 0, "", ("column_1 column_2", 4)),
    // A header for sure, of other columns.
    ("id,town\n1,Rome\n2,Oslo\n", &[], "number,city\n3,Bonn\n4,Bern\n", 0,
     "the header has none of the table's columns ('id', 'town'), so all of its own are new; CSV_HEADER=1 says so for good",
     ("id town number city", 4)),
    // Below a title with as many cells.
    ("unit,town,n\nkg,Rome,x\nlb,Oslo,y\n", &[], "Towns,,\nunit,town,n\nst,Bonn,z\noz,Bern,w\n", 0, "1 line is taken to stand before the table", ("unit town n", 4)),
    // Numbers as names.
    ("a,b\n1,2\n3,4\n", &["--schema", "a:int64"], "5,6\n7,8\n", 3, "it has no header", ("a b", 2)),
    // Nothing to load.
    ("unit,town\nkg,Rome\nlb,Oslo\n", &[], "", 0, "", ("unit town", 2)),
];

#[test]
fn the_table_says_what_the_header_is() {
    for (first, options, next, status, said, (columns, rows)) in CASES {
        let place = Place::new();
        place.ingest(&place.write("1.csv", first), options);
        place.write("2.csv", next);
        let ran = place.run(&["ingest", "2.csv", "--table", "t"]);
        assert_eq!((ran.status, ran.stderr.contains(said)), (*status, true), "{first} {next} {ran:?}");
        assert!(!said.is_empty() || ran.stderr.is_empty(), "{next} {ran:?}");
        let python = "import deltalake\nt = deltalake.DeltaTable('t').to_pyarrow_table()\nprint(' '.join(t.column_names), t.num_rows)";
        let shown = shared::testing::run_python(&place.path(""), python);
        assert_eq!(shown.trim(), format!("{columns} {rows}"), "{first} {next}");
    }
}

#[test]
fn what_the_user_says_counts_more_than_the_table() {
    let place = Place::new();
    place.ingest(&place.write("1.csv", "unit,town\nkg,Rome\nlb,Oslo\n"), &[]);
    place.write("2.csv", "st,Bonn\noz,Bern\n");
    let ran = place.run(&["plan", "2.csv", "--table", "t"]);
    assert_eq!((ran.status, ran.stderr.contains("none of the table's columns")), (3, true), "{ran:?}");
    for (header, columns) in [("0", "column_1"), ("1", "st")] {
        let ran = place.run(&["plan", "2.csv", "--table", "t", "--csv-header", header]);
        assert_eq!((ran.status, ran.stdout.contains(columns)), (0, true), "{ran:?}");
    }
}

/// More lines than the file has are not skipped in silence.
#[test]
fn settings_that_leave_nothing_are_errors() {
    for (text, options, said) in [
        (
            "a,b\n1,2\n",
            &["--csv-skip-lines", "3"][..],
            "CSV_SKIP_LINES=3 leaves no header and no record: the file has 2 lines",
        ),
        (
            "a,b\n1,2",
            &["--csv-skip-lines", "2"],
            "CSV_SKIP_LINES=2 leaves no header and no record: the file has 2 lines",
        ),
        ("a,b\n1,2\n", &["--csv-header", "3"], "CSV_HEADER=3, and only 2 of these rows are there to be read"),
    ] {
        let place = Place::new();
        place.write("x.csv", text);
        let ran = place.run(&[&["ingest", "x.csv", "--table", "t"], options].concat());
        assert_eq!((ran.status, ran.stderr.contains(said)), (3, true), "{text} {ran:?}");
    }
    let place = Place::new();
    place.write("x.csv", "\n");
    let ran = place.run(&["ingest", "x.csv", "--table", "t", "--csv-skip-lines", "3"]);
    assert_eq!((ran.status, ran.stdout.contains("no records")), (0, true), "{ran:?}");
}

/// The options of docs/formats.md for lines of a fixed width.
#[test]
fn lines_of_a_fixed_width_are_cut_by_sql() {
    let place = Place::new();
    let text = "ID    NAME     AMOUNT\n000001Ann        1.50\n000002Bob       12.25\n000003Eve \"E\"   3.00\n";
    place.write("people.txt", text);
    let sql = "select cast(substr(column_1, 1, 6) as bigint) as id, trim(substr(column_1, 7, 8)) as name, \
               cast(trim(substr(column_1, 15)) as decimal(9,2)) as amount from chunk";
    let options = ["--csv-delimiter", "0x1f", "--csv-quote", "none", "--csv-skip-lines", "1", "--csv-header", "0"];
    let ran = place.run(
        &[&["ingest", "people.txt", "--table", "t", "--schema", "column_1:text", "--sql", sql], &options[..]].concat(),
    );
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let python = "import deltalake\nfor row in deltalake.DeltaTable('t').to_pyarrow_table().to_pylist(): print(*row.values(), sep='|')";
    let rows = shared::testing::run_python(&place.path(""), python);
    assert_eq!(rows, "1|Ann|1.50\n2|Bob|12.25\n3|Eve \"E\"|3.00");
}

/// Ends of files with the options they are loaded with, and for each the rows, rejected records, footer lines and warnings to expect.
#[test]
fn footers_are_skipped_where_it_is_clear() {
    let records = "id;name;n\n1;Ann;5\n2;Bob;6\n3;Eve;7\n";
    let is_taken = "1 line is taken for a footer after the table, and skipped: ";
    for (end, options, rows, rejected, lines, said) in [
        ("", &[][..], 3, 0, 0, String::new()),
        ("Total;18\n", &[], 3, 0, 1, format!("{is_taken}'Total;18'; CSV_FOOTER=1 says so for good")),
        ("3 rows\n", &[], 3, 0, 1, format!("{is_taken}'3 rows'")),
        ("EOF", &[], 3, 0, 1, format!("{is_taken}'EOF'")),
        ("\n-- end --\n\n", &[], 3, 0, 1, format!("{is_taken}'-- end --'")),
        ("\nTotal;;18\n", &[], 3, 0, 1, format!("{is_taken}'Total;;18'")),
        ("Total;;18\n", &["--schema", "id:text"], 4, 0, 0, "the last record is loaded, and may be a footer (CSV_FOOTER=1 if it is): 'Total;;18'; CSV_FOOTER=0 says so for good".to_owned()),
        ("Total;;18\n", &["--csv-footer", "1"], 3, 0, 1, String::new()),
        ("Total;18\n", &["--csv-footer", "0"], 3, 1, 0, String::new()),
        ("4;Di\n", &[], 3, 1, 0, String::new()),
        ("Total;18\n\nof May\n", &["--csv-footer", "2"], 3, 0, 2, String::new()),
    ] {
        let place = Place::new();
        place.write("x.csv", format!("{records}{end}"));
        let ran = place.run(&[&["ingest", "x.csv", "--table", "t", "--json"], options].concat());
        let report = ran.json();
        let counts = [&report["rows"]["committed"], &report["rows"]["quarantined"]].map(|count| count.as_u64().unwrap());
        assert_eq!((ran.status, counts), (0, [rows, rejected]), "{end:?} {options:?} {ran:?}");
        let of = |kind: &str| {
            let skipped = report["reading"]["lines"]["skipped"].as_array().unwrap();
            skipped.iter().filter(|of| of["kind"] == kind).map(|of| of["lines"].as_u64().unwrap()).sum::<u64>()
        };
        let total = report["reading"]["lines"]["total"].as_u64().unwrap();
        let counted = u64::try_from(format!("{records}{end}").lines().count()).unwrap();
        assert_eq!((of("footer"), total), (lines, counted), "{end:?}");
        assert_eq!(total, of("footer") + of("blank") + of("header") + report["rows"]["read"].as_u64().unwrap());
        assert_eq!((ran.stderr.contains(&said), said.is_empty()), (true, ran.stderr.is_empty()), "{end:?} {ran:?}");
        let again = place.run(&[&["ingest", "x.csv", "--table", "t"], options].concat());
        assert_eq!((again.status, again.stdout.contains("already done")), (0, true), "{again:?}");
    }
}

/// At the end of a large file, with types from values before it, in several chunks, by its contract, and where the end cannot be looked at.
#[test]
fn footers_of_large_files() {
    let place = Place::new();
    let mut text = String::from("id,square,filler\n");
    for id in 1..=60_000_u64 {
        text += &format!(
            "{id},{},{:x}{:x}\n",
            id * id,
            id.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            id.wrapping_mul(0xbf58_476d_1ce4_e5b9)
        );
    }
    text += "\nTotal,60000\n";
    let file = place.write("x.csv", &text);
    let report = place.ingest(&file, &["--chunk-size-mb", "1"]);
    assert_eq!((&report["rows"]["read"], &report["rows"]["committed"]), (&60_000.into(), &60_000.into()));
    assert_eq!(report["reading"]["columns"][0]["type"], "int64");
    let footer = &report["reading"]["lines"]["skipped"][2];
    assert_eq!(
        (&footer["kind"], &footer["first"]["line"], &footer["first"]["text"]),
        (&"footer".into(), &60_003.into(), &"Total,60000".into())
    );
    let ran = place.run(&["plan", "x.csv", "--save", "c.toml"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(std::fs::read_to_string(place.path("c.toml")).unwrap().contains("csv_footer = 1"));
    let ran = place.run(&["ingest", "x.csv", "--table", "u", "--contract", "c.toml", "--json"]);
    assert_eq!((ran.status, &ran.json()["rows"]["read"], ran.stderr.as_str()), (0, &60_000.into(), ""), "{ran:?}");
    place.write("y.csv", text.replace("\nTotal,60000\n", ""));
    let ran = place.run(&["ingest", "y.csv", "--table", "u", "--contract", "c.toml"]);
    assert_eq!(
        (ran.status, ran.stderr.contains("csv_footer is a record at the end, the contract says 1 line")),
        (3, true),
        "{ran:?}"
    );
    place.write("y.csv", text.replace("\nTotal,60000\n", ""));
    let ran = place.run(&["ingest", "y.csv", "--table", "v", "--csv-footer", "64", "--json"]);
    assert_eq!(ran.json()["rows"]["read"], 60_000 - 64, "{ran:?}");
    place.write("few.csv", "a,b\n1,2\n");
    let ran = place.run(&["ingest", "few.csv", "--table", "v", "--csv-footer", "2"]);
    assert_eq!((ran.status, ran.stderr.contains("CSV_FOOTER=2, and there are fewer lines")), (3, true), "{ran:?}");
    let gzipped = "import gzip\nopen('x.csv.gz', 'wb').write(gzip.compress(open('x.csv', 'rb').read() * 2))";
    shared::testing::run_python(&place.path(""), gzipped);
    let ran = place.run(&["ingest", "x.csv.gz", "--table", "w", "--csv-footer", "1"]);
    assert_eq!(
        (ran.status, ran.stderr.contains("CSV_FOOTER=1: the end of a file that is compressed")),
        (3, true),
        "{ran:?}"
    );
    let ran = place.run(&["ingest", "x.csv.gz", "--table", "w", "--json"]);
    assert_eq!((ran.status, &ran.json()["rows"]["quarantined"]), (0, &2.into()), "{ran:?}");
}
