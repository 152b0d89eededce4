use std::io::Write;

use proptest::prelude::*;
use shared::testing::MemoryStorage;
use shared::{Encoding, PutMode};

use super::*;

mod dialects;
mod suites;

/// Compresses; what stands in several slices becomes as many members, where the format has such.
fn compressed(compression: Compression, members: &[&[u8]]) -> Vec<u8> {
    let all = || members.concat();
    let each = |compress: &dyn Fn(&[u8]) -> Vec<u8>| members.iter().flat_map(|member| compress(member)).collect();
    match compression {
        Compression::None => all(),
        Compression::Gzip => each(&|member| {
            let header = flate2::GzBuilder::new().filename("name").comment("comment").extra(*b"extra");
            let mut encoder = header.write(Vec::new(), flate2::Compression::default());
            deflate(member, &mut encoder);
            encoder.finish().unwrap()
        }),
        Compression::Zstd => each(&|member| zstd::encode_all(member, 3).unwrap()),
        Compression::Bzip2 => each(&|member| {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(member).unwrap();
            encoder.finish().unwrap()
        }),
        Compression::Xz => each(&|member| {
            let options = lzma_rust2::XzOptions::with_preset(0);
            let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
            encoder.write_all(member).unwrap();
            encoder.finish().unwrap()
        }),
        Compression::Lz4 => each(&|member| {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(member).unwrap();
            encoder.finish().unwrap()
        }),
        Compression::Snappy => each(&|member| {
            let mut encoder = snap::write::FrameEncoder::new(Vec::new());
            encoder.write_all(member).unwrap();
            encoder.into_inner().unwrap()
        }),
        Compression::Zip => zip(&[("folder/", b"", true), ("data.csv", &all(), true)]),
    }
}

/// Deflates in several blocks.
fn deflate(member: &[u8], encoder: &mut impl Write) {
    for block in member.chunks(500) {
        encoder.write_all(block).unwrap();
        encoder.flush().unwrap();
    }
}

/// A zip archive of files, deflated or stored.
fn zip(files: &[(&str, &[u8], bool)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    for (name, contents, deflated) in files {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        deflate(contents, &mut encoder);
        let data = if *deflated { encoder.finish().unwrap() } else { contents.to_vec() };
        let common = [
            &[20, 0, 0, 0, if *deflated { 8 } else { 0 }, 0, 0, 0, 0, 0],
            &crc32fast::hash(contents).to_le_bytes()[..],
            &number(data.len()),
            &number(contents.len()),
            &number(name.len()),
        ]
        .concat();
        let header = number(archive.len());
        directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10], &header, name.as_bytes()].concat());
        archive.extend([b"PK\x03\x04", &common[..], name.as_bytes(), &data].concat());
    }
    let (start, count) = (number(archive.len()), u8::try_from(files.len()).unwrap());
    let end = [b"PK\x05\x06\0\0\0\0", &[count, 0, count, 0][..], &number(directory.len()), &start, b"\x02\0hi"];
    [archive, directory, end.concat()].concat()
}

const COMPRESSIONS: [Compression; 8] = [
    Compression::None,
    Compression::Gzip,
    Compression::Zstd,
    Compression::Bzip2,
    Compression::Xz,
    Compression::Lz4,
    Compression::Snappy,
    Compression::Zip,
];

fn encoded(encoding: &str, with_mark: bool, text: &str) -> Vec<u8> {
    let text = if with_mark { format!("\u{feff}{text}") } else { text.to_owned() };
    match encoding {
        "UTF-16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "UTF-16BE" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        _ => encoding_rs::Encoding::for_label(encoding.as_bytes()).unwrap().encode(&text).0.into_owned(),
    }
}

/// A text source in memory, read in pieces of a size.
struct World {
    runtime: tokio::runtime::Runtime,
    text: TextSource,
    bytes: Bytes,
    piece_bytes: usize,
}

impl World {
    fn new(bytes: Vec<u8>, compression: Compression, encoding: &str, piece_bytes: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (storage, bytes) = (Arc::new(MemoryStorage::default()), Bytes::from(bytes));
        let at = Location::S3 { bucket: "b".to_owned(), key: "k".to_owned() };
        let source = runtime.block_on(async {
            storage.put(&at, bytes.clone(), PutMode::Overwrite).await.unwrap();
            SourceObject::look_up(storage.as_ref(), &at).await.unwrap()
        });
        let policy = TextPolicy { compression, encoding: Encoding::for_label(encoding).unwrap() };
        let limit = ExpansionLimit { max_bytes: 1 << 20, name: "MAX_EXPANDED_MB" };
        let text = TextSource { storage, source, policy, limit, resume_bytes: 1 };
        Self { runtime, text, bytes, piece_bytes }
    }

