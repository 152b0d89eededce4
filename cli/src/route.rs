//! `sluice route`: what routes say of objects.

mod document;
mod text;

use shared::{Routes, RoutesAt, Stores};

use crate::args::{self, RouteCheckArgs, RouteListArgs, RouteTestArgs};
use crate::config;
use crate::error::{CliError, Done};
use crate::output::Output;
use document::{CheckDocument, ListDocument, TestDocument};

/// Runs `sluice route check`.
pub(crate) async fn check(args: &RouteCheckArgs, output: Output) -> Done {
    let routes = routes(args.settings()?.routes).await?;
    let object = args::location(&args.key)?;
    let targets = routes.targets(&object);
    let document = CheckDocument::new(&routes, &object, targets.as_deref().unwrap_or_default());
    output.result(&document, &text::check(&document))?;
    targets.map(drop).map_err(CliError::NoRoute)
}

/// Runs `sluice route list`.
pub(crate) async fn list(args: &RouteListArgs, output: Output) -> Done {
    let document = ListDocument::new(&routes(args.settings()?.routes).await?);
    output.result(&document, &text::list(&document))
}

/// Runs `sluice route test`.
pub(crate) async fn test(args: &RouteTestArgs, output: Output) -> Done {
    let at = match &args.file {
        Some(at) => Some(args::routes_at(at)?),
        None => config::settings().map_err(CliError::Settings)?.routes,
    };
    let document = TestDocument::new(&routes(at).await?);
    output.result(&document, &text::test(&document))?;
    match document.failing() {
        0 => Ok(()),
        failing => Err(CliError::ExamplesFail { failing }),
    }
}

async fn routes(at: Option<RoutesAt>) -> Result<Routes, CliError> {
    let at = at.ok_or(CliError::NoRoutes)?;
    splitter::read_routes(Stores::from_env().as_ref(), &at).await.map_err(CliError::Split)
}
