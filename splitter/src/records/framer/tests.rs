use proptest::prelude::*;

use super::*;
use crate::csv::record::Records;
use crate::csv::record::escapes::of_text_doubled;
use crate::records::record_ends::{byte, end_byte};

/// The blocks of a text that comes in pieces.
pub(crate) fn frame(
    dialect: &Dialect,
    pieces: &[&[u8]],
    ends: impl Into<BlockEnds>,
    max_record_bytes: usize,
) -> Vec<Block> {
    frame_from(0, dialect, pieces, ends, max_record_bytes)
}

fn frame_from(
    start: u64,
    dialect: &Dialect,
    pieces: &[&[u8]],
    ends: impl Into<BlockEnds>,
    max_record_bytes: usize,
) -> Vec<Block> {
    let mut framer = Framer::new(dialect, ends, max_record_bytes, start);
    let mut blocks = Vec::new();
    for piece in pieces {
        framer.push(Bytes::copy_from_slice(piece));
        blocks.extend(std::iter::from_fn(|| framer.next_block()));
    }
    blocks.extend(std::iter::from_fn(|| framer.last_block()));
    blocks
}

/// The runs of whole records of a block, and each line that was given up, with the reason.
fn parts(block: &Block, dialect: &Dialect) -> Vec<(u64, Vec<u8>, Option<Unterminated>)> {
    let (mut parts, mut place, mut lines) = (Vec::new(), 0, block.unterminated.lines());
    while place < block.text.len() {
        let start = place;
        let (end, why) = if lines.start() == place {
            lines.pass(&block.text, end_byte(dialect)).map(|(end, why)| (end, Some(why))).unwrap()
        } else {
            (lines.start().min(block.text.len()), None)
        };
        parts.push((block.start + wide(start), block.text[start..end].to_vec(), why));
        place = end;
    }
    parts
}

fn texts(text: &str, block_bytes: u64) -> Vec<String> {
    let blocks = frame(&Dialect::default(), &[text.as_bytes()], block_bytes, 1 << 20);
    blocks.iter().map(|block| String::from_utf8(block.text.to_vec()).unwrap()).collect()
}

fn records(text: &[u8], dialect: &Dialect) -> Vec<Vec<Vec<u8>>> {
    let mut records = Records::of_dialect(text, dialect);
    let mut all = Vec::new();
    while let Some(record) = records.next() {
        all.push(record.fields().map(<[u8]>::to_vec).collect());
    }
    all
}

/// Dialects of the bytes that the texts of the properties are made of.
fn any_dialect() -> impl Strategy<Value = Dialect> {
    use proptest::sample::select;
    let quote = select(vec![Some('"'), Some('\''), None]);
    let (escape, comment) = (select(vec![None, Some('\\')]), select(vec![None, Some('#')]));
    let terminator = select(vec![None, Some('\n'), Some('\r'), Some('!')]);
    (select(vec![',', ';']), quote, escape, comment, terminator).prop_map(
        |(delimiter, quote, escape, comment, terminator)| Dialect {
            delimiter,
            quote,
            escape,
            comment,
            terminator,
            ..Dialect::default()
        },
    )
}

#[test]
fn cuts_behind_the_first_record_that_reaches_the_target() {
    assert_eq!(texts("a,b\nc,d\ne,f\n", 1), ["a,b\n", "c,d\n", "e,f\n"]);
    assert_eq!(texts("a,b\nc,d\ne,f\n", 4), ["a,b\n", "c,d\n", "e,f\n"]);
    assert_eq!(texts("a,b\nc,d\ne,f\n", 5), ["a,b\nc,d\n", "e,f\n"]);
    assert_eq!(texts("a,b\r\nc,d\re,f", 1), ["a,b\r\n", "c,d\re,f"]);
    assert_eq!(texts("\"a\n\"\"\n\",b\nc,d\n", 1), ["\"a\n\"\"\n\",b\n", "c,d\n"]);
    assert_eq!(texts("5\" pipe\nx\n", 1), ["5\" pipe\n", "x\n"]);
    assert_eq!(texts("\"a\"b\"\nx\n", 1), ["\"a\"b\"\n", "x\n"]);
    assert_eq!(texts("", 1), Vec::<String>::new());
}

