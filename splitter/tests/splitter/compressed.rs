//! Compressed and transcoded sources: through the whole line, and interrupted at every chunk.

use std::io::Write;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use shared::testing::MemoryStorage;
use shared::{Checkpoint, PutMode, Storage};
use splitter::SplitError;

use crate::properties::{How, at, product, rows, split_to, tree};

const CHUNK_BYTES: u64 = 4_000;

/// Enough for some ten chunks of [`CHUNK_BYTES`].
fn text() -> String {
    let mut text = String::from("id,note\n");
    for id in 0..3_000_u64 {
        text.extend([id.to_string(), format!(",Größe {} für {}\n", id * 7919 % 1009, id * id % 3001)]);
    }
    text
}

fn latin_1(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(letter).unwrap()).collect()
}

fn utf_16(text: &str) -> Vec<u8> {
    let marked = format!("\u{feff}{text}");
    marked.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// One member, in many blocks.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for block in bytes.chunks(2_000) {
        encoder.write_all(block).unwrap();
        encoder.flush().unwrap();
    }
    encoder.finish().unwrap()
}

/// Many members.
fn members(bytes: &[u8], compress: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    bytes.chunks(9_999).flat_map(compress).collect()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0)).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.into_inner().unwrap()
}

/// A source of [`text`] as it is stored, and whether an attempt that resumes must be able to begin behind its start.
fn sources() -> Vec<(&'static str, Vec<u8>, bool)> {
    let text = text();
    let utf_8 = text.as_bytes();
    vec![
        ("plain", utf_8.to_vec(), false),
        ("gzip", gzip(utf_8), true),
        ("gzip of many members", members(utf_8, gzip), true),
        ("gzip of Latin-1", gzip(&latin_1(&text)), true),
        ("gzip of UTF-16", gzip(&utf_16(&text)), true),
        ("Latin-1", latin_1(&text), true),
        ("UTF-16", utf_16(&text), true),
        ("zstd", zstd(utf_8), false),
        ("zstd of many frames", members(utf_8, zstd), true),
        ("bzip2", bzip2(utf_8), false),
        ("bzip2 of many streams", members(utf_8, bzip2), true),
        ("xz", xz(utf_8), false),
        ("xz of many streams", members(utf_8, xz), true),
        ("lz4", lz4(utf_8), false),
        ("lz4 of many frames", members(utf_8, lz4), true),
        ("snappy", snappy(utf_8), false),
        ("snappy of many streams", members(utf_8, snappy), true),
    ]
}

struct World {
    runtime: tokio::runtime::Runtime,
    objects: MemoryStorage,
}

impl World {
    fn new(source: Vec<u8>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let objects = MemoryStorage::default();
        runtime.block_on(objects.put(&at("source.csv"), source.into(), PutMode::Overwrite)).unwrap();
        Self { runtime, objects }
    }

    fn split(&self, out: &str, calls: u64) -> Result<splitter::SplitOutcome, SplitError> {
        let how = How { chunk_bytes: CHUNK_BYTES, max_record_bytes: 16 << 20, threads: 2, calls };
        self.runtime.block_on(split_to(&self.objects, out, how))
    }

    fn checkpoint(&self, out: &str) -> Checkpoint {
        let files = tree(&self.objects, out);
        files.get("checkpoint.json").map(|body| serde_json::from_slice(body).unwrap()).unwrap_or_default()
    }
}

#[test]
fn interrupted_at_every_chunk_the_bytes_are_the_same() {
    // With a byte order mark, three bytes behind each other's places, blocks end elsewhere.
    let plain = [String::new(), "\u{feff}".to_owned()].map(|mark| World::new((mark + &text()).into_bytes()));
    let expected = plain.each_ref().map(|plain| plain.split("one", u64::MAX).unwrap());
    for (what, source, resumes) in sources() {
        let world = World::new(source);
        let whole = world.split("one", u64::MAX).unwrap();
        // However it is stored, it is the same text.
        let is_marked = usize::from(what.contains("UTF-16"));
        assert_eq!(whole.manifest.records, expected[is_marked].manifest.records, "{what}");
        assert!(product(&world.objects, "one") == product(&plain[is_marked].objects, "one"), "{what}");

        let (mut calls, mut resumed) = (8, 0);
        let again = loop {
            let before = world.checkpoint("dead");
            resumed += usize::from(before.resume_point.is_some_and(|resume_point| resume_point.stored > 0));
            match world.split("dead", calls) {
                Ok(outcome) => break outcome,
                // Just as many calls as one more chunk takes.
                Err(_) if world.checkpoint("dead").chunks.len() == before.chunks.len() => calls += 1,
                Err(_) => {}
            }
        };
        assert!(again.manifest.chunks.len() > 5, "{what}: {} chunks", again.manifest.chunks.len());
        assert_eq!(again.manifest.chunks, whole.manifest.chunks, "{what}");
        assert_eq!(product(&world.objects, "dead"), product(&world.objects, "one"), "{what}");
        assert!(resumed > 0 || !resumes, "{what}");
    }
}

#[test]
fn samples_of_a_text_in_another_encoding_have_a_say() {
    // Nothing within the first MiB tells that it is Latin-1, and that the second column is text.
    let mut source: String = String::from("id,note\n");
    for id in 0..400_000 {
        source
            .extend([id.to_string(), format!(",{}\n", if id < 200_000 { id.to_string() } else { "Größe".to_owned() })]);
    }
    assert!(source.find('ö').unwrap() > 1 << 20);
    let world = World::new(latin_1(&source));
    let outcome = world.split("one", u64::MAX).unwrap();
    assert_eq!((outcome.manifest.records, outcome.manifest.quarantined), (400_000, 0));
    assert_eq!(outcome.job.policy.text.encoding.name(), "windows-1252");
}

#[test]
fn a_record_with_bytes_that_cannot_be_decoded_is_rejected_as_it_stands() {
    let mut source = utf_16("番号,都市\n1,東京\n2,大阪\n3,日");
    source.extend(b"\0\xd8\n\0");
    source.extend("4,日\n".encode_utf16().flat_map(u16::to_le_bytes));
    let world = World::new(source);
    let outcome = world.split("one", u64::MAX).unwrap();
    assert_eq!((outcome.manifest.records, outcome.manifest.quarantined), (4, 1));
    let files = product(&world.objects, "one");
    let chunk = rows(files["chunks/00000.parquet"].clone());
    assert_eq!(chunk[0].column(0).as_primitive::<Int64Type>().values().to_vec(), [1, 2, 4]);
    assert_eq!(chunk[0].column(1).as_string::<i32>().value(2), "日");
    let rejects = rows(files["quarantine/split-00000-000.parquet"].clone());
    assert_eq!(rejects[0].column(0).as_primitive::<Int64Type>().values().to_vec(), [3]);
    assert_eq!(
        rejects[0].column(3).as_string::<i32>().value(0),
        "the text is not valid UTF-8, or not valid in the file's encoding"
    );
    assert_eq!(rejects[0].column(4).as_binary::<i32>().value(0), b"3,\xe6\x97\xa5\x00\xd8");
}

#[test]
fn a_source_that_is_cut_off_is_bad_input() {
    let mut source = gzip(text().as_bytes());
    source.truncate(source.len() / 2);
    let world = World::new(source);
    // Within the sample already.
    assert!(world.split("one", u64::MAX).unwrap_err().is_bad_input());
}
