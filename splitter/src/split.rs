//! The straight line from a source to its chunks.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use shared::{
    Checkpoint, Completion, EncodePool, Encoding, Format, Job, Location, Manifest, Moment, Policy, Reading, Receipt,
    SourceObject, WorkArea, get_json, keep_freed_memory, try_get_json,
};

use crate::blocks::{framed, pieces};
use crate::chunk::encode::{ENCODER, EncodeError, compression, encode_text};
use crate::chunk::row_group::ChunkSchema;
use crate::chunk::row_group::Encoded;
use crate::column::types::schema;
use crate::context::SplitContext;
use crate::decode::{Decoded, decode};
use crate::error::{BadInput, SplitError};
use crate::open::open;
use crate::parquet_source::ParquetSource;
use crate::publish::Publisher;
use crate::publish::announce::{announce_again, announce_end};
use crate::publish::failure;
use crate::records::content;
use crate::records::format::RecordFormat;
use crate::records::framer::Block;
use crate::replay;
use crate::room::Room;
use crate::text::Start;

/// What came of a split.
#[derive(Clone, Debug)]
pub struct SplitOutcome {
    /// The job.
    pub job: Job,
    /// Where its chunks are.
    pub area: WorkArea,
    /// What was split.
    pub manifest: Manifest,
    /// Whether all of it had been split before.
    pub was_split_before: bool,
    /// Proof that it is in the table, when it is.
    pub receipt: Option<Receipt>,
}

impl SplitOutcome {
    /// Whether an earlier attempt had done all, and had loaded it too.
    pub fn was_loaded_before(&self) -> bool {
        self.was_split_before && self.receipt.is_some()
    }
}

/// Blocks beyond those that are worked on, so that there is always another one while row groups are written.
const BLOCKS_AHEAD: usize = 2;

type EncodedStream<'a> = Pin<Box<dyn Stream<Item = Result<Encoded, SplitError>> + Send + 'a>>;

/// Splits a source into chunks and announces each.
///
/// Safe to repeat, and to run twice at once: the same source and table give the same chunks. After a stop or a crash it
/// continues after the last chunk that the checkpoint names. Never acknowledges anything.
///
/// ```
/// use std::sync::Arc;
///
/// use shared::{LocalStorage, Settings};
/// use splitter::{SplitContext, split};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
/// std::fs::write(at("prices.csv"), "sku,price\nA1,12.50\nA2,none\nA3,0.99\n")?;
///
/// let settings = Settings::from_lookup(|name| (name == "SCHEMA").then(|| "price:decimal(10,2)".to_owned()))?;
/// let context = SplitContext::new(Arc::new(LocalStorage), at("work").parse()?, settings);
/// let outcome = split(&context, &at("prices.csv").parse()?).await?;
///
/// // `none` is not a number, so its record is in quarantine.
/// assert_eq!((outcome.manifest.records, outcome.manifest.quarantined), (3, 1));
/// assert_eq!(outcome.manifest.chunks[0].rows, 2);
/// let chunk = context.storage.get(&outcome.area.chunk(0)).await?;
/// assert!(chunk.starts_with(b"PAR1"));
///
/// // The same source again is the same job, which is done.
/// assert!(split(&context, &at("prices.csv").parse()?).await?.was_split_before);
/// # Ok(())
/// # }
/// ```
pub async fn split(context: &SplitContext, uri: &Location) -> Result<SplitOutcome, SplitError> {
    let started = Moment::now();
    let storage = context.storage.as_ref();
    let source = SourceObject::look_up(storage, uri).await.map_err(SplitError::Source)?;
    let named_for = context.known.named_for.as_ref().or(context.table.as_ref());
    let destination = named_for.unwrap_or(&context.work_prefix).clone();
    let (job, area) = open(context, &source, &destination).await?;
    Box::pin(split_since(context, job, area, started)).await
}

/// Splits a job that is pinned in its work area, and announces its chunks. As safe as [`split`].
pub async fn split_opened(context: &SplitContext, job: Job, area: WorkArea) -> Result<SplitOutcome, SplitError> {
    Box::pin(split_since(context, job, area, Moment::now())).await
}

