//! Files that are not tables, recognised by what they hold, and refused by name.

use shared::{Compression, Location};

use crate::error::{BadInput, SplitError};
use crate::examine::tar;

/// Formats by their first bytes that are sometimes dropped in place of a table.
const OTHER_FORMATS: &[(&[u8], &str, &str)] = &[
    (b"\x02\x21\x4c\x18", "LZ4 data in its legacy format", "have it written as LZ4 frames, or decompress it first"),
    (b"\x5d\0\0", "LZMA data without a container", "have it written as xz, or decompress it first"),
    (b"\x1f\x9d", "data of the old compress", "compress it with gzip or zstd instead"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"\x89PNG", "a PNG image", NOT_A_TABLE),
    (b"\xff\xd8\xff", "a JPEG image", NOT_A_TABLE),
    (b"GIF8", "a GIF image", NOT_A_TABLE),
    (b"%PDF-", "a PDF document", NOT_A_TABLE),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "save the sheet as CSV"),
    (b"Obj\x01", "an Avro file", "convert it to Parquet"),
    (b"ORC\x0a", "an ORC file", "convert it to Parquet"),
    (b"SQLite format 3\0", "an SQLite database", NOT_A_TABLE),
];

const UNPACK: &str = "unpack it, and drop each file by itself";
const UNPACK_TAR: &str =
    "unpack it, and drop each file by itself; or load one of them: `tar -xOf ARCHIVE NAME | sluice ingest - ...`";
const NOT_A_TABLE: &str = "Sluice takes CSV and Parquet";

/// Refuses bytes, the first of a source once it is decompressed, that are known to be no text.
pub(crate) fn refuse(at: &Location, head: &[u8], compression: Compression) -> Result<(), SplitError> {
    let bad = |what: &str, hint| -> Result<(), SplitError> {
        let wrapped = if compression == Compression::None { "this is" } else { "this is, once decompressed," };
        Err(BadInput::at_byte(at, 0, format!("{wrapped} {what}, not CSV or Parquet"), hint).into())
    };
    if compression != Compression::None {
        if crate::text::decompress::recognise(head) != Compression::None {
            return bad("compressed once more", "compress it once only");
        }
        if head.starts_with(b"PAR1") && head.contains(&0) {
            let hint = "Parquet is compressed within; drop the Parquet file itself";
            return Err(BadInput::at_byte(at, 0, "this is a Parquet file that was compressed as a whole", hint).into());
        }
    }
    if let Some((_, what, hint)) = OTHER_FORMATS.iter().find(|(first, ..)| head.starts_with(first)) {
        return bad(what, hint);
    }
    match tar::members(head) {
        Some(names) if names.is_empty() => bad("a tar archive", UNPACK_TAR),
        Some(names) => bad(&format!("a tar archive of {}", names.join(", ")), UNPACK_TAR),
        None => Ok(()),
    }
}

/// Refuses text with a NUL byte near its start, which text has none of.
pub(crate) fn refuse_nul_bytes(at: &Location, head: &[u8]) -> Result<(), SplitError> {
    let Some(place) = memchr::memchr(0, head) else { return Ok(()) };
    let place = u64::try_from(place).unwrap_or_default();
    let hint = "Sluice takes CSV and Parquet; if this is text in an encoding that was not recognised, set ENCODING";
    Err(BadInput::at_byte(at, place, "a NUL byte, so this is neither CSV nor Parquet", hint).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_table_is_named() {
        let at = "s3://b/k.csv".parse().unwrap();
        let mut tar = [0; 512];
        for (place, bytes) in [(0, &b"a.csv"[..]), (124, b"00000000005 "), (148, b"        ")] {
            tar[place..place + bytes.len()].copy_from_slice(bytes);
        }
        let sum: u32 = tar.iter().map(|byte| u32::from(*byte)).sum();
        tar[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
        for (head, compression, text) in [
            (&b"\x89PNG\r\n"[..], Compression::None, "s3://b/k.csv, byte 0: this is a PNG image, not CSV or Parquet"),
            (
                &tar,
                Compression::Gzip,
                "s3://b/k.csv, byte 0: this is, once decompressed, a tar archive of a.csv, not CSV or Parquet",
            ),
            (
                b"\x1f\x8b\x08",
                Compression::Gzip,
                "s3://b/k.csv, byte 0: this is, once decompressed, compressed once more, not CSV or Parquet",
            ),
            (
                b"PAR1\0",
                Compression::Zstd,
                "s3://b/k.csv, byte 0: this is a Parquet file that was compressed as a whole",
            ),
        ] {
            assert_eq!(refuse(&at, head, compression).unwrap_err().to_string(), text);
        }
        assert_eq!(
            refuse_nul_bytes(&at, b"a,b\n1,\x00\n").unwrap_err().to_string(),
            "s3://b/k.csv, byte 6: a NUL byte, so this is neither CSV nor Parquet"
        );
        assert!(refuse(&at, b"id,name\n", Compression::None).is_ok());
    }
}
