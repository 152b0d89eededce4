//! What may help against each error of a command.

use std::borrow::Cow;

use shared::{QueueError, error_chain};
use splitter::SplitError;
use worker::LoadError;

use crate::error::CliError;

/// What may help.
pub(crate) fn hint(error: &CliError) -> Option<Cow<'_, str>> {
    let of_cause = match error {
        CliError::Chunks { hint, .. } | CliError::Chain { hint, .. } => hint.as_deref().map(Cow::Borrowed),
        CliError::Table(cause) | CliError::Maintain(cause) | CliError::Undo(cause) => cause.hint().map(Cow::Owned),
        CliError::Split(cause) => cause.hint(),
        CliError::Config(cause) => Some(Cow::Owned(cause.hint())),
        CliError::Sources(cause) => cause.hint().map(Cow::Borrowed),
        CliError::AllRejected { show, .. } => Some(Cow::Owned(format!(
            "`{show}` shows more of them; ingest the file with other options, or with --max-bad-records 100% if all \
             may be rejected"
        ))),
        _ => None,
    };
    let hint = of_cause.or_else(|| hint_on_jobs(error).map(Cow::Borrowed));
    hint.or_else(|| hint_on_access(&error_chain(error)).map(Cow::Borrowed))
}

/// What may help with jobs.
fn hint_on_jobs(error: &CliError) -> Option<&'static str> {
    match error {
        CliError::NoTable => Some(
            "set --table TABLE_URI, or the variable TABLE_URI; `sluice ingest` also takes tables from --routes FILE",
        ),
        CliError::NoTableOrArea => {
            Some("set --table TABLE_URI or TABLE_URI, for the work area below it; or set --work-dir DIR")
        }
        CliError::Split(SplitError::Stopped { .. }) | CliError::Stopped { .. } | CliError::ReplayStopped { .. } => {
            Some("run the same command again; it continues where this one stopped")
        }
        CliError::Sql(_) => Some("`sluice plan SOURCE` shows the columns, docs/sql.md the SQL"),
        CliError::Chunks { committed: 0, .. } => {
            Some("nothing of the job is in the table: to start it again, run ingest with other options")
        }
        CliError::Chunks { .. } | CliError::Incomplete { .. } => Some(
            "fix the cause and run the same command again; chunks that are in the table stay as they are; the job keeps its SQL and its settings: to change them, `sluice undo` it, then ingest with --again",
        ),
        CliError::TableLost { .. } => {
            Some("another process loads the same file: run the same command again once it is done")
        }
        CliError::Contradicts { found, .. } if found.contract.is_none() => Some(
            "leave the option out if the job is to stay as it is; else `sluice undo` the job, then ingest the file with --again and the \
             option",
        ),
        CliError::Undone { .. } => Some("it stays undone; to load the file again, as another job, use --again"),
        CliError::NothingAdded { .. } => Some(
            "there is nothing to undo; `sluice status` shows how far it got, and sluice ingest of its source continues it",
        ),
        CliError::Undo(LoadError::Unknown { .. }) => {
            Some("sluice status SOURCE --table TABLE_URI names the job of a file")
        }
        CliError::Undo(LoadError::Mingled { .. }) => {
            Some("nothing was changed; what the job added has to be deleted by its values, or the table restored")
        }
        CliError::Panic(_) => {
            Some("no chunk is half in the table; please report it, with the output of the same command with -vv")
        }
        CliError::TooManyBad { .. } => Some("`sluice quarantine show` shows the reasons, each with examples"),
        _ => hint_on_names(error)
            .or_else(|| hint_on_contract(error))
            .or_else(|| hint_on_routes(error))
            .or_else(|| hint_on_tuning(error))
            .or_else(|| hint_on_lost_rows(error))
            .or_else(|| hint_on_pipe(error))
            .or_else(|| hint_on_replay(error)),
    }
}

