use serde_json::json;

use super::*;

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../../../fixtures/events/", $name, ".json"))
    };
}

/// The notification on one line: each drop as location, size, eTag, version and sequencer; each skip in brackets.
fn told(notification: &Notification) -> String {
    let or_dash = |field: &Option<String>| field.clone().unwrap_or_else(|| "-".to_owned());
    let dropped = notification.dropped.iter().map(|object| {
        let size = object.size.map(|size| size.to_string());
        let fields = [&size, &object.e_tag, &object.version_id, &object.sequencer].map(or_dash);
        format!("{} {}", object.location(), fields.join(" "))
    });
    let skipped = notification.skipped.iter().map(|skip| format!("[{skip}]"));
    dropped.chain(skipped).collect::<Vec<_>>().join(", ")
}

fn read(body: &str) -> String {
    match Notification::parse(body) {
        Ok(notification) => told(&notification),
        Err(error) => format!("error: {error}"),
    }
}

const DROP: &str = "s3://drops/in/my file+é=1.csv 2481495 b1946ac92492d2347c6235b4d2611184 \
                    L4kqtJlcpXroDTDmpUMLUo.3HJGjKmNe 0065F2A1B3C4D5E6F7";
const TWO: &str = "s3://drops/in/flights-01.csv 5368709120 9b2cf535f27731c974343645a3985328-640 - 0065F2A1B3C4D5E700, \
                   s3://drops/in/flights-02.parquet 507444 0cc175b9c0f1b6a831c399e269772661 - 0065F2A1B3C4D5E701";
const TEST: &str = "[it is S3's test event]";

#[test]
fn recorded_events() {
    for (name, body, expected) in [
        ("s3_put", recorded!("s3_put"), DROP),
        ("s3_multipart_two_records", recorded!("s3_multipart_two_records"), TWO),
        ("s3_test_event", recorded!("s3_test_event"), TEST),
        ("s3_delete", recorded!("s3_delete"), "[ObjectRemoved:DeleteMarkerCreated is not the creation of an object]"),
        ("sns_envelope", recorded!("sns_envelope"), DROP),
        ("sns_test_event", recorded!("sns_test_event"), TEST),
        ("eventbridge", recorded!("eventbridge"), DROP),
        ("manual", recorded!("manual"), "s3://drops/in/my file+é=1.csv - - - -"),
    ] {
        assert_eq!(read(body), expected, "{name}");
    }
}

/// S3's notification for an object with this key and event name.
fn created(name: &str, key: &str) -> Value {
    json!({"eventSource": "aws:s3", "eventName": name, "s3": {"bucket": {"name": "b"}, "object": {"key": key}}})
}

#[test]
fn keys_are_decoded_once() {
    for (encoded, key) in [
        ("plain.csv", "plain.csv"),
        ("my+file.csv", "my file.csv"),
        ("my%20file.csv", "my file.csv"),
        ("a%2Bb.csv", "a+b.csv"),
        ("caf%C3%A9.csv", "café.csv"),
        ("cafe%CC%81.csv", "cafe\u{301}.csv"),
        ("day=1/x.csv", "day=1/x.csv"),
        ("day%3D1/x.csv", "day=1/x.csv"),
        ("in%2Fx.csv", "in/x.csv"),
        ("a%252Bb.csv", "a%2Bb.csv"),
        ("100%25.csv", "100%.csv"),
        ("%F0%9F%A6%86.csv", "🦆.csv"),
        ("/a//b.csv", "/a//b.csv"),
    ] {
        let body = json!({"Records": [created("ObjectCreated:Put", encoded)]}).to_string();
        assert_eq!(Notification::parse(&body).unwrap().dropped[0].key, key, "{encoded}");
    }
    assert!(matches!(decode_key("caf%E9.csv"), Err(EventError::Key(_))));
}

#[test]
fn keys_of_event_bridge_and_of_people_are_not_encoded() {
    let bridge = |key: &str| {
        let detail = json!({"bucket": {"name": "b"}, "object": {"key": key}});
        json!({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})
    };
    let manual = |key: &str| json!({"s3_bucket": "b", "s3_object_key": key});
    for key in ["a+b.csv", "a%2Bb.csv", "é 1.csv"] {
        for body in [bridge(key), manual(key)] {
            assert_eq!(Notification::parse(&body.to_string()).unwrap().dropped[0].key, key, "{body}");
        }
    }
}