/// The same of an attempt that began then.
async fn split_since(
    context: &SplitContext,
    job: Job,
    area: WorkArea,
    started: Moment,
) -> Result<SplitOutcome, SplitError> {
    let storage = context.storage.as_ref();
    tracing::Span::current().record("job", job.job_id.as_str());
    tell(&job);
    let manifest: Option<Manifest> =
        try_get_json(storage, &area.manifest(), "manifest").await.map_err(SplitError::WorkArea)?;
    let was_split_before = manifest.is_some();
    let manifest = match manifest {
        Some(manifest) => {
            announce_again(context, &job, &area, &manifest.chunks).await?;
            manifest
        }
        None if job.policy.encoder != ENCODER => {
            let (job_id, begun) = (job.job_id, job.policy.encoder);
            return Err(SplitError::OtherEncoder { job_id, begun, ours: ENCODER });
        }
        None => {
            let room = Room::reserve(&context.settings, &job, context.threads).await;
            let split = split_job(context, &job, &area, &room, started).await;
            if let Err(why @ SplitError::BadInput(_)) = &split {
                failure::note(storage, &area, why).await;
            }
            split?
        }
    };
    let receipt = match &context.table {
        Some(_) => {
            let completion = Completion { storage, topic: context.topic.as_deref() };
            // Whoever wrote manifest and receipt may have died before it could send the notice.
            let completed = if was_split_before {
                completion.ensure_complete(&area).await
            } else {
                completion.complete(&area).await
            };
            completed?
        }
        None => None,
    };
    if was_split_before && receipt.is_none() {
        // Whoever wrote the manifest may have died before it could say so.
        announce_end(context, &job, &area, &manifest).await?;
    }
    Ok(SplitOutcome { job, area, manifest, was_split_before, receipt })
}

/// Logs how the source is read, and what of that was guessed: each attempt, since each may be the one that is looked at.
fn tell(job: &Job) {
    let Some(reading) = Reading::of(job, None) else { return };
    let (compression, encoding) = (reading.compression, reading.encoding.as_ref().map(Encoding::name));
    let (added, lacking) = reading.table.as_ref().map_or((0, 0), |table| (table.added.len(), table.lacking.len()));
    let drop = reading.drop.map(|drop| drop.number);
    tracing::info!(
        job = %job.job_id,
        source = %job.source.uri,
        format = reading.format,
        ?compression,
        encoding,
        dialect = ?reading.dialect,
        header_rows = reading.header_rows,
        columns = reading.columns.len(),
        added,
        lacking,
        drop,
        "reading"
    );
    for warning in &reading.warnings {
        tracing::warn!(source = %job.source.uri, "{warning}");
    }
}

async fn split_job(
    context: &SplitContext,
    job: &Job,
    area: &WorkArea,
    room: &Room,
    started: Moment,
) -> Result<Manifest, SplitError> {
    let checkpoint = try_get_json(context.storage.as_ref(), &area.checkpoint(), "checkpoint").await;
    let checkpoint: Checkpoint = checkpoint.map_err(SplitError::WorkArea)?.unwrap_or_default();
    announce_again(context, job, area, &checkpoint.chunks).await?;
    context.progress.bytes_total.add(job.source.size);
    let mut publisher = Publisher::resume(context, job, area, &checkpoint, started);
    let (row_groups, rows) = match &job.policy.format {
        Format::Csv(csv) => (text_row_groups(context, job, area, room, csv.into(), &checkpoint).await?, None),
        Format::Ndjson(json) => (text_row_groups(context, job, area, room, json.into(), &checkpoint).await?, None),
        Format::Parquet { column_names, int96_instants } => {
            let parquet = ParquetSource::open(context, &job.source, Some(*int96_instants)).await?;
            let rows = parquet.rows();
            let mut row_groups = parquet.send(checkpoint.block_start, &job.policy, column_names);
            let row_groups: EncodedStream<'_> = Box::pin(stream::poll_fn(move |task| row_groups.poll_recv(task)));
            (row_groups, Some(rows))
        }
    };
    match publish_all(context, &mut publisher, row_groups).await {
        Ok(()) if let Some(rows) = rows.filter(|rows| *rows != publisher.records()) => {
            let reason = format!("{} rows were read where the footer says {rows}", publisher.records());
            let hint = "the file is damaged or was not written to its end; have it written again";
            let why = BadInput::whole(&job.source.uri, reason, hint);
            Err(publisher.abandon(why.into()).await)
        }
        Ok(()) => publisher.finish().await,
        Err(why) => Err(publisher.abandon(why).await),
    }
}

