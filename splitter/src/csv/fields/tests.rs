use proptest::prelude::*;
use proptest::sample::select;
use shared::{Column, Lines};

use super::*;
use crate::csv::record::escapes::of_text_doubled;
use crate::records::framer::BlockEnds;
use crate::records::framer::tests::frame;
use crate::records::record_ends::{after_line_ends, end_byte, without_line_end};
use crate::records::rejects::Reject;
use crate::records::unterminated::{Unterminated, unterminated_reason};

fn policy(dialect: &Dialect, columns: usize) -> CsvPolicy {
    let column = Column::of_text(String::new(), String::new());
    CsvPolicy {
        dialect: dialect.clone(),
        data_start: 0,
        columns: vec![column; columns],
        null_words: Vec::new(),
        fields: None,
        footer_start: None,
    }
}

/// Fields of the records of a block that are taken, and what was found of them.
fn read_block(block: &Block, csv: &CsvPolicy) -> (Vec<Vec<Vec<u8>>>, Rows) {
    let mut fields = Fields::new(block, csv, 1 << 20);
    let mut taken = Vec::new();
    loop {
        let rows = fields.advance(7);
        if rows == 0 {
            return (taken, fields.into_rows());
        }
        let text = |cell| if let Cell::Text(text) = cell { text.bytes().to_vec() } else { panic!("{cell:?}") };
        let row = |row| csv.columns.iter().enumerate().map(|place| text(fields.column(place)(row))).collect();
        taken.extend((0..rows).map(row));
    }
}

/// Fields of the records that are taken, and the number, place and text of those that are not.
fn read(text: &[u8], csv: &CsvPolicy, piece: usize, block_bytes: u64) -> (Vec<Vec<String>>, Vec<(u64, String)>) {
    let pieces: Vec<_> = text.chunks(piece).collect();
    let (mut taken, mut rejected) = (Vec::new(), Vec::new());
    for block in frame(&csv.dialect, &pieces, block_bytes, 1 << 20) {
        let (fields, rows) = read_block(&block, csv);
        let text = |field: Vec<u8>| String::from_utf8(field).unwrap();
        taken.extend(fields.into_iter().map(|row| row.into_iter().map(text).collect::<Vec<_>>()));
        let raw = |reject: Reject<'_>| (reject.byte_offset, String::from_utf8(reject.raw.to_vec()).unwrap());
        rejected.extend(rows.rejects.iter().map(raw));
    }
    (taken, rejected)
}

const ROWS: [[&str; 2]; 3] = [["a", "b"], ["x", ""], ["", "y"]];

/// Reads each text by its dialect, in pieces and blocks of several sizes.
fn check(cases: &[(Dialect, &str, [[&str; 2]; 3])]) {
    for (dialect, text, expected) in cases {
        let csv = policy(dialect, 2);
        let expected = expected.map(|row| row.map(str::to_owned).to_vec()).to_vec();
        for (piece, block_bytes) in [(1, 1), (7, 1), (65536, 1), (1, 4096), (7, 5)] {
            let read = read(text.as_bytes(), &csv, piece, block_bytes);
            assert_eq!(read, (expected.clone(), Vec::new()), "{dialect:?} {text:?}");
        }
    }
}

fn usual() -> Dialect {
    Dialect::default()
}

#[test]
fn records_by_every_delimiter() {
    let by = |delimiter| Dialect { delimiter, ..usual() };
    check(&[
        (usual(), "a,b\nx,\n,y", ROWS),
        (usual(), "a,b\r\nx,\r\n,y\r\n\r\n", ROWS),
        (Dialect { terminator: Some('\r'), ..usual() }, "a,b\rx,\r,y\r", ROWS),
        // Of a line end, or text.
        (usual(), "\"a\",\"b\"\r\r\n\r\n\"x\",\"\"\r\n,\"y\"\r", ROWS),
        (usual(), "a,b\rc\r\n\rx,\n\"\r\",y\r", [["a", "b\rc"], ["\rx", ""], ["\r", "y"]]),
        (usual(), "a,\"\"\"b\"\r\n\"\"\"\",\"\r\"\n,c\r\"\n", [["a", "\"b"], ["\"", "\r"], ["", "c\r\""]]),
        (by(';'), "a;b\nx;\n;y\n", ROWS),
        (by('\t'), "a\tb\nx\t\n\ty\n", ROWS),
        (by('|'), "a|b\nx|\n|y\n", ROWS),
        (by(' '), "a b\nx \n y\n", ROWS),
        (by('\x1f'), "a\x1fb\nx\x1f\n\x1fy\n", ROWS),
    ]);
}

