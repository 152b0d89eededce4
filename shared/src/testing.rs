//! Test support: contract suites that hold every implementation to its trait, and the world that tests run in.

mod buckets_on_disk;
mod emulator;
mod memory_storage;
mod memory_topic;
mod python;
mod queue_contract;
mod storage_contract;

pub use buckets_on_disk::BucketsOnDisk;
pub use emulator::Emulator;
pub use memory_storage::MemoryStorage;
pub use memory_topic::MemoryTopic;
pub use python::{emulator_python, readers_python, run_python};
pub use queue_contract::queue_contract;
pub use storage_contract::storage_contract;
