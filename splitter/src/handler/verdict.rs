//! Verdicts: how a message is answered whose object could not be split.

use std::time::Duration;

use shared::{LookupProblem, QueueError, StorageError, Verdict, error_chain};

use crate::error::{AllRejected, BadInput, SplitError, TooManyBad};

/// How long a message is left alone: after a failure that may pass, when permissions are to be fixed, after a change of
/// the source, whose new version may be complete any moment.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(10);
const RETRY_DENIED_AFTER: Duration = Duration::from_mins(1);
const RETRY_CHANGED_AFTER: Duration = Duration::from_secs(1);

/// Why an object is not split, with what helps.
pub(super) fn reason(error: &SplitError) -> String {
    match error.hint() {
        Some(hint) => format!("{}; hint: {hint}", error_chain(error)),
        None => error_chain(error),
    }
}

/// The same for the log, which has no values of records: without what is wrong with single ones.
pub(super) fn logged(error: &SplitError) -> String {
    match error {
        SplitError::TooManyBad(why) if !why.first.is_empty() => {
            reason(&SplitError::TooManyBad(Box::new(TooManyBad { first: Vec::new(), at: why.at.clone(), ..**why })))
        }
        SplitError::AllRejected(why) if !why.first.is_empty() => {
            reason(&SplitError::AllRejected(Box::new(AllRejected { first: Vec::new(), at: why.at.clone(), ..**why })))
        }
        SplitError::BadInput(why) if why.record.is_some() => {
            let (at, column) = (why.at.clone(), why.column.clone());
            let reason_elsewhere = "rejected; the dead letter's note has the reason".to_owned();
            reason(&BadInput { at, column, reason: reason_elsewhere, ..**why }.into())
        }
        _ => reason(error),
    }
}

/// The answer to a message whose object could not be split: the one place that separates what may pass from what a
/// person has to look at. `announced` says that S3 itself named the object, so that its absence is not a mistake.
pub(super) fn verdict(error: &SplitError, announced: bool) -> Verdict {
    let retry = |after| Verdict::Retry { reason: reason(error), after, most_receives: None };
    match error {
        SplitError::Source(StorageError::NotFound { .. }) if announced => Verdict::Done,
        SplitError::Source(StorageError::NotFound { .. })
        | SplitError::BadInput(_)
        | SplitError::Deviates(_)
        | SplitError::Contract(_)
        | SplitError::Route(_)
        | SplitError::TooManyBad(_)
        | SplitError::AllRejected(_)
        | SplitError::OtherEncoder { .. }
        | SplitError::Memory { .. }
        | SplitError::WorkArea(StorageError::Malformed { .. } | StorageError::NotExclusive { .. })
        | SplitError::Table(StorageError::Malformed { .. }) => {
            Verdict::Reject { reason: reason(error), bad_input: error.is_bad_input() }
        }
        SplitError::Source(StorageError::Changed { .. }) => retry(RETRY_CHANGED_AFTER),
        SplitError::Lookup(lookup) => match lookup.problem {
            LookupProblem::Store => retry(RETRY_AFTER),
            // It may come yet; if it does not, the message is kept for replay.
            LookupProblem::Missing(_) => retry(RETRY_DENIED_AFTER),
            _ => Verdict::Reject { reason: reason(error), bad_input: false },
        },
        // A process that has read good routes before goes on with these.
        SplitError::ContractStore(_)
        | SplitError::Routes(_)
        | SplitError::RoutesStore(_)
        | SplitError::RoutesTable(_)
        | SplitError::Source(StorageError::Denied { .. } | StorageError::NoBucket { .. })
        | SplitError::WorkArea(StorageError::Denied { .. } | StorageError::NoBucket { .. })
        | SplitError::Table(StorageError::Denied { .. } | StorageError::NoBucket { .. })
        | SplitError::Queue(QueueError::Denied { .. } | QueueError::Missing { .. }) => retry(RETRY_DENIED_AFTER),
        SplitError::Stopped { .. } => retry(Duration::ZERO),
        SplitError::Source(_)
        | SplitError::WorkArea(_)
        | SplitError::Table(_)
        | SplitError::Queue(_)
        | SplitError::Notice(_)
        | SplitError::Gate(_)
        | SplitError::Internal { .. } => retry(RETRY_AFTER),
    }
}

/// The answer to a message with two objects: a retry comes before a reject, for the sake of the object that it may help.
pub(super) fn graver(one: Verdict, other: Verdict) -> Verdict {
    match (&one, &other) {
        (Verdict::Done, _) | (Verdict::Reject { .. }, Verdict::Retry { .. }) => other,
        _ => one,
    }
}

#[cfg(test)]
mod tests {
    use shared::Location;

    use super::*;
    use crate::contract::difference::Deviation;

    #[test]
    fn no_value_of_a_record_is_logged() {
        let at: Location = "s3://b/k".parse().unwrap();
        let first = vec!["record 2, byte 9, column 'price': 'secret' is not a number".to_owned()];
        let bad = BadInput {
            record: Some(2),
            column: Some("price".to_owned()),
            ..BadInput::at_byte(&at, 9, "'secret' is not a number", "")
        };
        let errors: [SplitError; 2] =
            [SplitError::AllRejected(Box::new(AllRejected { at: at.clone(), read: 3, first, chunks: 0 })), bad.into()];
        let told = errors.each_ref().map(|error| (reason(error).contains("secret"), logged(error)));
        insta::assert_debug_snapshot!(told);
    }

    #[test]
    fn every_error_has_its_verdict() {
        let at: Location = "s3://b/k".parse().unwrap();
        let not_found = || StorageError::NotFound { at: at.clone() };
        let denied = || StorageError::Denied { at: at.clone(), source: "no".into() };
        let unavailable = || StorageError::Unavailable { at: at.clone(), action: "read", source: "503".into() };
        let changed = StorageError::Changed { at: at.clone(), version: "v".to_owned() };
        let damaged = StorageError::Malformed { at: at.clone(), what: "job", source: "EOF".into() };
        let queue = shared::QueueError::Unavailable { queue: "q".to_owned(), action: "send to", source: "503".into() };
        let no_queue = QueueError::Missing { queue: "q".to_owned(), source: "no".into() };
        for (error, expected) in [
            (SplitError::Source(not_found()), "done"),
            (SplitError::WorkArea(not_found()), "retry 10"),
            (SplitError::Source(denied()), "retry 60"),
            (SplitError::WorkArea(denied()), "retry 60"),
            (SplitError::Source(unavailable()), "retry 10"),
            (SplitError::WorkArea(unavailable()), "retry 10"),
            (SplitError::Source(changed), "retry 1"),
            (SplitError::WorkArea(damaged), "reject"),
            (SplitError::Queue(queue), "retry 10"),
            (SplitError::Queue(no_queue), "retry 60"),
            (SplitError::Stopped { chunks: 2, advanced: 1 }, "retry 0"),
            (SplitError::internal(&at, "?"), "retry 10"),
            (BadInput::whole(&at, "no CSV", "").into(), "reject"),
            (SplitError::ContractStore(not_found()), "retry 60"),
            (Deviation { at: at.clone(), contract: at.clone(), differences: Vec::new() }.into(), "reject"),
        ] {
            let told = match verdict(&error, true) {
                Verdict::Done => "done".to_owned(),
                Verdict::Retry { after, .. } => format!("retry {}", after.as_secs()),
                Verdict::Reject { .. } => "reject".to_owned(),
            };
            assert_eq!(told, expected, "{error:?}");
        }
        assert!(matches!(verdict(&SplitError::Source(not_found()), false), Verdict::Reject { .. }));
    }
}