#[test]
fn records_of_every_dialect() {
    check(&[
        (usual(), "\"a\",\"b\"\n\"x\",\"\"\n\"\",\"y\"\n", ROWS),
        (usual(), "\"a,b\",\"c\nd\"\n\"\"\"x\"\"\",5\"\n'y',z\n", [["a,b", "c\nd"], ["\"x\"", "5\""], ["'y'", "z"]]),
        (
            Dialect { quote: Some('\''), ..usual() },
            "'a,b',c\n'it''s','\n'\n\"x\",y",
            [["a,b", "c"], ["it's", "\n"], ["\"x\"", "y"]],
        ),
        (Dialect { quote: None, ..usual() }, "\"a,b\nx\",\n',\"\n", [["\"a", "b"], ["x\"", ""], ["'", "\""]]),
        (
            Dialect { escape: Some('\\'), ..usual() },
            "\"a\\\"\",b\n\"\\\\\",\n\"\\\n\"\"\",y\\\n",
            [["a\"", "b"], ["\\", ""], ["\\\n\"", "y\\"]],
        ),
        (Dialect { comment: Some('#'), ..usual() }, "#\"1\na,b\n\n#2\r\nx,\n#3\r\n,y\n#4", ROWS),
        (
            Dialect { comment: Some('#'), ..usual() },
            "a,b\nx\"#,\"#\n\"\n,y\"",
            [["a", "b"], ["x\"#", "#\n"], ["", "y\""]],
        ),
        (Dialect { terminator: Some('!'), ..usual() }, "a,b!x,!,y!", ROWS),
        (Dialect { terminator: Some('\n'), ..usual() }, "a,b\nx,\n\r,y\n", [["a", "b"], ["x", ""], ["\r", "y"]]),
        (
            Dialect { terminator: Some('\x1e'), delimiter: '\x1f', ..usual() },
            "a\x1fb\x1e\"x\x1e\"\x1f\x1e\n\x1f\r\n",
            [["a", "b"], ["x\x1e", ""], ["\n", "\r\n"]],
        ),
        (Dialect { trailing_delimiter: true, ..usual() }, "a,b,\nx,,\n,y\n", ROWS),
    ]);
}

#[test]
fn records_that_are_rejected() {
    let (usual, trailing) = (Dialect::default(), Dialect { trailing_delimiter: true, ..Dialect::default() });
    for (dialect, text, place, raw) in [
        (&usual, "a,b\nx\nc,d\n", 4, "x"),
        (&usual, "a,b\nx,y,z\nc,d\n", 4, "x,y,z"),
        (&usual, "a,b\nx,y,\nc,d\n", 4, "x,y,"),
        (&trailing, "a,b,\nx,y,z\nc,d,\n", 5, "x,y,z"),
        (&usual, "a,b\n\"x\"y,z\nc,d\n", 4, "\"x\"y,z"),
        (&usual, "a,b\r\nx\ry\r\nc,d\r\n", 5, "x\ry"),
        (&usual, "a,b\n\"x\"\r,z\nc,d\n", 4, "\"x\"\r,z"),
        (&usual, "a,b\n\"x \"y\" z\",\nc,d\n", 4, "\"x \"y\" z\","),
        (&usual, "a,b\n\"x,y\nc,d\n", 4, "\"x,y"),
    ] {
        for (piece, block_bytes) in [(1, 1), (7, 1), (65536, 1), (1, 4096)] {
            let (taken, rejected) = read(text.as_bytes(), &policy(dialect, 2), piece, block_bytes);
            assert_eq!(taken, [["a", "b"], ["c", "d"]], "{text:?}");
            assert_eq!(rejected, [(place, raw.to_owned())], "{text:?}");
        }
    }
}

/// A record that is taken, by its fields; or rejected, by its place and the reason.
type Outcome = Result<Vec<Vec<u8>>, (usize, String)>;

/// What becomes of each record of a text.
fn ours(text: &[u8], csv: &CsvPolicy, piece: usize, block_bytes: u64) -> Vec<Outcome> {
    let pieces: Vec<_> = text.chunks(piece).collect();
    let mut outcomes = Vec::new();
    for block in frame(&csv.dialect, &pieces, block_bytes, 1 << 20) {
        let (fields, rows) = read_block(&block, csv);
        let taken = rows.taken.iter().zip(fields).map(|(place, row)| (place.record(), Ok(row)));
        let rejected = rows.rejects.iter().map(|reject| {
            assert_eq!(without_line_end(reject.raw, &csv.dialect), reject.raw);
            let start = usize::try_from(reject.byte_offset).unwrap();
            assert!(text[start..].starts_with(reject.raw));
            (reject.record, Err((start, reject.reason.to_owned())))
        });
        let mut of_block: Vec<_> = taken.chain(rejected).collect();
        of_block.sort_by_key(|(record, _)| *record);
        assert!(of_block.iter().map(|(record, _)| *record).eq(1..=rows.records));
        outcomes.extend(of_block.into_iter().map(|(_, outcome)| outcome));
    }
    outcomes
}

