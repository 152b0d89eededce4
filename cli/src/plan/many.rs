//! Many sources: what would become of the first, and how the others differ from it.

use futures::{StreamExt, stream};
use serde::Serialize;
use shared::{Storage, Stores};

use super::compared::differences;
use super::document::Document;
use super::one::planned;
use super::text;
use crate::args::{self, PlanArgs};
use crate::error::{CliError, Done};
use crate::failure::{Failure, STOPPED, worse};
use crate::numbers::{counted, grouped};
use crate::output::Output;
use crate::sources::{self, Sources};

/// Sources that are examined at once.
const AT_ONCE: usize = 4;

/// The document of a source.
#[derive(Debug, Serialize)]
struct Compared<'a> {
    #[serde(flatten)]
    plan: &'a Document,
    /// In what it differs from the first.
    differences: &'a [String],
}

/// The last document.
#[derive(Debug, Serialize)]
struct Last<'a> {
    summary: &'a Summary,
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    sources: u64,
    /// Read as the first, which counts too.
    alike: u64,
    different: u64,
    failed: u64,
    exit_status: u8,
}

/// Plans sources, in the order of their names.
pub(super) async fn run(args: &PlanArgs, named: &[String], verbose: bool, output: Output) -> Done {
    let storage = Stores::from_env();
    let Sources { files, mut failed } = sources::find(storage.as_ref(), named, &[]).await;
    if let ([_], true) = (named, files.is_empty())
        && let Some((_, error)) = failed.pop()
    {
        return Err(error);
    }
    // What a contract cannot be written to is no fault of a source.
    if let Some(at) = args.save.as_deref().filter(|_| !args.force) {
        let at = args::location(at)?;
        if storage.exists(&at).await.map_err(CliError::ContractWrite)? {
            return Err(CliError::ContractExists { at });
        }
    }
    let mut comparison = Comparison { output, first: None, lines: Vec::new(), summary: Summary::default() };
    for (named, error) in &failed {
        comparison.failed(named, error)?;
    }
    let mut files = files.into_iter();
    // The contract is that of the first that can be read.
    while comparison.first.is_none()
        && let Some(file) = files.next()
    {
        let plan = Box::pin(planned(args, &file.named, args.save.as_deref())).await;
        comparison.add(&file.named, plan)?;
    }
    let plans = files.map(|file| async move {
        let plan = Box::pin(planned(args, &file.named, None)).await;
        (file.named, plan)
    });
    let mut plans = stream::iter(plans).buffered(AT_ONCE);
    while let Some((named, plan)) = plans.next().await {
        comparison.add(&named, plan)?;
    }
    comparison.say(verbose)
}

/// What is known so far.
#[derive(Debug)]
struct Comparison {
    output: Output,
    first: Option<Document>,
    /// Sources that are not as the first, and why.
    lines: Vec<(String, Vec<String>)>,
    summary: Summary,
}

impl Comparison {
    fn add(&mut self, named: &str, plan: Result<Document, CliError>) -> Done {
        let plan = match plan {
            Ok(plan) => plan,
            Err(error) if error.exit_code() == STOPPED => return Err(error),
            Err(error) => return self.failed(named, &error),
        };
        let found = self.first.as_ref().map(|first| differences(first, &plan)).unwrap_or_default();
        self.document(&Compared { plan: &plan, differences: &found })?;
        self.summary.sources += 1;
        if found.is_empty() {
            self.summary.alike += 1;
        } else {
            self.summary.different += 1;
            self.lines.push((plan.source.clone(), found));
        }
        self.first.get_or_insert(plan);
        Ok(())
    }

    fn failed(&mut self, named: &str, error: &CliError) -> Done {
        Output::failure(named, error);
        let failure = Failure::new(Some(named), error);
        self.document(&failure)?;
        self.summary.sources += 1;
        self.summary.failed += 1;
        self.summary.exit_status = worse(self.summary.exit_status, error.exit_code());
        self.lines.push((named.to_owned(), vec![failure.error]));
        Ok(())
    }

    fn document(&self, document: &impl Serialize) -> Done {
        if self.output.json { Output::json_line(document) } else { Ok(()) }
    }

    /// Says what was found, with the status of the worst failure.
    fn say(self, verbose: bool) -> Done {
        let summary = &self.summary;
        self.output.result(&Last { summary }, &self.text(verbose))?;
        if summary.exit_status == 0 {
            return Ok(());
        }
        let said = format!("of {}, {} failed", counted(summary.sources, "source"), grouped(summary.failed));
        Err(CliError::SomeFailed { said, status: summary.exit_status })
    }

    fn text(&self, verbose: bool) -> String {
        let Summary { sources, alike, different, failed, .. } = self.summary;
        let mut lines: Vec<String> = self.first.iter().map(|first| text::text(first, verbose) + "\n").collect();
        let parts = [(alike, "read alike"), (different, "read otherwise"), (failed, "failed")];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{} {what}", grouped(count))).collect();
        lines.push(format!("{}: {}", counted(sources, "source"), parts.join(", ")));
        for (source, reasons) in &self.lines {
            lines.push(format!("  {source}"));
            lines.extend(reasons.iter().map(|reason| format!("    {reason}")));
        }
        lines.join("\n")
    }
}
