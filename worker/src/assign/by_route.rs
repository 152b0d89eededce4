//! Tables of jobs that came by a route.

use std::collections::HashMap;

use shared::{Job, Location, PinnedRoute, Routes, Storage, routes_at};

use crate::assign::admission::refused;
use crate::error::LoadError;

/// Versions of the routes as they are kept beside the work areas, each read once.
#[derive(Debug, Default)]
pub(crate) struct KnownRoutes(HashMap<Location, Routes>);

impl KnownRoutes {
    /// The table of a job is the one that its route gives its source, in the version that the job came by. So a change of the routes
    /// lets jobs come to their end, and no document of a job leads to a table that the routes did not name.
    pub(crate) async fn check(
        &mut self,
        storage: &dyn Storage,
        chunk: &Location,
        work_prefix: &Location,
        (job, route): (&Job, &PinnedRoute),
    ) -> Result<(), LoadError> {
        let at = routes_at(work_prefix, &route.version);
        if !self.0.contains_key(&at) {
            let text = storage.get(&at).await.map_err(|source| LoadError::reading(&at, source))?;
            let routes = Routes::parse(&text, &at.clone().into()).map_err(|error| refused(chunk, error.to_string()))?;
            self.0.insert(at.clone(), routes);
        }
        let Some(routes) = self.0.get(&at).filter(|routes| routes.version == route.version) else {
            return Err(refused(chunk, format!("{at} is not version {} of the routes", route.version)));
        };
        let targets = routes.targets(&job.source.uri).map_err(|error| refused(chunk, error.to_string()))?;
        let is_named = targets.iter().any(|target| target.route == *route && Some(&target.table) == job.table.as_ref());
        if is_named {
            return Ok(());
        }
        let table = job.table.as_ref().map_or_else(|| "none".to_owned(), Location::to_string);
        Err(refused(chunk, format!("its job is bound for table {table}, which route {route} does not give its source")))
    }
}
