//! `sluice ingest`: sources go down the pipeline.

mod many;
mod one;
pub(crate) mod report;
mod source;
mod summary;

use shared::Stores;

use crate::args::IngestArgs;
use crate::error::Done;
use crate::output::Output;
use crate::sources;

/// Runs the command: one source that is named by itself, or as many as are found.
pub(crate) async fn run(args: &IngestArgs, output: Output) -> Done {
    let mut named = args.sources.clone();
    if let Some(list) = &args.files_from {
        named.extend(sources::listed(list)?);
    } else if let [one] = named.as_slice()
        && sources::is_one(Stores::from_env().as_ref(), one).await?
    {
        return Box::pin(one::run(args, one, output)).await;
    }
    Box::pin(many::run(args, &named, output)).await
}
