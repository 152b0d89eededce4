//! What would become of a source, from a sample of it.

use std::pin::pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use futures::TryStreamExt;
use serde::Serialize;
use shared::{Compression, Format, Location, Settings, SourceObject, TextPolicy, cells};

use crate::blocks::{blocks, text_source};
use crate::chunk::assemble::payload_bytes;
use crate::chunk::row_group::ChunkSchema;
use crate::chunk::row_group::Encoded;
use crate::column::types::schema;
use crate::context::SplitContext;
use crate::decode::decode;
use crate::error::SplitError;
use crate::examination::Examination;
use crate::examine::examine;
use crate::parquet_source::ParquetSource;
use crate::records::format::RecordFormat;
use crate::records::framer::Block;
use crate::source::ranged_file::reader_error;
use crate::split::encode_block;
use crate::text::Start;

/// Bytes of text that are encoded to learn how large chunks become; whole blocks, so it may be one more.
const TEXT_BYTES: u64 = 16 << 20;

/// Stored bytes that are decompressed to learn how large the text becomes.
const STORED_BYTES: u64 = 4 << 20;

/// Rows that are shown.
const ROWS: usize = 10;

/// Rows that SQL is tried on: it may drop the first ones.
const SQL_ROWS: usize = 1000;

/// What would become of a source.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How it would be cut and read.
    pub examination: Examination,
    /// Of a Parquet source, its row groups.
    pub row_groups: Option<u64>,
    /// The columns of a Parquet source.
    pub parquet_columns: Vec<ParquetColumn>,
    /// The first ten rows at most, as text; none for null.
    pub rows: Vec<Vec<Option<String>>>,
    /// The first rows with the columns of the chunks: as many as are shown, or a thousand for SQL to be tried on.
    pub sample: Vec<RecordBatch>,
    /// Records at the start of the source that were decoded.
    pub records: u64,
    /// How many of them would be rejected.
    pub rejected: u64,
    /// Why the first of these would be.
    pub first_rejected: Option<String>,
    /// All of these, by column, the most frequent first.
    pub misfits: Vec<Misfit>,
    /// What would be made of it.
    pub expected: Expected,
}

/// Records that would be rejected for one column, or for none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Misfit {
    /// The column.
    pub column: Option<String>,
    /// How many they are.
    pub count: u64,
    /// Why the first of them would be.
    pub first: String,
}

/// A top-level column of a Parquet source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParquetColumn {
    /// Its name in the source.
    pub source_name: String,
    /// Its name in the chunks.
    pub name: String,
    /// Its type, as Arrow calls it.
    pub data_type: String,
}

/// What a source would become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Whether it is extrapolated from a part.
    pub is_estimate: bool,
    /// Chunks.
    pub chunks: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their bytes, footers aside.
    pub bytes: u64,
}

/// Reads a sample of a source as [`split`](crate::split()) would, and says what would become of it. Writes nothing.
///
/// ```
/// use std::sync::Arc;
///
/// use shared::{LocalStorage, Settings};
/// use splitter::{SplitContext, plan};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("trips.csv");
/// std::fs::write(&file, "Trip ID;Day;km\n1;2026-01-31;7,5\n2;2026-02-01;12,25\n")?;
///
/// let at: shared::Location = file.to_string_lossy().parse()?;
/// let context = SplitContext::new(Arc::new(LocalStorage), at.clone(), Settings::from_lookup(|_| None)?);
/// let plan = plan(&context, &at).await?;
///
/// let columns: Vec<String> =
///     plan.examination.schema.fields().iter().map(|field| format!("{}: {}", field.name(), field.data_type())).collect();
/// assert_eq!(columns, ["trip_id: Int64", "day: Date32", "km: Float64"]);
/// assert_eq!((plan.records, plan.rejected, plan.expected.chunks), (2, 0, 1));
/// # Ok(())
/// # }
/// ```
pub async fn plan(context: &SplitContext, uri: &Location) -> Result<Plan, SplitError> {
    let examination = examine(context, uri).await?;
    for warning in &examination.examined.warnings {
        tracing::warn!(source = %examination.source.uri, "{warning}");
    }
    match &examination.policy.format {
        Format::Csv(csv) => of_text(context, csv.into(), examination).await,
        Format::Ndjson(json) => of_text(context, json.into(), examination).await,
        Format::Parquet { .. } => of_parquet(context, examination).await,
    }
}

/// What came of the blocks that were tried.
#[derive(Debug, Default)]
struct Trial {
    /// Rows that are to be kept.
    wanted: usize,
    sample: Vec<RecordBatch>,
    first_rejected: Option<String>,
    misfits: Vec<Misfit>,
    text_bytes: u64,
    records: u64,
    rejected: u64,
    row_groups: u64,
    bytes: u64,
}