/// What may help with the names of jobs.
fn hint_on_names(error: &CliError) -> Option<&'static str> {
    match error {
        CliError::SeveralJobs { .. } | CliError::LatestTie { .. } => Some("give the name of one of these jobs"),
        CliError::AmbiguousJob { .. } => Some("give more of the name; `sluice jobs` lists all"),
        CliError::ShortName { .. } => {
            Some("give its whole name, or more of it: at least four of the digits that follow the name of its file")
        }
        CliError::NoJob { .. } => Some(
            "jobs of a deployment are in its chunk bucket: set CHUNK_BUCKET and CHUNK_PREFIX, or --work-dir; those \
             of sluice ingest are below their table: set --table",
        ),
        _ => None,
    }
}

/// What may help with `sluice tune`.
fn hint_on_tuning(error: &CliError) -> Option<&'static str> {
    match error {
        CliError::TuneDir(_) => {
            Some("samples are written to the directory for temporary files: TMPDIR sets another one")
        }
        CliError::SmallSample { .. } => Some(
            "sizes larger than the sample are predicted from two smaller ones: set a larger --sample-mb or smaller --sizes",
        ),
        _ => None,
    }
}

/// What may help with contracts.
fn hint_on_contract(error: &CliError) -> Option<&'static str> {
    match error {
        CliError::NoContract => {
            Some("set --contract FILE, or the variable CONTRACT_URI; `sluice plan SOURCE --save FILE` writes one")
        }
        CliError::Expectations(_) => Some(
            "`sluice plan SOURCE` shows the columns; expectations see what SQL makes of them; docs/contracts.md lists the keys of [[expect]]",
        ),
        CliError::ContractExists { .. } => Some("--force overwrites it; or name another file"),
        CliError::NotSaved { .. } => Some("set how it is read by options of `sluice plan`, and save again"),
        CliError::Contradicts { .. } => Some(
            "to read the file by the contract as it is now, `sluice undo` the job, then ingest the file with --again; what is loaded stays \
             as it is otherwise",
        ),
        _ => None,
    }
}

/// What may help with routes.
fn hint_on_routes(error: &CliError) -> Option<&'static str> {
    match error {
        CliError::NoRoutes => {
            Some("set --routes FILE, or the variable ROUTES_URI; docs/routes.md has the keys of the file")
        }
        CliError::PipeHasNoRoute => Some("name its table by --table, and leave --routes or ROUTES_URI out"),
        CliError::ContradictsRoute(_) => Some("leave the option out, or change the route"),
        CliError::NoRoute(error) => Some(error.hint()),
        CliError::ExamplesFail { .. } => Some("change the routes, or what the examples expect"),
        _ => None,
    }
}

/// What may help when a table, or a work area, does not have any more what a job brought in.
fn hint_on_lost_rows(error: &CliError) -> Option<&'static str> {
    match error {
        CliError::TakenOut { holding, .. } if !holding.is_left() => {
            Some("to load the file again, as another job, use --again")
        }
        CliError::TakenOut { holding, .. } | CliError::PartLeft { holding, .. } if holding.files == 0 => Some(
            "rows of this job may be in files that others merged, where `sluice undo` cannot tell them apart: delete them by their \
             values, then ingest the file with --again",
        ),
        CliError::TakenOut { .. } | CliError::PartLeft { .. } | CliError::Restored { .. } => {
            Some("`sluice undo` this job first, which takes out what is left of it; then ingest the file with --again")
        }
        CliError::AreaLost { .. } => {
            Some("run the same command without --again first: it finishes the job, or says why it cannot")
        }
        _ => None,
    }
}

