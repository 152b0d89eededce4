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
    },
    /// It cannot succeed as things are: a person has to look, so the message is on its way to the dead letters.
    Reject {
        /// The whole cause, as text.
        reason: String,
    },
}