/// The records that the `csv` crate finds in a text, each with its place.
fn theirs(text: &[u8], dialect: &Dialect) -> Vec<(usize, Vec<Vec<u8>>)> {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(byte(dialect.delimiter)).escape(dialect.escape.map(byte));
    builder.quoting(dialect.quote.is_some()).quote(dialect.quote.map_or(b'"', byte));
    builder.terminator(csv::Terminator::Any(end_byte(dialect)));
    // A line end before the text, lest a byte order mark is dropped.
    let text = [&[end_byte(dialect)], text].concat();
    let records = |text: &[u8]| {
        let (mut reader, mut record, mut records) = (builder.from_reader(text), csv::ByteRecord::new(), Vec::new());
        let mut start = 0;
        while reader.read_byte_record(&mut record).unwrap() {
            let end = usize::try_from(reader.position().byte()).unwrap();
            let mut fields: Vec<Vec<u8>> = record.iter().map(<[u8]>::to_vec).collect();
            let place = after_line_ends(text, start, dialect);
            // To the crate, the first half of a line end is text, and a blank line a record of it.
            let returns = |byte: &&u8| dialect.terminator.is_none() && **byte == b'\r';
            let raw = text[start..end].strip_suffix(b"\n").unwrap_or(&text[start..end]);
            let last = fields.last_mut().unwrap();
            last.truncate(last.len() - raw.iter().rev().take_while(returns).count().min(last.len()));
            if place < end {
                records.push((place - 1, fields));
            }
            start = end;
        }
        records
    };
    let places: Vec<usize> = records(&text).into_iter().map(|(place, _)| place).collect();
    // The crate drops escape characters that escape nothing.
    let doubled = of_text_doubled(&text, dialect).unwrap_or_else(|| text.clone());
    let fields = records(&doubled).into_iter().map(|(_, fields)| fields);
    let both: Vec<_> = places.iter().copied().zip(fields).collect();
    assert_eq!(both.len(), places.len());
    both
}

/// Whether a text ends within quotes: then a line more is not a record more.
fn ends_in_quotes(text: &[u8], dialect: &Dialect) -> bool {
    let line_end = end_byte(dialect);
    let more = [text, &[line_end, b'x', line_end]].concat();
    theirs(&more, dialect).len() == theirs(text, dialect).len()
}

/// Whether each quoted field of the first record of a text ends with its closing quote.
fn is_well_quoted(text: &[u8], dialect: &Dialect) -> bool {
    let (delimiter, quote, escape) = (byte(dialect.delimiter), dialect.quote.map(byte), dialect.escape.map(byte));
    let mut rest = text.iter().copied().peekable();
    loop {
        let is_quoted = quote.is_some() && rest.next_if(|first| Some(*first) == quote).is_some();
        let mut is_open = is_quoted;
        while is_open {
            match rest.next() {
                Some(inner) if Some(inner) == quote => is_open = rest.next_if_eq(&inner).is_some(),
                Some(inner) if Some(inner) == escape => drop(rest.next()),
                Some(_) => {}
                None => return false,
            }
        }
        let mut returns = 0;
        while is_quoted && dialect.terminator.is_none() && rest.next_if_eq(&b'\r').is_some() {
            returns += 1;
        }
        match rest.find(|byte| is_quoted || *byte == delimiter || dialect.ends_record(*byte)) {
            Some(byte) if byte == delimiter && returns > 0 => return false,
            Some(byte) if byte == delimiter => {}
            end => return end.is_none_or(|byte| dialect.ends_record(byte)),
        }
    }
}

/// Holds what becomes of a text against the records of the `csv` crate: each is taken with the same fields, or rejected for a
/// reason that is there.
fn compare(text: &[u8], csv: &CsvPolicy, ours: &mut impl Iterator<Item = Outcome>, from: usize) {
    let (rest, dialect) = (&text[from..], &csv.dialect);
    let mut theirs = theirs(rest, dialect);
    let unterminated = if ends_in_quotes(rest, dialect) { theirs.pop() } else { None };
    for (start, fields) in theirs {
        let width = csv.columns.len();
        match ours.next() {
            Some(Ok(taken)) => {
                assert!(is_well_quoted(&rest[start..], dialect));
                assert_eq!((taken.len(), taken), (width, fields));
            }
            Some(Err((at, reason))) => {
                let widths = format!("{} fields where {width} are expected", fields.len());
                let is_loose = reason == "a quote within a quoted field is neither doubled nor the field's end";
                assert_eq!(at, from + start);
                let is_true = if is_loose { !is_well_quoted(&rest[start..], dialect) } else { reason == widths };
                assert!(is_true && is_loose == (fields.len() == width), "{reason}");
            }
            None => panic!("{fields:?} is missing"),
        }
    }
    let Some((start, _)) = unterminated else {
        assert_eq!(ours.next(), None);
        return;
    };
    // The first line of a record without an end is given up, and what stands after it is read again.
    let (at, reason) = ours.next().unwrap().unwrap_err();
    assert_eq!((at, reason), (from + start, unterminated_reason(Unterminated::OpenQuote, 1 << 20)));
    match text[at..].iter().position(|byte| dialect.ends_record(*byte)) {
        Some(length) => compare(text, csv, ours, at + length + 1),
        None => assert_eq!(ours.next(), None),
    }
}

