//! `sluice jobs`, and jobs by the beginning of their names.

use serde_json::Value;

use crate::support::Place;

fn jobs(place: &Place, more: &[&str]) -> Vec<Value> {
    let ran = place.run(&[&["jobs", "--table", "t", "--json"], more].concat());
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.json()["jobs"].as_array().unwrap().clone()
}

fn text<'a>(job: &'a Value, key: &str) -> &'a str {
    job[key].as_str().unwrap_or_else(|| panic!("no {key}: {job}"))
}

/// What is known of a load that is done, besides what `ingest` printed of it.
fn of_a_load(place: &Place, done: &Value, whole: &Value) {
    assert_eq!((&done["job_id"], &done["rows"], &done["table_version"]), (&whole["job_id"], &whole["rows"], &1.into()));
    assert_eq!(
        (&done["bytes"], &done["attempts"], text(done, "sluice")),
        (&18.into(), &1.into(), env!("CARGO_PKG_VERSION"))
    );
    assert!(text(done, "started") <= text(done, "ended") && done["duration_ms"].is_u64(), "{done}");
    let receipt = format!("t/_sluice/{}/receipt.json", text(done, "job_id"));
    let receipt: Value = serde_json::from_slice(&std::fs::read(place.path(&receipt)).unwrap()).unwrap();
    assert_eq!((&receipt["run"]["started"], &receipt["run"]["duration_ms"]), (&done["started"], &done["duration_ms"]));
}

#[test]
fn every_load_is_listed_the_last_one_first() {
    let place = Place::new();
    let first = place.write("first.csv", "id,name\n1,a\n2,b,c\n");
    let whole = place.ingest(&first, &[]);
    let second = place.write("second.csv", "id,name\n3,a\n");
    place.ingest(&second, &[]);
    assert_eq!(place.run(&["undo", "second.csv", "--table", "t"]).status, 0);
    for content in ["id,name\n4,a\n", "id,name\n5,a\n6,b\n"] {
        let drop = place.write("drop.csv", content);
        place.ingest(&drop, &["--on-replace", "replace"]);
    }
    place.write("bad.csv", "id,name\nx,a\n");
    let bad = place.run(&["ingest", "bad.csv", "--table", "t", "--schema", "id:int64", "--bad-records", "fail"]);
    assert_eq!(bad.status, 3, "{bad:?}");

    let all = jobs(&place, &[]);
    let told: Vec<_> =
        all.iter().map(|job| (text(job, "source"), text(job, "state"), &job["rows"]["committed"])).collect();
    let expected = [
        ("[place]/bad.csv", "failed", 0),
        ("[place]/drop.csv", "done", 2),
        ("[place]/drop.csv", "replaced", 1),
        ("[place]/second.csv", "undone", 1),
        ("[place]/first.csv", "done", 1),
    ];
    assert_eq!(
        told,
        expected
            .map(|(source, state, rows)| (source, state, Value::from(rows)))
            .each_ref()
            .map(|(source, state, rows)| (*source, *state, rows))
    );
    assert_eq!(text(&all[2], "replaced_by"), text(&all[1], "job_id"));
    assert!(text(&all[0], "reason").contains("record 1"), "{}", all[0]);

    of_a_load(&place, &all[4], &whole);

    assert_eq!(jobs(&place, &["--failed"]), [all[0].clone()]);
    assert_eq!(jobs(&place, &["--most", "2"]), all[..2]);
    assert_eq!(jobs(&place, &["--since", "1h"]), all);
    assert_eq!(jobs(&place, &["--since", "0s"]), Vec::<Value>::new());
    let other = place.run(&["jobs", "--table", "t", "--since", "0s"]);
    assert_eq!(other.stdout, "no such job in [place]/t/_sluice\n");

    let shown = place.run(&["jobs", "--table", "t"]).stdout;
    let is_time = |word: &str| {
        word.contains([':', '.']) && word.starts_with(|first: char| first.is_ascii_digit()) || word.starts_with("20")
    };
    let steady: Vec<String> = shown
        .lines()
        .map(|line| line.split(' ').filter(|word| !word.is_empty() && !is_time(word)).collect::<Vec<_>>().join(" "))
        .collect();
    let steady = all.iter().fold(steady.join("\n"), |shown, job| shown.replace(text(job, "job_id"), "[job]"));
    insta::assert_snapshot!(steady);
}

#[test]
fn a_job_by_the_beginning_of_its_name() {
    let place = Place::new();
    for name in ["orders", "orders-2", "units"] {
        place.write(&format!("{name}.csv"), "id,name\n1,a\n2\n");
        place.ingest(&place.path(&format!("{name}.csv")), &[]);
    }
    let all = jobs(&place, &[]);
    let name = |at: usize| text(&all[at], "job_id").to_owned();
    let status = |asked: &str| place.run(&["status", asked, "--table", "t", "--json"]);
    for (asked, expected) in [("latest", name(0)), ("unit", name(0)), (&name(1)[..14], name(1)), (&name(2), name(2))] {
        assert_eq!(status(asked).json()[0]["job_id"], *expected, "{asked}");
    }
    let many = status("orders");
    let candidates = format!("'orders' is the beginning of 2 jobs: {}, {}", name(1), name(2));
    assert_eq!((many.status, many.stderr.contains(&candidates)), (2, true), "{many:?}");
    for unknown in ["order5", "nits"] {
        assert_eq!(status(unknown).status, 3);
    }
    let show = place.run(&["quarantine", "show", "latest", "--table", "t", "--json"]).json();
    assert_eq!((&show["job_id"], &show["rejected"]), (&name(0).into(), &1.into()));
    let begun = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    let set_begun = |job: &str, at| {
        let document = place.path(&format!("t/_sluice/{job}/job.json"));
        std::fs::File::options().append(true).open(document).unwrap().set_modified(at).unwrap();
    };
    (0..3).for_each(|at| set_begun(&name(at), begun));
    let tie = place.run(&["undo", "latest", "--table", "t"]);
    assert_eq!((tie.status, tie.stderr.contains(&name(0))), (2, true), "{tie:?}");
    set_begun(&name(0), begun + std::time::Duration::from_secs(2));
    let undone = place.run(&["undo", "latest", "--table", "t", "--json"]).json();
    assert_eq!(undone["job_id"], *name(0));
    assert_eq!(text(&jobs(&place, &[])[0], "state"), "undone");
}

/// Documents from before times were kept: the store's times stand for them.
#[test]
fn jobs_of_earlier_versions_are_listed() {
    let place = Place::new();
    let source = place.write("x.csv", "id,name\n1,a\n");
    place.ingest(&source, &[]);
    let before = jobs(&place, &[]);
    for name in ["receipt.json", "manifest.json"] {
        let at = place.area().join(name);
        let mut document: Value = serde_json::from_slice(&std::fs::read(&at).unwrap()).unwrap();
        assert!(document.as_object_mut().unwrap().remove("run").is_some());
        std::fs::write(&at, document.to_string()).unwrap();
    }
    let after = jobs(&place, &[]);
    assert_eq!((&after[0]["rows"], &after[0]["state"]), (&before[0]["rows"], &"done".into()));
    assert!(after[0]["duration_ms"].is_u64() && after[0]["attempts"].is_null(), "{after:?}");
    assert_eq!(place.run(&["status", "x.csv", "--table", "t"]).status, 0);
}
