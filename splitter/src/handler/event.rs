//! News of dropped objects: every shape in which it comes, as one.
//!
//! S3 reports an object directly, through SNS with its envelope or without, or through `EventBridge`; a queue puts its own
//! record around any of these, and a person writes just bucket and key.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};
use shared::{Location, Message, NoMessageId, ReceiptHandle, SourceObject, batch_messages};

/// What a Lambda function is handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A batch of a queue; each message is answered on its own.
    Batch(Vec<Message>),
    /// Anything else: one message, answered by how the invocation ends.
    Direct(Message),
}

/// The objects that one message names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// Objects that were created.
    pub dropped: Vec<DroppedObject>,
    /// What asks for nothing to be done.
    pub skipped: Vec<Skip>,
}

/// An object that was created, as its event describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedObject {
    /// Bucket.
    pub bucket: String,
    /// Key, decoded.
    pub key: String,
    /// Length in bytes.
    pub size: Option<u64>,
    /// eTag, without quotes. None when a person names the object, and no event.
    pub e_tag: Option<String>,
    /// Version in a versioned bucket. Reads are not addressed by it: they require the eTag, which is enough to never mix
    /// two versions, and needs no permission on old ones.
    pub version_id: Option<String>,
    /// Orders the events of one key. Nothing has to be ordered by it: an event whose eTag is no longer the object's is the
    /// older one, and two events with the same eTag are the same drop.
    pub sequencer: Option<String>,
    /// When that was, in milliseconds since 1970 (UTC).
    pub time: Option<i64>,
}

/// A piece of news that asks for nothing to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skip {
    /// S3 sends it when notifications are set up.
    TestEvent,
    /// A key that ends in `/`, as consoles make them to show a folder.
    FolderMarker {
        /// The object.
        at: Location,
    },
    /// Something other than the creation of an object.
    OtherEvent {
        /// Its name.
        name: String,
    },
}

