//! The files that xz and Zstandard are tested by: what is whole is decompressed, what is broken is an error.

use std::path::{Path, PathBuf};

use super::*;

/// What becomes of each file in a folder below `tests/suites` whose name begins like this.
fn outcomes(folder: &str, start: &str, compression: Compression) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suites").join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let is_file = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(start) && [".xz", ".zst"].iter().any(|ending| name.ends_with(ending))
    };
    let mut files: Vec<_> = files.filter(is_file).collect();
    files.sort();
    let mut lines = Vec::new();
    for path in files {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let outcome =
            |piece_bytes| World::new(std::fs::read(&path).unwrap(), compression, "utf-8", piece_bytes).text(0, None);
        let told = match outcome(1 << 20) {
            Ok(text) => {
                assert_eq!(outcome(1).as_ref(), Ok(&text), "{name}");
                format!("{} bytes, {:08x}", text.len(), crc32fast::hash(&text))
            }
            Err(error) => {
                assert!(outcome(1).is_err(), "{name}");
                error.strip_prefix("s3://b/k: ").unwrap().to_owned()
            }
        };
        lines.push(format!("{name}: {told}"));
    }
    lines.join("\n")
}

/// Lengths and checksums are those of what `xz` itself makes of these files.
#[test]
fn whole_files_of_xz() {
    insta::assert_snapshot!(outcomes("xz", "good", Compression::Xz), @r"
    good-0-empty: 0 bytes, 00000000
    good-0cat-empty: 0 bytes, 00000000
    good-0catpad-empty: 0 bytes, 00000000
    good-0pad-empty: 0 bytes, 00000000
    good-1-3delta-lzma2: 457 bytes, db4847fb
    good-1-arm64-lzma2-1: 8576 bytes, d4e17ca0
    good-1-arm64-lzma2-2: 8576 bytes, d4e17ca0
    good-1-block_header-1: 13 bytes, 15a2a343
    good-1-block_header-2: 13 bytes, 15a2a343
    good-1-block_header-3: 13 bytes, 15a2a343
    good-1-check-crc32: 13 bytes, 15a2a343
    good-1-check-crc64: 13 bytes, 15a2a343
    good-1-check-none: 13 bytes, 15a2a343
    good-1-check-sha256: 13 bytes, 15a2a343
    good-1-empty-bcj-lzma2: 0 bytes, 00000000
    good-1-lzma2-1: 457 bytes, db4847fb
    good-1-lzma2-2: 457 bytes, db4847fb
    good-1-lzma2-3: 457 bytes, db4847fb
    good-1-lzma2-4: 457 bytes, db4847fb
    good-1-lzma2-5: 0 bytes, 00000000
    good-2-lzma2: 13 bytes, 15a2a343
    ");
}

/// Those that are taken have sizes in a block's header or in the index that are wrong, which the decoder does not look at. The data
/// are whole all the same: each block has its checksum, and as many blocks are there as the index has.
#[test]
fn broken_files_of_xz() {
    insta::assert_snapshot!(outcomes("xz", "bad", Compression::Xz), @r"
    bad-0-backward_size: 0 bytes, 00000000
    bad-0-empty-truncated: the file ends, after 31 bytes, within its xz data
    bad-0-footer_magic: the xz data are damaged near byte 32 of the file: invalid XZ footer magic bytes
    bad-0-header_magic: the xz data are damaged near byte 6 of the file: invalid XZ magic bytes
    bad-0-index-1: the xz data are damaged near byte 28 of the file: invalid index record unpadded size
    bad-0-nonempty_index: the xz data are damaged near byte 16 of the file: invalid index record unpadded size
    bad-0cat-alone: the xz data are damaged near byte 38 of the file: invalid XZ magic bytes
    bad-0cat-header_magic: the xz data are damaged near byte 38 of the file: invalid XZ magic bytes
    bad-0catpad-empty: the xz data are damaged near byte 0 of the file: the number of zeros after a stream is not a multiple of four
    bad-0pad-empty: the xz data are damaged near byte 0 of the file: the number of zeros after a stream is not a multiple of four
    bad-1-block_header-1: the xz data are damaged near byte 20 of the file: invalid XZ block header CRC32 position
    bad-1-block_header-2: the xz data are damaged near byte 20 of the file: XZ block header too short for compressed size
    bad-1-block_header-3: the xz data are damaged near byte 24 of the file: XZ block header CRC32 mismatch
    bad-1-block_header-4: 13 bytes, 15a2a343
    bad-1-block_header-5: 13 bytes, 15a2a343
    bad-1-block_header-6: the xz data are damaged near byte 21 of the file: invalid index record unpadded size
    bad-1-check-crc32-2: the xz data are damaged near byte 52 of the file: invalid block checksum
    bad-1-check-crc32: the xz data are damaged near byte 48 of the file: invalid block checksum
    bad-1-check-crc64: the xz data are damaged near byte 52 of the file: invalid block checksum
    bad-1-check-sha256: the xz data are damaged near byte 76 of the file: invalid block checksum
    bad-1-index-huge-uncomp: 13 bytes, 15a2a343
    bad-1-lzma2-1: the xz data are damaged near byte 25 of the file: corrupted input data (LZMA2:0)
    bad-1-lzma2-10: the file ends, after 60 bytes, within its xz data
    bad-1-lzma2-11: the xz data are damaged near byte 46 of the file: invalid XZ block padding
    bad-1-lzma2-2: the xz data are damaged near byte 393 of the file: dist overflow
    bad-1-lzma2-3: the xz data are damaged near byte 219 of the file: corrupted input data (LZMA2:4)
    bad-1-lzma2-4: the xz data are damaged near byte 85 of the file: corrupted input data (LZMA2:1)
    bad-1-lzma2-5: the xz data are damaged near byte 85 of the file: corrupted input data (LZMA2:1)
    bad-1-lzma2-6: the xz data are damaged near byte 34 of the file: corrupted input data (LZMA2:2)
    bad-1-lzma2-7: the xz data are damaged near byte 374 of the file: rc not finished or lz has pending
    bad-1-lzma2-8: the xz data are damaged near byte 239 of the file: corrupted input data (LZMA2:1)
    bad-1-lzma2-9: the file ends, after 72 bytes, within its xz data
    bad-1-stream_flags-1: the xz data are damaged near byte 68 of the file: stream header and footer flags mismatch
    bad-1-stream_flags-2: the xz data are damaged near byte 12 of the file: XZ stream header CRC32 mismatch
    bad-1-stream_flags-3: the xz data are damaged near byte 66 of the file: stream footer CRC32 mismatch
    bad-1-vli-1: 13 bytes, 15a2a343
    bad-1-vli-2: the xz data are damaged near byte 32 of the file: XZ multibyte integer too large
    bad-2-compressed_data_padding: the xz data are damaged near byte 36 of the file: invalid XZ block padding
    bad-2-index-1: 13 bytes, 15a2a343
    bad-2-index-2: 13 bytes, 15a2a343
    bad-2-index-3: the xz data are damaged near byte 76 of the file: invalid index padding
    bad-2-index-4: the xz data are damaged near byte 80 of the file: index CRC32 mismatch
    bad-2-index-5: the xz data are damaged near byte 74 of the file: invalid index record unpadded size
    bad-3-index-uncomp-overflow: 13 bytes, 15a2a343
    ");
}

#[test]
fn files_of_xz_with_what_is_not_supported() {
    insta::assert_snapshot!(outcomes("xz", "unsupported", Compression::Xz), @r"
    unsupported-block_header: the xz data are damaged near byte 24 of the file: invalid XZ block header padding
    unsupported-check: the xz data are damaged near byte 12 of the file: unsupported XZ check type
    unsupported-filter_flags-1: the xz data are damaged near byte 24 of the file: unsupported filter type found
    unsupported-filter_flags-2: the xz data are damaged near byte 24 of the file: XZ block's last filter must be a LZMA2 filter
    unsupported-filter_flags-3: the xz data are damaged near byte 24 of the file: LZMA2 must be the last XZ block filter
    ");
}

#[test]
fn files_of_zstandard() {
    insta::assert_snapshot!(outcomes("zstd", "", Compression::Zstd), @r"
    bad-off0.bin: the zstd data are damaged near byte 0 of the file: Data corruption detected
    bad-truncated_huff_state: the zstd data are damaged near byte 0 of the file: Data corruption detected
    bad-zeroSeq_extraneous: the zstd data are damaged near byte 0 of the file: Data corruption detected
    good-empty-block: 0 bytes, 00000000
    good-rle-first-block: 1048576 bytes, a738ea1c
    good-zeroSeq_2B: 13 bytes, 7d14dddd
    ");
}
