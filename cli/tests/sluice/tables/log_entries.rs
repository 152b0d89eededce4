//! Log entries that cannot be taken: actions of later writers, and entries that end too soon.

use super::{ALL, count, ingest, latest, made, python};

#[test]
fn an_action_of_a_later_writer_is_refused_by_name() {
    let place = made("write('t', pa.table({'id': [1]}))\nwrite('t', pa.table({'id': [2]}), mode='append')");
    place.write("x.csv", "id\n3\n");
    for (entry, said) in [
        ("{\"somethingNew\":{}}", "has the action 'somethingNew', which is not known here"),
        ("{\"txn\":{\"appId\":\"a\"}}", "has an action that cannot be read: missing field `version`"),
    ] {
        std::fs::write(place.path("t/_delta_log/00000000000000000002.json"), format!("{entry}\n")).unwrap();
        let said = format!("table [place]/t cannot be taken: version 2 of its log {said}");
        for args in [&["ingest", "x.csv"][..], &["maintain"], &["undo", "x.csv"]] {
            let ran = place.run(&[args, &["--table", "t"]].concat());
            assert_eq!((ran.status, ran.stderr.contains(&said)), (3, true), "{args:?} {ran:?}");
            assert!(ran.stderr.contains("hint: a later version of Sluice may know it; else"), "{ran:?}");
        }
    }
    let plan = place.run(&["plan", "x.csv", "--table", "t"]);
    assert_eq!((plan.status, plan.stderr.contains("version 2 of its log has an action")), (3, true), "{plan:?}");
    assert_eq!(latest(&place), 2, "nothing is put");
    // The way that the hint names.
    std::fs::write(place.path("t/_delta_log/00000000000000000002.json"), "{\"somethingNew\":{}}\n").unwrap();
    python(&place, "write('t', pa.table({'id': [4]}), mode='append')\ndeltalake.DeltaTable('t').create_checkpoint()");
    let ran = ingest(&place, "x.csv", &[]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(count(&place, ALL), 4);
}

#[test]
fn a_log_entry_that_is_not_written_to_its_end_is_no_unknown_action() {
    let place = made("write('t', pa.table({'id': [1]}))");
    place.write("x.csv", "id\n3\n");
    std::fs::write(place.path("t/_delta_log/00000000000000000001.json"), "{\"commitInfo\":{").unwrap();
    let ran = ingest(&place, "x.csv", &[]);
    assert_eq!((ran.status, ran.stderr.contains("cannot be taken")), (1, false), "{ran:?}");
}
