//! How the records of a text are distinguished, and what their columns are.

use std::borrow::Cow;
use std::sync::Arc;

use shared::{Column, CsvPolicy, Dialect, Format, NdjsonPolicy, Policy};

use crate::records::framer::Block;

/// The format of a source of text.
#[derive(Clone, Debug)]
pub(crate) enum RecordFormat {
    Csv(Arc<CsvPolicy>),
    Ndjson(Arc<NdjsonPolicy>),
}

/// Lines, in which quotes mean nothing: within a string JSON has no line ends.
pub(crate) static LINES: Dialect = Dialect {
    delimiter: ',',
    quote: None,
    escape: None,
    comment: None,
    terminator: Some('\n'),
    decimal: '.',
    trailing_delimiter: false,
};

impl From<&CsvPolicy> for RecordFormat {
    fn from(csv: &CsvPolicy) -> Self {
        Self::Csv(Arc::new(csv.clone()))
    }
}

impl From<&NdjsonPolicy> for RecordFormat {
    fn from(json: &NdjsonPolicy) -> Self {
        Self::Ndjson(Arc::new(json.clone()))
    }
}

impl RecordFormat {
    /// What separates one record from the next.
    pub(crate) fn dialect(&self) -> &Dialect {
        match self {
            Self::Csv(csv) => &csv.dialect,
            Self::Ndjson(_) => &LINES,
        }
    }

    /// The columns, in the order of the chunks.
    pub(crate) fn columns(&self) -> &[Column] {
        match self {
            Self::Csv(csv) => &csv.columns,
            Self::Ndjson(json) => &json.columns,
        }
    }

    /// As much of the text of a block as stands before the footer, without lines that were given up.
    pub(crate) fn records_of<'a>(&self, block: &'a Block) -> Cow<'a, [u8]> {
        let footer = match self {
            Self::Csv(csv) => csv.footer_start,
            Self::Ndjson(_) => None,
        };
        let length = footer.map(|start| usize::try_from(start.saturating_sub(block.start)).unwrap_or(usize::MAX));
        block.unterminated.removed_from(length.and_then(|length| block.text.get(..length)).unwrap_or(&block.text))
    }

    /// Byte offset of the first record.
    pub(crate) fn data_start(&self) -> u64 {
        match self {
            Self::Csv(csv) => csv.data_start,
            Self::Ndjson(json) => json.data_start,
        }
    }
}

/// The format of a text; none for Parquet, of which nothing is rejected before it is a row.
pub(crate) fn format(policy: &Policy) -> Option<RecordFormat> {
    match &policy.format {
        Format::Csv(csv) => Some(csv.into()),
        Format::Ndjson(json) => Some(json.into()),
        Format::Parquet { .. } => None,
    }
}