/// Dialects of the bytes that [`any_text`] is made of.
fn any_dialect() -> impl Strategy<Value = Dialect> {
    let quote = select(vec![Some('"'), Some('"'), Some('\''), None]);
    let (escape, terminator) =
        (select(vec![None, Some('\\')]), select(vec![None, None, Some('\n'), Some('\r'), Some('!')]));
    (select(vec![',', ';', ' ']), quote, escape, terminator).prop_map(|(delimiter, quote, escape, terminator)| {
        Dialect { delimiter, quote, escape, terminator, ..Dialect::default() }
    })
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let parts: [&[u8]; 17] = [
        b",",
        b",",
        b";",
        b" ",
        b"\"",
        b"\"",
        b"\"\"",
        b"'",
        b"\\",
        b"\n",
        b"\r",
        b"!",
        b"a",
        b"\0",
        b"\xff",
        b"\xc3\xa9",
        b"\xef\xbb\xbf",
    ];
    proptest::collection::vec(select(parts.to_vec()), 0..150).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn records_are_those_of_the_csv_crate_or_rejected(
        dialect in any_dialect(),
        text in any_text(),
        width in 1_usize..4,
        block_bytes in prop_oneof![1_u64..40, Just(4 << 20)],
    ) {
        let csv = policy(&dialect, width);
        for piece in [1, 7, 64 << 10] {
            compare(&text, &csv, &mut ours(&text, &csv, piece, block_bytes).into_iter(), 0);
        }
    }
}

/// What becomes of the records of a text: fields of those that are taken; number, place, text and reason of those that are not; and the lines.
type Read = (Vec<Vec<Vec<u8>>>, Vec<(u64, u64, Vec<u8>, String)>, Lines);

fn read_all(text: &[u8], csv: &CsvPolicy, ends: BlockEnds, max_record_bytes: usize) -> Read {
    let (mut taken, mut rejected, mut lines, mut records) = (Vec::new(), Vec::new(), Lines::default(), 0);
    for block in frame(&csv.dialect, &[text], ends, max_record_bytes) {
        let (fields, rows) = read_block(&block, csv);
        taken.extend(fields);
        let rejects = rows.rejects.iter();
        rejected.extend(rejects.map(|reject| {
            (records + reject.record, reject.byte_offset, reject.raw.to_vec(), reject.reason.to_owned())
        }));
        lines.append(&rows.lines);
        records += rows.records;
    }
    (taken, rejected, lines)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn lines_that_were_given_up_are_as_in_blocks_of_their_own(
        dialect in any_dialect(),
        comment in select(vec![None, Some('#')]),
        texts in proptest::collection::vec(prop_oneof![any_text(), Just(b"\na,a\n,\"a".to_vec()), Just(b"\n#\"\n\na".to_vec())], 1..6),
        block_bytes in prop_oneof![1_u64..40, Just(4 << 20)],
        max_record_bytes in prop_oneof![2_usize..40, Just(1 << 20)],
        footer_start in proptest::option::of(0_u64..200),
    ) {
        let csv = CsvPolicy { footer_start, ..policy(&Dialect { comment, ..dialect }, 2) };
        let text = texts.concat();
        let read = |ends| read_all(&text, &csv, ends, max_record_bytes);
        prop_assert_eq!(read(BlockEnds::Aligned(block_bytes)), read(BlockEnds::AlignedApart(block_bytes)));
    }
}

#[test]
fn a_byte_order_mark_within_a_text_is_text() {
    let csv = policy(&Dialect::default(), 2);
    for text in
        ["a,b\n\u{feff}c,d\n", "a,b\n\u{feff}c,\"\"\"\"\n", "\"\"\"\",b\n\u{feff}c,\"d\"\n", "\u{feff}c,\"\"\"\"\n"]
    {
        for block_bytes in [1, 4096] {
            let (taken, rejected) = read(text.as_bytes(), &csv, 7, block_bytes);
            assert_eq!((&*taken.last().unwrap()[0], rejected), ("\u{feff}c", Vec::new()), "{text:?}");
        }
    }
}
