//! Queues: SQS, one in memory that behaves as SQS does, and what is done around the messages of either.

pub(crate) mod batch;
pub(crate) mod dead_letters;
pub(crate) mod memory;
pub(crate) mod requeue;
pub(crate) mod sqs;
pub(crate) mod visibility;
