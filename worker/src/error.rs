//! Why a chunk is not in its table.

use std::any::Any;

use buoyant_kernel::Error as KernelError;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TransactionError;
use shared::{
    ChunkTaskError, CompletionError, FooterError, JobId, Location, LookupError, MemoryTooSmall, NoticeError, Seal,
    StorageError,
};

use crate::maintain::asked::LEAST_RETENTION;
use crate::schema::refusal::Refusal;

/// Why rows cannot be taken out of some tables.
pub(crate) const APPEND_ONLY: &str = "rows can only be added to it (delta.appendOnly), and some would be taken out";

/// Why a table cannot be read by its log alone.
const CATALOG_MANAGED: &str = "the table has the feature catalogManaged, by which a catalog decides on its versions, and which this worker does not support";

/// Why a chunk could not be loaded. Each names the object; causes are in `source`, and advice in [`LoadError::hint`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The message is not a chunk task.
    #[error("message {message} cannot be used")]
    Message {
        /// Name of the message.
        message: String,
        /// What is wrong with it.
        #[source]
        source: ChunkTaskError,
    },
    /// The chunk does not lie where chunks of a job lie.
    #[error("chunk {chunk} is in no work area")]
    Stray {
        /// The chunk.
        chunk: Location,
    },
    /// The message asks for what messages may not ask for.
    #[error("{chunk} is not loaded: {reason}")]
    Refused {
        /// What was asked for.
        chunk: Location,
        /// Why not.
        reason: String,
    },
    /// The chunk is of a job that was begun with other settings, or that the sender of the message made up.
    #[error("{chunk} is not loaded: {reason}")]
    OtherSettings {
        /// The chunk.
        chunk: Location,
        /// What differs.
        reason: String,
        /// The setting that differs, and what it has to be for this chunk.
        setting: String,
    },
    /// Nothing says which table the chunk is bound for.
    #[error("chunk {chunk} is bound for no table")]
    NoTable {
        /// The chunk.
        chunk: Location,
    },
    /// The chunk, or its job, is not there.
    #[error("cannot load {chunk}")]
    Missing {
        /// The chunk, or the document of its job.
        chunk: Location,
        /// What the store answered.
        #[source]
        source: Box<StorageError>,
    },
    /// The store of chunks and receipts did not do its work.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The job is in its table, and who is to be told of it is not.
    #[error(transparent)]
    Notice(NoticeError),
    /// The chunk is not what its task says.
    #[error("chunk {chunk} is damaged: {reason}")]
    Damaged {
        /// The chunk.
        chunk: Location,
        /// What differs.
        reason: String,
    },
    /// The chunk is no Parquet that can be read.
    #[error("chunk {chunk} is not a readable Parquet file")]
    Undecodable {
        /// The chunk.
        chunk: Location,
        /// What the decoder said.
        #[source]
        source: FooterError,
    },
    /// Pages of a Parquet source, which its chunks have as they were, cannot be decoded.
    #[error("{at}, {place}: the values cannot be decoded: {reason}")]
    BadPages {
        /// The source.
        at: Location,
        /// Column and row group, as far as they are known.
        place: String,
        /// What the decoder said.
        reason: String,
    },
    /// The SQL cannot be run on the chunk.
    #[error("{}the SQL cannot be run on chunk {chunk}: {reason}", prefix(.place.as_deref(), ", "))]
    Sql {
        /// Where it is given, if by a route.
        place: Option<String>,
        /// The chunk.
        chunk: Location,
        /// What is wrong with it.
        reason: String,
        /// Names of the columns of the chunk.
        columns: Vec<String>,
    },
    /// The SQL cannot be computed for a row.
    #[error("{}row {row} of chunk {chunk}: the SQL cannot be computed: {reason}", prefix(.place.as_deref(), ", "))]
    SqlValue {
        /// Where it is given, if by a route.
        place: Option<String>,
        /// The chunk.
        chunk: Location,
        /// Number of the row, from 1, among those that could be decoded.
        row: u64,
        /// The expression, if it is known, and what is wrong.
        reason: String,
    },
    /// A look-up of the SQL cannot be used.
    #[error(transparent)]
    Lookup(Box<LookupError>),
    /// What the job expects of rows cannot be judged.
    #[error("the expectations cannot be judged on chunk {chunk}: {reason}")]
    Expectations {
        /// The chunk.
        chunk: Location,
        /// The contract, the expectation, and what is wrong with it.
        reason: String,
    },
    /// Too many rows of a file are against what its contract expects.
    #[error("nothing of job {job} is loaded: its rows are against contract {contract}: {exceeded}")]
    Unexpected {
        /// The job.
        job: JobId,
        /// The contract.
        contract: Location,
        /// The expectations, with their counts.
        exceeded: String,
    },
    /// The columns of the chunk have no place in the table.
    #[error("chunk {chunk} does not fit table {table}: {}", refusal.reason)]
    Unfit {
        /// The chunk.
        chunk: Location,
        /// The table.
        table: Box<Location>,
        /// What does not fit.
        refusal: Refusal,
    },
    /// The table cannot have the columns that it is to be given.
    #[error("table {table} cannot have these columns: {}", refusal.reason)]
    Columns {
        /// The table.
        table: Location,
        /// What stands in the way.
        refusal: Refusal,
    },
    /// A row was to be rejected, and rejected rows are not allowed or have no place.
    #[error("row {row} of chunk {chunk} cannot be taken: column '{column}': {reason}")]
    BadRow {
        /// The chunk.
        chunk: Location,
        /// Number of the row, from 1.
        row: u64,
        /// The column.
        column: String,
        /// What is wrong with the value.
        reason: String,
    },
    /// The table is one that this worker must not write to.
    #[error("table {table} cannot be written to: {reason}")]
    Unsupported {
        /// The table.
        table: Location,
        /// What stands in the way.
        reason: String,
    },
    /// An entry of the table's log has what this worker cannot take, such as an action of a later writer.
    #[error("table {table} cannot be taken: version {version} of its log has {found}")]
    UnknownAction {
        /// The table.
        table: Location,
        /// The version.
        version: u64,
        /// What its entry has.
        found: String,
    },
    /// Of two writers of the same version both would win.
    #[error(
        "table {table} cannot be written to: server {endpoint} ignores If-None-Match, so that commits overwrite each other"
    )]
    NotExclusive {
        /// The table.
        table: Location,
        /// Where its store is.
        endpoint: String,
    },
    /// The table holds rows of this job that were cut in another way.
    #[error("job {job} is in table {table} already, cut in another way")]
    Sealed {
        /// The job.
        job: JobId,
        /// The table.
        table: Location,
    },
    /// An earlier generation, of which nothing was in the table when this one was begun in its place, came into it since.
    #[error("job {former}, in place of which job {job} was begun, is in table {table} now")]
    Overtaken {
        /// The job.
        job: JobId,
        /// The earlier generation.
        former: JobId,
        /// The table.
        table: Location,
    },
    /// The job was undone, and stays so.
    #[error("job {job} was undone in table {table}")]
    Undone {
        /// The job.
        job: JobId,
        /// The table.
        table: Location,
    },
    /// The table knows no such job.
    #[error("job {job} is not in table {table}")]
    Unknown {
        /// The job.
        job: JobId,
        /// The table.
        table: Location,
    },
    /// What the job added cannot be told from what others did since.
    #[error("job {job} cannot be undone in table {table}: {reason}")]
    Mingled {
        /// The job.
        job: JobId,
        /// The table.
        table: Location,
        /// What happened to its files.
        reason: String,
    },
    /// There is no table to look after.
    #[error("there is no table {table}")]
    NoSuchTable {
        /// Where one was looked for.
        table: Location,
    },
    /// Where a table is to be there is a file.
    #[error("table {table} is a file, and a table is a directory")]
    NoDirectory {
        /// Where the table is to be.
        table: Location,
    },
    /// A vacuum that might take what loads under way have made.
    #[error("files of table {table} cannot be vacuumed after less than {} minutes", LEAST_RETENTION.as_secs() / 60)]
    Retention {
        /// The table.
        table: Location,
    },
    /// Loading, or reading back, takes more memory than the process has.
    #[error("{what} of {at} cannot be read: {source}")]
    Memory {
        /// The chunk or data file.
        at: Box<Location>,
        /// Which part of it.
        what: String,
        /// How much it takes.
        #[source]
        source: MemoryTooSmall,
    },
    /// The rows of one chunk are spread over too many partitions.
    #[error("the rows of one chunk belong to more than {most} partitions of table {table}, by {columns}")]
    TooManyPartitions {
        /// The table.
        table: Location,
        /// The columns, quoted.
        columns: String,
        /// The limit.
        most: usize,
    },
    /// Other writers, or changes of the table, left no room for the commit.
    #[error("could not commit to table {table} in {attempts} attempts")]
    Contention {
        /// The table.
        table: Location,
        /// Attempts that were made.
        attempts: u32,
        /// What the last attempt ended with.
        #[source]
        source: Option<Box<Self>>,
    },
    /// The load that was to commit the chunks of several ended before it did.
    #[error("chunks for table {table} are not committed: another load, which was to commit them, failed")]
    Abandoned {
        /// The table.
        table: Location,
    },
    /// The table could not be read or written.
    #[error("could not {action} table {table}")]
    Table {
        /// The table.
        table: Location,
        /// What was tried, as a verb.
        action: &'static str,
        /// What the table's store or log answered.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// Parts of the table's log are missing.
    #[error("the log of table {table} cannot be read: {reason}")]
    Log {
        /// The table.
        table: Location,
        /// What is missing.
        reason: String,
    },
    /// What another table has does not go on to this one.
    #[error("rows of table {from} do not go on to table {table}: {reason}")]
    Upstream {
        /// The table that is read.
        from: Box<Location>,
        /// The table that they would go to.
        table: Location,
        /// What stands in the way, with the version.
        reason: String,
        /// What may help.
        hint: &'static str,
    },
    /// Versions of another table, or files of them, went before they were read.
    #[error("rows of table {from} do not go on to table {table}: {what} gone, and never read")]
    UpstreamGone {
        /// The table that is read.
        from: Box<Location>,
        /// The table that they would go to.
        table: Location,
        /// What is gone, with its verb.
        what: String,
    },
    /// The program failed.
    #[error("loading {what} stopped on a bug of the worker: {reason}")]
    Bug {
        /// What was being loaded.
        what: String,
        /// What the program said.
        reason: String,
    },
}