#[test]
fn a_record_without_an_end_is_given_up() {
    let long = "x".repeat(40);
    let given_up = |text: &str, block_bytes| {
        let blocks = frame(&Dialect::default(), &[text.as_bytes()], block_bytes, 16);
        let told = |block: &Block| {
            let why = block.unterminated.first().map(|(_, why)| why);
            (block.start, String::from_utf8(block.text.to_vec()).unwrap(), why)
        };
        blocks.iter().map(told).collect::<Vec<_>>()
    };
    let (too_long, open) = (Some(Unterminated::TooLong), Some(Unterminated::OpenQuote));
    for (text, expected) in [
        ("a\n\"b\nc\n", vec![(0, "a\n", None), (2, "\"b\n", open), (5, "c\n", None)]),
        ("a\n\"b", vec![(0, "a\n", None), (2, "\"b", open)]),
        ("\"b\r\nc,d\r\n", vec![(0, "\"b\r\n", open), (4, "c,d\r\n", None)]),
        // The end of the long record is found, further on than it may be.
        (
            &format!("a\n\"{long}\"\nb\n"),
            vec![(0, "a\n", None), (2, &format!("\"{}", &long[..16]), too_long), (45, "b\n", None)],
        ),
        (&format!("{long}{long}\nb\n"), vec![(0, &long[..17], too_long), (81, "b\n", None)]),
        // A quote that is never closed takes its line with it, and no other.
        ("\"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n", {
            let lines = ["b\n", "c\n", "d\n", "e\n", "f\n", "g\n", "h\n", "i\n", "j\n"];
            let lines = lines.into_iter().zip(0..).map(|(line, number)| (3 + 2 * number, line, None));
            [(0, "\"a\n", too_long)].into_iter().chain(lines).collect()
        }),
    ] {
        let expected: Vec<_> =
            expected.into_iter().map(|(at, text, unterminated)| (at, text.to_owned(), unterminated)).collect();
        assert_eq!(given_up(text, 1), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn blocks_are_the_text_and_hold_whole_records(
        dialect in any_dialect(),
        text in proptest::collection::vec(proptest::sample::select(b"a,;\"'\\#!\n\r".to_vec()), 0..60),
        block_bytes in 1_u64..20,
        max_record_bytes in prop_oneof![Just(1 << 20), 1_usize..20],
        cuts in proptest::collection::vec(0_usize..60, 0..6),
    ) {
        let blocks = frame(&dialect, &[&text], block_bytes, max_record_bytes);
        // However the text is cut into pieces, the blocks are the same.
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= text.len()).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&blocks, &frame(&dialect, &pieces, block_bytes, max_record_bytes));
        // From the start of any of them the rest is the same.
        for (place, block) in blocks.iter().enumerate() {
            let start = usize::try_from(block.start).unwrap();
            let rest = frame_from(block.start, &dialect, &[&text[start..]], block_bytes, max_record_bytes);
            prop_assert_eq!(&rest, &blocks[place..]);
        }
        // Lines are given up as when each was a block of its own.
        let apart = frame(&dialect, &pieces, BlockEnds::AlignedApart(block_bytes), max_record_bytes);
        let in_parts = |blocks: &[Block]| blocks.iter().flat_map(|block| parts(block, &dialect)).collect::<Vec<_>>();
        prop_assert_eq!(in_parts(&blocks), in_parts(&apart));
        // They are the text, but for what is dropped of long lines.
        let mut at = 0;
        for block in &blocks {
            prop_assert!(block.start == at || max_record_bytes < text.len());
            at = block.start + u64::try_from(block.text.len()).unwrap();
        }
        if blocks.iter().all(|block| block.unterminated.is_empty()) {
            let together: Vec<u8> = blocks.iter().flat_map(|block| block.text.to_vec()).collect();
            prop_assert_eq!(&together, &text);
            // Read block by block, the records are those of the whole.
            let by_block: Vec<_> = blocks.iter().flat_map(|block| records(&block.text, &dialect)).collect();
            prop_assert_eq!(by_block, records(&text, &dialect));
        }
    }

    #[test]
    fn records_are_those_of_the_csv_crate(
        dialect in any_dialect(),
        text in proptest::collection::vec(proptest::sample::select(b"a,;\"'\\#!\n\r".to_vec()), 0..200),
    ) {
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(byte(dialect.delimiter)).escape(dialect.escape.map(byte));
        builder.quoting(dialect.quote.is_some()).quote(dialect.quote.map_or(b'"', byte));
        builder.terminator(csv::Terminator::Any(end_byte(&dialect)));
        // The crate's comments end at `\n` alone, and not with the text.
        let text = [&text[..], if dialect.comment.is_some() { b"\n" } else { b"" }].concat();
        let comparable = dialect.comment.is_none() || end_byte(&dialect) == b'\n';
        // To the crate, the first half of a line end is text.
        let comparable = comparable && (dialect.terminator.is_some() || !text.contains(&b'\r'));
        // The crate drops escape characters that escape nothing; they are not doubled in comments.
        let comparable = comparable && (dialect.comment.is_none() || dialect.escape.is_none());
        let text_for_crate = of_text_doubled(&text, &dialect).unwrap_or_else(|| text.clone());
        builder.comment(dialect.comment.map(byte));
        let theirs: Vec<Vec<Vec<u8>>> =
            builder.from_reader(&text_for_crate[..]).byte_records().map(|r| r.unwrap().iter().map(<[u8]>::to_vec).collect()).collect();
        prop_assert!(!comparable || records(&text, &dialect) == theirs);
    }
}

#[test]
fn blocks_end_where_the_encoder_of_the_job_has_it() {
    let text = Bytes::from_static(b"aa\nbb\ncc\ndd\nee\nff\n");
    for (ends, start, expected) in [
        (BlockEnds::Aligned(4), 0, vec![0, 6, 9, 12]),
        (BlockEnds::Aligned(4), 3, vec![3, 6, 9, 12, 18]),
        (BlockEnds::CountedApart(4), 0, vec![0, 6, 12]),
        (BlockEnds::CountedApart(4), 3, vec![3, 9, 15]),
    ] {
        let mut framer = Framer::new(&Dialect::default(), ends, 1 << 10, start);
        framer.push(text.clone());
        let mut blocks: Vec<_> = std::iter::from_fn(|| framer.next_block()).map(|block| block.start).collect();
        blocks.extend(std::iter::from_fn(|| framer.last_block()).map(|block| block.start));
        assert_eq!(blocks, expected, "{ends:?} from {start}");
    }
}
