//! Routes: read from their store.

use bytes::Bytes;
use shared::{Location, Routes, Storage};

use crate::error::SplitError;

/// The routes that lie at a place, checked as a whole.
pub async fn read_routes(storage: &dyn Storage, at: &Location) -> Result<Routes, SplitError> {
    read(storage, at).await.map(|(routes, _)| routes)
}

/// The same with the bytes of their file.
pub(super) async fn read(storage: &dyn Storage, at: &Location) -> Result<(Routes, Bytes), SplitError> {
    let text = storage.get(at).await.map_err(SplitError::RoutesStore)?;
    Routes::parse(&text, at).map(|routes| (routes, text)).map_err(SplitError::from)
}