impl From<LookupError> for LoadError {
    fn from(error: LookupError) -> Self {
        Self::Lookup(Box::new(error))
    }
}

impl From<CompletionError> for LoadError {
    fn from(error: CompletionError) -> Self {
        match error {
            CompletionError::Storage(error) => Self::Storage(error),
            CompletionError::Notice(error) => Self::Notice(error),
        }
    }
}

impl LoadError {
    /// The error for a table that could not be read or written. A log entry that is well written, and has what is not known here, is no
    /// failure of the table's store.
    pub(crate) fn table(table: &Location, action: &'static str, source: impl Into<DeltaTableError>) -> Self {
        match source.into() {
            DeltaTableError::InvalidJsonLog { json_err, version, .. } if json_err.is_data() => {
                Self::UnknownAction { table: table.clone(), version, found: found(&json_err.to_string()) }
            }
            DeltaTableError::Transaction { source: TransactionError::DeltaTableAppendOnly } => {
                Self::Unsupported { table: table.clone(), reason: APPEND_ONLY.to_owned() }
            }
            DeltaTableError::KernelError(KernelError::MaxCatalogVersion(_)) => {
                Self::Unsupported { table: table.clone(), reason: CATALOG_MANAGED.to_owned() }
            }
            source => Self::Table { table: table.clone(), action, source: Box::new(source) },
        }
    }

