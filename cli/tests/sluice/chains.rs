//! Chains: what versions of a table add goes on to other tables.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::testing::run_python;

use crate::shim::{Fault, Shim};
use crate::support::{Place, Ran};

/// A place with routes from `bronze` to `silver` to `gold`, all of which run with `sluice chain`.
fn place(silver: &str) -> Place {
    let place = Place::new();
    place.write(
        "routes.toml",
        format!(
            "version = 1\n[[route]]\nname = \"gold\"\nfrom_table = \"silver\"\ntable = \"gold\"\n\
             sql = \"SELECT id, double + 1 AS odd FROM chunk\"\n\
             [[route]]\nname = \"silver\"\nfrom_table = \"bronze\"\ntable = \"silver\"\n\
             sql = \"SELECT id, id * 2 AS double FROM chunk WHERE id > 0\"\n{silver}"
        ),
    );
    place
}

/// Has the Python package do something; `t` opens a table, `rows(ids)` are some.
fn python(place: &Place, script: &str) -> String {
    let begin = "import deltalake, json, pathlib, pyarrow as pa\nt = deltalake.DeltaTable\n\
                 def rows(ids, day='x'): return pa.table({'id': pa.array(ids, pa.int64()), 'day': [day] * len(ids)})\n\
                 def append(ids, day='x', **more): deltalake.write_deltalake('bronze', rows(ids, day), mode='append', **more)\n\
                 def query(table, what): return [list(row.values()) for row in pa.table(deltalake.QueryBuilder()\
                 .register('t', t(table)).execute(what).read_all()).to_pylist()]\n";
    run_python(&place.path(""), &format!("{begin}{script}"))
}

fn ids(place: &Place, table: &str) -> Value {
    let printed = python(
        place,
        &format!("print(json.dumps([row[0] for row in query('{table}', 'select id from t order by id')]))"),
    );
    serde_json::from_str(&printed).unwrap()
}

fn chain(place: &Place, more: &[&str]) -> Ran {
    place.run(&[&["chain", "--routes", "routes.toml", "--json"], more].concat())
}

/// Runs the chains, which must go well; gives the report on each, by its route.
fn chained(place: &Place, more: &[&str]) -> (Value, Value) {
    let ran = chain(place, more);
    assert_eq!(ran.status, 0, "{ran:?}");
    let routes = ran.json()["routes"].clone();
    let names: Vec<&Value> = routes.as_array().unwrap().iter().map(|route| &route["route"]).collect();
    assert_eq!(names, ["silver", "gold"]);
    (routes[0].clone(), routes[1].clone())
}

/// How many versions were read, with how many rows, and up to which.
fn read(route: &Value) -> (u64, u64, i64) {
    let number = |value: &Value| value.as_i64().unwrap();
    (route["versions"].as_u64().unwrap(), route["rows"]["read"].as_u64().unwrap(), number(&route["cursor"]))
}

#[test]
fn each_version_goes_on_once_and_in_order() {
    let place = place("");
    let waiting = chain(&place, &[]);
    assert_eq!((waiting.status, &waiting.json()["routes"][0]["latest"]), (0, &Value::Null));
    // Two files in two partitions, one with what others write, and one version that only rearranges.
    python(
        &place,
        "append([1, -1], partition_by=['day'])\nappend([2], 'y z')\nappend([5], 'y z')\nt('bronze').optimize.compact()",
    );
    let ahead = chain(&place, &["--dry-run"]).json()["routes"].clone();
    assert_eq!((&ahead[0]["versions"], &ahead[0]["behind"], &ahead[1]["latest"]), (&json!(3), &json!(4), &Value::Null));
    let (silver, gold) = chained(&place, &[]);
    assert_eq!(silver["rows"], json!({"read": 4, "committed": 3, "filtered": 1, "quarantined": 0, "added": 0}));
    assert_eq!((read(&silver), &silver["behind"]), ((3, 4, 3), &json!(0)));
    assert_eq!(read(&gold), (3, 3, gold["latest"].as_i64().unwrap()));
    let made = python(&place, "print(json.dumps(query('gold', 'select id, odd from t order by id')))");
    assert_eq!(made, "[[1, 3], [2, 5], [5, 11]]");
    // Nothing is left to do, and nothing is written.
    let (silver, gold) = chained(&place, &[]);
    assert_eq!((&silver["table_version"], &gold["table_version"]), (&Value::Null, &Value::Null));
    python(&place, "append([3])\nappend([4])");
    let (silver, gold) = chained(&place, &[]);
    assert_eq!((read(&silver).0, read(&gold).0), (2, 2));
    assert_eq!(ids(&place, "gold"), json!([1, 2, 3, 4, 5]));
    // A table that is moved is the same one.
    std::fs::rename(place.path("bronze"), place.path("copper")).unwrap();
    let routes = std::fs::read_to_string(place.path("routes.toml")).unwrap();
    place.write("routes.toml", routes.replace("\"bronze\"", "\"copper\""));
    assert_eq!(read(&chained(&place, &[]).0).0, 0);
    let log = python(&place, "print(json.dumps(t('silver').history(1)[0]['sluice']))");
    assert!(log.contains("\"hops\"") && log.contains("bronze, version 5"), "{log}");
}

