//! Routes: read from their store.

use bytes::Bytes;

use crate::storage::{Storage, StorageError};

use super::at::RoutesAt;
use super::dynamodb::{RoutesTableError, routes_of_table};

/// Why routes cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RoutesReadError {
    /// Their file cannot be.
    #[error(transparent)]
    Store(#[from] StorageError),
    /// Their table cannot be, or its items are no routes.
    #[error(transparent)]
    Table(#[from] RoutesTableError),
}

/// The text of the routes that are kept at a place: that of their file, or of the file that the items of a table make.
pub async fn routes_text(storage: &dyn Storage, at: &RoutesAt) -> Result<Bytes, RoutesReadError> {
    match at {
        RoutesAt::File(file) => Ok(storage.get(file).await?),
        RoutesAt::DynamoDb(table) => Ok(Bytes::from(routes_of_table(table).await?)),
    }
}
