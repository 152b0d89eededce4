//! Settings of a source by its routes.

use shared::{RouteTarget, Routes, Settings, Stores, Variable};

use crate::args;
use crate::error::CliError;
use crate::spool::is_pipe;

/// Settings for each table that a source goes to: by its routes, or as they were given where there are no routes. Never empty.
///
/// What a route gives comes before variables. An option that says something else is an error; `gives` says which are given by one.
pub(crate) async fn routed(
    settings: Settings,
    source: &str,
    gives: impl Fn(&str) -> bool,
) -> Result<Vec<Settings>, CliError> {
    if settings.routes.is_some() && is_pipe(source) {
        return Err(CliError::PipeHasNoRoute);
    }
    let routes = read_routes(&settings).await?;
    by_routes(routes.as_ref(), &settings, source, gives)
}

/// The routes that settings name.
pub(crate) async fn read_routes(settings: &Settings) -> Result<Option<Routes>, CliError> {
    let Some(at) = &settings.routes else { return Ok(None) };
    splitter::read_routes(Stores::from_env().as_ref(), at).await.map(Some).map_err(CliError::Split)
}

/// The same as [`routed`], by routes that are read.
pub(crate) fn by_routes(
    routes: Option<&Routes>,
    settings: &Settings,
    source: &str,
    gives: impl Fn(&str) -> bool,
) -> Result<Vec<Settings>, CliError> {
    let Some(routes) = routes else { return Ok(vec![settings.clone()]) };
    let object = args::link(source).map_or_else(|| args::location(source), Ok)?;
    let targets = routes.targets(&object).map_err(|error| CliError::Split(error.into()))?;
    let settings_of = |target: &RouteTarget| {
        check_options(routes, target, settings, &gives)?;
        target.settings(settings).map_err(CliError::Settings)
    };
    targets.iter().map(settings_of).collect()
}

/// Refuses an option that says something else than the route.
fn check_options(
    routes: &Routes,
    target: &RouteTarget,
    settings: &Settings,
    gives: impl Fn(&str) -> bool,
) -> Result<(), CliError> {
    let line = routes.find(&target.route.name).map_or(1, |route| route.line);
    let is_other_table = settings.table.as_ref().is_some_and(|table| *table != target.table);
    let table = ("TABLE_URI", "table", target.table.to_string(), line, is_other_table);
    let keys = target.given.iter().map(|key| {
        let is_other = settings.given(key.variable).is_some_and(|value| value != key.value);
        (key.variable, key.key.as_str(), key.value.clone(), key.line, is_other)
    });
    let mut all = std::iter::once(table).chain(keys);
    let Some((variable, key, value, line, _)) = all.find(|(name, .., is_other)| *is_other && gives(name)) else {
        return Ok(());
    };
    let option = Variable::find(variable).and_then(|variable| variable.option).map_or(variable, |option| option.name);
    let (at, route, told) = (&routes.at, &target.route.name, settings.given(variable).unwrap_or_default());
    let said = format!("{at}, line {line}, route '{route}', {key}: it is '{value}', and --{option} says '{told}'");
    Err(CliError::ContradictsRoute(said))
}
