//! What decoders have in common.

use std::io;

use shared::MemberState;

/// Least room for what is decoded at once: the most that one chunk of Snappy's framing format holds.
pub(crate) const ROOM_BYTES: usize = 64 << 10;

/// Most memory that a file may ask for to be decompressed. What the command-line tools write asks for less, unless asked to
/// use more in so many words: `xz -9` 64 MiB, `zstd --ultra -22` 128 MiB.
pub(super) const WINDOW_LOG: u32 = 27;

/// Decodes the bytes of one source.
pub(crate) trait Decoder: Send {
    /// Decodes the next bytes into `out`, which has [`ROOM_BYTES`] at least; how many, which may be none, and `None` at the
    /// end.
    fn decode(&mut self, out: &mut [u8]) -> io::Result<Option<usize>>;

    /// Where another decoder could begin with the byte after the last one decoded; `None` where none could.
    fn resume_point(&self) -> Option<(u64, Option<MemberState>)>;

    /// Offset in the file of what is read next.
    fn offset(&self) -> u64;
}

/// `BZh` and a digit are letters that a header may begin with; after them stand the digits of π, or for nothing at all of √π.
pub(super) fn is_bzip2(head: &[u8]) -> bool {
    let signed = |rest: &[u8]| rest.starts_with(b"1AY&SY") || rest.starts_with(b"\x17\x72\x45\x38\x50\x90");
    head.starts_with(b"BZh") && head.get(3).is_some_and(u8::is_ascii_digit) && head.get(4..).is_some_and(signed)
}

/// The error of data that cannot be decoded.
pub(super) fn damaged(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}
