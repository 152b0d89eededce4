//! Routes: read from their store.

use bytes::Bytes;
use shared::{Routes, RoutesAt, RoutesReadError, RoutesTableError, Storage, routes_text};

use crate::error::SplitError;

/// The routes that are kept at a place, checked as a whole.
pub async fn read_routes(storage: &dyn Storage, at: &RoutesAt) -> Result<Routes, SplitError> {
    read(storage, at).await.map(|(routes, _)| routes)
}

/// The same with the bytes of their file, or of the file that the items of a table make.
pub(super) async fn read(storage: &dyn Storage, at: &RoutesAt) -> Result<(Routes, Bytes), SplitError> {
    let text = routes_text(storage, at).await.map_err(|error| match error {
        RoutesReadError::Store(error) => SplitError::RoutesStore(error),
        RoutesReadError::Table(RoutesTableError::Routes(error)) => error.into(),
        RoutesReadError::Table(error) => SplitError::RoutesTable(error),
    })?;
    Routes::parse_new(&text, at).map(|routes| (routes, text)).map_err(SplitError::from)
}
