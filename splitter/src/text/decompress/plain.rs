//! Bytes that are stored as they are, in a file or in a zip archive.

use std::io::{self, Read};

use shared::MemberState;

use super::decoder::{Decoder, damaged};
use crate::source::read::Stored;

/// Gives the bytes out as they stand.
pub(super) struct Plain {
    stored: Stored,
    check: Option<Check>,
}

/// What the archive says of the bytes, and what they are so far.
struct Check {
    crc32: u32,
    length: u64,
    hasher: crc32fast::Hasher,
    read: u64,
}

impl Plain {
    /// Bytes of a file.
    pub(super) fn new(stored: Stored) -> Self {
        Self { stored, check: None }
    }

    /// Bytes of the file in a zip archive, with the checksum and the length that the directory has.
    pub(super) fn of_zip(stored: Stored, crc32: u32, length: u64, state: &MemberState) -> Self {
        let hasher = crc32fast::Hasher::new_with_initial_len(state.crc32, state.length);
        Self { stored, check: Some(Check { crc32, length, hasher, read: state.length }) }
    }
}

impl Decoder for Plain {
    fn decode(&mut self, out: &mut [u8]) -> io::Result<Option<usize>> {
        let read = self.stored.read(out)?;
        if let Some(check) = &mut self.check {
            check.hasher.update(out.get(..read).unwrap_or_default());
            check.read += u64::try_from(read).unwrap_or_default();
            if read == 0 && (check.read, check.hasher.clone().finalize()) != (check.length, check.crc32) {
                return Err(damaged("length or checksum are not what the archive's directory says"));
            }
        }
        Ok(Some(read).filter(|read| *read > 0))
    }

    fn resume_point(&self) -> Option<(u64, Option<MemberState>)> {
        let state = self.check.as_ref().map(|check| MemberState {
            crc32: check.hasher.clone().finalize(),
            length: check.read,
            ..MemberState::default()
        });
        Some((self.stored.offset(), state))
    }

    fn offset(&self) -> u64 {
        self.stored.offset()
    }
}
