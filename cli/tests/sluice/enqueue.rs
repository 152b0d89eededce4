//! `sluice enqueue`, for a deployment that comes after its files.

use serde_json::json;

use crate::queues::Queues;

#[test]
fn objects_that_were_there_before_are_loaded() {
    let queues = Queues::new();
    for (key, content) in [("in/a.csv", "id\n1\n"), ("in/b c+é.csv", "id\n2\n"), ("in/_x.csv", "id\n3\n")] {
        queues.drop_file(key, content.as_bytes().to_vec());
    }
    let drops = queues.drops.clone();
    let enqueue = |more: &[&str]| {
        let args = ["enqueue", "s3://drops/in/", "--queue-url", &drops, "--json"];
        let ran = queues.place.run(&[&args[..], more].concat());
        assert_eq!(ran.status, 0, "{ran:?}");
        ran.json()
    };
    let asked = enqueue(&["--dry-run"]);
    assert_eq!(asked["would_send"], json!(["s3://drops/in/a.csv", "s3://drops/in/b c+é.csv"]), "{asked}");
    assert_eq!(queues.messages(&drops), (0, 0));
    let sent = enqueue(&[]);
    assert_eq!((&sent["sent"], &sent["already_done"]), (&json!(2), &json!(0)), "{sent}");
    let splitter = queues.work("splitter", &drops, &["--splitter"]);
    queues.wait_until_empty(&drops);
    let worker = queues.work("worker", &queues.chunks, &[]);
    queues.wait_until_empty(&queues.chunks);
    assert_eq!((queues.stop(splitter).0, queues.stop(worker).0), (Some(0), Some(0)));
    assert_eq!(queues.place.rows().num_rows(), 2);
    let again = enqueue(&[]);
    assert_eq!((&again["sent"], &again["already_done"]), (&json!(0), &json!(2)), "{again}");

    let none = queues.place.run(&["enqueue", "s3://drops/out/", "--queue-url", &drops]);
    assert_eq!(
        (none.status, none.stderr.contains("no object to load is below s3://drops/out/")),
        (3, true),
        "{none:?}"
    );
}
