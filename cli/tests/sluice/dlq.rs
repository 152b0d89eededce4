//! `sluice dlq`: a look into dead letters, and the way back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::queues::{MAX_RECEIVES, Queues};

fn list(queues: &Queues) -> Vec<Value> {
    let ran = queues.place.run(&["dlq", "list", "--queue-url", &queues.dead, "--json"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.json()["messages"].as_array().unwrap().clone()
}

fn replay(queues: &Queues, more: &[&str]) -> Value {
    let ran = queues.place.run(&[&["dlq", "replay", "--queue-url", &queues.dead, "--json"], more].concat());
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.json()
}

fn work_until_empty(queues: &Queues) {
    let worker = queues.work("worker", &queues.chunks, &["--batch", "10"]);
    queues.wait_until_empty(&queues.chunks);
    // A sudden end would leave a receive under way, which takes the next message along.
    let (status, report, log) = queues.stop(worker);
    assert_eq!((status, &report["rejected"]), (Some(0), &0.into()), "{log}");
}

fn job(task: &str) -> String {
    let task: Value = serde_json::from_str(task).unwrap();
    task["chunk"]["job_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_look_changes_nothing() {
    let queues = Queues::new();
    let task = queues.split("x.csv", "id\n1\n2\n").remove(0);
    let news = queues.drop_file("in/y.csv", b"id\n3\n".to_vec());
    queues.let_die(&queues.chunks, &[task.clone(), news, "neither".to_owned()]);
    for looks in 0..2 {
        let mut letters = list(&queues);
        letters.sort_by_key(|letter| letter["kind"].to_string());
        let [chunk, news, unreadable] = letters.as_slice() else { panic!("{letters:?}") };
        assert_eq!((&chunk["job_id"], &chunk["chunk"], &chunk["body"]), (&json!(job(&task)), &json!(0), &json!(task)));
        assert_eq!((&chunk["receives"], &chunk["first_error"]), (&json!(MAX_RECEIVES + looks), &Value::Null));
        assert!(chunk["age_seconds"].as_u64().unwrap() < 60, "{chunk}");
        assert_eq!((&news["kind"], &news["objects"]), (&json!("drop"), &json!(["s3://drops/in/y.csv"])));
        assert_eq!(unreadable["kind"], "unreadable");
        assert_eq!(queues.messages(&queues.dead), (3, 0), "given back at once");
    }
    let text = queues.place.run(&["dlq", "list", "--queue-url", &queues.dead]).stdout;
    assert!(text.starts_with("3 messages in http"), "{text}");
    assert!(text.contains(&format!("chunk 0 of {}  (5 receives, sent ", job(&task))), "{text}");
    assert!(text.contains("  unreadable  (5 receives, sent "), "{text}");
    assert!(text.contains("where no reason stands, none was found"), "{text}");
    assert!(!text.contains(&task), "{text}");
    let with_bodies = queues.place.run(&["dlq", "list", "--queue-url", &queues.dead, "-v"]).stdout;
    assert!(with_bodies.contains(&task), "{with_bodies}");
    let cut = queues.place.run(&["dlq", "list", "--queue-url", &queues.dead, "--most", "2"]).stdout;
    assert!(cut.starts_with("2 messages in http") && cut.contains("maybe more"), "{cut}");
    assert_eq!(queues.messages(&queues.dead), (3, 0));
}

#[test]
fn what_died_is_replayed_once_its_cause_is_gone() {
    let queues = Queues::new();
    let tasks = queues.split("x.csv", "id\n1\n2\n");
    let key: Value = serde_json::from_str(&tasks[0]).unwrap();
    let chunk = format!("s3://chunks/{}", key["s3_object_key"].as_str().unwrap()).parse().unwrap();
    // The chunk is gone, and the worker itself lets its task die.
    let kept = queues.runtime.block_on(async {
        use shared::Storage;
        let s3 = queues.emulator.s3().await;
        let kept = s3.get(&chunk).await.unwrap();
        s3.delete(&chunk).await.unwrap();
        kept
    });
    queues.send(&queues.chunks, &tasks);
    let worker = queues.work("worker", &queues.chunks, &[]);
    queues.wait_until("a dead letter", || queues.messages(&queues.dead) == (1, 0));
    queues.stop(worker);
    let letter = list(&queues).remove(0);
    for error in ["first_error", "last_error"] {
        assert!(letter[error].as_str().unwrap().contains("does not exist"), "{letter}");
    }
    let text = queues.place.run(&["dlq", "list", "--queue-url", &queues.dead]).stdout;
    assert!(text.contains("    first error: cannot load s3:"), "{text}");
    let other = replay(&queues, &["--reason", "denied"]);
    assert_eq!((&other["replayed"], &other["left"], &other["unexplained"]), (&json!(0), &json!(1), &json!(0)));
    queues.runtime.block_on(async {
        use shared::{PutMode, Storage};
        queues.emulator.s3().await.put(&chunk, kept, PutMode::Overwrite).await.unwrap();
    });
    assert_eq!(replay(&queues, &["--reason", "Does not EXIST"])["replayed"], 1);
    assert_eq!(queues.messages(&queues.dead), (0, 0));
    work_until_empty(&queues);
    assert_eq!(queues.place.rows().num_rows(), 2);
}

#[test]
fn a_replay_by_job_takes_no_other_and_loads_nothing_twice() {
    let queues = Queues::new();
    let one = queues.split("one.csv", "id\n1\n2\n");
    let other = queues.split("other.csv", "id\n3\n");
    let all = [one.clone(), other.clone()].concat();
    queues.let_die(&queues.chunks, &all);
    let one_job = job(&one[0]);

    let dry = replay(&queues, &["--job", &one_job[.."one-".len() + 4], "--dry-run"]);
    assert_eq!((&dry["replayed"], &dry["left"], &dry["dry_run"]), (&json!(1), &json!(1), &json!(true)));
    assert_eq!(dry["messages"][0]["job_id"], one_job);
    assert_eq!((queues.messages(&queues.dead), queues.messages(&queues.chunks)), ((2, 0), (0, 0)));

    let listed = |more: &[&str]| {
        let ran = queues.place.run(&[&["jobs", "--json"], more].concat()).json();
        let jobs = ran["jobs"].as_array().unwrap().iter();
        jobs.map(|job| (job["job_id"].clone(), job["state"].clone())).collect::<Vec<_>>()
    };
    let in_state = |state: &str| [&other, &one].map(|tasks| (json!(job(&tasks[0])), json!(state)));
    assert_eq!(listed(&[]), in_state("waiting"));
    assert_eq!(listed(&["--dead-letters", &queues.dead, "--failed"]), in_state("dead"));
    assert_eq!(queues.messages(&queues.dead), (2, 0), "a look takes nothing");

    let young = replay(&queues, &["--job", &one_job[..10], "--older-than", "1h"]);
    assert_eq!((&young["replayed"], &young["left"]), (&json!(0), &json!(2)));
    assert_eq!(queues.messages(&queues.dead), (2, 0));

    for times in 1..=2 {
        let report = replay(&queues, &["--job", &one_job, "--older-than", "0s", "--rate", "5"]);
        assert_eq!((&report["replayed"], &report["left"]), (&json!(1), &json!(1)), "{times}");
        assert_eq!(report["to"], queues.chunks);
        work_until_empty(&queues);
        assert_eq!(queues.place.rows().num_rows(), 2);
        assert_eq!(list(&queues)[0]["job_id"], job(&other[0]));
        // The same task again, as if it had died after it was loaded.
        queues.let_die(&queues.chunks, &one);
    }
}

#[test]
fn a_replay_of_all_moves_all() {
    let queues = Queues::new();
    let tasks = [queues.split("one.csv", "id\n1\n2\n"), queues.split("other.csv", "id\n3\n")].concat();
    queues.let_die(&queues.chunks, &tasks);
    let dry = replay(&queues, &["--dry-run"]);
    assert_eq!((&dry["replayed"], &dry["messages"].as_array().unwrap().len()), (&json!(2), &2));
    assert_eq!((queues.messages(&queues.dead), queues.messages(&queues.chunks)), ((2, 0), (0, 0)));
    for _ in 0..2 {
        let report = replay(&queues, &["--rate", "20"]);
        assert_eq!((&report["replayed"], &report["to"]), (&json!(2), &Value::Null));
        assert_eq!(queues.messages(&queues.dead), (0, 0));
        work_until_empty(&queues);
        assert_eq!(queues.place.rows().num_rows(), 3, "loaded once");
        queues.let_die(&queues.chunks, &tasks);
    }
    // To another queue, and none left.
    assert_eq!(replay(&queues, &["--to", &queues.drops])["replayed"], 2);
    assert_eq!(queues.messages(&queues.drops), (2, 0));
    assert_eq!(replay(&queues, &[])["replayed"], 0);
}

#[test]
fn ctrl_c_cancels_a_move() {
    let queues = Queues::new();
    let bodies: Vec<String> = (0..8).map(|number| number.to_string()).collect();
    queues.let_die(&queues.chunks, &bodies);
    let mut command = queues.place.command(&["dlq", "replay", "--queue-url", &queues.dead, "--rate", "1"]);
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    queues.wait_until("a first message", || queues.messages(&queues.chunks).0 > 0);
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let (back, dead) = (queues.messages(&queues.chunks).0, queues.messages(&queues.dead).0);
    assert!(back < 8 && back + dead == 8, "{back} are sent back, {dead} are left");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(queues.messages(&queues.chunks).0, back, "nothing moves any more");
}

#[test]
fn where_to_has_to_be_clear() {
    let queues = Queues::new();
    queues.runtime.block_on(queues.emulator.create_queue("second", Duration::from_secs(30), Some(("chunks-dead", 3))));
    queues.let_die(&queues.chunks, &["x".to_owned()]);
    let ran = queues.place.run(&["dlq", "replay", "--queue-url", &queues.dead, "--older-than", "0s"]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.stderr.contains(&queues.chunks) && ran.stderr.contains("/second"), "{ran:?}");
    let round = queues.place.run(&["dlq", "replay", "--queue-url", &queues.dead, "--to", &queues.dead]);
    assert!(round.status == 2 && round.stderr.contains("is the queue of dead letters itself"), "{round:?}");
    let unknown =
        queues.place.run(&["dlq", "replay", "--queue-url", &queues.dead, "--to", &queues.chunks, "--reason", "x"]);
    assert!(unknown.stdout.contains("no reason is known of 1 message"), "{unknown:?}");
    let report = replay(&queues, &["--older-than", "0s", "--to", &queues.chunks]);
    assert_eq!(report["replayed"], 1);
    let none = queues.place.run(&["dlq", "replay", "--queue-url", &queues.chunks, "--older-than", "0s"]);
    assert!(none.status == 2 && none.stderr.contains("no queue has"), "{none:?}");
    let nowhere = queues.place.run(&["dlq", "list", "--queue-url", &queues.dead.replace("chunks", "no"), "--json"]);
    assert_eq!((nowhere.status, &nowhere.json()["exit_status"]), (1, &json!(1)), "{nowhere:?}");
}
