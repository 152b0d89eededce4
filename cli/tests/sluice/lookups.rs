//! SQL that joins look-ups, on one machine.

use std::time::Duration;

use arrow::array::AsArray;
use serde_json::json;
use shared::{PutMode, Storage};

use crate::queues::Queues;
use crate::support::{Place, rows};

const ORDERS: &str = "id,customer,amount\n1,7,2.50\n2,8,1.00\n3,99,4.00\n4,7,3.00\n";
const CUSTOMERS: &str = "id,Region\n7,north\n8,south\n9,east\n";
const SQL: &str = "select c.*, k.region from chunk c left join customers k on c.customer = k.id";

fn place() -> Place {
    let place = Place::new();
    place.write("orders.csv", ORDERS);
    place.write("customers.csv", CUSTOMERS);
    place
}

fn texts(place: &Place, table: &str, column: &str) -> Vec<Option<String>> {
    let loaded = rows(&place.path(table));
    let column = loaded.column_by_name(column).unwrap().as_string::<i32>().clone();
    let mut all: Vec<_> = column.iter().map(|value| value.map(str::to_owned)).collect();
    all.sort();
    all
}

#[test]
fn rows_meet_those_of_a_file_and_of_a_table() {
    let place = place();
    let done = place.ingest(&place.path("orders.csv"), &["--sql", SQL, "--lookup", "customers=customers.csv"]);
    assert_eq!(done["rows"]["committed"], json!(4));
    let found = |text: &str| Some(text.to_owned());
    assert_eq!(texts(&place, "t", "region"), [None, found("north"), found("north"), found("south")]);

    // A Delta table that Sluice made, in the version of the moment; an inner join leaves rows out.
    let ran = place.run(&["ingest", "customers.csv", "--table", "ref/customers", "--json"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let inner = "select c.id, upper(k.region) as region from chunk c join customers k on c.customer = k.id";
    let args =
        ["ingest", "orders.csv", "--table", "u", "--json", "--sql", inner, "--lookup", "customers=ref/customers"];
    let ran = place.run(&args);
    assert_eq!(ran.status, 0, "{ran:?}");
    let done = ran.json();
    assert_eq!((&done["rows"]["committed"], &done["rows"]["filtered"]), (&json!(3), &json!(1)));
    assert_eq!(texts(&place, "u", "region"), [found("NORTH"), found("NORTH"), found("SOUTH")]);
    let verified = place.run(&["status", "orders.csv", "--table", "u", "--verify"]);
    assert_eq!(verified.status, 0, "{verified:?}");
    // The same command again finds it done, whatever became of the look-up.
    place.write("more.csv", "id,Region\n99,west\n");
    assert_eq!(place.run(&["ingest", "more.csv", "--table", "ref/customers"]).status, 0);
    let again = place.run(&args);
    assert_eq!((again.status, &again.json()["already_done"]), (0, &json!(true)), "{again:?}");
    let ran = place.run(&[
        "ingest",
        "orders.csv",
        "--table",
        "v",
        "--json",
        "--sql",
        inner,
        "--lookup",
        "customers=ref/customers",
    ]);
    assert_eq!(ran.json()["rows"]["committed"], json!(4), "the next job sees the next version");
}

/// Which value it was, and in which row, is told; it was exit status 1 and the name of the chunk.
#[test]
fn a_value_that_cannot_be_computed_is_bad_input() {
    let place = place();
    place.write("large.csv", "id,text\n".to_owned() + &"1,2\n".repeat(300_000) + "1,x\n");
    let args = [
        "ingest",
        "large.csv",
        "--table",
        "t",
        "--schema",
        "text:text",
        "--sql",
        "select id, cast(text as bigint) as n from chunk",
    ];
    let ran = place.run(&args);
    assert_eq!(ran.status, 3, "{ran:?}");
    for expected in
        ["row 300001 of chunk ", "/chunks/00000.parquet: the SQL cannot be computed: CAST(text AS Int64): ", "'x'"]
    {
        assert!(ran.stderr.contains(expected), "{ran:?}");
    }
}

#[test]
fn plan_shows_what_comes_of_a_join() {
    let place = place();
    let ran = place.run(&["plan", "orders.csv", "--sql", SQL, "--lookup", "customers=customers.csv", "--json"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(ran.json()["sql"]["columns"][3], json!({"name": "region", "type": "text"}));
    assert_eq!(ran.json()["sql"]["rows"][0], json!(["1", "7", "2.5", "north"]));
}

#[test]
fn what_cannot_be_joined_is_named_before_the_file_is_split() {
    let place = Place::with_env(vec![("MEMORY_MB".to_owned(), "128".to_owned())]);
    place.write("orders.csv", ORDERS);
    place.write("customers.csv", CUSTOMERS);
    place.write("twice.csv", "id,region\n7,north\n8,south\n7,west\n");
    place.write("ragged.csv", "id,region\n7\n");
    place.write("large.csv", "id,region\n".to_owned() + &"7,abcdefghijklmnopqrstuvwxyz\n".repeat(400_000));
    let mut said = Vec::new();
    for (lookup, sql) in [
        ("customers=missing.csv", SQL),
        ("customers=no/table", SQL),
        ("customers=twice.csv", SQL),
        ("customers=ragged.csv", SQL),
        ("customers=large.csv", SQL),
        ("others=customers.csv", SQL),
        ("customers=customers.csv", "select c.id, k.regio from chunk c join customers k on c.customer = k.id"),
        (
            "customers=customers.csv",
            "select c.id, k.region * 2 as x from chunk c join customers k on c.customer = k.id",
        ),
        ("Customers=customers.csv", SQL),
    ] {
        let args = ["ingest", "orders.csv", "--table", "t", "--sql", sql, "--lookup", lookup];
        let ran = place.run(&args);
        assert!(!place.path("t").exists(), "{ran:?}");
        said.push(format!("{lookup}\nstatus {}\n{}", ran.status, ran.stderr.trim_end()));
    }
    insta::assert_snapshot!("what_cannot_be_joined", said.join("\n----\n"));
}

const ROUTES: &str = r#"
version = 1

[[route]]
name = "orders"
bucket = "drops"
key = "orders/**"
table = "t"
sql = "select c.*, k.region from chunk c join customers k on c.customer = k.id"
commit_mode = "chunk"

[route.lookups]
customers = "s3://ref/customers.csv"
"#;

/// The functions' own work: a look-up that is missing keeps the drop, one that changes under a job keeps its chunks, and both go on by replay.
#[test]
fn services_join_look_ups_of_their_routes() {
    let queues = Queues::new();
    let put = |uri: &str, text: &str| {
        queues.runtime.block_on(async {
            let s3 = queues.emulator.s3().await;
            s3.put(&uri.parse().unwrap(), text.to_owned().into(), PutMode::Overwrite).await.unwrap();
        });
    };
    let dead = queues.runtime.block_on(async {
        queues.emulator.create_bucket("config").await;
        queues.emulator.create_bucket("ref").await;
        queues.emulator.create_queue("drops-dead", Duration::from_secs(30), None).await
    });
    put("s3://config/routes.toml", ROUTES);
    let env = [("TABLE_URI", ""), ("ROUTES_URI", "s3://config/routes.toml")];
    let drop = queues.drop_file("orders/a.csv", ORDERS.into());
    // Each receive finds no look-up, and waits a minute for it: here, the last one is the first.
    queues.let_die(&queues.drops, &[drop]);
    queues.wait_until("a dead letter", || queues.messages(&dead) == (1, 0));
    let planned = queues.place.run(&["plan", "s3://drops/orders/a.csv", "--routes", "s3://config/routes.toml"]);
    assert_eq!(planned.status, 2, "{planned:?}");
    let expected = "route 'orders' (s3://config/routes.toml, line 9), look-up 'customers', s3://ref/customers.csv: there is no such file";
    assert!(planned.stderr.contains(expected), "{planned:?}");

    put("s3://ref/customers.csv", CUSTOMERS);
    let replay = |from: &str, to: &str| {
        let ran = queues.place.run(&["dlq", "replay", "--queue-url", from, "--to", to]);
        assert_eq!(ran.status, 0, "{ran:?}");
    };
    replay(&dead, &queues.drops);
    let splitter = queues.work_with("splitter", &queues.drops, &["--splitter"], &env);
    queues.wait_until("a chunk task", || queues.messages(&queues.chunks).0 == 1);
    queues.stop(splitter);

    put("s3://ref/customers.csv", "id,region\n7,west\n");
    let worker = queues.work_with("worker", &queues.chunks, &[], &env);
    queues.wait_until("the chunk among the dead letters", || queues.messages(&queues.dead) == (1, 0));
    let letter = queues.place.run(&["dlq", "list", "--queue-url", &queues.dead]).stdout;
    assert!(letter.contains("look-up 'customers', s3://ref/customers.csv: it changed since the job was begun: it has 17 bytes, and had 33"), "{letter}");
    assert!(!queues.place.path("t/_delta_log/00000000000000000001.json").exists());
    put("s3://ref/customers.csv", CUSTOMERS);
    replay(&queues.dead, &queues.chunks);
    queues.wait_until("rows", || queues.place.path("t/_delta_log/00000000000000000000.json").exists());
    queues.wait_until_empty(&queues.chunks);
    let (_, report, log) = queues.stop(worker);
    assert_eq!(report["done"], 1, "{report} {log}");
    assert_eq!(rows(&queues.place.path("t")).num_rows(), 3);
}
