//! Which route a job came by.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::location::Location;

/// A route in one version of its file, as a job keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedRoute {
    /// Its name.
    pub name: String,
    /// Version of the routes: a digest of the bytes of their file.
    pub version: String,
}

/// Where a version of the routes is kept beside the work areas, for jobs that came by it. No job's name begins with an underscore.
pub fn routes_at(work_prefix: &Location, version: &str) -> Location {
    work_prefix.join(&format!("_routes/{version}.toml"))
}

impl fmt::Display for PinnedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (routes {})", self.name, self.version)
    }
}
