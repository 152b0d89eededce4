//! Routes in a table of `DynamoDB`.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Number, Value};

use super::at::{RoutesAt, RoutesTable};
use super::items::{Item, document};
use super::terms::{RouteProblem, RoutesError};
use crate::aws::{aws_error_message, aws_settings};

/// Most items: routes are compared with each other, and kept in memory.
const MOST_ITEMS: usize = 5_000;

/// Why the routes of a table could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoutesTableError {
    /// There is no such table.
    #[error("DynamoDB has no table '{table}' in this account and region")]
    NotFound {
        /// Its name.
        table: String,
    },
    /// Access was refused.
    #[error("access to the table '{table}' of DynamoDB was denied: {reason}")]
    Denied {
        /// Its name.
        table: String,
        /// What the service answered.
        reason: String,
    },
    /// The same call may succeed later.
    #[error("could not read the table '{table}' of DynamoDB: {reason}")]
    Unavailable {
        /// Its name.
        table: String,
        /// What the service answered, or why it did not.
        reason: String,
    },
    /// The items are no routes.
    #[error(transparent)]
    Routes(#[from] RoutesError),
}

/// The items of a table, written as a routes file. All of them are read as they are now (a consistent scan), by the usual AWS
/// environment variables, profiles and `AWS_ENDPOINT_URL`.
pub(super) async fn routes_of_table(table: &RoutesTable) -> Result<String, RoutesTableError> {
    scanned(aws_settings().await, table).await
}

async fn scanned(config: &SdkConfig, table: &RoutesTable) -> Result<String, RoutesTableError> {
    let name = &table.name;
    let mut items: Vec<Item> = Vec::new();
    // An answer has 1 MB at most, and the paginator asks for the next one.
    let scan = Client::new(config).scan().table_name(name).consistent_read(true);
    let mut found = scan.into_paginator().items().send();
    while let Some(attributes) = found.next().await {
        let attributes = attributes.map_err(|error| failed(name, &error))?;
        items.push(item(attributes).map_err(|reason| unusable(table, reason))?);
        if items.len() > MOST_ITEMS {
            return Err(unusable(table, format!("it has more than {MOST_ITEMS} items")));
        }
    }
    document(items, table.tables.as_ref()).map_err(|reason| unusable(table, reason))
}

fn failed<E>(table: &str, error: &SdkError<E>) -> RoutesTableError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let (table, reason) = (table.to_owned(), aws_error_message(error));
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some("ResourceNotFoundException") => RoutesTableError::NotFound { table },
        Some("AccessDeniedException" | "UnrecognizedClientException") => RoutesTableError::Denied { table, reason },
        _ => RoutesTableError::Unavailable { table, reason },
    }
}

fn unusable(table: &RoutesTable, reason: String) -> RoutesTableError {
    let problem = RouteProblem { line: 1, route: None, key: "the items".to_owned(), reason };
    RoutesError { at: RoutesAt::DynamoDb(table.clone()), problems: vec![problem] }.into()
}

fn item(attributes: HashMap<String, AttributeValue>) -> Result<Item, String> {
    let plain = |(name, value): (String, AttributeValue)| match plain(&value) {
        Some(value) => Ok((name, value)),
        None => Err(format!("the attribute {name} is no text, number, boolean or list of them")),
    };
    attributes.into_iter().map(plain).collect()
}

fn plain(value: &AttributeValue) -> Option<Value> {
    // Numbers are texts in DynamoDB's answers.
    let number = |text: &String| text.parse::<Number>().ok().map(Value::Number);
    match value {
        AttributeValue::S(text) => Some(text.as_str().into()),
        AttributeValue::N(text) => number(text),
        AttributeValue::Bool(value) => Some((*value).into()),
        AttributeValue::L(values) => values.iter().map(plain).collect(),
        // A set has no order, and what is made of it must have one.
        AttributeValue::Ss(texts) => {
            let mut texts = texts.clone();
            texts.sort_unstable();
            Some(texts.into())
        }
        _ => None,
    }
}
