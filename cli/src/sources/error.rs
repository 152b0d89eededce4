//! Why sources could not be found.

use std::io;
use std::path::PathBuf;

/// Why sources could not be found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourcesError {
    #[error("no {what} {named}")]
    NothingFound {
        /// What was looked for, and where.
        what: &'static str,
        named: String,
    },
    #[error("{at} is a Delta table")]
    Table { at: String },
    #[error("{pattern} is not a valid pattern: {reason}")]
    Pattern { pattern: String, reason: String },
    #[error("cannot look into {}", at.display())]
    Folder {
        at: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{pipe} is a pipe, which can only be loaded alone")]
    PipeAmongOthers { pipe: String },
    #[error("cannot read the list of sources {at}")]
    List {
        at: String,
        #[source]
        source: io::Error,
    },
    #[error("the list of sources {at} names none")]
    EmptyList { at: String },
    #[error("a deployment splits objects of S3, and this is a local file")]
    Local,
    #[error("--again is for one source, and several are named")]
    AgainOfSeveral,
}

impl SourcesError {
    /// Exit status: that of a missing file, or of wrong usage.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NothingFound { .. } | Self::Table { .. } | Self::Folder { .. } | Self::EmptyList { .. } => 3,
            Self::Pattern { .. }
            | Self::PipeAmongOthers { .. }
            | Self::Local
            | Self::List { .. }
            | Self::AgainOfSeveral => 2,
        }
    }

    /// What may help.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NothingFound { .. } => Some(
                "names that begin with . or _, or end in ~, .tmp, .part and the like, are left out, and so are Delta tables and work areas; \
                 name such a file itself to load it",
            ),
            Self::Table { .. } => {
                Some("its data files may hold rows that were deleted: export it with a query, and load the result")
            }
            Self::Pattern { .. } => Some("* and ? stand for characters, [ab] for one of them, [[] for a bracket"),
            Self::PipeAmongOthers { .. } => Some("run a command of its own for it; or store it as a file first"),
            Self::List { .. } => {
                Some("--files-from takes a file of UTF-8 text, or - for standard input: a source a line")
            }
            Self::AgainOfSeveral => Some("run a command for each: it loads a file once more each time it is run"),
            Self::Local => Some("name objects, prefixes or patterns as s3://bucket/prefix/"),
            Self::Folder { .. } | Self::EmptyList { .. } => None,
        }
    }
}
