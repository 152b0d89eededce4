//! The text of a source, cut into blocks of whole records.

use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use shared::{BadRecords, Location, Memory, Policy, Progress, ResumePoint, SourceObject, TextPolicy};

use crate::context::SplitContext;
use crate::error::{BadInput, SplitError};
use crate::records::format::RecordFormat;
use crate::records::framer::{Block, BlockEnds, Framer};
use crate::records::unterminated::{Unterminated, UnterminatedLines};
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
    framed(pieces(context, source, policy, start.clone(), progress), &source.uri, policy, format, start, None)
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

/// The blocks of a text that begins at a place at which a block does. A record that is too long for the memory is refused; so is one whose
/// end is not found, where a job is to fail with it, after the records before it.
pub(crate) fn framed<'a>(
    pieces: Pieces,
    at: &'a Location,
    policy: &'a Policy,
    format: &RecordFormat,
    start: Start,
    memory: Option<&'a Memory>,
) -> impl Stream<Item = Result<FoundBlock, SplitError>> + Send + use<'a> {
    let max_record_bytes = usize::try_from(policy.max_record_bytes).unwrap_or(usize::MAX);
    let framer = Framer::new(format.dialect(), BlockEnds::of(policy), max_record_bytes, start.from);
    let state = (pieces.fuse(), framer, ResumePoints::new(start.resume_point), None);
    stream::try_unfold(state, move |(mut pieces, mut framer, mut resume_points, refused)| async move {
        if let Some(refused) = refused {
            return Err(SplitError::from(refused));
        }
        let found = loop {
            if let Some(block) = framer.next_block() {
                break Some(block);
            }
            let Some(piece) = pieces.try_next().await? else { break framer.last_block() };
            memory.map_or(Ok(()), |memory| check_record(memory, at, framer.open_record()))?;
            resume_points.add(piece.resume_point);
            framer.push(piece.text);
        };
        let Some(mut block) = found else { return Ok(None) };
        let refused =
            if policy.bad_records == BadRecords::Fail { refuse(&mut block, at, max_record_bytes) } else { None };
        match refused {
            Some(refused) if block.text.is_empty() => Err(refused.into()),
            refused => {
                let resume_point = resume_points.before(block.start);
                Ok(Some(((block, resume_point), (pieces, framer, resume_points, refused))))
            }
        }
    })
}

/// Leaves of a block what stands before the first record whose end was not found, if there is one: what is wrong with that.
fn refuse(block: &mut Block, at: &Location, max_record_bytes: usize) -> Option<BadInput> {
    let (place, why) = block.unterminated.first()?;
    let start = block.start + u64::try_from(place).unwrap_or_default();
    block.text.truncate(place);
    block.unterminated = UnterminatedLines::default();
    Some(no_end(at, start, why, max_record_bytes))
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
fn no_end(at: &Location, start: u64, unterminated: Unterminated, max_record_bytes: usize) -> BadInput {
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
