//! Routes: which table a file goes to, on one machine.

use std::time::Duration;

use serde_json::{Value, json};
use shared::testing::Emulator;
use shared::{JobId, Manifest, PutMode, Queue, Storage, WorkArea, get_json, put_json};

use crate::queues::Queues;
use crate::support::{Place, Ran, rows};

const ROUTES: &str = r#"
version = 1

[[route]]
name = "orders"
key = "**/landing/{system}/orders/*.csv"
table = "lake/{system}/orders"
sql = "SELECT id, amount FROM chunk WHERE amount > 0"
schema = "id:int64,amount:decimal(8,2)"

[[route.example]]
key = "s3://b/landing/crm/orders/a.csv"

[[route]]
name = "raw"
also = true
key = "**/landing/{system}/orders/**"
table = "lake/raw"
infer = "none"

[[route]]
name = "rest"
key = "**/landing/**"
table = "lake/rest"

[[example]]
key = "s3://b/elsewhere/a.csv"
expect = "no route"
"#;

fn place() -> Place {
    let place = Place::new();
    for folder in ["landing/crm/orders", "landing/crm/people", "elsewhere"] {
        std::fs::create_dir_all(place.path(folder)).unwrap();
    }
    place.write("routes.toml", ROUTES);
    place.write("landing/crm/orders/a.csv", "id,amount\n1,2.50\n2,0\n3,1\n");
    place.write("landing/crm/people/a.csv", "id,name\n1,Ann\n");
    place.write("elsewhere/a.csv", "id\n1\n");
    place
}

/// What a command printed, without what differs from run to run.
fn printed(ran: &Ran) -> String {
    format!("status {}\n{}\n{}", ran.status, ran.stdout.trim_end(), ran.stderr.trim_end()).replace(" \n", "\n")
}

#[test]
fn help_of_route() {
    let place = Place::new();
    let help = [
        &["route", "--help"][..],
        &["route", "check", "--help"],
        &["route", "list", "--help"],
        &["route", "test", "--help"],
    ];
    let help: Vec<String> = help.iter().map(|args| printed(&place.run(args))).collect();
    insta::assert_snapshot!("help_of_route", help.join("\n----\n"));
}

#[test]
fn what_routes_say() {
    let place = place();
    let routes = ["--routes", "routes.toml"];
    let mut said = Vec::new();
    for key in
        ["s3://b/landing/crm/orders/a.csv", "s3://b/landing/a.csv", "s3://b/landing/../orders/a.csv", "s3://b/a.csv"]
    {
        said.push(printed(&place.run(&[&["route", "check", key], &routes[..]].concat())));
    }
    said.push(printed(&place.run(&[&["route", "list"], &routes[..]].concat())));
    said.push(printed(&place.run(&["route", "test", "routes.toml"])));
    insta::assert_snapshot!("what_routes_say", said.join("\n----\n"));
    let checked =
        place.run(&["route", "check", "s3://b/landing/crm/orders/a.csv", "--routes", "routes.toml", "--json"]).json();
    assert_eq!(checked["targets"][0]["table"], "[place]/lake/crm/orders");
    assert_eq!(checked["targets"][0]["captures"], json!([["system", "crm"]]));
    assert_eq!((&checked["targets"][1]["also"], &checked["others"][0]["loses_to"]), (&json!(true), &json!("orders")));
}

#[test]
fn what_cannot_be_used_is_named() {
    let place = place();
    place.write(
        "broken.toml",
        "version = 1\n[[route]]\nname = \"a\"\nkey = \"*\"\ntable = \"t/{x}\"\nchunk_size_mb = \"ten\"\n",
    );
    place.write("failing.toml", ROUTES.replace("lake/rest", "lake/other").replace("no route", "table lake/rest"));
    let mut said = Vec::new();
    for args in [
        &["ingest", "landing/crm/orders/a.csv", "--routes", "broken.toml"][..],
        &["ingest", "landing/crm/orders/a.csv", "--routes", "missing.toml"],
        &["ingest", "elsewhere/a.csv", "--routes", "routes.toml"],
        &["ingest", "landing/crm/orders/a.csv", "--routes", "routes.toml", "--table", "t"],
        &["ingest", "landing/crm/orders/a.csv", "--routes", "routes.toml", "--sql", "SELECT 1"],
        &["ingest", "-", "--routes", "routes.toml"],
        &["route", "check", "s3://b/a.csv"],
        &["route", "test", "failing.toml"],
        &["route", "test", "broken.toml"],
    ] {
        said.push(format!("{}\n{}", args.join(" "), printed(&place.run(args))));
    }
    insta::assert_snapshot!("what_cannot_be_used_is_named", said.join("\n----\n"));
    assert!(!place.path("lake").exists() && !place.path("t").exists(), "nothing was written");
}

