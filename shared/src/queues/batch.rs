//! A batch of messages that SQS hands to a Lambda function, and the answer to it.

use serde_json::{Value, json};

use crate::queue::{Message, ReceiptHandle};

/// A record of a batch has no id: it cannot be answered, and an answer without it would have SQS delete it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {0} of the batch has no messageId")]
pub struct NoMessageId(pub usize);

/// The messages of a batch, by its records.
pub fn batch_messages(records: &[Value]) -> Result<Vec<Message>, NoMessageId> {
    records.iter().enumerate().map(|(position, record)| message(record).ok_or(NoMessageId(position))).collect()
}

fn message(record: &Value) -> Option<Message> {
    let text = |pointer| record.pointer(pointer).and_then(Value::as_str);
    let owned = |pointer| text(pointer).unwrap_or_default().to_owned();
    let id = text("/messageId").filter(|id| !id.is_empty())?.to_owned();
    let receive_count = text("/attributes/ApproximateReceiveCount").and_then(|count| count.parse().ok());
    let receipt = ReceiptHandle(owned("/receiptHandle"));
    Some(Message { id, receipt, body: owned("/body"), receive_count: receive_count.unwrap_or(1) })
}

/// The answer to a batch: the ids of the messages that are to come again. SQS deletes the others.
pub fn batch_answer(failed: impl IntoIterator<Item = String>) -> Value {
    let failures: Vec<Value> = failed.into_iter().map(|id| json!({ "itemIdentifier": id })).collect();
    json!({ "batchItemFailures": failures })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_messages() {
        let attributes = json!({"ApproximateReceiveCount": "3"});
        let record = json!({"messageId": "m", "receiptHandle": "r", "body": "b", "attributes": attributes});
        let message =
            Message { id: "m".into(), receipt: ReceiptHandle("r".into()), body: "b".into(), receive_count: 3 };
        assert_eq!(batch_messages(std::slice::from_ref(&record)), Ok(vec![message]));
        for bad in [json!({"body": "b"}), json!({"messageId": ""})] {
            assert_eq!(batch_messages(&[record.clone(), bad]), Err(NoMessageId(1)));
        }
    }

    #[test]
    fn the_answer_names_what_comes_again() {
        let answer = batch_answer(["a".to_owned()]);
        assert_eq!(answer.to_string(), r#"{"batchItemFailures":[{"itemIdentifier":"a"}]}"#);
    }
}