async fn publish_all(
    context: &SplitContext,
    publisher: &mut Publisher<'_>,
    mut row_groups: EncodedStream<'_>,
) -> Result<(), SplitError> {
    loop {
        let next = tokio::select! {
            biased;
            () = context.stop.cancelled() => return Err(publisher.stopped()),
            next = row_groups.try_next() => next?,
        };
        match next {
            Some(encoded) => publisher.add(encoded).await?,
            None => return Ok(()),
        }
    }
}

/// Blocks are decoded and encoded side by side, and come out in the order of the source.
async fn text_row_groups<'a>(
    context: &'a SplitContext,
    job: &'a Job,
    area: &WorkArea,
    room: &'a Room,
    format: RecordFormat,
    checkpoint: &Checkpoint,
) -> Result<EncodedStream<'a>, SplitError> {
    keep_freed_memory();
    let pool = EncodePool::new(room.threads()).map_err(|error| SplitError::internal(&job.source.uri, error))?;
    let from = checkpoint.block_start.max(format.data_start());
    let start = Start { from, resume_point: checkpoint.resume_point.clone() };
    context.progress.bytes_read.add(start.stored(&job.policy.text));
    let pieces = match job.replay_of.last() {
        Some(rejected_by) => {
            let area = area.beside(&rejected_by.job_id);
            let of: Job = get_json(context.storage.as_ref(), &area.job(), "job").await.map_err(SplitError::WorkArea)?;
            replay::pieces(context, &of, &area, &job.policy, from)
        }
        None => pieces(context, &job.source, &job.policy, start.clone(), &context.progress),
    };
    let blocks = framed(pieces, &job.source.uri, &job.policy, &format, start, Some(&context.settings.memory));
    let schema =
        ChunkSchema::of(&schema(format.columns())).map_err(|error| SplitError::internal(&job.source.uri, error))?;
    let work = Arc::new((format, job.policy.clone(), Arc::new(schema), job.source.uri.clone()));
    let encoded = blocks.map(move |found| {
        let (work, pool) = (Arc::clone(&work), pool.clone());
        async move {
            let (block, resume_point) = found?;
            let _permit = room.block(block.text.len()).await;
            let encoding = pool.run(move || {
                let (format, policy, schema, at) = &*work;
                encode_block(&block, format, policy, schema, at)
            });
            let encoded = encoding.await.map_err(|error| SplitError::internal(&job.source.uri, error))??;
            Ok(Encoded { resume_point, ..encoded })
        }
    });
    Ok(Box::pin(encoded.buffered(room.threads() + BLOCKS_AHEAD)))
}

/// Decodes a block of text and encodes its rows.
pub(crate) fn encode_block(
    block: &Block,
    format: &RecordFormat,
    policy: &Policy,
    schema: &Arc<ChunkSchema>,
    at: &Location,
) -> Result<Encoded, SplitError> {
    let decoded = decode(block, format, policy.bad_records, policy.max_record_bytes);
    let decoded = decoded.map_err(|error| SplitError::internal(at, error))?;
    let row_groups = encode_text(&decoded.rows, schema, compression(&policy.codec), policy.chunk_bytes);
    let row_groups = row_groups.map_err(|error| match error {
        EncodeError::Parquet(error) => SplitError::internal(at, error),
        EncodeError::RowTooLarge => {
            let reason = "a record in the block that begins here is larger than a chunk once encoded";
            BadInput::at_byte(at, block.start, reason, "run with a higher CHUNK_SIZE_MB and --again").into()
        }
    })?;
    let (block_start, content) = (block.start, Some(content::of_block(block)));
    let Decoded { records, rejects, shortened, lines, .. } = decoded;
    Ok(Encoded { block_start, resume_point: None, content, records, rejects, shortened, lines, row_groups })
}