#[test]
fn commands_that_do_not_read_by_routes_say_so() {
    let place = Place::with_env(vec![("ROUTES_URI".to_owned(), "routes.toml".to_owned())]);
    for args in [
        &["split", "x.csv", "--out", "out"][..],
        &["tune", "x.csv"],
        &["contract", "check", "x.csv", "--contract", "c.toml"],
    ] {
        let ran = place.run(args);
        assert_eq!(ran.status, 2, "{args:?} {ran:?}");
        assert!(ran.stderr.contains("ROUTES_URI"), "{args:?} {ran:?}");
    }
}

fn ingest(place: &Place, source: &str, more: &[&str]) -> Vec<Value> {
    let ran = place.run(&[&["ingest", source, "--routes", "routes.toml", "--json"], more].concat());
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_file_goes_where_its_routes_say() {
    let place = place();
    let reports = ingest(&place, "landing/crm/orders/a.csv", &[]);
    let [orders, raw] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!(
        (&orders["table"]["uri"], &raw["table"]["uri"]),
        (&json!("[place]/lake/crm/orders"), &json!("[place]/lake/raw"))
    );
    assert_eq!((&orders["route"]["name"], &orders["rows"]["filtered"]), (&json!("orders"), &json!(1)));
    assert_eq!((&raw["route"]["name"], &raw["rows"]["committed"]), (&json!("raw"), &json!(3)));
    assert_ne!(orders["job_id"], raw["job_id"]);
    assert_eq!(rows(&place.path("lake/crm/orders")).num_rows(), 2);
    let schema = rows(&place.path("lake/raw")).schema();
    assert!(schema.fields().iter().all(|field| field.data_type() == &arrow::datatypes::DataType::Utf8), "{schema}");
    let [people] = ingest(&place, "landing/crm/people/a.csv", &[]).try_into().unwrap();
    assert_eq!(people["table"]["uri"], "[place]/lake/rest");
    let status = place.run(&["status", "landing/crm/people/a.csv", "--table", "lake/rest", "--json"]).json();
    assert_eq!((&status[0]["route"], &status[0]["receipt"]["route"]), (&people["route"], &people["route"]));
    let text = place.run(&["status", "landing/crm/people/a.csv", "--table", "lake/rest"]).stdout;
    let version = people["route"]["version"].as_str().unwrap();
    assert!(text.contains(&format!("\n  route        rest (routes {version})\n")), "{text}");
    let planned = place.run(&["plan", "landing/crm/orders/a.csv", "--routes", "routes.toml", "--json"]).json();
    assert_eq!((&planned["route"]["name"], &planned["table"]), (&json!("orders"), &json!("[place]/lake/crm/orders")));
}

/// Options that agree with the route, and variables that do not.
#[test]
fn the_route_comes_before_variables() {
    let place = place();
    let agreeing = ["--schema", "id:int64,amount:decimal(8,2)"];
    let mut command =
        place.command(&[&["ingest", "landing/crm/orders/a.csv", "--routes", "routes.toml"], &agreeing[..]].concat());
    command.env("TABLE_URI", "other").env("TRANSFORM_SQL", "SELECT 1 AS one FROM chunk");
    let ran = place.ended(command.output().unwrap());
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(rows(&place.path("lake/crm/orders")).num_rows(), 2);
    assert!(!place.path("other").exists());
}

/// A job that has begun keeps what it was pinned with.
#[test]
fn changed_routes_do_not_alter_a_job() {
    let place = place();
    let before = ingest(&place, "landing/crm/orders/a.csv", &[]).remove(0);
    place.write("routes.toml", ROUTES.replace("amount > 0", "amount > 2"));
    let again = ingest(&place, "landing/crm/orders/a.csv", &[]).remove(0);
    assert_eq!((&again["already_done"], &again["route"]), (&json!(true), &before["route"]));
    // The table is gone, so the chunks are loaded once more, by the job as it is pinned.
    std::fs::remove_dir_all(place.path("lake/crm/orders/_delta_log")).unwrap();
    let again = ingest(&place, "landing/crm/orders/a.csv", &[]).remove(0);
    assert_eq!((&again["rows"]["committed"], &again["route"]), (&json!(2), &before["route"]));
}

#[test]
fn routes_on_s3() {
    let (emulator, runtime) = (Emulator::start(), tokio::runtime::Runtime::new().unwrap());
    runtime.block_on(async {
        emulator.create_bucket("config").await;
        emulator.create_bucket("landing").await;
        let s3 = emulator.s3().await;
        let routes = "version = 1\n[[route]]\nname = \"crm\"\nbucket = \"landing\"\nkey = \"{system}/*\"\ntable = \"lake/{system}\"\n";
        s3.put(&"s3://config/routes.toml".parse().unwrap(), routes.into(), PutMode::Overwrite).await.unwrap();
        s3.put(&"s3://landing/a b=é/x.csv".parse().unwrap(), "id\n1\n2\n".into(), PutMode::Overwrite).await.unwrap();
    });
    let place = Place::with_env(emulator.env());
    let ran = place.run(&["ingest", "s3://landing/a b=é/x.csv", "--routes", "s3://config/routes.toml", "--json"]);
    assert_eq!((ran.status, &ran.json()["table"]["uri"]), (0, &json!("[place]/lake/a b=é")), "{ran:?}");
    assert_eq!(ran.json()["rows"]["committed"], 2);
    assert!(place.path("lake/a b=é/_delta_log").exists());
    let denied = place.run(&["route", "list", "--routes", "s3://config/other.toml"]);
    assert_eq!(denied.status, 2, "{denied:?}");
}

/// The usual table of routes: a key, a table, and SQL over a path to be filled in.
#[test]
fn routes_in_dynamodb() {
    let (emulator, runtime) = (Emulator::start(), tokio::runtime::Runtime::new().unwrap());
    let place = Place::with_env(emulator.env());
    let lake = place.path("lake").display().to_string();
    runtime.block_on(async {
        emulator.create_bucket("landing").await;
        let sql = "SELECT id + 1 AS next FROM read_parquet('{s3_input_path}') WHERE id > 0";
        let crm = [("PartitionKey", "crm"), ("target_table", "sales.crm"), ("query_sql", sql)];
        let rest = [("PartitionKey", "landing/erp/"), ("table", &format!("{lake}/erp")), ("infer", "none")];
        emulator.create_routes("routes", &[&crm, &rest]).await;
        emulator.create_routes("broken", &[&[("PartitionKey", "a"), ("target_table", "b.c")]]).await;
        for key in ["crm/x.csv", "erp/2026/x.csv", "other/x.csv"] {
            let at = format!("s3://landing/{key}").parse().unwrap();
            emulator.s3().await.put(&at, "id\n0\n1\n2\n".into(), PutMode::Overwrite).await.unwrap();
        }
    });
    let routes = format!("dynamodb://routes?tables={lake}");
    let load = |key: &str| place.run(&["ingest", &format!("s3://landing/{key}"), "--routes", &routes, "--json"]);
    let (crm, erp) = (load("crm/x.csv"), load("erp/2026/x.csv"));
    assert_eq!((crm.status, &crm.json()["table"]["uri"]), (0, &json!("[place]/lake/sales/crm")), "{crm:?}");
    assert_eq!((&crm.json()["rows"]["committed"], &crm.json()["rows"]["filtered"]), (&json!(2), &json!(1)));
    assert_eq!(rows(&place.path("lake/sales/crm")).schema().field(0).name(), "next");
    assert_eq!((erp.status, &erp.json()["route"]["name"]), (0, &json!("landing-erp")), "{erp:?}");
    let said = [
        printed(&load("other/x.csv")),
        printed(&place.run(&["route", "list", "--routes", &routes])),
        printed(&place.run(&["route", "check", "s3://landing/crm/x.csv", "--routes", &routes])),
        printed(&place.run(&["route", "list", "--routes", "dynamodb://broken"])),
        printed(&place.run(&["route", "list", "--routes", "dynamodb://missing"])),
        printed(&place.run(&["route", "list", "--routes", "dynamodb://a/b"])),
    ];
    // A digest of items that name this test's folder.
    let version = place.run(&["route", "list", "--routes", &routes, "--json"]).json()["version"].clone();
    let said = said.join("\n----\n").replace(version.as_str().unwrap(), "[version]");
    insta::assert_snapshot!("routes_in_dynamodb", said);
}

/// The functions' own work on one machine: a splitter and a worker that know no table but by the routes.
#[test]
fn services_bind_drops_by_their_routes() {
    let queues = Queues::new();
    let put = |uri: &str, text: &str| {
        queues.runtime.block_on(async {
            let s3 = queues.emulator.s3().await;
            s3.put(&uri.parse().unwrap(), text.to_owned().into(), PutMode::Overwrite).await.unwrap();
        });
    };
    let dead = queues.runtime.block_on(async {
        queues.emulator.create_bucket("config").await;
        queues.emulator.create_queue("drops-dead", Duration::from_secs(30), None).await
    });
    put("s3://config/routes.toml", ROUTES);
    let env = [("TABLE_URI", ""), ("ROUTES_URI", "s3://config/routes.toml")];
    let orders = queues.drop_file("landing/crm/orders/a.csv", b"id,amount\n1,2.50\n2,0\n".to_vec());
    let elsewhere = queues.drop_file("elsewhere/a.csv", b"id\n1\n".to_vec());
    queues.send(&queues.drops, &[orders, elsewhere]);
    let splitter = queues.work_with("splitter", &queues.drops, &["--splitter"], &env);
    let worker = queues.work_with("worker", &queues.chunks, &[], &env);
    let table = |name: &str| queues.place.path(&format!("lake/{name}/_delta_log"));
    queues.wait_until("both tables", || table("crm/orders").exists() && table("raw").exists());
    queues.wait_until_empty(&queues.chunks);
    assert_eq!(rows(&queues.place.path("lake/crm/orders")).num_rows(), 1);
    assert_eq!(rows(&queues.place.path("lake/raw")).num_rows(), 2);
    queues.wait_until("a dead letter", || queues.messages(&dead) == (1, 0));
    let letter = &queues.place.run(&["dlq", "list", "--queue-url", &dead, "--json"]).json()["messages"][0];
    assert_eq!((&letter["kind"], &letter["objects"]), (&json!("no_route"), &json!(["s3://drops/elsewhere/a.csv"])));
    let text = queues.place.run(&["dlq", "list", "--queue-url", &dead]).stdout;
    assert!(text.contains("  no route: s3://drops/elsewhere/a.csv  ("), "{text}");
    queues.stop(splitter);

    put("s3://config/routes.toml", &ROUTES.replace("**/landing/**", "**"));
    let replay = ["dlq", "replay", "--queue-url", &dead, "--to", &queues.drops, "--reason", "no route"];
    assert_eq!(queues.place.run(&replay).status, 0);
    let splitter = queues.work_with("splitter", &queues.drops, &["--splitter"], &env);
    queues.wait_until("the third table", || table("rest").exists());
    queues.wait_until_empty(&queues.drops);
    queues.wait_until_empty(&queues.chunks);
    assert_eq!(rows(&queues.place.path("lake/rest")).num_rows(), 1);
    queues.stop(splitter);
    a_job_that_lies_about_its_table(&queues);
    queues.wait_until("the lie among the dead letters", || queues.messages(&queues.dead) == (1, 0));
    let (_, report, log) = queues.stop(worker);
    assert_eq!(report["done"], 3, "{report} {log}");
    assert!(log.contains("which route rest (routes "), "{log}");
    assert!(!table("stolen").exists());
}

/// Has a job say that it is bound for a table that its route does not name, and sends its chunk.
fn a_job_that_lies_about_its_table(queues: &Queues) {
    queues.runtime.block_on(async {
        let s3 = queues.emulator.s3().await;
        let listed = s3.list(&"s3://chunks/sluice".parse().unwrap()).await.unwrap();
        for at in listed.into_iter().map(|listed| listed.location).filter(|at| at.name() == "job.json") {
            let mut job: Value = get_json(&s3, &at, "job").await.unwrap();
            if job["route"]["name"] != "rest" {
                continue;
            }
            job["table"] = json!(queues.place.path("lake/stolen"));
            put_json(&s3, &at, &job, PutMode::Overwrite).await.unwrap();
            let job_id = JobId::from(job["job_id"].as_str().unwrap().to_owned());
            let area = WorkArea::new(&"s3://chunks/sluice".parse().unwrap(), &job_id);
            let manifest: Manifest = get_json(&s3, &area.manifest(), "manifest").await.unwrap();
            let task = serde_json::to_string(&manifest.chunks[0].task(&area, &job_id)).unwrap();
            queues.emulator.sqs(&queues.chunks).await.send(&[task]).await.unwrap();
        }
    });
}
