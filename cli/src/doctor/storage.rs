//! The buckets of chunks and table.

use std::sync::Arc;

use aws_sdk_s3::types::{ExpirationStatus, LifecycleRule};
use shared::{FirstWins, Location, Settings, Storage, error_chain};
use worker::{LoadContext, TableStore};

use super::aws::{Aws, Refusal};
use super::findings::{Finding, Status, Subject};
use super::functions::Functions;
use super::queues::Queues;

const DAY_SECONDS: u64 = 86_400;

/// Objects that expire by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expiry {
    prefix: String,
    days: u64,
}

/// Looks at both buckets, and unless only reading is allowed tries what commits rest on.
pub(super) async fn check(
    aws: &Aws,
    functions: &Functions,
    queues: &Queues,
    is_read_only: bool,
    findings: &mut Vec<Finding>,
) {
    if let Some(area @ Location::S3 { .. }) = functions.work_prefix() {
        let kept = queues.chunks.as_ref().map_or(0, |queue| queue.retention_seconds);
        findings.push(check_chunks(aws, &area, kept, queues.chunks_kept_seconds).await);
    }
    if let Some((table @ Location::S3 { .. }, settings)) = functions.table_with_settings() {
        let content = check_table(aws, &table, settings).await;
        let is_there = content.status == Status::Ok;
        findings.push(content);
        if is_there && !is_read_only {
            findings.extend(check_writes(&aws.s3, &table.join("_sluice")).await);
        }
    }
}

async fn check_chunks(aws: &Aws, area: &Location, queue_seconds: u64, longest_seconds: u64) -> Finding {
    let subject = Subject::new("lifecycle", format!("{area}/"));
    let get = aws.s3.client().get_bucket_lifecycle_configuration().bucket(area.bucket());
    let rules = match get.send().await {
        Ok(found) => found.rules.unwrap_or_default(),
        Err(error) => match Refusal::new("s3:GetLifecycleConfiguration", &error) {
            refusal if refusal.reason.starts_with("NoSuchBucket") => {
                return subject.problem("there is no such bucket", "run terraform apply, which makes it");
            }
            refusal if refusal.is_missing() => Vec::new(),
            refusal => return refusal.finding(&subject),
        },
    };
    let expiries: Vec<Expiry> = rules.iter().filter_map(Expiry::new).collect();
    judge_expiry(&subject, &format!("{}/", area.key()), &expiries, queue_seconds, longest_seconds)
}

impl Expiry {
    /// What a rule lets expire; none when it is off, or for some objects only.
    fn new(rule: &LifecycleRule) -> Option<Self> {
        let filter = rule.filter();
        let and = filter.and_then(|filter| filter.and());
        let is_picky =
            filter.is_some_and(|filter| filter.tag().is_some()) || and.is_some_and(|and| !and.tags().is_empty());
        let of_filter = filter.and_then(|filter| filter.prefix()).or_else(|| and.and_then(|and| and.prefix()));
        // The prefix outside the filter is how older rules are written.
        #[expect(deprecated, reason = "a bucket's rules may be older than the filter")]
        let prefix = of_filter.or_else(|| rule.prefix()).unwrap_or_default().to_owned();
        let days = rule.expiration()?.days()?.try_into().ok()?;
        (*rule.status() == ExpirationStatus::Enabled && !is_picky).then_some(Self { prefix, days })
    }
}

/// A chunk has to be there for as long as anybody may ask for it.
fn judge_expiry(
    subject: &Subject,
    area: &str,
    expiries: &[Expiry],
    queue_seconds: u64,
    longest_seconds: u64,
) -> Finding {
    let touching = expiries.iter().filter(|expiry| area.starts_with(&expiry.prefix) || expiry.prefix.starts_with(area));
    let Some(days) = touching.map(|expiry| expiry.days).min() else {
        let says = "chunks never expire, and cost for ever";
        return subject.warning(says, "set chunk_expiration_days: run terraform apply");
    };
    let (says, seconds) = (format!("chunks expire after {}", crate::numbers::counted(days, "day")), days * DAY_SECONDS);
    let hint = "set chunk_expiration_days above 14, the days that a dead letter is kept";
    if seconds < queue_seconds {
        subject.problem(format!("{says}, and their messages may wait {} days", queue_seconds / DAY_SECONDS), hint)
    } else if seconds < longest_seconds {
        let kept = longest_seconds / DAY_SECONDS;
        subject.warning(format!("{says}, and dead letters are kept for {kept}: a replay finds no chunk"), hint)
    } else {
        subject.ok(says)
    }
}