    /// The error for work that panicked.
    pub(crate) fn panic(what: &impl ToString, panic: &(dyn Any + Send)) -> Self {
        let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Self::Bug { what: what.to_string(), reason: said.unwrap_or("a panic").to_owned() }
    }

    /// The error for a job whose seal in the table is not its own.
    pub(crate) fn sealed(seal: i64, job: &JobId, table: &Location) -> Self {
        let (job, table) = (job.clone(), table.clone());
        if seal == Seal::UNDONE.0 { Self::Undone { job, table } } else { Self::Sealed { job, table } }
    }

    /// A storage error met on the way to a chunk; an object that is gone gets its own advice.
    pub(crate) fn reading(chunk: &Location, source: StorageError) -> Self {
        match source {
            StorageError::NotFound { .. } => Self::Missing { chunk: chunk.clone(), source: Box::new(source) },
            source => Self::Storage(source),
        }
    }
}

/// What stands before a text, if there is something.
fn prefix(what: Option<&str>, then: &str) -> String {
    what.map(|what| format!("{what}{then}")).unwrap_or_default()
}

/// What an entry has that cannot be taken, by what the decoder says of it.
fn found(said: &str) -> String {
    let said = said.rsplit_once(" at line ").map_or(said, |(said, _)| said);
    let action = said.strip_prefix("unknown variant `").and_then(|rest| rest.split_once('`'));
    match action {
        Some((action, _)) => format!("the action '{action}', which is not known here"),
        None => format!("an action that cannot be read: {said}"),
    }
}
