//! Notices of jobs that are done, sent to an SNS topic.

use async_trait::async_trait;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::Region;
use aws_sdk_sns::types::MessageAttributeValue;
use serde::Serialize;
use tokio::sync::OnceCell;

use crate::aws::{aws_error_message, aws_settings};
use crate::job::JobId;
use crate::receipt::Receipt;

/// Most characters of a subject, by SNS.
const SUBJECT_CHARACTERS: usize = 99;

/// What a topic receives about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The job: a topic recognises by it what was sent twice.
    pub job_id: JobId,
    /// One line for people, ASCII as SNS wants it.
    pub subject: String,
    /// JSON: the receipt without the reading, for a message has not room for all columns, and `"kind": "sluice.completion"`.
    pub body: String,
}

impl Notice {
    /// The notice that goes with a receipt.
    pub fn of(receipt: &Receipt) -> Self {
        #[derive(Serialize)]
        struct Body<'a> {
            kind: &'static str,
            #[serde(flatten)]
            receipt: &'a Receipt,
        }
        let Receipt { job_id, rows, .. } = receipt;
        let subject = format!("Sluice: {} rows loaded, {} rejected, job {job_id}", rows.committed, rows.quarantined);
        let subject = subject.chars().filter(char::is_ascii).take(SUBJECT_CHARACTERS).collect();
        let receipt = &Receipt { reading: None, ..receipt.clone() };
        let body = serde_json::json!(Body { kind: "sluice.completion", receipt }).to_string();
        Self { job_id: job_id.clone(), subject, body }
    }
}

/// The notice of a job could not be sent.
#[derive(Debug, thiserror::Error)]
#[error("cannot publish to topic {topic}: {reason}")]
pub struct NoticeError {
    /// ARN of the topic.
    pub topic: String,
    /// What the topic's service said.
    pub reason: String,
}

/// Where notices go.
#[async_trait]
pub trait Topic: std::fmt::Debug + Send + Sync {
    /// Its ARN.
    fn arn(&self) -> &str;

    /// Sends a notice; when this succeeds, it is durable.
    async fn publish(&self, notice: &Notice) -> Result<(), NoticeError>;
}

/// A topic on SNS. In a FIFO topic a notice that is sent twice within five minutes arrives once.
#[derive(Debug)]
pub struct SnsTopic {
    arn: String,
    client: OnceCell<Client>,
}

impl SnsTopic {
    /// A topic, with the usual AWS environment variables, profiles and `AWS_ENDPOINT_URL`, which are read when it is first
    /// written to.
    pub fn new(arn: &str) -> Self {
        Self { arn: arn.to_owned(), client: OnceCell::new() }
    }

    /// The client, in the topic's own region.
    async fn client(&self) -> &Client {
        let connect = || async {
            let config = aws_sdk_sns::config::Builder::from(aws_settings().await);
            let region = self.arn.split(':').nth(3).filter(|region| !region.is_empty());
            Client::from_conf(match region {
                Some(region) => config.region(Region::new(region.to_owned())).build(),
                None => config.build(),
            })
        };
        self.client.get_or_init(connect).await
    }
}

#[async_trait]
impl Topic for SnsTopic {
    fn arn(&self) -> &str {
        &self.arn
    }

    async fn publish(&self, notice: &Notice) -> Result<(), NoticeError> {
        let failed = |reason: String| NoticeError { topic: self.arn.clone(), reason };
        let job_id = notice.job_id.as_str();
        let attribute = MessageAttributeValue::builder().data_type("String").string_value(job_id).build();
        let attribute = attribute.map_err(|error| failed(error.to_string()))?;
        let mut publish = self.client().await.publish().topic_arn(&self.arn);
        publish = publish.subject(&notice.subject).message(&notice.body).message_attributes("job_id", attribute);
        if self.arn.rsplit_once('.').is_some_and(|(_, ending)| ending == "fifo") {
            publish = publish.message_group_id(job_id).message_deduplication_id(job_id);
        }
        publish.send().await.map(drop).map_err(|error| failed(aws_error_message(&error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipt::Rows;

    #[test]
    fn a_notice() {
        let receipt = Receipt {
            version: 1,
            job_id: JobId::from("orders-0123456789abcdef".to_owned()),
            source: "s3://drops/orders.csv".parse().unwrap(),
            table: Some("s3://lake/orders".parse().unwrap()),
            rows: Rows { read: 12, committed: 10, filtered: 1, quarantined: 1, ..Rows::default() },
            row_hash: Some(crate::row_hash::RowHash(7)),
            chunks: 2,
            table_version: Some(3),
            writer: "w".to_owned(),
            is_noticed: true,
            route: None,
            expectations: None,
            reading: None,
            run: None,
        };
        let notice = Notice::of(&receipt);
        insta::assert_snapshot!(notice.subject, @"Sluice: 10 rows loaded, 1 rejected, job orders-0123456789abcdef");
        insta::assert_snapshot!(notice.body, @r#"{"chunks":2,"is_noticed":true,"job_id":"orders-0123456789abcdef","kind":"sluice.completion","row_hash":"00000000000000000000000000000007","rows":{"added":0,"committed":10,"filtered":1,"quarantined":1,"read":12},"source":"s3://drops/orders.csv","table":"s3://lake/orders","table_version":3,"version":1,"writer":"w"}"#);
    }
}