async fn of_text(context: &SplitContext, format: RecordFormat, examination: Examination) -> Result<Plan, SplitError> {
    let Examination { source, policy, .. } = &examination;
    let (tried, is_whole) = try_out(context, &format, &examination).await?;
    let all = if is_whole {
        tried.text_bytes
    } else {
        text_bytes(context, source, &policy.text).await?.saturating_sub(format.data_start())
    };
    let expected = tried.expected(all, policy.chunk_bytes, !is_whole);
    let Trial { sample, first_rejected, records, rejected, mut misfits, .. } = tried;
    misfits.sort_by_key(|misfit| std::cmp::Reverse(misfit.count));
    let rows = shown(&sample).map_err(|error| SplitError::internal(&source.uri, error))?;
    Ok(Plan {
        examination,
        row_groups: None,
        parquet_columns: Vec::new(),
        rows,
        sample,
        records,
        rejected,
        first_rejected,
        misfits,
        expected,
    })
}

/// What comes of the first blocks, and whether these are all.
async fn try_out(
    context: &SplitContext,
    format: &RecordFormat,
    examination: &Examination,
) -> Result<(Trial, bool), SplitError> {
    let Examination { source, policy, .. } = examination;
    let start = Start { from: format.data_start(), resume_point: None };
    let mut blocks = pin!(blocks(context, source, policy, format, start, &Arc::default()));
    let mut tried = Trial { wanted: wanted(&context.settings), ..Trial::default() };
    while tried.text_bytes < TEXT_BYTES {
        let Some((block, _)) = blocks.try_next().await? else { return Ok((tried, true)) };
        let (format, policy, at) = (format.clone(), policy.clone(), source.uri.clone());
        let trying = tokio::task::spawn_blocking(move || {
            tried.add(&block, &format, &policy, &at)?;
            Ok::<_, SplitError>(tried)
        });
        tried = trying.await.map_err(|error| SplitError::internal(&source.uri, error))??;
    }
    Ok((tried, false))
}

impl Trial {
    /// Decodes and encodes a block as the splitter does.
    fn add(
        &mut self,
        block: &Block,
        format: &RecordFormat,
        policy: &shared::Policy,
        at: &Location,
    ) -> Result<(), SplitError> {
        let rows_schema = schema(format.columns());
        let schema = ChunkSchema::of(&rows_schema);
        let schema = Arc::new(schema.map_err(|error| SplitError::internal(at, error))?);
        let missing = self.wanted - self.sample.iter().map(RecordBatch::num_rows).sum::<usize>();
        if missing > 0 {
            let decoded = decode(block, format, policy.bad_records, policy.max_record_bytes);
            let rows = decoded.and_then(|decoded| {
                let rows = decoded.rows.rows.min(missing);
                decoded.rows.slice(0, rows).to_arrow(rows_schema)
            });
            self.sample.push(rows.map_err(|error| SplitError::internal(at, error))?);
        }
        let Encoded { records, rejects, row_groups, .. } = encode_block(block, format, policy, &schema, at)?;
        if let (None, Some(first)) = (&self.first_rejected, rejects.iter().next()) {
            self.first_rejected = Some(first.describe(self.records));
        }
        for reject in rejects.iter() {
            if let Some(misfit) = self.misfits.iter_mut().find(|misfit| misfit.column.as_deref() == reject.column) {
                misfit.count += 1;
            } else {
                let first = reject.describe(self.records);
                self.misfits.push(Misfit { column: reject.column.map(str::to_owned), count: 1, first });
            }
        }
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.text_bytes += count(block.text.len());
        self.records += records;
        self.rejected += count(rejects.len());
        self.row_groups += count(row_groups.len());
        self.bytes += row_groups.iter().map(|group| payload_bytes(&group.metadata)).sum::<u64>();
        Ok(())
    }

    /// What becomes of `text_bytes` of such text, when row groups are put together as far as they fit.
    fn expected(&self, text_bytes: u64, chunk_bytes: u64, is_estimate: bool) -> Expected {
        let whole = |part: u64| scaled(part, text_bytes, self.text_bytes);
        let each = self.bytes.div_ceil(self.row_groups.max(1)).max(1);
        let chunks = whole(self.row_groups).div_ceil((chunk_bytes / each).max(1));
        let (rows, bytes) = (whole(self.records - self.rejected), whole(self.bytes));
        Expected { is_estimate, chunks, rows, bytes }
    }
}

/// Rows that are kept of the sample.
fn wanted(settings: &Settings) -> usize {
    if settings.load.sql.is_some() || settings.expectations().is_some() { SQL_ROWS } else { ROWS }
}

