//! `sluice.toml`, and what is said of a command line that is not understood.

use crate::support::Place;

#[test]
fn an_option_comes_before_the_environment_and_that_before_the_file() {
    let place = Place::new();
    place.write("x.csv", "id;name\n1;a\n");
    place.write("sluice.toml", "# the lake\nTABLE_URI = \"t\"\nCSV_DELIMITER = \"#\"\n");
    place.write("other.toml", "table_uri = \"elsewhere\"\n");
    let table = |args: &[&str], env: &[(&str, &str)]| {
        let mut command = place.command(&[args, &["--json"]].concat());
        let ran = place.ended(command.envs(env.iter().copied()).output().unwrap());
        assert_eq!(ran.status, 0, "{ran:?}");
        ran.json()["table"]["uri"].as_str().unwrap().to_owned()
    };
    let ingest = ["ingest", "x.csv", "--csv-delimiter", ";"];
    assert_eq!(table(&ingest, &[]), "[place]/t");
    assert_eq!(table(&ingest, &[("TABLE_URI", "u")]), "[place]/u");
    assert_eq!(table(&ingest, &[("TABLE_URI", "")]), "[place]/t", "an empty variable is not set");
    assert_eq!(table(&[&ingest[..], &["--table", "v"]].concat(), &[("TABLE_URI", "u")]), "[place]/v");
    assert_eq!(table(&[&ingest[..], &["--config", "other.toml"]].concat(), &[]), "[place]/elsewhere");
    assert_eq!(table(&ingest, &[("SLUICE_CONFIG", "other.toml")]), "[place]/elsewhere");
    let jobs = place.run(&["jobs", "--json"]).json();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1, "{jobs}");
}

#[test]
fn a_file_that_cannot_be_used_is_an_error() {
    let place = Place::new();
    place.write("sluice.toml", "TABLE_URI = \"t\"\nCHUNK_SIZ_MB = 64\n");
    let ran = place.run(&["jobs"]);
    assert_eq!(ran.status, 2);
    let said = "error: sluice.toml, line 2: there is no setting CHUNK_SIZ_MB\nhint: is CHUNK_SIZE_MB meant?\n";
    assert_eq!(ran.stderr, said);
    let missing = place.run(&["jobs", "--config", "missing.toml", "--json"]);
    assert_eq!((missing.status, &missing.json()["exit_status"]), (2, &2.into()), "{missing:?}");
    assert_eq!(place.run(&["settings"]).status, 0, "the list of settings needs none");
}

#[test]
fn wrong_usage_is_machine_readable() {
    let place = Place::new();
    let ran = place.run(&["ingest", "x.csv", "--tabel", "t", "--json"]);
    assert_eq!(ran.status, 2, "{ran:?}");
    let document = ran.json();
    assert_eq!(
        (&document["error"], &document["exit_status"]),
        (&"unexpected argument '--tabel' found".into(), &2.into())
    );
    assert!(ran.stderr.starts_with("error: unexpected argument '--tabel' found"), "{ran:?}");
    let text = place.run(&["ingest", "x.csv", "--tabel", "t"]);
    assert_eq!((text.status, text.stdout.as_str()), (2, ""), "{text:?}");
    let help = place.run(&["ingest", "--help", "--json"]);
    assert!(help.status == 0 && help.stdout.starts_with("Take a file"), "{help:?}");
}

#[test]
fn a_mistyped_table_has_no_jobs() {
    let place = Place::new();
    let ran = place.run(&["jobs", "--table", "lake/ordres"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (3, ""), "{ran:?}");
    assert_eq!(
        ran.stderr.lines().next(),
        Some("error: cannot look into the table: there is no table [place]/lake/ordres")
    );
    let ran = place.run(&["jobs", "--work-dir", "wrok"]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert_eq!(ran.stderr.lines().next(), Some("error: there is no job in [place]/wrok"));
    let source = place.write("x.csv", "id\n1\n");
    place.ingest(&source, &[]);
    let none = place.run(&["jobs", "--table", "t", "--failed"]);
    assert_eq!(none.status, 0, "none failed: {none:?}");
}
