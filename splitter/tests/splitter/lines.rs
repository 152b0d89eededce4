//! Every line of a text is one of a record, or is counted as skipped: at any parallelism, and across interruptions.

use proptest::prelude::*;
use shared::testing::MemoryStorage;
use shared::{Lines, Location, Manifest, PutMode, Setting, Storage};
use splitter::{SplitError, SplitOutcome, split};

use crate::properties::{How, at, context, tree};

/// What a line, or several, of a made text is.
#[derive(Clone, Debug)]
enum Piece {
    Blank,
    Comment,
    /// A record whose text has so many line ends within quotes, and, where it is doubled, a quote.
    Record(usize, bool),
    Surplus,
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let piece = prop_oneof![
        2 => Just(Piece::Blank),
        1 => Just(Piece::Comment),
        5 => (0_usize..3, any::<bool>()).prop_map(|(lines, quotes)| Piece::Record(lines, quotes)),
        1 => Just(Piece::Surplus),
    ];
    proptest::collection::vec(piece, 1..300)
}

/// The text of pieces after a header, and what must be found in it: lines of records, comments, blank lines.
fn text(pieces: &[Piece], line_end: &str, ends_whole: bool) -> (String, [u64; 3]) {
    let (mut text, mut counts) = (format!("id,note{line_end}0,first{line_end}"), [1, 0, 0]);
    for (id, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Blank => counts[2] += 1,
            Piece::Comment => {
                text += &format!("# comment {id}");
                counts[1] += 1;
            }
            Piece::Record(lines, quotes) => {
                let quote = if *quotes { "\"\"" } else { "" };
                text += &format!("{id},\"{quote}a{}\"", format!("{line_end}b").repeat(*lines));
                counts[0] += u64::try_from(*lines).unwrap() + 1;
            }
            Piece::Surplus => {
                text += &format!("{id},x,surplus");
                counts[0] += 1;
            }
        }
        text += line_end;
    }
    if !ends_whole {
        text += "9,last";
        counts[0] += 1;
    }
    (text, counts)
}

fn how(threads: usize, calls: u64) -> How {
    How { chunk_bytes: 4_000, max_record_bytes: 1 << 20, threads, calls }
}

async fn split_to(objects: &MemoryStorage, out: &str, how: How) -> Result<SplitOutcome, SplitError> {
    let mut context = context(objects, out, how);
    context.settings.read.csv.comment = Setting::Explicit(Some('#'));
    context.settings.read.csv.header = Setting::Explicit(1);
    context.settings.read.csv.delimiter = Setting::Explicit(',');
    context.settings.read.csv.quote = Setting::Explicit(Some('"'));
    split(&context, &at("source.csv")).await
}

fn counts(lines: &Lines) -> [u64; 3] {
    let of = |word: &str| {
        let found = lines.skipped.iter().find(|of_kind| format!("{:?}", of_kind.kind) == word);
        found.map_or(0, |of_kind| of_kind.lines)
    };
    [lines.of_records, of("Comment"), of("Blank")]
}

