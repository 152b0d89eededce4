//! `sluice plan`: what would become of sources.

mod compared;
mod document;
mod many;
mod one;
mod text;

use shared::Stores;

use crate::args::PlanArgs;
use crate::error::Done;
use crate::output::Output;
use crate::sources;
use one::planned;

/// Runs the command, for one source or for as many as are found.
pub(crate) async fn run(args: &PlanArgs, verbose: bool, output: Output) -> Done {
    let mut named = args.sources.clone();
    if let Some(list) = &args.files_from {
        named.extend(sources::listed(list)?);
    } else if let [one] = named.as_slice()
        && sources::is_one(Stores::from_env().as_ref(), one).await?
    {
        let document = Box::pin(planned(args, one, args.save.as_deref())).await?;
        return output.result(&document, &text::text(&document, verbose));
    }
    Box::pin(many::run(args, &named, verbose, output)).await
}