/// Loads that are killed at each entry of a log, before and after it is there, and then run again.
#[test]
fn a_run_that_is_killed_is_gone_on_with() {
    for (table, version, before) in [("silver", 1, true), ("silver", 2, false), ("gold", 1, false)] {
        let place = place("");
        python(&place, "append([1])\nappend([2])\nappend([3])");
        let root = place.path("").canonicalize().unwrap();
        let verb = if before { "link" } else { "unlink" };
        let operation = format!("{verb} {}/{table}/_delta_log/{version:020}.json#", root.display());
        let shim = Shim::below(&root).matching(&operation).at(1, Fault::Kill);
        let ran = shim.on(&mut place.command(&["chain", "--routes", "routes.toml"])).output().unwrap();
        assert_eq!(ran.status.code(), None, "{table} {version} {before}: it was to be killed: {ran:?}");
        chained(&place, &[]);
        for table in ["silver", "gold"] {
            assert_eq!(ids(&place, table), json!([1, 2, 3]), "{table} {version} {before}");
        }
        assert_eq!(chained(&place, &[]).1["table_version"], Value::Null);
    }
}

#[test]
fn two_at_once_are_as_one() {
    let place = place("");
    python(&place, "for id in range(1, 9): append([id])");
    let start = || {
        place
            .command(&["chain", "--routes", "routes.toml", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let both = [start(), start()].map(|child| place.ended(child.wait_with_output().unwrap()));
    for ran in &both {
        assert_eq!(ran.status, 0, "{ran:?}");
    }
    chained(&place, &[]);
    for table in ["silver", "gold"] {
        assert_eq!(ids(&place, table), json!([1, 2, 3, 4, 5, 6, 7, 8]), "{table}");
    }
}

#[test]
fn versions_that_take_rows_out_stop_a_chain_or_are_passed_over() {
    let place = place("");
    python(&place, "append([1])\nappend([2])");
    chained(&place, &[]);
    python(
        &place,
        "t('bronze').delete('id = 1')\nappend([3])\ndeltalake.write_deltalake('bronze', rows([4]), mode='overwrite')",
    );
    let ran = chain(&place, &[]);
    assert_eq!(ran.status, 3, "{ran:?}");
    let said = "route 'silver': rows of table [place]/bronze do not go on to table [place]/silver: version 2 (DELETE) takes 1 of its files out";
    assert!(ran.stderr.contains(said) && ran.stderr.contains("upstream_changes = \"ignore\""), "{ran:?}");
    assert_eq!((ids(&place, "silver"), &ran.json()["routes"][0]["behind"]), (json!([1, 2]), &json!(3)));
    let routes = std::fs::read_to_string(place.path("routes.toml")).unwrap();
    place.write("routes.toml", format!("{routes}upstream_changes = \"ignore\"\n"));
    let (silver, _) = chained(&place, &[]);
    assert_eq!((&silver["ignored"], &silver["behind"]), (&json!([2, 4]), &json!(0)));
    assert_eq!((ids(&place, "silver"), ids(&place, "gold")), (json!([1, 2, 3]), json!([1, 2, 3])));
    assert_eq!(chained(&place, &[]).0["ignored"], json!([]));
}

#[test]
fn what_is_gone_before_it_was_read_stops_a_chain() {
    let place = place("");
    python(&place, "append([1])");
    chained(&place, &[]);
    // Versions 1 and 2 are cleaned up, and the file of version 4 is.
    python(
        &place,
        "append([2])\nappend([3])\nappend([4])\nt('bronze').create_checkpoint()\nappend([5])\nappend([6])\n\
         for version in (1, 2): pathlib.Path(f'bronze/_delta_log/{version:020}.json').unlink()\n\
         entry = pathlib.Path(f'bronze/_delta_log/{4:020}.json').read_text().splitlines()\n\
         (gone,) = [json.loads(line)['add']['path'] for line in entry if '\"add\"' in line]\n\
         pathlib.Path('bronze', gone).unlink()",
    );
    let ran = chain(&place, &[]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.stderr.contains("versions 1 to 2 are gone, and never read\nhint: restore them"), "{ran:?}");
    assert_eq!(ids(&place, "silver"), json!([1]));
    let (silver, _) = chained(&place, &["--accept-loss"]);
    assert_eq!((&silver["lost"], silver["lost_files"].as_array().unwrap().len()), (&json!([[1, 2]]), 1));
    assert_eq!((ids(&place, "silver"), ids(&place, "gold")), (json!([1, 4, 6]), json!([1, 4, 6])));
}

#[test]
fn a_file_that_is_gone_is_named() {
    let place = place("");
    python(
        &place,
        "append([1])\nappend([2])\nt('bronze').delete()\nt('bronze').vacuum(0, dry_run=False, enforce_retention_duration=False)",
    );
    let ran = chain(&place, &[]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.stderr.contains(".parquet of version 0 is gone, and never read"), "{ran:?}");
}

#[test]
fn another_table_in_the_place_of_one_is_not_taken_for_it() {
    let place = place("");
    python(&place, "append([1])");
    chained(&place, &[]);
    std::fs::remove_dir_all(place.path("bronze")).unwrap();
    python(&place, "append([1])");
    let ran = chain(&place, &[]);
    assert_eq!((ran.status, ran.stderr.contains("another table took its place: its id is ")), (3, true), "{ran:?}");
    chained(&place, &["--accept-loss"]);
    assert_eq!(ids(&place, "silver"), json!([1, 1]));
    python(&place, "append([2])");
    chained(&place, &[]);
    assert_eq!(ids(&place, "silver"), json!([1, 1, 2]));
}

#[test]
fn a_loop_over_two_files_of_routes_ends() {
    let place = place("");
    python(&place, "append([1])");
    chained(&place, &[]);
    place.write("back.toml", "version = 1\n[[route]]\nname = \"back\"\nfrom_table = \"gold\"\ntable = \"bronze\"\n");
    let ran = place.run(&["chain", "--routes", "back.toml"]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.stderr.contains("came through that table, whose id is "), "{ran:?}");
    assert_eq!(ids(&place, "bronze"), json!([1]));
}

#[test]
fn a_chain_may_begin_later_and_keeps_what_does_not_fit() {
    let place = place("start = 1\n");
    python(&place, "append([1])\nappend([2])");
    chained(&place, &[]);
    assert_eq!(ids(&place, "silver"), json!([2]));
    place.write(
        "routes.toml",
        "version = 1\n[[route]]\nname = \"late\"\nfrom_table = \"bronze\"\ntable = \"late\"\nstart = \"now\"\n\
         sql = \"SELECT id, CASE WHEN id = 4 THEN 'x' ELSE '7' END AS n FROM chunk\"\n",
    );
    deltalake_table(&place);
    let first = chain(&place, &[]).json()["routes"][0].clone();
    assert_eq!((&first["versions"], &first["cursor"]), (&json!(0), &json!(1)));
    python(&place, "append([3, 4])");
    let late = chain(&place, &[]).json()["routes"][0].clone();
    assert_eq!((&late["rows"]["committed"], &late["rows"]["quarantined"]), (&json!(1), &json!(1)), "{late}");
    assert_eq!(ids(&place, "late"), json!([3]));
    let kept = late["rejected"][0].as_str().unwrap().replace("[place]", place.path("").to_str().unwrap());
    assert_eq!(crate::support::read(std::path::Path::new(&kept)).num_rows(), 1);
}

/// The table `late`, in which `n` is a number.
fn deltalake_table(place: &Place) {
    python(
        place,
        "deltalake.write_deltalake('late', pa.table({'id': pa.array([], pa.int64()), 'n': pa.array([], pa.int32())}))",
    );
}

#[test]
fn a_chain_that_runs_on_takes_what_comes() {
    let place = place("");
    let mut child = place
        .command(&["chain", "--routes", "routes.toml", "--every", "1s", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python(&place, "append([1])");
    let until = Instant::now() + Duration::from_mins(1);
    while !place.path("gold/_delta_log/00000000000000000001.json").exists() {
        assert!(Instant::now() < until && child.try_wait().unwrap().is_none(), "{:?}", child.wait_with_output());
        std::thread::sleep(Duration::from_millis(100));
    }
    let killed = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let ran = place.ended(child.wait_with_output().unwrap());
    assert_eq!((ran.status, ran.stdout.lines().count()), (0, 1), "{ran:?}");
    assert_eq!(ids(&place, "gold"), json!([1]));
}

#[test]
fn what_chains_say() {
    let place = place("");
    let printed = |ran: Ran| format!("status {}\n{}\n{}", ran.status, ran.stdout.trim_end(), ran.stderr.trim_end());
    let mut said = vec![printed(place.run(&["chain", "--help"]))];
    place.write("bronze.csv", "id,day\n1,x\n0,y\n");
    assert_eq!(place.run(&["ingest", "bronze.csv", "--table", "bronze"]).status, 0);
    said.push(printed(place.run(&["chain", "--routes", "routes.toml"])));
    said.push(printed(place.run(&["chain", "--routes", "routes.toml"])));
    said.push(printed(place.run(&["route", "list", "--routes", "routes.toml"])));
    place.write("drops.toml", "version = 1\n[[route]]\nname = \"a\"\nkey = \"*\"\ntable = \"t\"\n");
    said.push(printed(place.run(&["chain", "--routes", "drops.toml"])));
    said.push(printed(place.run(&["chain"])));
    let said = said.join("\n----\n");
    let sizes = said.lines().map(|line| match line.split_once(" file (") {
        Some((before, _)) if line.contains("  read ") => format!("{before} file (SIZE)"),
        _ => line.trim_end().to_owned(),
    });
    insta::assert_snapshot!("what_chains_say", sizes.collect::<Vec<_>>().join("\n"));
}

/// The worker's function, called as the schedule of a deployment calls it.
#[test]
fn the_function_follows_chains() {
    let place = place("");
    python(&place, "append([1])\nappend([2])");
    let root = place.path("").canonicalize().unwrap();
    let routes = std::fs::read_to_string(place.path("routes.toml")).unwrap();
    let routes = ["bronze", "silver", "gold"].iter().fold(routes, |routes, table| {
        routes.replace(&format!("table = \"{table}\""), &format!("table = \"{}/{table}\"", root.display()))
    });
    let at = place.write("absolute.toml", routes);
    let call = || {
        let settings = shared::Settings::from_lookup(|name| (name == "ROUTES_URI").then(|| at.display().to_string()));
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let handler = worker::Handler::from_settings(settings.unwrap()).await;
            handler.handle(&json!({ "chain": {} }), "worker", Duration::from_mins(2)).await
        })
    };
    let done = call().unwrap();
    assert_eq!((&done[0]["versions"], &done[1]["rows"]["committed"]), (&json!(2), &json!(2)), "{done}");
    assert_eq!(ids(&place, "gold"), json!([1, 2]));
    python(&place, "t('bronze').delete()");
    assert_eq!(call().unwrap_err().to_string(), "1 of 2 chains not followed");
}
