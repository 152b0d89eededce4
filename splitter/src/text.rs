//! The text of a source: its bytes, decompressed and in UTF-8, with the places at which reading can resume.
//!
//! Byte offsets count this text: decompressed bytes, and where the source is in another encoding, those of its text in UTF-8.

pub(crate) mod decompress;
pub(crate) mod transcode;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, TryStreamExt, stream};
use shared::{Compression, Location, Progress, ResumePoint, Settings, SourceObject, Storage, TextPolicy};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::error::{BadInput, SplitError};
use crate::source::read::{self, Stored};
use crate::text::decompress::Contents;
use crate::text::decompress::decoder::{Decoder, ROOM_BYTES};
use crate::text::transcode::Transcoder;

/// A piece of the text.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) text: Bytes,
    /// A place within the piece, or at one of its ends, at which reading can resume.
    pub(crate) resume_point: Option<ResumePoint>,
}

/// Bytes of a piece, more or less.
const PIECE_BYTES: usize = 1 << 20;

/// Pieces that wait to be taken.
const PIECES_AHEAD: usize = 2;

/// What a source may expand to whatever its ratio is: short files of much the same may well be a thousandth of their text.
const RATIO_FREE_BYTES: u64 = 256 << 20;

/// A source, and how its text is got out of it.
#[derive(Clone, Debug)]
pub(crate) struct TextSource {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) source: SourceObject,
    pub(crate) policy: TextPolicy,
    /// Decompressed bytes that are too many.
    pub(crate) limit: ExpansionLimit,
    /// Decompressed bytes, at least, between two places at which reading can resume.
    pub(crate) resume_bytes: u64,
}

/// Where reading of a text begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    /// Byte offset of the first text that is wanted.
    pub(crate) from: u64,
    /// A place at which reading can begin, not after that; none for the start of the source.
    pub(crate) resume_point: Option<ResumePoint>,
}

impl Start {
    /// How much of a source as it is stored lies before it, and is not read.
    pub(crate) fn stored(&self, policy: &TextPolicy) -> u64 {
        match &self.resume_point {
            Some(resume_point) => resume_point.stored,
            None if *policy == TextPolicy::default() => self.from,
            None => 0,
        }
    }
}

/// How large a source may become when it is decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpansionLimit {
    max_bytes: u64,
    name: &'static str,
}

impl ExpansionLimit {
    /// The limit that the settings have for a file of so many bytes.
    pub(crate) fn new(settings: &Settings, size: u64) -> Self {
        let by_ratio = size.saturating_mul(settings.read.max_expansion_ratio).max(RATIO_FREE_BYTES);
        match settings.read.max_expanded_bytes {
            Some(max_bytes) if max_bytes <= by_ratio => Self { max_bytes, name: "MAX_EXPANDED_MB" },
            _ => Self { max_bytes: by_ratio, name: "MAX_EXPANSION_RATIO" },
        }
    }

    /// The error of a source that becomes larger, where it does.
    pub(crate) fn check(self, at: &Location, format: &str, bytes: u64) -> Result<(), SplitError> {
        if bytes <= self.max_bytes {
            return Ok(());
        }
        let (limit, name) = (self.max_bytes >> 20, self.name);
        let reason = format!("the {format} data expand to more than {limit} MiB, which is the limit by {name}");
        Err(BadInput::whole(at, reason, "if the file is to be trusted, raise the limit and run again").into())
    }
}

/// The pieces of a text, in its order.
pub(crate) type Pieces = Pin<Box<dyn Stream<Item = Result<Piece, SplitError>> + Send>>;

impl TextSource {
    /// The text from a place on.
    pub(crate) fn pieces(self, start: Start, progress: Arc<Progress>) -> Pieces {
        let Self { storage, source, policy, .. } = &self;
        if policy.compression == Compression::None && policy.encoding.is_utf_8() {
            let bytes = read::bytes(Arc::clone(storage), source.clone(), start.from..source.size, progress);
            return Box::pin(bytes.map_ok(|text| Piece { text, resume_point: None }));
        }
        let started = async move {
            let pump = self.pump(start, progress).await?;
            let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
            let at = self.source.uri.clone();
            // Of its own, and not one of the runtime's threads: the runtime would wait for it when it ends.
            let thread = std::thread::Builder::new().name("text".to_owned()).spawn(move || pump.run(&sender));
            thread.map_err(|error| SplitError::internal(&at, error))?;
            Ok::<_, SplitError>(stream::try_unfold(receiver, move |mut receiver| {
                let at = at.clone();
                async move {
                    match receiver.recv().await {
                        Some(Ok(Some(piece))) => Ok(Some((piece, receiver))),
                        Some(Ok(None)) => Ok(None),
                        Some(Err(error)) => Err(error),
                        None => Err(SplitError::internal(&at, "the thread that reads the text has died")),
                    }
                }
            }))
        };
        Box::pin(stream::once(started).try_flatten())
    }

