//! The terms that Sluice's splitter and worker share.
//!
//! A [`SourceObject`] bound for one table is a [`Job`]; its [`Policy`] says how it is cut. The splitter writes chunks into
//! the job's [`WorkArea`] and sends a [`ChunkTask`] for each; workers answer every task with a [`Verdict`]. The
//! [`Manifest`] says what was split, the [`Receipt`] that all of it is in the table.

mod arrow_metadata;
mod aws;
mod backoff;
mod cells;
pub mod checksum;
mod chunk_task;
mod column;
pub mod column_chunk;
pub mod compact;
mod completion;
mod contract;
mod dialect;
mod digits;
mod drops;
pub mod durable;
mod encode_pool;
mod examined;
mod expectations;
mod failure;
mod hex;
mod job;
mod lines;
mod location;
mod lookups;
mod manifest;
mod memory;
pub mod metrics;
mod notice;
pub mod page_sizes;
mod pages;
mod policy;
mod progress;
mod provenance;
mod queue;
mod queues;
mod reading;
mod receipt;
mod rejected;
mod resume_point;
mod routes;
mod row_hash;
mod run;
pub mod settings;
mod source_object;
mod storage;
mod stores;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod text_policy;
mod undone;
pub mod values;
mod verdict;
mod words;
mod work_area;

pub use arrow_metadata::{FooterError, INSTANTS_KEY, arrow_metadata, arrow_metadata_of_bytes, int96_are_instants};
pub use aws::{aws_error_message, aws_region, aws_settings, https_client};
pub use backoff::{Backoff, BackoffSettings};
pub use cells::{cells, type_name};
pub use chunk_task::{ChunkIdentity, ChunkTask, ChunkTaskError};
pub use column::{Column, ColumnType, DECIMAL_DIGITS, DateFormat, TypeOrigin, TypedColumn};
pub use completion::{Completion, CompletionError};
pub use contract::notes::Notes;
pub use contract::terms::{
    Contract, ContractColumn, ContractError, ContractExpectation, ContractType, Match, MissingColumns, NewColumns,
    Policies, RESCUED, ReadKey, TypeChanges,
};
pub use dialect::{CsvSettings, Dialect, Setting, as_setting};
pub use digits::{float_prints_back, prints_back};
pub use drops::Drops;
pub use encode_pool::{EncodePool, Panicked, keep_freed_memory};
pub use examined::{Examined, TableFit, Warning};
pub use expectations::{
    ExceededExpectation, Expectation, ExpectationResult, ExpectationResults, Expectations, Literal, OnViolation,
    RowCondition,
};
pub use failure::{Failure, LoadFailure};
pub use job::{Job, JobId, Seal, SealedJob, now_millis};
pub use lines::{LineKind, Lines, SkippedLine, SkippedLines};
pub use location::{Location, LocationError};
pub use lookups::{Lookup, LookupError, LookupFormat, LookupProblem, PinnedLookup};
pub use manifest::{Checkpoint, ChunkEntry, Manifest, QuarantineEntry};
pub use memory::{Memory, MemoryShare, MemoryTooSmall};
pub use notice::{Notice, NoticeError, SnsTopic, Topic};
pub use pages::{guarded, undecodable};
pub use policy::{
    BadRecords, ColumnNames, CommitMode, CsvPolicy, DataFileMode, FieldMap, Format, FormatChoice, Infer, LoadPolicy,
    NdjsonPolicy, OnReplace, OtherKeys, Policy, RescuedField,
};
pub use progress::{Progress, ProgressSnapshot};
pub use provenance::Provenance;
pub use queue::{Message, Queue, QueueError, ReceiptHandle};
pub use queues::batch::{NoMessageId, batch_answer, batch_messages};
pub use queues::dead_letters::{DeadLetter, DeadLetters, Move, MoveState};
pub use queues::memory::MemoryQueue;
pub use queues::requeue::Requeue;
pub use queues::sqs::{QueueAttributes, SqsQueue};
pub use queues::visibility::VisibilityHeartbeat;
pub use reading::{DropNumber, EarlierRows, ReadColumn, Reading};
pub use receipt::{ChunkReceipt, Receipt, Rows};
pub use rejected::{RejectedRecord, RejectedRecords, rejected_schema};
pub use resume_point::{MemberState, ResumePoint};
pub use routes::at::{RoutesAt, RoutesTable};
pub use routes::chain::{Chain, ChainStart, UpstreamChanges};
pub use routes::dynamodb::RoutesTableError;
pub use routes::given::RouteKey;
pub use routes::pinned::{PinnedRoute, routes_at};
pub use routes::read::{RoutesReadError, routes_text};
pub use routes::terms::{
    ExpectedRoute, NO_ROUTE, Route, RouteError, RouteExample, RouteFate, RouteProblem, RouteTarget, Routes, RoutesError,
};
pub use row_hash::RowHash;
pub use run::{Moment, Run, VERSION};
pub use settings::{
    AwsSettings, BadRecordLimit, LoadSettings, ReadSettings, Settings, SettingsError, VARIABLES, Variable,
};
pub use source_object::SourceObject;
pub use storage::{
    Copied, NOT_EXCLUSIVE_HINT, ObjectStat, ObjectVersion, PutMode, Storage, StorageError, StoredObject, Upload,
    get_json, put_json, try_get_json,
};
pub use stores::Stores;
pub use stores::first_wins::{FirstWins, first_wins, is_own_server};
pub use stores::local::LocalStorage;
pub use stores::s3::S3Storage;
pub use telemetry::{LogFormat, error_chain, init_logs};
pub use text_policy::{Compression, Encoding, TextPolicy};
pub use undone::{Removed, Undone};
pub use verdict::Verdict;
pub use work_area::WorkArea;
