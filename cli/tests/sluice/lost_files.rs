//! The real binary is suspended before its commit, and its data files go meanwhile.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::shim::Shim;
use crate::support::Place;

/// Makes all files below a folder look two hours older.
fn age(folder: &Path) {
    let then = SystemTime::now().checked_sub(Duration::from_hours(2)).unwrap();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.path() {
            path if path.is_dir() => age(&path),
            path => std::fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap(),
        }
    }
}

#[test]
fn vacuum_beside_a_suspended_load() {
    // As it is, written again, and as a whole file.
    for more in [&[][..], &["--sql", "select id + 0 as id from chunk"], &["--commit-mode", "file"]] {
        let place = Place::new();
        let source = place.write("x.csv", "id\n1\n2\n");
        place.ingest(&place.write("first.csv", "id\n0\n"), &[]);
        let args = [&["ingest", source.to_str().unwrap(), "--table", "t", "--json"][..], more].concat();
        let stopped = Shim::start_stopped(&place, &args, "t/_delta_log/00000000000000000002.json");
        age(&place.path("t"));
        let vacuum = place.run(&["maintain", "--table", "t", "--retention", "1h", "--json"]);
        assert_eq!((vacuum.status, &vacuum.json()["vacuum"]["objects"]), (0, &0.into()), "{more:?} {vacuum:?}");
        let ran = stopped.go_on(&place);
        assert_eq!(ran.status, 0, "{more:?} {ran:?}");
        assert_eq!(place.rows().num_rows(), 3, "{more:?}");
    }
}

#[test]
fn a_table_that_is_deleted_under_a_load() {
    // Before the commit is begun, and in the midst of it.
    for at in ["/staged/00000.json", "t/_delta_log/00000000000000000001.json", "t/_delta_log/00000000000000000000.json"]
    {
        for more in [&[][..], &["--commit-mode", "file"]] {
            let place = Place::new();
            let source = place.write("x.csv", "id\n1\n2\n");
            let args = ["ingest", source.to_str().unwrap(), "--table", "t", "--work-dir", "w", "--json"];
            let args = [&args[..], more].concat();
            let stopped = Shim::start_stopped(&place, &args, at);
            std::fs::remove_dir_all(place.path("t")).unwrap();
            let ran = stopped.go_on(&place);
            assert_eq!(ran.status, 0, "{at} {more:?} {ran:?}");
            assert_eq!(place.rows().num_rows(), 2, "{at} {more:?}");
            assert!(place.files().iter().all(|file| file.exists()), "{at} {more:?}");
        }
    }
}
