//! Deflated data: gzip, and the file in a zip archive.

use std::io::{self, BufRead, Read};

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{BlockBoundaryState, DecompressorOxide, decompress, inflate_flags as flags};
use shared::MemberState;

use super::decoder::{Decoder, ROOM_BYTES, damaged};
use crate::source::read::Stored;

/// How far back deflated data may refer.
const WINDOW_BYTES: usize = 32 << 10;

/// What is given out as it is decoded, with stops between blocks, since a decoder can resume there.
const FLAGS: u32 = flags::TINFL_FLAG_HAS_MORE_INPUT
    | flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
    | flags::TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;

/// Inflates one member after the other, and checks each by its checksum and length.
pub(super) struct Inflate {
    stored: Stored,
    container: Container,
    member: Option<Member>,
    /// Whether a member has come to its end, so that nothing needs to follow.
    any: bool,
    inflater: Box<DecompressorOxide>,
    /// The window, and room after it.
    buffer: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Container {
    /// Any number of members, each with header and trailer.
    Gzip,
    /// One member, named by the archive's directory.
    Zip { crc32: u32, length: u64 },
}

/// The member that is being inflated.
struct Member {
    hasher: crc32fast::Hasher,
    length: u64,
    is_between_blocks: bool,
}

impl Inflate {
    /// Inflates gzip data, from its start, or from between two members, or from where a state was taken.
    pub(super) fn of_gzip(stored: Stored, is_start: bool, state: Option<MemberState>) -> Self {
        let mut inflate = Self::new(stored, Container::Gzip);
        inflate.any = !is_start;
        if let Some(state) = state {
            inflate.go_on(&state);
        }
        inflate
    }

    /// Inflates the file of a zip archive, whose checksum and length the directory has.
    pub(super) fn of_zip(stored: Stored, crc32: u32, length: u64, state: &MemberState) -> Self {
        let mut inflate = Self::new(stored, Container::Zip { crc32, length });
        inflate.go_on(state);
        inflate
    }

    fn new(stored: Stored, container: Container) -> Self {
        let buffer = vec![0; WINDOW_BYTES + ROOM_BYTES];
        Self { stored, container, member: None, any: false, inflater: Box::default(), buffer }
    }

    fn go_on(&mut self, state: &MemberState) {
        let hasher = crc32fast::Hasher::new_with_initial_len(state.crc32, state.length);
        self.member = Some(Member { hasher, length: state.length, is_between_blocks: true });
        let boundary = BlockBoundaryState {
            num_bits: state.bits.min(7),
            bit_buf: state.bit_buffer,
            ..BlockBoundaryState::default()
        };
        *self.inflater = DecompressorOxide::from_block_boundary_state(&boundary);
        let start = WINDOW_BYTES.saturating_sub(state.window.len());
        for (to, from) in self.buffer.iter_mut().skip(start).zip(&state.window) {
            *to = *from;
        }
    }

    /// Begins with the next member of a gzip file; `false` where there is none.
    fn next_member(&mut self) -> io::Result<bool> {
        if matches!(self.container, Container::Zip { .. }) {
            return Ok(false);
        }
        if self.any {
            // Tapes and some tools fill up with zeros, which gzip skips, too.
            while let [0, ..] = self.stored.fill_buf()? {
                self.stored.consume(1);
            }
            if self.stored.fill_buf()?.is_empty() {
                return Ok(false);
            }
        }
        read_header(&mut self.stored)?;
        self.go_on(&MemberState::default());
        Ok(true)
    }

    /// Checks the member that has come to its end.
    fn end_member(&mut self, member: Member) -> io::Result<()> {
        self.any = true;
        let found = (member.hasher.finalize(), member.length);
        let (is_right, who) = match self.container {
            Container::Gzip => {
                let (crc32, length) = (read_u32(&mut self.stored)?, read_u32(&mut self.stored)?);
                let found = (found.0, found.1 & u64::from(u32::MAX));
                (found == (crc32, u64::from(length)), "the trailer says")
            }
            Container::Zip { crc32, length } => {
                let is_end = self.stored.fill_buf()?.is_empty();
                (found == (crc32, length) && is_end, "the archive's directory says")
            }
        };
        if is_right { Ok(()) } else { Err(damaged(format!("length or checksum are not what {who}"))) }
    }
}

impl Decoder for Inflate {
    fn decode(&mut self, out: &mut [u8]) -> io::Result<Option<usize>> {
        if self.member.is_none() && !self.next_member()? {
            return Ok(None);
        }
        let Some(mut member) = self.member.take() else { return Ok(None) };
        let input = self.stored.fill_buf()?;
        let is_end = input.is_empty();
        let (status, read, written) = decompress(&mut self.inflater, input, &mut self.buffer, WINDOW_BYTES, FLAGS);
        self.stored.consume(read);
        let text = self.buffer.get(WINDOW_BYTES..WINDOW_BYTES + written).unwrap_or_default();
        member.hasher.update(text);
        member.length += u64::try_from(written).unwrap_or_default();
        member.is_between_blocks = status == TINFLStatus::BlockBoundary;
        if let Some(out) = out.get_mut(..written) {
            out.copy_from_slice(text);
        }
        self.buffer.copy_within(written..written + WINDOW_BYTES, 0);
        match status {
            TINFLStatus::Done => self.end_member(member)?,
            TINFLStatus::NeedsMoreInput if is_end && written == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput | TINFLStatus::BlockBoundary => {
                self.member = Some(member);
            }
            _ => return Err(damaged("this is not deflated data")),
        }
        Ok(Some(written))
    }

    fn resume_point(&self) -> Option<(u64, Option<MemberState>)> {
        let Some(member) = &self.member else {
            // Behind the only file of an archive there is nothing to begin with.
            return matches!(self.container, Container::Gzip).then(|| (self.stored.offset(), None));
        };
        let boundary = self.inflater.block_boundary_state().filter(|_| member.is_between_blocks)?;
        let length = usize::try_from(member.length).unwrap_or(usize::MAX).min(WINDOW_BYTES);
        let state = MemberState {
            bits: boundary.num_bits,
            bit_buffer: boundary.bit_buf,
            crc32: member.hasher.clone().finalize(),
            length: member.length,
            window: self.buffer.get(WINDOW_BYTES - length..WINDOW_BYTES).unwrap_or_default().to_vec(),
        };
        Some((self.stored.offset(), Some(state)))
    }

    fn offset(&self) -> u64 {
        self.stored.offset()
    }
}

/// Reads the header of a gzip member (RFC 1952).
fn read_header(stored: &mut Stored) -> io::Result<()> {
    const HEADER_CHECKSUM: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let mut header = [0; 10];
    stored.read_exact(&mut header)?;
    let [0x1f, 0x8b, 8, has, ..] = header else {
        return Err(damaged("no gzip member begins here"));
    };
    if has & EXTRA != 0 {
        let mut length = [0; 2];
        stored.read_exact(&mut length)?;
        skip(stored, u64::from(u16::from_le_bytes(length)))?;
    }
    for text in [NAME, COMMENT] {
        if has & text != 0 {
            stored.skip_until(0)?;
        }
    }
    if has & HEADER_CHECKSUM != 0 {
        skip(stored, 2)?;
    }
    Ok(())
}

fn read_u32(stored: &mut Stored) -> io::Result<u32> {
    let mut bytes = [0; 4];
    stored.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn skip(stored: &mut Stored, length: u64) -> io::Result<()> {
    let skipped = io::copy(&mut stored.take(length), &mut io::sink())?;
    if skipped == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