/// Lines as they are kept stand where it says that they do.
fn check_places(lines: &Lines, text: &str) {
    let all: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches('\r')).collect();
    for of_kind in &lines.skipped {
        for kept in of_kind.last.iter().chain([&of_kind.first]) {
            let at = format!("{:?} {kept:?} {text:?}", of_kind.kind);
            assert_eq!(all.get(usize::try_from(kept.line).unwrap() - 1), Some(&kept.text.as_str()), "{at}");
            let from = text.get(usize::try_from(kept.byte_offset).unwrap()..).unwrap();
            assert!(from.starts_with(&kept.text), "{at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn each_line_is_of_a_record_or_skipped(
        pieces in pieces(),
        line_end in proptest::sample::select(vec!["\n", "\r\n"]),
        ends_whole in any::<bool>(),
        deaths in proptest::collection::vec(3_u64..40, 0..4),
    ) {
        let (text, expected) = text(&pieces, line_end, ends_whole);
        let objects = MemoryStorage::default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(objects.put(&at("source.csv"), text.clone().into(), PutMode::Overwrite)).unwrap();
        let lines = |out: &str, threads| {
            runtime.block_on(split_to(&objects, out, how(threads, u64::MAX))).unwrap().manifest.lines.unwrap()
        };
        let one = lines("one", 1);
        prop_assert_eq!(counts(&one), expected, "{}", text);
        prop_assert_eq!(one.total, one.of_records + one.skipped());
        prop_assert_eq!(one.total, u64::try_from(text.lines().count()).unwrap(), "{:?}", text);
        check_places(&one, &text);
        prop_assert_eq!(&lines("eight", 8), &one);
        for calls in deaths {
            drop(runtime.block_on(split_to(&objects, "dead", how(2, calls))));
        }
        prop_assert_eq!(&lines("dead", 2), &one);
    }
}

/// A split in which each call to the store may be the last.
#[tokio::test]
async fn counts_survive_each_interruption() {
    let pieces: Vec<Piece> = (0..600)
        .map(|id| match id % 7 {
            0 => Piece::Blank,
            1 => Piece::Comment,
            2 => Piece::Record(2, id % 2 == 0),
            3 if id % 4 == 0 => Piece::Surplus,
            _ => Piece::Record(0, false),
        })
        .collect();
    let (text, expected) = text(&pieces, "\n", true);
    for calls in 3..50 {
        let objects = MemoryStorage::default();
        objects.put(&at("source.csv"), text.clone().into(), PutMode::Overwrite).await.unwrap();
        drop(split_to(&objects, "dead", how(2, calls)).await);
        let resumed = split_to(&objects, "dead", how(2, u64::MAX)).await.unwrap();
        assert_eq!(counts(&resumed.manifest.lines.unwrap()), expected, "{calls}");
    }
}

/// A job that an earlier version began did not count its lines, and is not said to have any.
#[tokio::test]
async fn what_was_not_counted_from_the_start_is_not_told() {
    let pieces: Vec<Piece> = (0..900).map(|id| Piece::Record(id % 2, false)).collect();
    let (text, expected) = text(&pieces, "\n", true);
    for (document, key, is_told) in
        [("job.json", "examined", false), ("checkpoint.json", "lines", false), ("checkpoint.json", "none", true)]
    {
        let objects = MemoryStorage::default();
        objects.put(&at("source.csv"), text.clone().into(), PutMode::Overwrite).await.unwrap();
        let mut calls = 3;
        while !tree(&objects, "dead").contains_key("checkpoint.json") {
            calls += 1;
            drop(split_to(&objects, "dead", how(1, calls)).await);
        }
        strip(&objects, document, key).await;
        let resumed = split_to(&objects, "dead", how(1, u64::MAX)).await.unwrap();
        assert!(!resumed.was_split_before);
        let told = resumed.manifest.lines.as_ref().map(counts);
        assert_eq!(told, is_told.then_some(expected), "{document} without {key}");
    }
}

/// Takes a key out of a document of the job.
async fn strip(objects: &MemoryStorage, document: &str, key: &str) {
    let is_document = |location: &Location| location.name() == document;
    let (location, body) = objects.objects().into_iter().find(|(location, _)| is_document(location)).unwrap();
    let mut value: serde_json::Value = serde_json::from_slice(&body).unwrap();
    value.as_object_mut().unwrap().remove(key);
    objects.put(&location, value.to_string().into(), PutMode::Overwrite).await.unwrap();
}

async fn lines_of(name: &str, text: &str) -> Option<Lines> {
    let objects = MemoryStorage::default();
    objects.put(&at(name), text.to_owned().into(), PutMode::Overwrite).await.unwrap();
    let manifest: Manifest = split(&context(&objects, "out", how(2, u64::MAX)), &at(name)).await.unwrap().manifest;
    manifest.lines
}

#[tokio::test]
async fn lines_of_other_texts() {
    for (text, expected) in [
        ("{\"a\":1}\n\n  \n{\"a\":2}\n", "4 = 2 + 2"),
        ("\u{feff}{\"a\":1}\n{\"a\":2}", "2 = 2 + 0"),
        ("{\"a\":1}\nnot json\n{\"a\":3}\r\n\r\n", "4 = 3 + 1"),
        // Old line ends.
        ("id,n\r1,2\r\r3,4\r", "4 = 2 + 2"),
        // Quotes that are never closed: each line is a record by itself.
        ("id,n\n1,\"a\n2,b\n3,c\n", "4 = 3 + 1"),
        ("Report\n\nid,n,m\n1,2,3\n4,5,6\n", "5 = 2 + 3"),
        ("id,n\n1,2\n3,4\n\n\n", "5 = 2 + 3"),
        ("", "0 = 0 + 0"),
        ("\n\n", "2 = 0 + 2"),
        ("a,b\n", "1 = 0 + 1"),
    ] {
        let lines = lines_of("source", text).await.unwrap();
        let told = format!("{} = {} + {}", lines.total, lines.of_records, lines.skipped());
        assert_eq!(told, expected, "{text:?}");
    }
}
