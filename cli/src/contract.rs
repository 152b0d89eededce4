//! `sluice contract`: a source is held against the contract of its feed.

mod document;
pub(crate) mod save;
mod text;

use std::sync::Arc;

use shared::{Progress, Settings, Stores};
use splitter::{Gate, SplitContext, SplitError};
use worker::{LoadContext, TableStore, Tables};

use crate::args::{self, ContractCheckArgs};
use crate::error::{CliError, Done};
use crate::expected::tried;
use crate::gate::{TableGate, not_split, shaping};
use crate::output::Output;
use crate::stop;
use document::{Document, Held};

/// Runs `sluice contract check`.
pub(crate) async fn check(args: &ContractCheckArgs, output: Output) -> Done {
    let storage = Stores::from_env();
    let settings = splitter::under_contract(storage.as_ref(), args.settings()?).await.map_err(CliError::Split)?;
    let Some(contract) = settings.read.contract.clone() else { return Err(CliError::NoContract) };
    let source = args::location(&args.source)?;
    let context = SplitContext {
        threads: splitter::threads(&settings, args::cores()),
        progress: Arc::new(Progress::default()),
        stop: stop::on_signal(),
        // Nothing is written: no work area is come to.
        ..SplitContext::new(storage, source.clone(), settings)
    };
    let held = match held(&context, &source).await {
        Ok(plan) => Held::Read(plan),
        Err(CliError::Split(SplitError::Deviates(deviation))) => {
            Held::Refused(deviation.differences.clone(), deviation.to_string())
        }
        Err(CliError::Split(error)) if error.is_bad_input() => Held::Refused(Vec::new(), error.to_string()),
        Err(error) => return Err(error),
    };
    let expectations = match &held {
        Held::Read(plan) => {
            let load = LoadContext::new(context.storage.clone(), context.settings.clone(), TableStore::from_env());
            let shaping = shaping(&load, &plan.examination.source).await.map_err(not_split)?;
            tried(&context.settings, plan, &shaping)?
        }
        Held::Refused(..) => None,
    };
    let document = Document { expectations, ..Document::new(&source, &contract, held) };
    output.result(&document, &text::text(&document))?;
    match document.outcome.exit_status {
        0 => Ok(()),
        status => Err(CliError::Held { at: source, reason: document.outcome.reason.unwrap_or_default(), status }),
    }
}

async fn held(context: &SplitContext, source: &shared::Location) -> Result<Box<splitter::Plan>, CliError> {
    let plan = splitter::plan(context, source).await.map_err(CliError::Split)?;
    if let Some(table) = context.settings.table.clone() {
        TableGate::new(context, Tables::default(), table).admit(&plan.examination).await.map_err(not_split)?;
    }
    Ok(Box::new(plan))
}

/// Settings under their contract, if they have one.
pub(crate) async fn settled(settings: Settings) -> Result<Settings, CliError> {
    splitter::under_contract(Stores::from_env().as_ref(), settings).await.map_err(CliError::Split)
}