/// Why a message, or a payload, cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// Not JSON.
    #[error("the message is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// JSON of another kind.
    #[error(
        "the message is not an object-created event: neither an event of S3, directly or through SNS or EventBridge, nor \
         an object with s3_bucket and s3_object_key"
    )]
    Unknown,
    /// SNS asks for something that only a person can do.
    #[error("the message is from SNS, of the type {0}; only notifications name objects")]
    SnsType(String),
    /// It was sent to the wrong queue.
    #[error("the message is a chunk task, which belongs in the queue of the worker")]
    ChunkTask,
    /// A field is absent or not of its type.
    #[error("the event has no usable {0}")]
    Field(&'static str),
    /// The key's bytes are not text.
    #[error("the key '{0}' is not UTF-8 once it is decoded")]
    Key(String),
    /// A record of a batch has no id.
    #[error(transparent)]
    NoMessageId(#[from] NoMessageId),
}

impl Payload {
    /// Reads what a Lambda function is handed; bodies of messages are left for [`Notification::parse`].
    pub fn parse(payload: &Value) -> Result<Self, EventError> {
        let records = payload.get("Records").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if !records.iter().any(|record| text(record, "/eventSource") == Some("aws:sqs")) {
            let (id, receipt) = ("direct invocation".to_owned(), ReceiptHandle(String::new()));
            return Ok(Self::Direct(Message { id, receipt, body: payload.to_string(), receive_count: 1 }));
        }
        Ok(Self::Batch(batch_messages(records)?))
    }
}

impl Notification {
    /// Reads the body of a message. All of it can be read, or none.
    pub fn parse(body: &str) -> Result<Self, EventError> {
        let news: Value = serde_json::from_str(body).map_err(EventError::NotJson)?;
        match (text(&news, "/Type"), text(&news, "/Message")) {
            (Some("Notification"), Some(inner)) => {
                Self::from_event(&serde_json::from_str(inner).map_err(EventError::NotJson)?)
            }
            (Some(other), Some(_)) => Err(EventError::SnsType(other.to_owned())),
            _ => Self::from_event(&news),
        }
    }

    fn from_event(event: &Value) -> Result<Self, EventError> {
        let mut notification = Self::default();
        if let Some(records) = event.get("Records").and_then(Value::as_array) {
            for record in records {
                notification.add_record(record)?;
            }
        } else if text(event, "/Event") == Some("s3:TestEvent") {
            notification.skipped.push(Skip::TestEvent);
        } else if text(event, "/source") == Some("aws.s3") {
            notification.add_event_bridge(event)?;
        } else if event.get("chunk").is_some() {
            return Err(EventError::ChunkTask);
        } else if event.get("s3_bucket").is_some() && event.get("s3_object_key").is_some() {
            let bucket = required(event, "/s3_bucket", "s3_bucket")?;
            let key = required(event, "/s3_object_key", "s3_object_key")?;
            notification.add_object(DroppedObject::new(bucket, key)?);
        } else {
            return Err(EventError::Unknown);
        }
        Ok(notification)
    }

    /// A record of S3's own notifications.
    fn add_record(&mut self, record: &Value) -> Result<(), EventError> {
        if text(record, "/eventSource") != Some("aws:s3") {
            return Err(EventError::Unknown);
        }
        let name = required(record, "/eventName", "eventName")?;
        if !name.strip_prefix("s3:").unwrap_or(name).starts_with("ObjectCreated:") {
            self.skipped.push(Skip::OtherEvent { name: name.to_owned() });
            return Ok(());
        }
        let bucket = required(record, "/s3/bucket/name", "s3.bucket.name")?;
        let key = decode_key(required(record, "/s3/object/key", "s3.object.key")?)?;
        self.add_object(DroppedObject {
            size: record.pointer("/s3/object/size").and_then(Value::as_u64),
            e_tag: e_tag(record, "/s3/object/eTag"),
            version_id: owned(record, "/s3/object/versionId"),
            sequencer: owned(record, "/s3/object/sequencer"),
            time: millis(record, "/eventTime"),
            ..DroppedObject::new(bucket, &key)?
        });
        Ok(())
    }

    /// An event of `EventBridge`, where keys are not encoded.
    fn add_event_bridge(&mut self, event: &Value) -> Result<(), EventError> {
        let name = required(event, "/detail-type", "detail-type")?;
        if name != "Object Created" {
            self.skipped.push(Skip::OtherEvent { name: name.to_owned() });
            return Ok(());
        }
        let bucket = required(event, "/detail/bucket/name", "detail.bucket.name")?;
        let key = required(event, "/detail/object/key", "detail.object.key")?;
        self.add_object(DroppedObject {
            size: event.pointer("/detail/object/size").and_then(Value::as_u64),
            e_tag: e_tag(event, "/detail/object/etag"),
            version_id: owned(event, "/detail/object/version-id"),
            sequencer: owned(event, "/detail/object/sequencer"),
            time: millis(event, "/time"),
            ..DroppedObject::new(bucket, key)?
        });
        Ok(())
    }

    fn add_object(&mut self, object: DroppedObject) {
        if object.key.ends_with('/') {
            self.skipped.push(Skip::FolderMarker { at: object.location() });
        } else {
            self.dropped.push(object);
        }
    }
}

/// The message that S3 sends when this object is created; for objects whose news did not come, or that were there before.
pub fn notification(object: &SourceObject) -> String {
    let key = utf8_percent_encode(object.uri.key(), NON_ALPHANUMERIC).to_string();
    let of_object = json!({ "key": key, "size": object.size, "eTag": unquoted(&object.version.0) });
    let s3 = json!({ "bucket": { "name": object.uri.bucket() }, "object": of_object });
    let record = json!({ "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3 });
    json!({ "Records": [record] }).to_string()
}

/// A moment as `2024-01-31T10:00:00.000Z`, in milliseconds since 1970; none of what is not one.
fn millis(event: &Value, pointer: &str) -> Option<i64> {
    let moment = chrono::DateTime::parse_from_rfc3339(text(event, pointer)?).ok()?;
    Some(moment.timestamp_millis())
}

impl DroppedObject {
    fn new(bucket: &str, key: &str) -> Result<Self, EventError> {
        // No bucket has such a name; elsewhere `file://` stands for this machine's own files, which no message may name.
        if bucket.contains(['/', ':']) {
            return Err(EventError::Field("bucket name"));
        }
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        Ok(Self { bucket, key, size: None, e_tag: None, version_id: None, sequencer: None, time: None })
    }

    /// Where it lies.
    pub fn location(&self) -> Location {
        Location::S3 { bucket: self.bucket.clone(), key: self.key.clone() }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TestEvent => f.write_str("it is S3's test event"),
            Self::FolderMarker { at } => write!(f, "{at} is the marker of a folder"),
            Self::OtherEvent { name } => write!(f, "{name} is not the creation of an object"),
        }
    }
}

/// A key as S3's notifications write it: `+` is a space, and bytes are percent-encoded.
fn decode_key(encoded: &str) -> Result<String, EventError> {
    let spaced = encoded.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| EventError::Key(encoded.to_owned()))
}

/// An eTag without the quotes that HTTP puts around it.
pub(crate) fn unquoted(e_tag: &str) -> &str {
    e_tag.trim_matches('"')
}

fn e_tag(event: &Value, pointer: &str) -> Option<String> {
    text(event, pointer).map(unquoted).filter(|tag| !tag.is_empty()).map(str::to_owned)
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

fn owned(value: &Value, pointer: &str) -> Option<String> {
    text(value, pointer).map(str::to_owned)
}

fn required<'a>(value: &'a Value, pointer: &str, name: &'static str) -> Result<&'a str, EventError> {
    text(value, pointer).filter(|text| !text.is_empty()).ok_or(EventError::Field(name))
}

#[cfg(test)]
mod tests;
