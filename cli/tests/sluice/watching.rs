//! What is printed as metrics, and that the dashboard, the alarms and the docs name nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use shared::metrics::{DIMENSION, METRICS, NAMESPACE, Printed};
use shared::settings::Function;

use crate::queues::Queues;

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn word(of: Function) -> &'static str {
    match of {
        Function::Splitter => "splitter",
        Function::Worker => "worker",
    }
}

/// The table in docs/watching.md. `UPDATE_DOCS=1` writes it.
#[test]
fn the_documented_metrics_are_those_in_the_code() {
    let rows: String = METRICS
        .iter()
        .map(|metric| {
            let printed = if metric.printed == Printed::Always { "always" } else { "above 0" };
            let (of, name, unit, about) = (word(metric.of), metric.name, metric.unit.name(), metric.about);
            format!("| {of} | `{name}` | {unit} | {printed} | {about} |\n")
        })
        .collect();
    let document = root().join("docs/watching.md");
    let text = std::fs::read_to_string(&document).unwrap();
    let head = "| of | metric | unit | printed | what it counts |\n| --- | --- | --- | --- | --- |\n";
    let (before, rest) = text.split_once(head).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let after: String = rest.split_inclusive('\n').skip_while(|line| line.starts_with('|')).collect();
        return std::fs::write(&document, format!("{before}{head}{rows}{after}")).unwrap();
    }
    assert!(rest.starts_with(&format!("{rows}\n")), "run UPDATE_DOCS=1 cargo test --workspace --test sluice watching");
}

/// Terraform asks for metrics by `["Sluice", NAME, ...`, of the function whose metric it is.
#[test]
fn dashboard_and_alarms_show_the_metrics_in_the_code() {
    let namespace = format!("[\"{NAMESPACE}\", \"");
    let mut shown = BTreeSet::new();
    for file in ["terraform/dashboard.tf", "terraform/alarms.tf"] {
        for line in read(file).lines().filter(|line| line.contains(&namespace)) {
            let rest = line.split_once(&namespace).unwrap().1;
            let name = rest.split_once('"').unwrap().0;
            let of = [Function::Splitter, Function::Worker]
                .into_iter()
                .filter(|of| rest.contains(&format!("local.functions.{}", word(*of))));
            let of: Vec<Function> = of.collect();
            assert!(
                METRICS.iter().any(|metric| metric.name == name && (of.is_empty() || of.contains(&metric.of))),
                "{file} asks for {name}, which no function prints:\n{line}"
            );
            assert!(of.is_empty() || rest.contains(&format!("\"{DIMENSION}\"")), "{file} {line}");
            shown.insert(name.to_owned());
        }
    }
    let wanted = ["BytesRead", "FilesRejected", "LoadLag", "OldestUnfinishedJob", "RowsCommitted", "RowsQuarantined"];
    let missing: Vec<&str> = wanted.into_iter().filter(|name| !shown.contains(*name)).collect();
    assert!(missing.is_empty(), "neither shown nor alarmed of: {missing:?}");
}

/// Each alarm's name, as `NAME-what`, is in the table of alarms.
#[test]
fn alarms_are_documented() {
    let alarms = read("terraform/alarms.tf");
    let documented = read("docs/watching.md");
    let mut names = 0;
    for line in alarms.lines() {
        let Some((before, _)) = line.split_once("\" => {").or_else(|| line.split_once("\" = {")) else { continue };
        let Some((_, kind)) = before.rsplit_once("}-") else { continue };
        assert!(documented.contains(&format!("-{kind}`")), "docs/watching.md has no alarm -{kind}");
        names += 1;
    }
    assert!(names >= 12, "{names} alarms found");
}

#[test]
fn a_process_prints_what_it_did() {
    let queues = Queues::new();
    let source = "id,price\n1,2.5\n2,secret-value\n\n3,7.25\n";
    let mut news: Value = serde_json::from_str(&queues.drop_file("in/prices.csv", source.into())).unwrap();
    if let Some(record) = news.pointer_mut("/Records/0") {
        record["eventTime"] = "2026-01-02T03:04:05.000Z".into();
    }
    queues.send(&queues.drops, &[news.to_string()]);
    let schema = [("SCHEMA", "price:decimal(9,2)")];
    let splitter = queues.work_with("splitter", &queues.drops, &["--splitter", "--metrics", "cut"], &schema);
    let worker = queues.work("worker", &queues.chunks, &["--workers", "1", "--metrics", "load"]);
    queues.wait_until_empty(&queues.drops);
    queues.wait_until_empty(&queues.chunks);
    let (_, _, split_log) = queues.stop(splitter);
    let (_, _, load_log) = queues.stop(worker);
    let printed = |log: &str| -> Value {
        let line = log.lines().find(|line| line.contains("\"_aws\"")).unwrap_or_else(|| panic!("no metrics in {log}"));
        serde_json::from_str(line).unwrap()
    };
    let split = printed(&split_log);
    let counts =
        ["SplitAttempts", "FilesSplit", "RowsRead", "RowsQuarantined", "LinesSkipped", "ChunksSplit", "BytesRead"]
            .map(|name| split[name].as_u64().unwrap());
    // The header, and the blank line.
    assert_eq!(counts, [1, 1, 3, 1, 2, 1, u64::try_from(source.len()).unwrap()], "{split}");
    assert_eq!(split["FunctionName"], "cut");
    let loaded = printed(&load_log);
    assert_eq!((&loaded["RowsCommitted"], &loaded["ChunksCommitted"]), (&2.into(), &1.into()), "{loaded}");
    assert!(loaded["LoadLag"].as_u64().unwrap() > 0, "{loaded}");
    for (log, of) in [(&split_log, "prices-"), (&load_log, "prices-")] {
        assert!(!log.contains("secret-value"), "values are not logged:\n{log}");
        let done = log.lines().find(|line| line.contains("\"split\"") || line.contains("\"done\"")).unwrap();
        assert!(done.contains(of), "the line names its job: {done}");
    }
}