#[test]
fn what_is_not_a_created_object_is_told_apart() {
    let record = |name, key| json!({"Records": [created(name, key)]}).to_string();
    let bridge = |kind| json!({"source": "aws.s3", "detail-type": kind, "detail": {}}).to_string();
    let [unconfirmed, foreign_sns] = ["SubscriptionConfirmation", "Notification"]
        .map(|kind| json!({"Type": kind, "Message": "You have chosen to subscribe", "Token": "t"}).to_string());
    let two = json!({"Records": [created("ObjectCreated:Put", "x"), created("ObjectCreated:Put", "%FF")]}).to_string();
    for (body, expected) in [
        (record("s3:ObjectCreated:Post", "x"), "s3://b/x - - - -"),
        (record("ObjectCreated:Put", "in/folder/"), "[s3://b/in/folder/ is the marker of a folder]"),
        (record("ObjectRestore:Completed", "x"), "[ObjectRestore:Completed is not the creation of an object]"),
        (record("ObjectCreated:Put", ""), "error: the event has no usable s3.object.key"),
        (record("", "x"), "error: the event has no usable eventName"),
        (bridge("Object Deleted"), "[Object Deleted is not the creation of an object]"),
        (bridge("Object Created"), "error: the event has no usable detail.bucket.name"),
        (
            unconfirmed,
            "error: the message is from SNS, of the type SubscriptionConfirmation; only notifications name objects",
        ),
        (foreign_sns, "error: the message is not JSON"),
        (two, "error: the key '%FF' is not UTF-8 once it is decoded"),
        (r#"{"Records":[]}"#.to_owned(), ""),
        (r#"{"s3_bucket":"b","s3_object_key":7}"#.to_owned(), "error: the event has no usable s3_object_key"),
        (
            r#"{"s3_bucket":"file://","s3_object_key":"/etc/passwd"}"#.to_owned(),
            "error: the event has no usable bucket name",
        ),
        (
            r#"{"version":1,"s3_bucket":"b","s3_object_key":"x","chunk":{"index":0}}"#.to_owned(),
            "error: the message is a chunk task, which belongs in the queue of the worker",
        ),
        (String::new(), "error: the message is not JSON"),
        ("{".to_owned(), "error: the message is not JSON"),
    ] {
        assert_eq!(read(&body), expected, "{body}");
    }
    for body in ["{}", "[]", "null", "7", r#"{"Records":[{"eventSource":"aws:kinesis"}]}"#, r#"{"source":"aws.ec2"}"#] {
        assert!(matches!(Notification::parse(body), Err(EventError::Unknown)), "{body}");
    }
}

#[test]
fn a_batch_is_its_messages() {
    let Payload::Batch(messages) = Payload::parse(&serde_json::from_str(recorded!("sqs_batch")).unwrap()).unwrap()
    else {
        panic!("no batch");
    };
    let told: Vec<_> =
        messages.iter().map(|message| (message.id.as_str(), message.receive_count, read(&message.body))).collect();
    assert_eq!(
        told,
        [
            ("059f36b4-87a3-44ab-83d2-661975130001", 1, DROP.to_owned()),
            ("059f36b4-87a3-44ab-83d2-661975130002", 2, "error: the message is not JSON".to_owned()),
        ]
    );
}

#[test]
fn a_record_that_cannot_be_answered_fails_the_batch() {
    for id in [json!(null), json!(""), json!(7)] {
        let good = json!({"eventSource": "aws:sqs", "messageId": "m", "body": "{}"});
        let bad = json!({"eventSource": "aws:sqs", "messageId": id, "body": "{}"});
        let batch = json!({"Records": [good, bad]});
        assert!(matches!(Payload::parse(&batch), Err(EventError::NoMessageId(NoMessageId(1)))), "{batch}");
    }
}

#[test]
fn anything_else_is_one_message() {
    for (body, expected) in
        [(recorded!("s3_put"), DROP), (recorded!("eventbridge"), DROP), (recorded!("s3_test_event"), TEST)]
    {
        let Payload::Direct(message) = Payload::parse(&serde_json::from_str(body).unwrap()).unwrap() else {
            panic!("a batch: {body}");
        };
        assert_eq!(read(&message.body), expected);
    }
}

#[test]
fn what_is_announced_is_what_was_meant() {
    for key in ["in/a.csv", "in/b c+\u{e9}%20=1.csv", "a&b/#?.csv"] {
        let object = shared::SourceObject {
            uri: Location::S3 { bucket: "drops".to_owned(), key: key.to_owned() },
            size: 7,
            version: shared::ObjectVersion("\"0f\"".to_owned()),
        };
        let read = Notification::parse(&notification(&object)).unwrap();
        let [dropped] = read.dropped.as_slice() else { panic!("{read:?}") };
        let expected = (object.uri, Some(7), Some("0f"));
        assert_eq!((dropped.location(), dropped.size, dropped.e_tag.as_deref()), expected);
    }
}

#[test]
fn when_an_object_was_dropped() {
    let times = |body: &str| -> Vec<_> {
        Notification::parse(body).unwrap().dropped.iter().map(|object| object.time).collect()
    };
    let mut event = created("ObjectCreated:Put", "x.csv");
    for (time, expected) in
        [("1970-01-01T00:00:01.500Z", Some(1500)), ("1970-01-01T01:00:00+01:00", Some(0)), ("soon", None)]
    {
        event["eventTime"] = json!(time);
        assert_eq!(times(&json!({"Records": [event]}).to_string()), [expected], "{time}");
    }
    assert!(times(recorded!("eventbridge"))[0].is_some());
    assert_eq!(times(recorded!("manual")), [None]);
}