/// A part of `of`, as a part of `by`.
fn scaled(part: u64, by: u64, of: u64) -> u64 {
    let scaled = u128::from(part) * u128::from(by) / u128::from(of.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// About how large the text of a source is.
async fn text_bytes(context: &SplitContext, source: &SourceObject, policy: &TextPolicy) -> Result<u64, SplitError> {
    if *policy == TextPolicy::default() {
        return Ok(source.size);
    }
    // The directory of a zip archive is at its end, so the start alone cannot be read.
    let stored = if policy.compression == Compression::Zip { source.size } else { source.size.min(STORED_BYTES) };
    let start = SourceObject { size: stored, ..source.clone() };
    let mut pieces = text_source(context, &start, policy.clone(), u64::MAX).pieces(Start::default(), Arc::default());
    let mut text = 0;
    loop {
        match pieces.try_next().await {
            Ok(Some(piece)) => text += u64::try_from(piece.text.len()).unwrap_or_default(),
            // What is cut off ends in an error, once all that there is of its text was given.
            Err(SplitError::BadInput(_)) if stored < source.size => break,
            Err(error) => return Err(error),
            Ok(None) => break,
        }
    }
    Ok(scaled(text, source.size, stored))
}

async fn of_parquet(context: &SplitContext, examination: Examination) -> Result<Plan, SplitError> {
    let parquet = ParquetSource::open(context, &examination.source, None).await?;
    let (rows, sizes) = (parquet.rows(), parquet.row_group_bytes());
    let columns = parquet.column_names().into_iter().zip(parquet.columns());
    let at = &examination.source.uri;
    let wanted = wanted(&context.settings);
    let first = tokio::task::spawn_blocking(move || parquet.first_rows(wanted)).await;
    let first = first.map_err(|error| reader_error(at, error))??.into_iter();
    let renamed = |rows: RecordBatch| RecordBatch::try_new(Arc::clone(&examination.schema), rows.columns().to_vec());
    let sample = first.map(renamed).collect::<Result<Vec<_>, ArrowError>>();
    let sample = sample.map_err(|error| SplitError::internal(at, error))?;
    let shown_rows = shown(&sample).map_err(|error| SplitError::internal(at, error))?;
    let names = match &examination.policy.format {
        Format::Parquet { column_names, .. } => column_names.clone(),
        _ => Vec::new(),
    };
    let column = |((source_name, data_type), name)| ParquetColumn { source_name, name, data_type };
    let parquet_columns = columns.zip(names).map(column).collect();
    let expected = Expected {
        is_estimate: true,
        chunks: chunks_of(&sizes, examination.policy.chunk_bytes),
        rows,
        bytes: sizes.iter().sum(),
    };
    Ok(Plan {
        examination,
        row_groups: Some(u64::try_from(sizes.len()).unwrap_or(u64::MAX)),
        parquet_columns,
        rows: shown_rows,
        sample,
        records: 0,
        rejected: 0,
        first_rejected: None,
        misfits: Vec::new(),
        expected,
    })
}

/// Chunks that row groups of such sizes make; those that are larger than a chunk are cut.
fn chunks_of(sizes: &[u64], chunk_bytes: u64) -> u64 {
    if sizes.iter().any(|size| *size > chunk_bytes) {
        return sizes.iter().sum::<u64>().div_ceil(chunk_bytes.max(1));
    }
    let (mut chunks, mut left) = (0, 0);
    for size in sizes {
        if *size > left {
            (chunks, left) = (chunks + 1, chunk_bytes);
        }
        left -= size;
    }
    chunks
}

/// The first rows of a sample as text.
fn shown(sample: &[RecordBatch]) -> Result<Vec<Vec<Option<String>>>, ArrowError> {
    let mut rows = Vec::new();
    for batch in sample {
        rows.extend(cells(batch, ROWS - rows.len())?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_groups_fill_chunks() {
        for (sizes, chunk_bytes, chunks) in
            [(&[][..], 10, 0), (&[1, 2, 3], 10, 1), (&[6, 6, 4], 10, 2), (&[6, 5, 6], 10, 3), (&[25, 1], 10, 3)]
        {
            assert_eq!(chunks_of(sizes, chunk_bytes), chunks, "{sizes:?}");
        }
    }

    #[test]
    fn what_was_tried_stands_for_all() {
        let tried = Trial { text_bytes: 100, records: 12, rejected: 2, row_groups: 2, bytes: 40, ..Trial::default() };
        for (text_bytes, chunk_bytes, chunks, rows, bytes) in
            [(100, 100, 1, 10, 40), (1000, 100, 4, 100, 400), (1000, 10, 20, 100, 400)]
        {
            let expected = Expected { is_estimate: true, chunks, rows, bytes };
            assert_eq!(tried.expected(text_bytes, chunk_bytes, true), expected, "{text_bytes} {chunk_bytes}");
        }
        assert_eq!(Trial::default().expected(0, 100, false), Expected::default());
    }
}