    async fn pump(&self, start: Start, progress: Arc<Progress>) -> Result<Pump, SplitError> {
        let Self { storage, source, policy, .. } = self;
        let contents = Contents::find(storage.as_ref(), source, policy.compression).await?;
        let stored = start.resume_point.as_ref().map_or(contents.range.start, |resume_point| resume_point.stored);
        let range = stored.clamp(contents.range.start, contents.range.end)..contents.range.end;
        let bytes = read::bytes(Arc::clone(storage), source.clone(), range.clone(), progress);
        let stored = Stored::new(bytes, range.start, Handle::current());
        Ok(Pump::new(self, contents, stored, start))
    }
}

/// Places at which reading can resume, from the last one that is of use.
#[derive(Debug)]
pub(crate) struct ResumePoints(VecDeque<Arc<ResumePoint>>);

impl ResumePoints {
    /// With the one that reading began at, if it did not begin at the start.
    pub(crate) fn new(first: Option<ResumePoint>) -> Self {
        Self(first.map(Arc::new).into_iter().collect())
    }

    /// Adds the next, if there is one.
    pub(crate) fn add(&mut self, resume_point: Option<ResumePoint>) {
        self.0.extend(resume_point.map(Arc::new));
    }

    /// The last one that is not after byte `start` of the text; those before it are forgotten.
    pub(crate) fn before(&mut self, start: u64) -> Option<Arc<ResumePoint>> {
        while self.0.get(1).is_some_and(|next| next.text <= start) {
            self.0.pop_front();
        }
        self.0.front().filter(|first| first.text <= start).cloned()
    }
}

/// Gets the text out of one source; works on a thread that may block.
struct Pump {
    at: Location,
    compression: Compression,
    limit: ExpansionLimit,
    resume_bytes: u64,
    decoder: Box<dyn Decoder>,
    transcoder: Option<Transcoder>,
    /// Where decompressed bytes are put before they are text.
    room: Vec<u8>,
    /// Decompressed bytes so far.
    expanded: u64,
    /// Decompressed bytes to come that belong to text before `text`.
    to_skip: u64,
    /// Byte offset of the text that comes next.
    text: u64,
    /// Byte offset of the first text that is wanted.
    from: u64,
    /// Decompressed bytes before the last place at which reading can resume.
    last_resume_point: u64,
    /// Such a place of the decompressor, until the transcoder is at one, too.
    awaits_line_end: Option<ResumePoint>,
    is_at_end: bool,
}

impl Pump {
    /// Of stored bytes that begin where the start says.
    fn new(text: &TextSource, contents: Contents, stored: Stored, start: Start) -> Self {
        let policy = &text.policy;
        let beginning = ResumePoint { stored: stored.offset(), expanded: 0, skip: 0, text: 0, member: None };
        let Start { from, resume_point } = start;
        let start = resume_point.unwrap_or(beginning);
        Self {
            at: text.source.uri.clone(),
            compression: policy.compression,
            limit: text.limit,
            resume_bytes: text.resume_bytes,
            decoder: contents.decoder(stored, start.member),
            transcoder: (!policy.encoding.is_utf_8()).then(|| Transcoder::new(policy.encoding.decoder())),
            room: vec![0; ROOM_BYTES],
            expanded: start.expanded,
            to_skip: start.skip,
            text: start.text,
            from,
            last_resume_point: start.expanded,
            awaits_line_end: None,
            is_at_end: false,
        }
    }

    /// Sends all pieces, and `None` after the last; ends early when nobody takes them any more.
    fn run(mut self, sender: &mpsc::Sender<Result<Option<Piece>, SplitError>>) {
        loop {
            let piece = self.next_piece();
            let is_last = !matches!(piece, Ok(Some(_)));
            if sender.blocking_send(piece).is_err() || is_last {
                return;
            }
        }
    }

