//! Compressed sources: what they are compressed with, and their bytes as they were before.

pub(crate) mod decoder;
mod inflate;
mod members;
mod plain;
mod zip;

use std::ops::Range;

use shared::{Compression, MemberState, SourceObject, Storage};

use crate::error::SplitError;
use crate::source::read::Stored;
use decoder::{Decoder, is_bzip2};
use inflate::Inflate;
use members::Members;
use plain::Plain;
use zip::ZipFile;

/// What a file that begins like this is compressed with.
pub(crate) fn recognise(head: &[u8]) -> Compression {
    const FIRST_BYTES: &[(&[u8], Compression)] = &[
        (b"\x1f\x8b\x08", Compression::Gzip),
        (b"\x28\xb5\x2f\xfd", Compression::Zstd),
        (b"\xfd7zXZ\0", Compression::Xz),
        (b"\x04\x22\x4d\x18", Compression::Lz4),
        (b"\xff\x06\0\0sNaPpY", Compression::Snappy),
        (b"PK\x03\x04", Compression::Zip),
        (b"PK\x05\x06", Compression::Zip),
    ];
    let found = FIRST_BYTES.iter().find(|(first, _)| head.starts_with(first)).map(|(_, compression)| *compression);
    found.unwrap_or(if is_bzip2(head) { Compression::Bzip2 } else { Compression::None })
}

/// Which bytes of a file are to be decoded, and how.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    compression: Compression,
    /// Where they stand in the file.
    pub(crate) range: Range<u64>,
    zip: Option<ZipFile>,
}

impl Contents {
    /// Finds them; of a zip archive the directory is read.
    pub(crate) async fn find(
        storage: &dyn Storage,
        source: &SourceObject,
        compression: Compression,
    ) -> Result<Self, SplitError> {
        if compression == Compression::Zip {
            let zip = zip::the_file(storage, source).await?;
            return Ok(Self { compression, range: zip.data.clone(), zip: Some(zip) });
        }
        Ok(Self { compression, range: 0..source.size, zip: None })
    }

    /// A decoder of stored bytes that begin at the start of the contents, or at a place where [`Decoder::resume_point`] gave
    /// this state.
    pub(crate) fn decoder(self, stored: Stored, state: Option<MemberState>) -> Box<dyn Decoder> {
        let is_start = stored.offset() == self.range.start;
        match (self.compression, self.zip) {
            (_, Some(zip)) if zip.is_deflated => {
                Box::new(Inflate::of_zip(stored, zip.crc32, zip.length, &state.unwrap_or_default()))
            }
            (_, Some(zip)) => Box::new(Plain::of_zip(stored, zip.crc32, zip.length, &state.unwrap_or_default())),
            (Compression::None | Compression::Zip, None) => Box::new(Plain::new(stored)),
            (Compression::Gzip, None) => Box::new(Inflate::of_gzip(stored, is_start, state)),
            (compression, None) => Box::new(Members::new(compression, stored, is_start)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes() {
        for (head, expected) in [
            (&b"\x1f\x8b\x08\0"[..], Compression::Gzip),
            (b"BZh91AY&SY", Compression::Bzip2),
            (b"BZh9\x17\x72\x45\x38\x50\x90", Compression::Bzip2),
            (b"BZh9,name\n", Compression::None),
            (b"PK\x03\x04", Compression::Zip),
            (b"PK,name\n", Compression::None),
            (b"id,name\n", Compression::None),
            (b"", Compression::None),
        ] {
            assert_eq!(recognise(head), expected, "{head:?}");
        }
    }
}
