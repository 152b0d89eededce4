//! Samples of a source, from which is found out how it is written.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use shared::{Compression, Encoding, SourceObject, TextPolicy};

use crate::blocks::text_source;
use crate::context::SplitContext;
use crate::error::SplitError;
use crate::examine::by_contract::Held;
use crate::examine::encoding::{Detected, Guess, detect, refuse_controls};
use crate::examine::unsupported;
use crate::text::Start;
use crate::text::decompress;
use crate::text::transcode::Transcoder;

/// Bytes of the sample from the head of the file; the header must end within it.
pub(crate) const HEAD_BYTES: u64 = 1 << 20;

/// Bytes of the text of a compressed file that are taken instead, since there are no samples from further on.
const EXPANDED_HEAD_BYTES: usize = 4 << 20;

/// Samples from further places of the file, evenly spread, and the most bytes of each; together at most a quarter of it.
const SAMPLES: u64 = 8;
const SAMPLE_BYTES: u64 = 256 << 10;

/// Samples of the text of a source.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// The first bytes of the text.
    pub(crate) head: Bytes,
    /// Whether these are all there are.
    pub(crate) is_whole: bool,
    /// Pieces from further on.
    pub(crate) spread: Vec<SpreadSample>,
    /// By what its encoding was guessed, if it was.
    pub(crate) guess: Option<Guess>,
}

/// A piece from the middle of the text. It may begin anywhere, within quotes too.
#[derive(Clone, Debug)]
pub(crate) struct SpreadSample {
    pub(crate) text: Bytes,
    /// Whether it is cut off at its end.
    pub(crate) ends_open: bool,
}

impl Sample {
    /// The same without a footer that begins at this byte offset, as far as the head shows it.
    pub(crate) fn before(&self, footer_start: Option<u64>) -> Self {
        let end = footer_start.and_then(|start| usize::try_from(start).ok()).unwrap_or(usize::MAX);
        Self { head: self.head.slice(..end.min(self.head.len())), ..self.clone() }
    }
}

/// Finds how the text of a source is stored, unless the settings say, and takes samples of it; `head` are its first
/// [`HEAD_BYTES`].
pub(crate) async fn read(
    context: &SplitContext,
    source: &SourceObject,
    head: Bytes,
) -> Result<(TextPolicy, Sample), SplitError> {
    let settings = &context.settings;
    if let Some(held) = Held::new(&source.uri, settings) {
        held.check_stored(&head)?;
    }
    let compression = settings.read.compression.unwrap_or_else(|| decompress::recognise(&head));
    let (head, is_whole, spread) = if compression == Compression::None {
        let is_whole = u64::try_from(head.len()).ok() == Some(source.size);
        (head, is_whole, spread_samples(context, source).await?)
    } else {
        let (head, is_whole) = expanded_head(context, source, compression).await?;
        (head, is_whole, Vec::new())
    };
    unsupported::refuse(&source.uri, &head, compression)?;
    let pieces: Vec<&[u8]> = spread.iter().map(|sample| sample.text.as_ref()).collect();
    let (encoding, guess) = match &settings.read.encoding {
        Some(encoding) => {
            if let Some(held) = Held::new(&source.uri, settings) {
                held.check_encoding(&head, &pieces, encoding)?;
            }
            (encoding.clone(), None)
        }
        None => detected(source, &head, &pieces)?,
    };
    let in_utf_8 = |bytes| to_utf_8(bytes, &encoding);
    let spread = spread.into_iter().map(|sample| SpreadSample { text: in_utf_8(sample.text), ..sample }).collect();
    let head = in_utf_8(head);
    unsupported::refuse_nul_bytes(&source.uri, &head)?;
    Ok((TextPolicy { compression, encoding }, Sample { head, is_whole, spread, guess }))
}

/// The encoding of a text, by its samples, and by what it was guessed, if it was.
fn detected(source: &SourceObject, head: &[u8], pieces: &[&[u8]]) -> Result<(Encoding, Option<Guess>), SplitError> {
    let Detected { encoding, guess } = detect(head, pieces);
    refuse_controls(&source.uri, head, encoding)?;
    Ok((Encoding::for_label(encoding.name()).unwrap_or_else(Encoding::utf_8), guess))
}

/// A sample in UTF-8; a character that it begins or ends within is lost with the line that it stands in.
fn to_utf_8(bytes: Bytes, encoding: &Encoding) -> Bytes {
    if encoding.is_utf_8() {
        return bytes;
    }
    let mut text = Vec::new();
    Transcoder::new(encoding.decoder()).transcode(&bytes, false, &mut text);
    text.into()
}

/// Samples as they are stored.
async fn spread_samples(context: &SplitContext, source: &SourceObject) -> Result<Vec<SpreadSample>, SplitError> {
    let first = HEAD_BYTES.min(source.size);
    let step = (source.size - first) / SAMPLES;
    let mut samples = Vec::new();
    for number in (1..=SAMPLES).filter(|_| step > 0) {
        let end = first + step * number;
        // Even, since two bytes of UTF-16 belong together.
        let start = (end - SAMPLE_BYTES.min(step / 4)) & !1;
        let text = context.storage.get_range(&source.uri, &source.version, start..end).await;
        let text = text.map_err(SplitError::Source)?;
        samples.push(SpreadSample { text, ends_open: end < source.size });
    }
    Ok(samples)
}

async fn expanded_head(
    context: &SplitContext,
    source: &SourceObject,
    compression: Compression,
) -> Result<(Bytes, bool), SplitError> {
    let policy = TextPolicy { compression, encoding: Encoding::utf_8() };
    let mut pieces = text_source(context, source, policy, u64::MAX).pieces(Start::default(), Arc::default());
    let mut head = Vec::new();
    while head.len() < EXPANDED_HEAD_BYTES {
        match pieces.try_next().await? {
            Some(piece) => head.extend_from_slice(&piece.text),
            None => return Ok((head.into(), true)),
        }
    }
    Ok((head.into(), false))
}
