//! Formats whose files are members one after the other, each with an end of its own: frames, or streams.

use std::io::{self, BufRead, Cursor, Read};

use shared::{Compression, MemberState};

use super::decoder::{Decoder, ROOM_BYTES, WINDOW_LOG, damaged};
use crate::source::read::Stored;

/// Decodes one member after the other.
pub(super) struct Members {
    compression: Compression,
    now: Now,
    /// Whether a member has come to its end, so that nothing needs to follow.
    any: bool,
}

enum Now {
    Between(Stored),
    Zstd(zstd::stream::read::Decoder<'static, Stored>),
    Bzip2(bzip2::bufread::BzDecoder<Stored>),
    Xz(Box<lzma_rust2::XzReader<Stored>>),
    Lz4(Box<lz4_flex::frame::FrameDecoder<Stored>>),
    Snappy(Box<SnappyDecoder>),
    /// An error has been returned.
    Failed,
}

type SnappyDecoder = snap::read::FrameDecoder<io::Chain<Cursor<&'static [u8]>, Stored>>;

/// What Snappy's framing format begins with.
const SNAPPY_START: &[u8] = b"\xff\x06\0\0sNaPpY";

impl Members {
    /// Decodes from the start of a file, or from a [`Decoder::resume_point`].
    pub(super) fn new(compression: Compression, stored: Stored, is_start: bool) -> Self {
        let now = if compression == Compression::Snappy && !is_start {
            snappy(SNAPPY_START, stored)
        } else {
            Now::Between(stored)
        };
        Self { compression, now, any: !is_start }
    }

    fn stored(&self) -> Option<&Stored> {
        match &self.now {
            Now::Between(stored) => Some(stored),
            Now::Zstd(decoder) => Some(decoder.get_ref()),
            Now::Bzip2(decoder) => Some(decoder.get_ref()),
            Now::Xz(decoder) => Some(decoder.inner()),
            Now::Lz4(decoder) => Some(decoder.get_ref()),
            Now::Snappy(decoder) => Some(decoder.get_ref().get_ref().1),
            Now::Failed => None,
        }
    }

    /// Decodes the next stream of bzip2 at once, if it is a small one.
    fn small_stream(&mut self, out: &mut [u8]) -> io::Result<Option<usize>> {
        let (Compression::Bzip2, Now::Between(stored)) = (self.compression, &mut self.now) else { return Ok(None) };
        let Some((length, read)) = small_bzip2(stored.fill_buf()?, out) else { return Ok(None) };
        stored.consume(length);
        self.any = true;
        Ok(Some(read))
    }

    /// Begins with the next member; `false` where there is none.
    fn next_member(&mut self) -> io::Result<bool> {
        let Now::Between(mut stored) = std::mem::replace(&mut self.now, Now::Failed) else { return Ok(false) };
        let is_end = stored.fill_buf()?.is_empty();
        if is_end && self.any {
            self.now = Now::Between(stored);
            return Ok(false);
        }
        if is_end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.now = match self.compression {
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(stored)?.single_frame();
                decoder.window_log_max(WINDOW_LOG)?;
                Now::Zstd(decoder)
            }
            Compression::Bzip2 => Now::Bzip2(bzip2::bufread::BzDecoder::new(stored)),
            Compression::Xz => {
                const KIB_OF_OVERHEAD: u32 = 1 << 10;
                let most = (1 << (WINDOW_LOG - 10)) + KIB_OF_OVERHEAD;
                Now::Xz(Box::new(lzma_rust2::XzReader::new_mem_limit(stored, false, most)))
            }
            Compression::Lz4 => Now::Lz4(Box::new(lz4_flex::frame::FrameDecoder::new(stored))),
            Compression::Snappy => snappy(&[], stored),
            Compression::None | Compression::Gzip | Compression::Zip => {
                return Err(damaged("this compression has no frames"));
            }
        };
        Ok(true)
    }

    /// The member has come to its end.
    fn end_member(&mut self) -> io::Result<()> {
        let mut stored = match std::mem::replace(&mut self.now, Now::Failed) {
            Now::Between(stored) => stored,
            Now::Zstd(decoder) => decoder.finish(),
            Now::Bzip2(decoder) => decoder.into_inner(),
            Now::Xz(decoder) => decoder.into_inner(),
            Now::Lz4(decoder) => {
                // The end mark is read to its last byte and no further; the decoder takes the end of the file for one, too.
                if decoder.get_ref().ran_out() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                decoder.into_inner()
            }
            Now::Snappy(decoder) => decoder.into_inner().into_inner().1,
            Now::Failed => return Ok(()),
        };
        if self.compression == Compression::Xz {
            // Streams may be padded with zeros, four at a time.
            let mut padding = 0_u64;
            while let [0, ..] = stored.fill_buf()? {
                stored.consume(1);
                padding += 1;
            }
            if !padding.is_multiple_of(4) {
                return Err(damaged("the number of zeros after a stream is not a multiple of four"));
            }
        }
        self.any = true;
        self.now = Now::Between(stored);
        Ok(())
    }
}

/// Bytes in which a small stream of bzip2 has to end.
const SMALL_STREAM_BYTES: usize = 16 << 10;

/// What a stream of bzip2 begins with. Its level, from 1 to 9, says how many times 100,000 bytes its blocks have at most.
const BZIP2_START: &[u8] = b"BZh";

