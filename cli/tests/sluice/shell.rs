//! Sluice in a shell: help, version, completions, pages of the manual, and what is quiet.

use std::process::Command;

use crate::support::Place;

#[test]
fn help_by_topic_with_examples() {
    let place = Place::new();
    let help = [&["--help"][..], &["jobs", "--help"], &["undo", "--help"]];
    let help: Vec<String> = help.iter().map(|args| place.run(args).stdout).collect();
    insta::assert_snapshot!("help_by_topic", help.join("\n----\n"));
    let ingest = place.run(&["ingest", "--help"]).stdout;
    let headings: Vec<&str> = ingest.lines().filter(|line| line.ends_with(':') && !line.starts_with(' ')).collect();
    let expected = "Arguments: Options: The table: How the file is read: CSV: Columns and values: Rejected records: \
                    Sizes and limits: General options: Examples:";
    assert_eq!(headings.join(" "), expected, "{ingest}");
    assert!(!help.concat().contains('\u{1b}'), "no colours where no terminal is");
}

#[test]
fn the_version_names_commit_and_libraries() {
    let place = Place::new();
    let long = place.run(&["--version"]).stdout;
    let (first, second) = long.trim_end().split_once('\n').unwrap();
    assert!(first.starts_with(concat!("sluice ", env!("CARGO_PKG_VERSION"))), "{long}");
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).unwrap();
    for (package, called) in [("deltalake", "deltalake"), ("datafusion-sql", "datafusion"), ("parquet", "parquet")] {
        let (_, rest) = lock.split_once(&format!("\nname = \"{package}\"\nversion = \"")).unwrap();
        let version = rest.split('"').next().unwrap();
        assert!(second.contains(&format!("{called} {version}")), "{long}");
    }
    assert_eq!(place.run(&["-V"]).stdout, concat!("sluice ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn completions_and_pages_of_the_manual() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.run(&["completions", shell]).stdout;
        assert!(script.contains("quarantine") && script.contains("csv-delimiter"), "{shell}: {script}");
        place.write(shell, script);
    }
    let complete =
        "source ./bash; COMP_WORDS=(sluice sta); COMP_CWORD=1; _sluice sluice sta sluice; echo ${COMPREPLY[@]}";
    let completed = Command::new("bash").args(["-c", complete]).current_dir(place.path("")).output().unwrap();
    assert_eq!(String::from_utf8(completed.stdout).unwrap(), "status\n", "{:?}", String::from_utf8(completed.stderr));
    let first = place.run(&["man"]).stdout;
    assert!(first.starts_with(".ie") && first.contains(".TH sluice 1"), "{first}");
    let written = place.run(&["man", "pages", "--json"]).json();
    let pages: Vec<&str> = written["pages"].as_array().unwrap().iter().map(|page| page.as_str().unwrap()).collect();
    assert!(pages.contains(&"sluice.1") && pages.contains(&"sluice-quarantine-show.1"), "{pages:?}");
    assert!(!pages.iter().any(|page| page.contains("stage")), "{pages:?}");
    let page = std::fs::read_to_string(place.path("pages/sluice-ingest.1")).unwrap();
    assert!(page.contains("sluice ingest orders.csv"), "{page}");
}

/// One line with the cause and one with the way, at once: what reaches AWS by itself would try for minutes, or take another region.
#[test]
fn what_is_missing_of_an_account_is_told_at_once() {
    let place = Place::with_env(vec![("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned())]);
    place.write("x.csv", "id\n1\n");
    let queue = "https://sqs.eu-central-1.amazonaws.com/1/q";
    let commands = [
        &["ingest", "x.csv", "--table", "s3://lake/t"][..],
        &["maintain", "--table", "s3://lake/t"],
        &["jobs", "--table", "s3://lake/t"],
        &["work", "--queue-url", queue],
        &["dlq", "list", "--queue-url", queue],
        &["doctor"],
    ];
    for args in commands {
        for (variable, value, cause, way) in [
            ("AWS_REGION", "eu-central-1", "error: no AWS credentials can be used: ", "hint: set AWS_PROFILE"),
            ("AWS_ACCESS_KEY_ID", "a", "error: no AWS region is set", "hint: set AWS_REGION"),
        ] {
            let mut command = place.command(args);
            let ran = place.ended(command.env(variable, value).output().unwrap());
            let lines: Vec<&str> = ran.stderr.lines().collect();
            let [first, second] = lines.as_slice() else { panic!("{args:?}: {ran:?}") };
            assert!(ran.status == 1 && first.starts_with(cause) && second.starts_with(way), "{args:?}: {ran:?}");
        }
    }
}

#[test]
fn quiet_leaves_results_and_errors() {
    let place = Place::new();
    // An encoding that is guessed.
    place.write("x.csv", b"id,gap\n1,5 \xb5m\n2,7 \xb5m\n");
    let loud = place.run(&["ingest", "x.csv", "--table", "t"]);
    assert!(loud.status == 0 && loud.stderr.contains("WARN"), "{loud:?}");
    let quiet = place.run(&["ingest", "x.csv", "--table", "u", "--quiet"]);
    assert_eq!((quiet.status, quiet.stderr.as_str()), (0, ""), "{quiet:?}");
    assert!(quiet.stdout.contains("done"), "{quiet:?}");
    let failed = place.run(&["-q", "status", "nothing", "--table", "t"]);
    assert!(failed.status == 3 && failed.stderr.starts_with("error: "), "{failed:?}");
    let both = place.run(&["status", "-q", "-v", "latest", "--table", "t"]);
    assert_eq!(both.status, 2, "{both:?}");
}
