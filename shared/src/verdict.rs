//! What a driver is to do with a message.

use std::time::Duration;

/// The answer to one message. `split` and `load` only give it; acknowledging is the driver's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The work is durable: acknowledge.
    Done,
    /// It may succeed later: give the message back, if possible no sooner than after this time.
    Retry {
        /// The whole cause, as text.
        reason: String,
        /// How long to leave the message alone.
        after: Duration,
        /// Receives after which it is rejected all the same, for it will hardly pass; none for as many as the queue allows.
        most_receives: Option<u32>,
    },
    /// It cannot succeed as things are: a person has to look, so the message is on its way to the dead letters.
    Reject {
        /// The whole cause, as text.
        reason: String,
        /// Whether the source is to blame, which the same bytes will be again.
        bad_input: bool,
    },
}

/// How long a message that cannot be done is left alone before its next receive, on its way to the dead letters.
const REJECTED_AGAIN: Duration = Duration::from_secs(2);

/// How much longer a message is left alone at each receive, and how long at most. It has but a few receives; a failure
/// that lasts minutes is not to use them all up in seconds.
const RETRY_FACTOR: u32 = 4;
const LONGEST_RETRY: Duration = Duration::from_mins(15);

impl Verdict {
    /// How long to leave a message alone that was received for the `receives`-th time; none when it is done.
    pub fn rest(&self, receives: u32) -> Option<Duration> {
        match self {
            Self::Done => None,
            Self::Retry { after, .. } => {
                let factor = RETRY_FACTOR.saturating_pow(receives.saturating_sub(1));
                Some(after.saturating_mul(factor).min(LONGEST_RETRY.max(*after)))
            }
            Self::Reject { .. } => Some(REJECTED_AGAIN),
        }
    }

    /// What stands at the `receives`-th receive.
    #[must_use]
    pub fn at_receive(self, receives: u32) -> Self {
        match self {
            Self::Retry { reason, most_receives: Some(most), .. } if receives >= most => {
                Self::Reject { reason, bad_input: false }
            }
            verdict => verdict,
        }
    }

    /// Why the message is not done; none when it is.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Done => None,
            Self::Retry { reason, .. } | Self::Reject { reason, .. } => Some(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_lasts_gets_its_time() {
        let rests = |after| {
            let after = Duration::from_secs(after);
            let verdict = Verdict::Retry { reason: String::new(), after, most_receives: None };
            [1, 2, 3, 4, 9].map(|receives| verdict.rest(receives).unwrap().as_secs())
        };
        assert_eq!(rests(10), [10, 40, 160, 640, 900]);
        assert_eq!(rests(1000), [1000; 5]);
        assert_eq!(rests(0), [0; 5], "what is handed back comes at once");
        assert_eq!(Verdict::Done.rest(1), None);
    }

    #[test]
    fn what_will_hardly_pass_is_rejected_in_the_end() {
        let verdict = |most_receives| Verdict::Retry { reason: "r".to_owned(), after: Duration::ZERO, most_receives };
        let rejected = Verdict::Reject { reason: "r".to_owned(), bad_input: false };
        assert_eq!(verdict(Some(2)).at_receive(1), verdict(Some(2)));
        assert_eq!(verdict(Some(2)).at_receive(2), rejected);
        assert_eq!(verdict(None).at_receive(99), verdict(None));
    }
}
