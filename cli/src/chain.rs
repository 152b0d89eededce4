//! `sluice chain`: brings tables up to date with the tables that they are made of.

mod document;
mod text;

use std::time::Duration;

use shared::{Chain, Routes, RoutesAt, Settings, Stores, Verdict, error_chain};
use tokio_util::sync::CancellationToken;
use worker::{Followed, Following, LoadContext, follow, write_due_checkpoint};

use self::document::{ChainDocument, RouteDocument};
use crate::args::ChainArgs;
use crate::error::{CliError, Done};
use crate::output::Output;
use crate::stop;
use crate::undo::context;

/// Runs the command.
pub(crate) async fn run(args: &ChainArgs, output: Output) -> Done {
    let settings = args.settings()?;
    let at = settings.routes.clone().ok_or(CliError::NoRoutes)?;
    let following = Following { accept_loss: args.accept_loss, dry_run: args.dry_run };
    let (context, stop) = (context(settings), stop::on_signal());
    let mut routes = read(&at).await?;
    loop {
        let document = run_once(&context, &routes, following, &stop).await?;
        let ended = document.ended();
        match args.every {
            None => {
                output.result(&document, &text::text(&document))?;
                document.show_errors();
                return ended;
            }
            Some(_) if document.has_news() => output.again(&document, &text::text(&document))?,
            Some(_) => {}
        }
        document.show_errors();
        if rest(args.every, &stop).await {
            return Ok(());
        }
        match read(&at).await {
            Ok(read) => routes = read,
            // What was in use stays so.
            Err(error) => {
                tracing::warn!(reason = error_chain(&error), "the routes cannot be used; those of before are");
            }
        }
    }
}

/// Waits; gives whether it is time to stop.
async fn rest(every: Option<Duration>, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        () = tokio::time::sleep(every.unwrap_or_default()) => false,
    }
}

async fn read(at: &RoutesAt) -> Result<Routes, CliError> {
    let routes = splitter::read_routes(Stores::from_env().as_ref(), at).await.map_err(CliError::Split)?;
    if routes.chains.is_empty() { Err(CliError::NoChains { at: at.to_string() }) } else { Ok(routes) }
}

/// Runs each route once, in their order, until asked to stop.
async fn run_once(
    context: &LoadContext,
    routes: &Routes,
    following: Following,
    stop: &CancellationToken,
) -> Result<ChainDocument, CliError> {
    let mut document = ChainDocument::new(routes, following.dry_run);
    for chain in &routes.chains {
        if stop.is_cancelled() {
            document.is_stopped = true;
            break;
        }
        let settings = chain.settings(&context.settings, &routes.version).map_err(CliError::Settings)?;
        document.routes.push(run_one(context, chain, settings, following).await);
    }
    Ok(document)
}

async fn run_one(context: &LoadContext, chain: &Chain, settings: Settings, following: Following) -> RouteDocument {
    let context = LoadContext { settings, ..context.clone() };
    let (followed, stopped): (Followed, Option<Verdict>) = Box::pin(follow(&context, chain, following)).await;
    if followed.table_version.is_some()
        && let Err(error) = write_due_checkpoint(&context, &chain.table).await
    {
        tracing::warn!(table = %chain.table, reason = error_chain(&error), "no checkpoint was written, though one is due");
    }
    RouteDocument::new(followed, stopped)
}
