//! The text of a source, cut into blocks of whole records.

use std::sync::Arc;

use futures::{Stream, TryStreamExt, stream};
use shared::{BadRecords, Location, Memory, Policy, Progress, ResumePoint, SourceObject, TextPolicy};

use crate::context::SplitContext;
use crate::error::{BadInput, SplitError};
use crate::records::format::RecordFormat;
use crate::records::framer::{Block, BlockEnds, Framer, Unterminated};
use crate::room::check_record;
use crate::text::{ExpansionLimit, Pieces, ResumePoints, Start, TextSource};

/// A block, and the last place before it at which reading can resume.
pub(crate) type FoundBlock = (Block, Option<Arc<ResumePoint>>);

/// The blocks of a source of text from a place on at which a block begins, each with the last place before it
/// at which reading can resume.
pub(crate) fn blocks<'a>(
    context: &SplitContext,
    source: &'a SourceObject,
    policy: &'a Policy,
    format: &RecordFormat,
    start: Start,
    progress: &Arc<Progress>,
) -> impl Stream<Item = Result<FoundBlock, SplitError>> + Send + use<'a> {
    framed(pieces(context, source, policy, start.clone(), progress), &source.uri, policy, format, start)
}

/// The text of a source from a place on.
pub(crate) fn pieces(
    context: &SplitContext,
    source: &SourceObject,
    policy: &Policy,
    start: Start,
    progress: &Arc<Progress>,
) -> Pieces {
    text_source(context, source, policy.text.clone(), policy.block_bytes).pieces(start, Arc::clone(progress))
}

/// The blocks of a text that begins at a place at which a block does.
pub(crate) fn framed<'a>(
    pieces: Pieces,
    at: &'a Location,
    policy: &'a Policy,
    format: &RecordFormat,
    start: Start,
) -> impl Stream<Item = Result<FoundBlock, SplitError>> + Send + use<'a> {
    in_runs(pieces, at, policy, format, start, None).map_ok(|run| stream::iter(run.into_iter().map(Ok))).try_flatten()
}

/// As [`framed`], in runs of blocks that are worked on as one: most by themselves, but lines that were given up many together, and the block
/// after them, since a file may have one after the other. A record that is too long for the memory is refused.
pub(crate) fn in_runs<'a>(
    pieces: Pieces,
    at: &'a Location,
    policy: &'a Policy,
    format: &RecordFormat,
    start: Start,
    memory: Option<&'a Memory>,
) -> impl Stream<Item = Result<Vec<FoundBlock>, SplitError>> + Send + use<'a> {
    /// Most blocks of a run, and most bytes of all but the last.
    const MOST: (usize, usize) = (1024, 1 << 20);
    let max_record_bytes = usize::try_from(policy.max_record_bytes).unwrap_or(usize::MAX);
    let framer = Framer::new(format.dialect(), BlockEnds::of(policy), max_record_bytes, start.from);
    let state = (pieces, framer, ResumePoints::new(start.resume_point), false);
    stream::try_unfold(state, move |(mut pieces, mut framer, mut resume_points, mut is_end)| async move {
        let (mut run, mut bytes) = (Vec::new(), 0);
        loop {
            let next = framer.next_block();
            match if is_end { next.or_else(|| framer.last_block()) } else { next } {
                Some(Block { start, unterminated: Some(unterminated), .. })
                    if policy.bad_records == BadRecords::Fail =>
                {
                    return Err(no_end(at, start, unterminated, policy.max_record_bytes).into());
                }
                Some(block) => {
                    let (resume_point, is_unterminated) =
                        (resume_points.before(block.start), block.unterminated.is_some());
                    bytes += block.text.len();
                    run.push((block, resume_point));
                    if !is_unterminated || run.len() == MOST.0 || bytes >= MOST.1 {
                        break;
                    }
                }
                None if is_end || !run.is_empty() => break,
                None => match pieces.try_next().await? {
                    Some(piece) => {
                        memory.map_or(Ok(()), |memory| check_record(memory, at, framer.start(), framer.held()))?;
                        resume_points.add(piece.resume_point);
                        framer.push(piece.text);
                    }
                    None => is_end = true,
                },
            }
        }
        Ok(if run.is_empty() { None } else { Some((run, (pieces, framer, resume_points, is_end))) })
    })
}

/// How the text of a source is read, with so many bytes, at least, between two places at which reading can resume.
pub(crate) fn text_source(
    context: &SplitContext,
    source: &SourceObject,
    policy: TextPolicy,
    resume_bytes: u64,
) -> TextSource {
    let limit = ExpansionLimit::new(&context.settings, source.size);
    TextSource { storage: Arc::clone(&context.storage), source: source.clone(), policy, limit, resume_bytes }
}

/// A record whose end was not found, as the error of a job that does not take such records.
fn no_end(at: &Location, start: u64, unterminated: Unterminated, max_record_bytes: u64) -> BadInput {
    match unterminated {
        Unterminated::OpenQuote => {
            let reason = "the file ends inside a quoted field of the record that begins here";
            let hint = "the file was cut off, or a quote is missing; have it written again, or fix the quote";
            BadInput::at_byte(at, start, reason, hint)
        }
        Unterminated::TooLong => {
            let reason = format!("the record that begins here is longer than MAX_RECORD_MB={}", max_record_bytes >> 20);
            let hint = "close the quote if one is open; if the record is meant to be that long, run with a higher MAX_RECORD_MB and --again";
            BadInput::at_byte(at, start, reason, hint)
        }
    }
}
