//! The terms that Sluice's splitter and worker share.
//!
//! A [`SourceObject`] bound for one table is a [`Job`]; its [`Policy`] says how it is cut. The splitter writes chunks into
//! the job's [`WorkArea`] and sends a [`ChunkTask`] for each; workers answer every task with a [`Verdict`]. The
//! [`Manifest`] says what was split, the [`Receipt`] that all of it is in the table.

mod arrow_metadata;
mod aws;
mod backoff;
mod chunk_task;
mod column;
mod completion;
mod crew;
mod dialect;
mod drops;
pub mod durable;
mod failure;
mod job;
mod manifest;
mod memory;
mod notice;
mod pages;
mod progress;
mod queue;
mod receipt;
mod restart;
mod row_hash;
pub mod settings;
mod source_object;
mod storage;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod text_policy;
mod undone;
mod verdict;
mod work_area;

pub use arrow_metadata::{FooterError, INSTANTS_KEY, arrow_metadata, arrow_metadata_of_bytes, int96_are_instants};
pub use aws::{aws_settings, said};
pub use backoff::{Backoff, BackoffSettings};
pub use chunk_task::{ChunkIdentity, ChunkTask, ChunkTaskError};
pub use column::{Column, ColumnType, DECIMAL_DIGITS, DateFormat, ToldColumn, TypeOrigin};
pub use completion::{Completion, CompletionError};
pub use crew::{Crew, Panicked, keep_freed_memory};
pub use dialect::{CsvSettings, Dialect, Told};
pub use drops::Drops;
pub use failure::{Failure, LoadFailure};
pub use job::{
    BadRecords, ColumnNames, CommitMode, CsvPolicy, DataFileMode, Format, FormatChoice, Infer, Job, JobId, LoadPolicy,
    NdjsonPolicy, OnReplace, Policy, Seal, SealedJob,
};
pub use manifest::{Checkpoint, ChunkEntry, Manifest, QuarantineEntry};
pub use memory::{Memory, MemoryShare, MemoryTooSmall};
pub use notice::{Notice, NoticeError, SnsTopic, Topic};
pub use pages::{guarded, undecodable};
pub use progress::{Progress, ProgressSnapshot};
pub use queue::{
    DeadLetter, DeadLetters, Held, MemoryQueue, Message, Move, MoveState, PutBack, Queue, QueueAttributes, QueueError,
    ReceiptHandle, SqsQueue,
};
pub use receipt::{ChunkReceipt, Receipt, Rows};
pub use restart::{MemberState, Restart};
pub use row_hash::RowHash;
pub use settings::{BadRecordLimit, Settings, SettingsError, VARIABLES, Variable};
pub use source_object::SourceObject;
pub use storage::{
    Copied, FirstWins, Listed, LocalStorage, Location, LocationError, NOT_EXCLUSIVE_HINT, ObjectStat, ObjectVersion,
    PutMode, S3Storage, Storage, StorageError, Stores, Upload, checksum, first_wins, get_json, is_own_server, put_json,
    try_get_json,
};
pub use telemetry::{LogFormat, error_chain, init_logs, metrics};
pub use text_policy::{Compression, Encoding, TextPolicy};
pub use undone::{Removed, Undone};
pub use verdict::Verdict;
pub use work_area::WorkArea;