/// Whether the table opens, or there is room for one.
async fn check_table(aws: &Aws, table: &Location, settings: Settings) -> Finding {
    let subject = Subject::new("content", table.to_string());
    let head = aws.s3.client().head_bucket().bucket(table.bucket()).send().await;
    if let Err(error) = head {
        let refusal = Refusal::new("s3:ListBucket", &error);
        let hint = "set create_table_bucket = true, or table_uri to a bucket that is there";
        let missing = || subject.problem("there is no such bucket", hint);
        return if refusal.is_missing() { missing() } else { refusal.finding(&subject) };
    }
    let context = LoadContext::new(Arc::new(aws.s3.clone()), settings, TableStore::from_env());
    match worker::table_version(&context, table).await {
        Ok(Some(version)) => subject.ok(format!("a table, at version {version}")),
        Ok(None) => subject.ok("no table yet; the first chunk makes it"),
        Err(error) => subject.problem(
            format!("the table does not open: {}", error_chain(&error)),
            "see that table_uri is right, that its bucket is there, and that you may s3:GetObject and s3:ListBucket",
        ),
    }
}

/// Two writers agree on a commit by who is first to put it; a store that lets the second one win loses rows.
async fn check_writes(storage: &dyn Storage, below: &Location) -> Vec<Finding> {
    let subject = Subject::new("conditional writes", format!("{below}/"));
    let tried = match FirstWins::test(storage, below).await {
        Ok(tried) => tried,
        Err(error) => {
            let says = format!("cannot be tried: {}", error_chain(&error));
            return vec![subject.unknown(says, "allow s3:PutObject to the role that runs this, or use --read-only")];
        }
    };
    let mut findings = vec![judge_writes(&subject, tried.is_heeded)];
    for at in tried.left_over.iter().map(|name| below.join(name)) {
        findings.push(subject.warning(format!("{at} was written and is left over"), "delete it"));
    }
    findings
}

fn judge_writes(subject: &Subject, is_heeded: bool) -> Finding {
    if is_heeded {
        subject.ok("a second writer is refused")
    } else {
        subject.problem(
            "a second writer is not refused: two commits can overwrite each other",
            "keep the table on S3, or on a store that heeds If-None-Match",
        )
    }
}

#[cfg(test)]
mod tests {
    use shared::testing::MemoryStorage;

    use super::*;

    #[test]
    fn expiries() {
        let subject = Subject::new("lifecycle", "s3://c/sluice/");
        let never = "warning  lifecycle of s3://c/sluice/: chunks never expire, and cost for ever";
        for (expiries, says) in [
            (vec![], never),
            (vec![("other/", 1)], never),
            (vec![("sluice/", 30)], "ok       lifecycle of s3://c/sluice/: chunks expire after 30 days"),
            (vec![("", 14)], "ok       lifecycle of s3://c/sluice/: chunks expire after 14 days"),
            (
                vec![("", 30), ("sluice/j", 13)],
                "warning  lifecycle of s3://c/sluice/: chunks expire after 13 days, and dead letters are kept \
                 for 14: a replay finds no chunk",
            ),
            (
                vec![("sl", 3)],
                "problem  lifecycle of s3://c/sluice/: chunks expire after 3 days, and their messages may wait 4 days",
            ),
        ] {
            let expiries: Vec<Expiry> =
                expiries.into_iter().map(|(prefix, days)| Expiry { prefix: prefix.to_owned(), days }).collect();
            let found = judge_expiry(&subject, "sluice/", &expiries, 4 * DAY_SECONDS, 14 * DAY_SECONDS);
            assert_eq!(found.text().lines().next(), Some(says), "{expiries:?}");
        }
    }

    #[test]
    fn second_writers() {
        let subject = Subject::new("conditional writes", "s3://b/t/_sluice/");
        for (is_heeded, status) in [(true, Status::Ok), (false, Status::Problem)] {
            assert_eq!(judge_writes(&subject, is_heeded).status, status);
        }
    }

    #[tokio::test]
    async fn what_is_tried_is_cleared_away() {
        let (storage, below) = (MemoryStorage::default(), "s3://b/t/_sluice".parse().unwrap());
        let found = check_writes(&storage, &below).await;
        assert_eq!(found.iter().map(|finding| finding.status).collect::<Vec<_>>(), [Status::Ok]);
        assert_eq!(storage.list(&below).await.unwrap(), []);
    }
}