    fn next_piece(&mut self) -> Result<Option<Piece>, SplitError> {
        while !self.is_at_end {
            let mut piece = Vec::with_capacity(PIECE_BYTES + ROOM_BYTES);
            let mut resume_point = None;
            while piece.len() < PIECE_BYTES && !self.is_at_end && resume_point.is_none() {
                resume_point = self.extend(&mut piece)?;
            }
            let start = self.text;
            self.text += length(&piece);
            let unwanted = usize::try_from(self.from.saturating_sub(start)).unwrap_or(usize::MAX);
            let text =
                Bytes::from(piece).split_off(unwanted.min(usize::try_from(self.text - start).unwrap_or_default()));
            if !text.is_empty() || resume_point.is_some() {
                return Ok(Some(Piece { text, resume_point }));
            }
        }
        Ok(None)
    }

    /// Appends what is decoded next; a place at which reading can resume, if one was passed.
    fn extend(&mut self, piece: &mut Vec<u8>) -> Result<Option<ResumePoint>, SplitError> {
        let decoded = self.decoder.decode(&mut self.room);
        let decoded = decoded.map_err(|error| self.blame(error))?;
        self.is_at_end = decoded.is_none();
        let decoded = decoded.unwrap_or_default();
        let start = self.expanded;
        self.expanded += u64::try_from(decoded).unwrap_or_default();
        if self.compression != Compression::None {
            self.limit.check(&self.at, name_of(self.compression), self.expanded)?;
        }
        let bytes = self.room.get(..decoded).unwrap_or_default();
        let skipped = usize::try_from(self.to_skip).unwrap_or(usize::MAX).min(decoded);
        self.to_skip -= u64::try_from(skipped).unwrap_or_default();
        let (bytes, start) =
            (bytes.get(skipped..).unwrap_or_default(), start + u64::try_from(skipped).unwrap_or_default());
        let mut resume_point = None;
        match &mut self.transcoder {
            None => piece.extend_from_slice(bytes),
            Some(transcoder) => {
                let mut rest = bytes;
                if let Some(mut place) = self.awaits_line_end.take() {
                    let fresh = transcoder.fresh_start(bytes, start).and_then(|before| bytes.split_at_checked(before));
                    let (before, behind) = fresh.unwrap_or((bytes, &[]));
                    place.skip += u64::try_from(before.len()).unwrap_or_default();
                    transcoder.transcode(before, false, piece);
                    rest = behind;
                    if fresh.is_some() {
                        place.text = self.text + length(piece);
                        resume_point = Some(place);
                    } else {
                        self.awaits_line_end = Some(place);
                    }
                }
                transcoder.transcode(rest, self.is_at_end, piece);
            }
        }
        self.find_resume_point(piece, &mut resume_point);
        Ok(resume_point)
    }

    /// Looks whether the decompressor is at a place at which it could resume, if it is time for one.
    fn find_resume_point(&mut self, piece: &[u8], resume_point: &mut Option<ResumePoint>) {
        let is_due = self.expanded >= self.last_resume_point.saturating_add(self.resume_bytes);
        if !is_due || self.to_skip > 0 || self.is_at_end || self.awaits_line_end.is_some() || resume_point.is_some() {
            return;
        }
        let Some((stored, member)) = self.decoder.resume_point() else { return };
        self.last_resume_point = self.expanded;
        let place = ResumePoint { stored, expanded: self.expanded, skip: 0, text: self.text + length(piece), member };
        match self.transcoder {
            None => *resume_point = Some(place),
            Some(_) => self.awaits_line_end = Some(place),
        }
    }

    fn blame(&self, error: io::Error) -> SplitError {
        let error = match error.downcast::<SplitError>() {
            Ok(error) => return error,
            Err(error) => error,
        };
        let (name, offset) = (name_of(self.compression), self.decoder.offset());
        let (reason, hint) = match error.kind() {
            io::ErrorKind::UnexpectedEof => (
                format!("the file ends, after {offset} bytes, within its {name} data"),
                "it was cut off; have it written again",
            ),
            io::ErrorKind::OutOfMemory => (
                format!(
                    "the {name} data near byte {offset} of the file need more memory than 128 MiB to be decompressed"
                ),
                "have the file compressed with a smaller window",
            ),
            _ => (
                format!("the {name} data are damaged near byte {offset} of the file: {error}"),
                "have the file written again; COMPRESSION=none with --again takes it as it is, if it is not compressed at all",
            ),
        };
        BadInput::whole(&self.at, reason, hint).into()
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or_default()
}

fn name_of(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "stored",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
        Compression::Bzip2 => "bzip2",
        Compression::Xz => "xz",
        Compression::Lz4 => "LZ4",
        Compression::Snappy => "Snappy",
        Compression::Zip => "zip",
    }
}

#[cfg(test)]
mod tests;