    fn pieces(&self, from: u64, resume_point: Option<ResumePoint>) -> Result<Vec<Piece>, String> {
        let Self { text, .. } = self;
        let found = Contents::find(text.storage.as_ref(), &text.source, text.policy.compression);
        let contents = self.runtime.block_on(found).map_err(|error| error.to_string())?;
        let start = resume_point.as_ref().map_or(contents.range.start, |resume_point| resume_point.stored);
        let range = usize::try_from(start).unwrap()..usize::try_from(contents.range.end).unwrap();
        let bytes = self.bytes.slice(range);
        let pieces: Vec<_> = bytes.chunks(self.piece_bytes).map(|piece| Ok(bytes.slice_ref(piece))).collect();
        let stored = Stored::new(stream::iter(pieces), start, self.runtime.handle().clone());
        let mut pump = Pump::new(text, contents, stored, Start { from, resume_point });
        let mut pieces = Vec::new();
        while let Some(piece) = pump.next_piece().map_err(|error| error.to_string())? {
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn text(&self, from: u64, resume_point: Option<ResumePoint>) -> Result<Vec<u8>, String> {
        Ok(self.pieces(from, resume_point)?.iter().flat_map(|piece| piece.text.to_vec()).collect())
    }
}

fn lines() -> String {
    let lines = (0..200).map(|id| format!("{id},\"Zürich, {}\",£{}\n", id * 7919 % 1009, id % 7));
    lines.collect::<Vec<_>>().concat()
}

/// The same, in letters that `Shift_JIS` has.
fn japanese_lines() -> String {
    lines().replace("Zürich", "東京ソ表").replace('£', "ｱ")
}

#[test]
fn every_compression_and_encoding_in_pieces_of_any_size() {
    for compression in COMPRESSIONS {
        for (encoding, with_mark) in [
            ("utf-8", false),
            ("utf-8", true),
            ("UTF-16LE", true),
            ("UTF-16LE", false),
            ("UTF-16BE", true),
            ("windows-1252", false),
            ("shift_jis", false),
        ] {
            let text = if encoding == "shift_jis" { japanese_lines() } else { lines() };
            let bytes = encoded(encoding, with_mark, &text);
            let (one, two) = bytes.split_at(bytes.len() / 3);
            let stored = compressed(compression, &[one, two]);
            let expected = if with_mark { format!("\u{feff}{text}") } else { text };
            for piece_bytes in [1, 7, 64 << 10] {
                let world = World::new(stored.clone(), compression, encoding, piece_bytes);
                let found = world.text(0, None).unwrap();
                let what = format!("{compression:?} {encoding} {piece_bytes}");
                assert_eq!(std::str::from_utf8(&found), Ok(expected.as_str()), "{what}");
            }
        }
    }
}

#[test]
fn what_is_recognised() {
    for compression in COMPRESSIONS {
        let head = compressed(compression, &[b"id,name\n1,bolt\n"]);
        assert_eq!(crate::text::decompress::recognise(&head), compression);
    }
}

#[test]
fn reading_begins_anew_at_every_place_it_can() {
    for compression in COMPRESSIONS {
        for encoding in ["utf-8", "UTF-16LE", "UTF-16BE", "windows-1252", "shift_jis", "iso-2022-jp"] {
            let text =
                if encoding.starts_with("win") || encoding.starts_with("utf") { lines() } else { japanese_lines() };
            let bytes = encoded(encoding, false, &text);
            let members: Vec<&[u8]> = bytes.chunks(bytes.len() / 7 + 1).collect();
            let world = World::new(compressed(compression, &members), compression, encoding, 50);
            let whole = world.text(0, None).unwrap();
            let resume_points: Vec<ResumePoint> =
                world.pieces(0, None).unwrap().into_iter().filter_map(|piece| piece.resume_point).collect();
            let what = format!("{compression:?} {encoding}");
            assert_eq!(resume_points.len() >= 3, encoding != "iso-2022-jp", "{what}: {}", resume_points.len());
            for resume_point in resume_points {
                // As it comes out of a checkpoint.
                let resume_point: ResumePoint =
                    serde_json::from_str(&serde_json::to_string(&resume_point).unwrap()).unwrap();
                for from in [resume_point.text, resume_point.text + 33] {
                    let rest = &whole[usize::try_from(from).unwrap().min(whole.len())..];
                    assert_eq!(world.text(from, Some(resume_point.clone())).unwrap(), rest, "{what} {resume_point:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_cut_off_is_never_taken_for_whole() {
    let text = lines();
    for compression in COMPRESSIONS.into_iter().filter(|compression| *compression != Compression::None) {
        let stored = compressed(compression, &[text.as_bytes()]);
        // At every sixteenth, and within the last bytes, where end marks and checksums are.
        let cuts = (0..16).map(|part| stored.len() * part / 16);
        for cut in cuts.chain(stored.len() - 24..stored.len()) {
            let found = World::new(stored[..cut].to_vec(), compression, "utf-8", 100).text(0, None);
            assert!(found.is_err(), "{compression:?} cut at {cut} of {}", stored.len());
        }
    }
}

#[test]
fn what_is_wrong_is_told() {
    let gzip = compressed(Compression::Gzip, &[b"id,name\n1,bolt\n"]);
    let mut wrong_sum = gzip.clone();
    *wrong_sum.iter_mut().rev().nth(5).unwrap() ^= 1;
    for (stored, compression, expected) in [
        (gzip[..20].to_vec(), Compression::Gzip, "s3://b/k: the file ends, after 20 bytes, within its gzip data"),
        (Vec::new(), Compression::Zstd, "s3://b/k: the file ends, after 0 bytes, within its zstd data"),
        (
            [&gzip[..], b"more"].concat(),
            Compression::Gzip,
            "s3://b/k: the file ends, after 65 bytes, within its gzip data",
        ),
        (
            [&gzip[..], b"more and more"].concat(),
            Compression::Gzip,
            "s3://b/k: the gzip data are damaged near byte 71 of the file: no gzip member begins here",
        ),
        (
            wrong_sum,
            Compression::Gzip,
            "s3://b/k: the gzip data are damaged near byte 61 of the file: length or checksum are not what the trailer says",
        ),
        (
            compressed(Compression::Gzip, &[&vec![b'a'; (1 << 20) + 1]]),
            Compression::Gzip,
            "s3://b/k: the gzip data expand to more than 1 MiB, which is the limit by MAX_EXPANDED_MB",
        ),
    ] {
        let found = World::new(stored, compression, "utf-8", 1 << 20).text(0, None);
        assert_eq!(found.unwrap_err(), expected);
    }
}

#[test]
fn archives_that_hold_no_one_file() {
    let mut encrypted = zip(&[("a.csv", b"a\n", true)]);
    let entry = memchr::memmem::find(&encrypted, b"PK\x01\x02").unwrap();
    encrypted[entry + 8] = 1;
    for (stored, expected) in [
        (zip(&[]), "s3://b/k: the zip archive holds no file"),
        (
            zip(&[("a.csv", b"a\n", true), ("b/", b"", true), ("b/c.csv", b"c\n", true)]),
            "s3://b/k: the zip archive holds 2 files: a.csv, b/c.csv",
        ),
        (
            zip(&[("[Content_Types].xml", b"", true), ("xl/workbook.xml", b"", true)]),
            "s3://b/k: this is an Excel workbook or another Office document, not CSV or Parquet",
        ),
        (encrypted, "s3://b/k: the file in the zip archive is encrypted"),
        (b"PK\x03\x04".to_vec(), "s3://b/k: the zip archive has no directory at its end: it is cut off or damaged"),
    ] {
        let found = World::new(stored, Compression::Zip, "utf-8", 1 << 20).text(0, None);
        assert_eq!(found.unwrap_err(), expected);
    }
}

#[test]
fn padding_and_stored_files() {
    let text = lines();
    let gzip = [compressed(Compression::Gzip, &[text.as_bytes()]), vec![0; 512]].concat();
    let xz = [compressed(Compression::Xz, &[text.as_bytes()]), vec![0; 8]].concat();
    let stored = zip(&[("a.csv", text.as_bytes(), false)]);
    for (bytes, compression) in [(gzip, Compression::Gzip), (xz, Compression::Xz), (stored, Compression::Zip)] {
        assert_eq!(World::new(bytes, compression, "utf-8", 100).text(0, None).unwrap(), text.as_bytes());
    }
}

#[test]
fn limits() {
    for (max_expanded_mb, ratio, size, expected) in [
        ("", "1000", 1, (256 << 20, "MAX_EXPANSION_RATIO")),
        ("", "1000", 1 << 20, (1000 << 20, "MAX_EXPANSION_RATIO")),
        ("10", "1000", 1 << 20, (10 << 20, "MAX_EXPANDED_MB")),
        ("5000", "2", 1 << 30, (2 << 30, "MAX_EXPANSION_RATIO")),
    ] {
        let settings = Settings::from_lookup(|name| match name {
            "MAX_EXPANDED_MB" => Some(max_expanded_mb.to_owned()),
            "MAX_EXPANSION_RATIO" => Some(ratio.to_owned()),
            _ => None,
        });
        let limit = ExpansionLimit::new(&settings.unwrap(), size);
        assert_eq!((limit.max_bytes, limit.name), expected, "{max_expanded_mb} {ratio} {size}");
    }
}

proptest! {
    #[test]
    fn damage_ends_in_an_error_or_in_text(
        compression in proptest::sample::select(COMPRESSIONS.to_vec()),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = lines();
        let mut stored = compressed(compression, &[&text.as_bytes()[..3000], &text.as_bytes()[3000..]]);
        for (at, bits) in flips {
            *at.get_mut(&mut stored) ^= bits;
        }
        let world = World::new(stored.clone(), compression, "utf-16le", 1000);
        drop(world.text(0, None));
        stored.truncate(cut.index(stored.len()));
        drop(World::new(stored, compression, "utf-8", 1000).text(0, None));
    }
}
