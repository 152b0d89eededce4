//! Routes: read from their store.

use bytes::Bytes;
use shared::{Routes, RoutesAt, RoutesTableError, Storage, routes_of_table};

use crate::error::SplitError;

/// The routes that are kept at a place, checked as a whole.
pub async fn read_routes(storage: &dyn Storage, at: &RoutesAt) -> Result<Routes, SplitError> {
    read(storage, at).await.map(|(routes, _)| routes)
}

/// The same with the bytes of their file, or of the file that the items of a table make.
pub(super) async fn read(storage: &dyn Storage, at: &RoutesAt) -> Result<(Routes, Bytes), SplitError> {
    let text = match at {
        RoutesAt::File(file) => storage.get(file).await.map_err(SplitError::RoutesStore)?,
        RoutesAt::DynamoDb(table) => routes_of_table(table).await.map(Bytes::from).map_err(|error| match error {
            RoutesTableError::Routes(error) => error.into(),
            error => SplitError::RoutesTable(error),
        })?,
    };
    Routes::parse_new(&text, at).map(|routes| (routes, text)).map_err(SplitError::from)
}
