//! `sluice plan`, which writes nothing.

use crate::support::Place;

const ORDERS: &str =
    "# of Tuesday\nid;name;day;price\n1;Ann;01.02.2024;1,50\n2;\"Bo;b\";02.02.2024;\n00x;Cy;13.02.2024;12,00\n4;Di\n";

fn entries(place: &Place) -> Vec<String> {
    let names = std::fs::read_dir(place.path(".")).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_found_in_a_csv() {
    let place = Place::new();
    place.write("orders.csv", ORDERS);
    let ran = place.run(&["plan", "orders.csv", "--schema", "price:decimal(8,2)", "--csv-quote", "\""]);
    assert_eq!(ran.status, 0, "{ran:?}");
    insta::assert_snapshot!(ran.stdout, @r#"
    [place]/orders.csv (103 bytes)
      format       csv (found)
      compression  none (found)
      encoding     UTF-8 (found)
      dialect      confidence 0.29
      delimiter    ; (found)
      quote        " (by a setting)
      escape       none (found)
      comment      none (found)
      record end   line ends (found)
      decimal      , (found)
      skipped      1 line (found)
      header rows  1 (found)
      records from byte 31
    columns
      name   type                   nulls  example
      id     text                   0      1
      name   text                   0      Ann
      day    date (DD.MM.YYYY)      0      01.02.2024
      price  decimal(8,2) (SCHEMA)  1      1,50
    first rows
      id   name  day         price
      1    Ann   2024-02-01  1.50
      2    Bo;b  2024-02-02  null
      00x  Cy    2024-02-13  12.00
      1 of the first 4 records would be rejected; the first: record 4, byte 98: 2 fields where 4 are expected
    expected: 1 chunk of at most 100.0 MiB, 3 rows, 150 bytes in all
    "#);
    assert_eq!(entries(&place), ["orders.csv"], "nothing is written");
}

#[test]
fn the_evidence_is_shown_on_request() {
    let place = Place::new();
    place.write("orders.csv", format!("{ORDERS}5;{};14.02.2024;1000,00\n", "long ".repeat(10)));
    let ran = place.run(&["plan", "orders.csv", "--column-names", "snake", "-v"]);
    let columns = ran.stdout.split_once("columns\n").unwrap().1.split_once("first rows").unwrap().0;
    insta::assert_snapshot!(format!("columns\n{columns}"), @r"
    columns
      name   type               nulls  example
      id     text               0      1
          4 values, 0 nulls
          '00x' is no decimal, float64, int64
          '1' is no boolean, date, timestamp, timestamp_utc
      name   text               0      Ann
          4 values, 0 nulls
          'Ann' is no boolean, date, decimal, float64, int64, timestamp, timestamp_utc
      day    date (DD.MM.YYYY)  0      01.02.2024
          4 values, 0 nulls
          '01.02.2024' is no boolean, decimal, float64, int64, timestamp, timestamp_utc
      price  float64            1      1,50
          3 values, 1 null
          '1,50' is no boolean, date, int64, timestamp, timestamp_utc
    ");
    place.write("x.csv", "Unit Price,day\n1,01/02/2024\n");
    let ran = place.run(&["plan", "x.csv"]);
    let columns = ran.stdout.split_once("columns\n").unwrap().1.split_once("first rows").unwrap().0;
    insta::assert_snapshot!(format!("columns\n{columns}"), @r"
    columns
      name        type   nulls  example     in the source
      unit_price  int64  0      1           Unit Price
      day         text   0      01/02/2024
          dates are DD/MM/YYYY or MM/DD/YYYY: SCHEMA tells
    ");
}

#[test]
fn what_sql_makes_of_the_first_rows() {
    let place = Place::new();
    place.write("orders.csv", ORDERS);
    let plan = |sql: &str, more: &[&str]| place.run(&[&["plan", "orders.csv", "--sql", sql], more].concat());
    let ran = plan("select upper(name) as who, price * 2 as twice, day from chunk where price is not null", &[]);
    let after = ran.stdout.split_once("after SQL").unwrap().1.split_once("expected").unwrap().0;
    insta::assert_snapshot!(format!("after SQL{after}"), @r"
    after SQL: 2 rows of the first 3 rows
      name   type
      who    text
      twice  float64
      day    date
    first rows after SQL
      who  twice  day
      ANN  3.0    2024-02-01
      CY   24.0   2024-02-13
    ");
    let ran = plan("select unnest(make_array(id, id)) as id from chunk", &["--json"]);
    let sql = &ran.json()["sql"];
    assert_eq!(sql["columns"], serde_json::json!([{"name": "id", "type": "text"}]));
    assert_eq!((&sql["read"], &sql["made"]), (&3.into(), &6.into()));
    assert_eq!(sql["rows"], serde_json::json!([["1"], ["1"], ["2"], ["2"], ["00x"], ["00x"]]));
    let many: String = (0..2000).map(|id| format!("{id}\n")).collect();
    place.write("orders.csv", format!("id\n{many}"));
    let sql = plan("select id from chunk where id > 900", &["--json"]).json()["sql"].clone();
    assert_eq!((&sql["read"], &sql["made"], sql["rows"].as_array().unwrap().len()), (&1000.into(), &99.into(), 10));
    assert_eq!(sql["rows"][0][0], "901");
    place.write("orders.csv", "id\n");
    assert_eq!(plan("select nothing from chunk", &[]).status, 0, "nothing is known of the columns of nothing");
}

#[test]
fn sql_and_partitions_that_cannot_be_are_refused_as_by_ingest() {
    let place = Place::new();
    place.write("x.csv", "id,Extra Col\n1,2\n");
    let by = "hint: PARTITION_BY, or --partition-by, takes names of columns of the table";
    for (options, status, said) in [
        (&["--sql", "select nothing from chunk"][..], 2, "error: the SQL cannot be run: "),
        (&["--sql", "select id, id as \"ID\" from chunk"], 2, "columns 'id' and 'ID' have one name"),
        (&["--partition-by", "day"], 3, "it lacks the partition column 'day'; the columns are id, extra_col\n"),
        (&["--partition-by", "day"], 3, by),
        (
            &["--partition-by", "id", "--sql", "select [id] as id, id as i from chunk"],
            3,
            "partitioned by 'id', which is a",
        ),
    ] {
        for (command, table) in [("plan", &["--table", "t"][..]), ("plan", &[]), ("ingest", &["--table", "t"])] {
            let ran = place.run(&[&[command, "x.csv"], options, table].concat());
            assert_eq!((ran.status, ran.stderr.contains(said)), (status, true), "{command} {said} {ran:?}");
            assert!(!place.path("t").exists(), "nothing is split");
        }
    }
}

#[test]
fn what_is_found_as_json() {
    let place = Place::new();
    place.write("orders.csv", ORDERS);
    let ran = place.run(&["plan", "orders.csv", "--json"]);
    insta::assert_snapshot!(ran.stdout, @r#"{"source":"[place]/orders.csv","bytes":103,"format":{"value":"csv","by":"content"},"compression":{"value":"none","by":"content"},"encoding":{"value":"UTF-8","by":"content"},"dialect":{"confidence":0.28557501262353024,"delimiter":{"value":";","by":"content"},"quote":{"value":"\"","by":"content"},"escape":{"value":null,"by":"content"},"comment":{"value":null,"by":"content"},"terminator":{"value":null,"by":"content"},"decimal":{"value":",","by":"content"},"trailing_delimiter":false,"skipped_lines":{"value":1,"by":"content"},"header_rows":{"value":1,"by":"content"},"data_start":31},"table":null,"columns":[{"name":"id","source_name":"id","type":"text","origin":"inferred","evidence":{"values":3,"nulls":0,"example":"1","against":{"boolean":"1","date":"1","decimal":"00x","float64":"00x","int64":"00x","timestamp":"1","timestamp_utc":"1"}}},{"name":"name","source_name":"name","type":"text","origin":"inferred","evidence":{"values":3,"nulls":0,"example":"Ann","against":{"boolean":"Ann","date":"Ann","decimal":"Ann","float64":"Ann","int64":"Ann","timestamp":"Ann","timestamp_utc":"Ann"}}},{"name":"day","source_name":"day","type":"date","date_format":"DD.MM.YYYY","origin":"inferred","evidence":{"values":3,"nulls":0,"example":"01.02.2024","against":{"boolean":"01.02.2024","decimal":"01.02.2024","float64":"01.02.2024","int64":"01.02.2024","timestamp":"01.02.2024","timestamp_utc":"01.02.2024"}}},{"name":"price","source_name":"price","type":"float64","origin":"inferred","evidence":{"values":2,"nulls":1,"example":"1,50","against":{"boolean":"1,50","date":"1,50","int64":"1,50","timestamp":"1,50","timestamp_utc":"1,50"}}}],"sample":{"records":4,"rejected":1,"first_rejected":"record 4, byte 98: 2 fields where 4 are expected","rows":[["1","Ann","2024-02-01","1.5"],["2","Bo;b","2024-02-02",null],["00x","Cy","2024-02-13","12.0"]]},"expected":{"is_estimate":false,"chunks":1,"rows":3,"bytes":158,"chunk_bytes":104857600}}"#);
}

#[test]
fn many_are_compared_with_the_first() {
    let place = Place::new();
    std::fs::create_dir(place.path("in")).unwrap();
    place.write("in/1.csv", "id,name,price\n1,Ann,1.50\n2,Bob,2.25\n");
    place.write("in/2.csv", "id,name,price\n3,Cy,3.50\n");
    place.write("in/3.csv", "price;id;kind\n1,50;A1;x\n2,50;A2;y\n");
    place.write("in/4.ndjson", "{\"id\": 1}\n");
    let ran = place.run(&["plan", "in", "missing.csv", "--save", "feed.toml"]);
    assert_eq!(ran.status, 3, "{ran:?}");
    let end = ran.stdout.split_once("feed.toml is the contract").unwrap().1.split_once("\n\n").unwrap().1;
    insta::assert_snapshot!(end, @r"
    5 sources: 2 read alike, 2 read otherwise, 1 failed
      [place]/in/3.csv
        delimiter: ';', not ','
        decimal separator: ',', not '.'
        type of column 'id': text, not int64
        column 'kind' (text) is not in the first
        column 'name' of the first is missing
        columns are in another order
      [place]/in/4.ndjson
        format: ndjson, not csv
      missing.csv
        cannot read the source: [place]/missing.csv does not exist
    ");
    let contract = std::fs::read_to_string(place.path("feed.toml")).unwrap();
    assert!(contract.contains("in/1.csv"), "{contract}");
    let ran = place.run(&["plan", "in", "--save", "feed.toml"]);
    assert_eq!((ran.status, ran.stderr.matches("exists").count()), (2, 1), "{ran:?}");
    let ran = place.run(&["plan", "in/1.csv", "in/3.csv", "--json"]);
    let documents: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((ran.status, documents.len()), (0, 3), "{ran:?}");
    assert_eq!(documents[0]["differences"], serde_json::json!([]));
    assert_eq!(documents[1]["differences"][0], "delimiter: ';', not ','");
    insta::assert_snapshot!(documents[2], @r#"{"summary":{"alike":1,"different":1,"exit_status":0,"failed":0,"sources":2}}"#);
}

#[test]
fn json_lines_and_parquet() {
    let place = Place::new();
    place.write("x.txt", "{\"a\":1,\"b\":\"x\"}\n{\"a\":2.5}\n");
    let ran = place.run(&["plan", "x.txt", "--infer", "none"]);
    insta::assert_snapshot!(ran.stdout, @r#"
    [place]/x.txt (26 bytes)
      format       ndjson (found)
      compression  none (found)
      encoding     UTF-8 (found)
    columns
      name  type  example
      a     text  1
      b     text  x
    first rows
      a    b
      1    x
      2.5  null
    expected: 1 chunk of at most 100.0 MiB, 2 rows, 63 bytes in all
    "#);
    place.write("y.csv", "a,b\n1,x\n2,\n");
    let split = place.run(&["split", "y.csv", "--out", "out", "--json"]);
    let chunk = split.json()["s3_object_key"].as_str().unwrap().to_owned();
    let ran = place.run(&["plan", chunk.trim_start_matches("[place]/")]);
    let text = ran.stdout.lines().skip(1).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(text, @r#"
      format       parquet (found)
      row groups   1
    columns
      name  type   example
      a     Int64  1
      b     Utf8   x
    first rows
      a  b
      1  x
      2  null
    expected: about 1 chunk of at most 100.0 MiB, about 2 rows, about 67 bytes in all
    "#);
}

#[test]
fn types_of_the_table_win() {
    let place = Place::new();
    let first = place.write("first.csv", "id,code\n1,a\n");
    place.ingest(&first, &[]);
    place.write("second.csv", "id,code\n2,007\n");
    let ran = place.run(&["plan", "second.csv", "--table", "t"]);
    assert!(ran.stdout.contains("  code  text (table)   0      007"), "{}", ran.stdout);
}

#[test]
fn what_is_expected_is_what_comes() {
    let place = Place::new();
    let source = place.write("x.csv", numbers());
    let source = source.to_str().unwrap();
    let plan = place.run(&["plan", source, "--chunk-size-mb", "1", "--json"]).json();
    let split = place.run(&["split", source, "--out", "out", "--chunk-size-mb", "1", "--json"]);
    let chunks = split.stdout.lines().count();
    let expected = plan["expected"]["chunks"].as_u64().unwrap();
    assert!(expected.abs_diff(u64::try_from(chunks).unwrap()) <= 1 + expected / 10, "{expected} {chunks}");
}

/// More text than a plan looks at.
fn numbers() -> String {
    let mut text = String::from("id,noise\n");
    for id in 0..900_000_u64 {
        text += &format!("{id},{:x}\n", id.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    text
}

#[test]
fn what_cannot_be_read_is_told() {
    let place = Place::new();
    place.write("x.csv", b"\x89PNG\r\n\x1a\n");
    let ran = place.run(&["plan", "x.csv"]);
    assert_eq!(ran.status, 3);
    assert!(ran.stderr.contains("this is a PNG image"), "{}", ran.stderr);
}