/// Decodes a stream of bzip2 that text begins with, if another one begins a little after it; how long it is, and how much it holds.
///
/// For each stream the decoder takes memory for blocks of its level and sets all of it to zero: 3.6 MB for most, which takes many times as
/// long as a small stream does. So that one is tried as if it was of the lowest level. `None` says nothing of it.
fn small_bzip2(stored: &[u8], out: &mut [u8]) -> Option<(usize, usize)> {
    let rest = stored
        .strip_prefix(BZIP2_START)?
        .get(..SMALL_STREAM_BYTES.min(stored.len().checked_sub(BZIP2_START.len())?))?;
    let is_start = |place: &usize| rest.get(*place..).is_some_and(super::decoder::is_bzip2);
    let length = memchr::memmem::find_iter(rest, BZIP2_START).find(is_start)? + BZIP2_START.len();
    let level = BZIP2_START.len();
    let body = stored.get(level + 1..length)?;
    // Not with half of that memory: it would save a microsecond, and decoding takes nine times as long for a stream of few bytes that holds
    // much text.
    let mut decoder = bzip2::Decompress::new(false);
    decoder.decompress(b"BZh1", out).ok()?;
    let status = decoder.decompress(body, out).ok()?;
    let is_whole = status == bzip2::Status::StreamEnd && decoder.total_in() == u64::try_from(length).ok()?;
    is_whole.then_some((length, usize::try_from(decoder.total_out()).ok()?))
}

fn snappy(start: &'static [u8], stored: Stored) -> Now {
    Now::Snappy(Box::new(snap::read::FrameDecoder::new(Cursor::new(start).chain(stored))))
}

impl Decoder for Members {
    fn decode(&mut self, out: &mut [u8]) -> io::Result<Option<usize>> {
        if let Some(read) = self.small_stream(out)? {
            return Ok(Some(read));
        }
        if matches!(self.now, Now::Between(_)) && !self.next_member()? {
            return Ok(None);
        }
        let read = match &mut self.now {
            Now::Zstd(decoder) => decoder.read(out)?,
            Now::Bzip2(decoder) => decoder.read(out)?,
            Now::Xz(decoder) => decoder.read(out)?,
            Now::Lz4(decoder) => decoder.read(out)?,
            Now::Snappy(decoder) => decoder.read(out)?,
            Now::Between(_) | Now::Failed => return Err(damaged("decoding has failed before")),
        };
        if read == 0 {
            self.end_member()?;
        }
        Ok(Some(read))
    }

    fn resume_point(&self) -> Option<(u64, Option<MemberState>)> {
        match &self.now {
            Now::Between(stored) => Some((stored.offset(), None)),
            // Each chunk stands for itself and holds no more than a read has room for, so reads end where chunks do.
            Now::Snappy(_) => Some((self.offset(), None)),
            _ => None,
        }
    }

    fn offset(&self) -> u64 {
        self.stored().map(Stored::offset).unwrap_or_default()
    }
}

const _: () = assert!(ROOM_BYTES >= 64 << 10, "a chunk of Snappy's framing format must fit");

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn stream(text: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(level));
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn small_streams_of_bzip2_are_decoded_at_once() {
        // No two runs of it are alike, so that a block of the lowest level cannot hold it; but it is short once compressed.
        let long: Vec<u8> = (0..150_000_u32).map(|place| if place % 2 == 0 { b'a' } else { b'b' }).collect();
        let next = stream(b"x", 9);
        for (what, first, next, expected) in [
            ("level 9", stream(b"1,2\n", 9), &next[..], Some(4)),
            ("level 1", stream(b"1,2\n", 1), &next, Some(4)),
            ("nothing", stream(b"", 9), &next, Some(0)),
            ("the last one", stream(b"1,2\n", 9), b"", None),
            ("other data behind it", stream(b"1,2\n", 9), b"BZh91AY&S", None),
            ("more than there is room for", stream(&long, 9), &next, None),
            ("no stream", b"1,2\n".to_vec(), &next, None),
            ("nothing at all", Vec::new(), b"", None),
        ] {
            let mut out = vec![0; ROOM_BYTES];
            let decoded = small_bzip2(&[&first, next].concat(), &mut out);
            assert_eq!(decoded, expected.map(|read| (first.len(), read)), "{what}");
            assert!(out.starts_with(&b"1,2\n"[..expected.unwrap_or_default()]), "{what}");
        }
        let mut damaged = stream(b"1,2\n", 9);
        let last = damaged.len() - 1;
        damaged[last] ^= 0xff;
        assert_eq!(small_bzip2(&[&damaged, &next[..]].concat(), &mut vec![0; ROOM_BYTES]), None);
    }

    #[test]
    fn small_streams_that_hold_much_text_take_no_longer_than_others() {
        let first = stream(&vec![b'x'; 30_000], 9);
        let text = [&first[..], &stream(b"x", 9)].concat();
        let best = |decode: &dyn Fn(&mut [u8])| {
            let mut out = vec![0; ROOM_BYTES];
            let times = (0..10).map(|_| {
                let began = std::time::Instant::now();
                decode(&mut out);
                began.elapsed()
            });
            times.min().unwrap()
        };
        let alone = best(&|out| {
            let status = bzip2::Decompress::new(false).decompress(&first, out).unwrap();
            assert_eq!(status, bzip2::Status::StreamEnd);
        });
        let took = best(&|out| assert_eq!(small_bzip2(&text, out), Some((first.len(), 30_000))));
        assert!(took < alone * 2, "{took:?}, and {alone:?} with room for the largest blocks");
    }
}
