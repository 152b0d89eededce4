//! The tables that a dropped object goes to, each with what it is split by.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use shared::{
    JobId, Location, PutMode, RouteError, RouteTarget, Routes, SourceObject, StorageError, put_json, try_get_json,
};

use super::kept::KeptRoutes;
use crate::context::SplitContext;
use crate::error::SplitError;
use crate::open::latest;

/// By which routes an object was first split, beside the work areas: an attempt that comes later, when the routes have changed, ends
/// what was begun.
#[derive(Debug, Serialize, Deserialize)]
struct SourcePin {
    /// Version of this document, 1.
    version: u32,
    source: Location,
    /// Version of the routes.
    routes: String,
}

/// What an object is split by, for each table that it goes to: by its routes, or as the splitter is set up where there are none. Never
/// empty.
pub(crate) async fn contexts(
    split: &SplitContext,
    kept: Option<&KeptRoutes>,
    at: &Location,
) -> Result<Vec<SplitContext>, SplitError> {
    let Some(kept) = kept else { return Ok(vec![split.clone()]) };
    let storage = split.storage.as_ref();
    let current = kept.current(storage, SystemTime::now()).await?;
    let source = SourceObject::look_up(storage, at).await.map_err(SplitError::Source)?;
    let pin_at = pin_at(split, &source);
    let pin: Option<SourcePin> = try_get_json(storage, &pin_at, "pinned routes").await.map_err(SplitError::WorkArea)?;
    if let Some(pin) = pin.as_ref().filter(|pin| pin.routes != current.version)
        && let Some(begun) = kept.stored(storage, &pin.routes).await?
        && let Ok(targets) = begun.targets(at)
        && is_under_way(split, &source, &targets).await.map_err(SplitError::WorkArea)?
    {
        return targets.iter().map(|target| context(split, &begun, at, target)).collect();
    }
    // A route may have been added since the routes were last read.
    let (current, targets) = match current.targets(at) {
        Err(error) if matches!(*error, RouteError::NoRoute { .. }) => {
            let renewed = kept.renewed(storage, SystemTime::now()).await?;
            let targets = renewed.targets(at)?;
            (renewed, targets)
        }
        targets => (current, targets?),
    };
    if pin.is_none_or(|pin| pin.routes != current.version) {
        let pin = SourcePin { version: 1, source: source.uri, routes: current.version.clone() };
        put_json(storage, &pin_at, &pin, PutMode::Overwrite).await.map_err(SplitError::WorkArea)?;
    }
    targets.iter().map(|target| context(split, &current, at, target)).collect()
}

fn pin_at(split: &SplitContext, source: &SourceObject) -> Location {
    // A name that follows from the source alone.
    let name = JobId::derive(source, &source.uri, 1);
    split.work_prefix.join(&format!("_routes/sources/{name}.json"))
}

/// Whether one of the jobs was begun, and one did not come to its end.
async fn is_under_way(
    split: &SplitContext,
    source: &SourceObject,
    targets: &[RouteTarget],
) -> Result<bool, StorageError> {
    let storage = split.storage.as_ref();
    let (mut begun, mut ended) = (0, 0);
    for target in targets {
        let (Some((_, area)), _) = latest(split, source, &target.table).await? else { continue };
        begun += 1;
        ended += usize::from(storage.exists(&area.manifest()).await? || storage.exists(&area.undone()).await?);
    }
    Ok(begun > 0 && ended < targets.len())
}

fn context(
    split: &SplitContext,
    routes: &Routes,
    at: &Location,
    target: &RouteTarget,
) -> Result<SplitContext, SplitError> {
    let settings = target.settings(&split.settings).map_err(|error| {
        Box::new(RouteError::Refused {
            object: at.clone(),
            routes: routes.at.clone(),
            line: routes.find(&target.route.name).map_or(1, |route| route.line),
            name: target.route.name.clone(),
            reason: error.to_string(),
        })
    })?;
    let (table, route, routes) = (target.table.to_string(), &target.route.name, &target.route.version);
    tracing::info!(object = %at, route, routes, table, "routed");
    Ok(SplitContext { table: settings.table.clone(), settings, ..split.clone() })
}