/// What may help with sources that come through a pipe.
fn hint_on_pipe(error: &CliError) -> Option<&'static str> {
    match error {
        CliError::Spool { .. } => Some(
            "it needs room for the whole source: make some, or set --work-dir DIR to a folder on a larger disk; then run the command again",
        ),
        CliError::NoSpool { .. } => Some(
            "set --work-dir DIR to a local folder; or store the file first (`aws s3 cp - s3://BUCKET/KEY`), and ingest it from there",
        ),
        CliError::PipeReplaces => Some("write it to a file that has the same name each time, and ingest that"),
        CliError::Terminal => Some("pipe a file into it (`zcat FILE.gz | sluice ingest - ...`), or name the file"),
        CliError::SpoolStopped => Some("run the same command again"),
        _ => None,
    }
}

/// What may help with replays of rejected records.
fn hint_on_replay(error: &CliError) -> Option<&'static str> {
    match error {
        CliError::NotSplit { .. } => {
            Some("the file has to be split first: run sluice ingest again, with a higher MAX_BAD_RECORDS if needed")
        }
        CliError::BoundForNoTable { .. } => {
            Some("sluice ingest loads the file into a table; records rejected by that can be replayed")
        }
        CliError::ReplayOfUndone { .. } => {
            Some("to load the file again, with other settings if needed, run sluice ingest with --again")
        }
        CliError::ReplayOfOtherCut { .. } => {
            Some("give the work area of the first run with --work-dir; its quarantine has what the table lacks")
        }
        CliError::BoundForOther { .. } => {
            Some("the work area was copied or moved with its table; ingest the file itself into the new one")
        }
        CliError::Replayed { .. } => Some(
            "replay the records that this replay rejected, by its name; or sluice undo it, and replay all records with other options",
        ),
        CliError::HasReplays { .. } => Some("sluice undo these replays first, the last one before the others"),
        _ => hint_on_aws(error),
    }
}

/// What may help with queues and deployments.
fn hint_on_aws(error: &CliError) -> Option<&'static str> {
    match error {
        CliError::NoRegion => {
            Some("set AWS_REGION to the region of buckets and queues, or AWS_PROFILE to a profile that has one")
        }
        CliError::NoCredentials { .. } => Some(
            "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; `aws sso login` renews those of a profile with SSO",
        ),
        CliError::Queue(QueueError::Denied { .. }) => Some(
            "credentials and region have to be those of the queue's account; docs/operations.md has the permissions",
        ),
        CliError::SameQueue { .. } => Some("--to names the queue that they are sent to"),
        CliError::Context(_) => Some("`sluice settings` lists all variables"),
        CliError::NoSingleSource { .. } => Some("set --to QUEUE_URL"),
        CliError::MoveFailed { .. } => {
            Some("SQS knows the origin only of messages that it moved there itself; set --to QUEUE_URL")
        }
        CliError::NoDeployment { is_missing: true, .. } => {
            Some("set --name to the name in Terraform, or --splitter and --worker; AWS_REGION must be their region")
        }
        CliError::NoDeployment { is_missing: false, .. } => Some(
            "set AWS_REGION and credentials of the deployment's account that allow lambda:GetFunctionConfiguration",
        ),
        CliError::Queue(QueueError::Missing { .. }) => {
            Some("check the URL; AWS_REGION has to be the region of the queue")
        }
        _ => None,
    }
}

/// What may help where the libraries that reach stores say no more than this.
fn hint_on_access(said: &str) -> Option<&'static str> {
    let hints = [
        ("has the scheme", ONLY_S3),
        ("it must be s3://", ONLY_S3),
        (
            "A region must be set",
            "set AWS_REGION to the region of the bucket, or AWS_PROFILE to a profile that has one",
        ),
        ("redirect without LOCATION", "the bucket is in another region: set AWS_REGION to that"),
        (
            "the credential provider was not enabled",
            "no AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; and AWS_REGION",
        ),
        (
            "error occurred while loading credentials",
            "no AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; and AWS_REGION",
        ),
    ];
    hints.into_iter().find_map(|(part, hint)| said.contains(part).then_some(hint))
}

const ONLY_S3: &str = "Sluice works on S3, on servers that speak its protocol (AWS_ENDPOINT_URL), and on local paths: copy the file, or keep the table, there";
