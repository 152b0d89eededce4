//! Dialects in encodings in compressions: all that are claimed, each with each.

use shared::Dialect;

use super::*;
use crate::csv::record::Records;
use crate::records::framer::Framer;

/// Dialects, each with an end of a record.
fn dialects() -> Vec<(Dialect, &'static str)> {
    let by = |delimiter| Dialect { delimiter, ..Dialect::default() };
    vec![
        (by(','), "\n"),
        (by(';'), "\r\n"),
        (Dialect { terminator: Some('\r'), ..by('\t') }, "\r"),
        (by('|'), "\n"),
        (by(' '), "\n"),
        (Dialect { terminator: Some('\x1e'), ..by('\x1f') }, "\x1e"),
        (Dialect { quote: Some('\''), ..by(',') }, "\n"),
        (Dialect { quote: None, ..by('\t') }, "\n"),
        (Dialect { escape: Some('\\'), ..by(',') }, "\r\n"),
        (Dialect { comment: Some('#'), ..by(';') }, "\n"),
    ]
}

/// Rows as a dialect writes them, after a comment if it has such.
fn written(rows: &[[String; 2]], dialect: &Dialect, line_end: &str) -> String {
    let field = |field: &String| {
        let Some(quote) = dialect.quote else { return field.clone() };
        let escaped = match dialect.escape {
            Some(escape) => field.replace(escape, &format!("{escape}{escape}")),
            None => field.clone(),
        };
        let before_quote = dialect.escape.unwrap_or(quote);
        format!("{quote}{}{quote}", escaped.replace(quote, &format!("{before_quote}{quote}")))
    };
    let comment = dialect.comment.map(|comment| format!("{comment}\"{line_end}")).unwrap_or_default();
    let rows = rows.iter().flat_map(|[a, b]| [field(a), dialect.delimiter.into(), field(b), line_end.to_owned()]);
    comment + &rows.collect::<String>()
}

/// The rows of a text that comes in pieces.
fn read(pieces: &[Piece], dialect: &Dialect) -> Vec<Vec<String>> {
    let mut framer = Framer::new(dialect, 1, 1 << 20, 0);
    let mut blocks = Vec::new();
    for piece in pieces {
        framer.push(piece.text.clone());
        blocks.extend(std::iter::from_fn(|| framer.next_block()));
    }
    blocks.extend(std::iter::from_fn(|| framer.last_block()));
    let mut rows = Vec::new();
    for block in blocks {
        let mut records = Records::of_dialect(&block.text, dialect);
        while let Some(record) = records.next() {
            rows.push(record.fields().map(|field| String::from_utf8(field.to_vec()).unwrap()).collect());
        }
    }
    rows
}

/// Encodings, each with a letter; some of these have bytes that are a comma, a line end or a backslash by themselves.
const ENCODINGS: [(&str, &str); 13] = [
    ("utf-8", "é"),
    ("UTF-16LE", "\u{2c0a}"),
    ("UTF-16BE", "\u{0a2c}"),
    ("windows-1252", "é"),
    ("iso-8859-2", "ł"),
    ("windows-1251", "я"),
    ("shift_jis", "表"),
    ("euc-jp", "語"),
    ("iso-2022-jp", "語"),
    ("gbk", "中"),
    ("gb18030", "\u{20ac}"),
    ("big5", "功"),
    ("euc-kr", "한"),
];

#[test]
fn every_dialect_encoding_and_compression_in_pieces_of_any_size() {
    for (dialect, line_end) in dialects() {
        let inner = if dialect.quote.is_some() { format!("\\{}{line_end}", dialect.delimiter) } else { String::new() };
        let quoted = dialect.quote.map(|quote| format!("{quote}x{quote}")).unwrap_or_default();
        for (encoding, letter) in ENCODINGS {
            let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
            let rows = [row(letter, "1"), row("", &letter.repeat(3)), row(&format!("{letter}{inner}"), &quoted)];
            let bytes = encoded(encoding, false, &written(&rows, &dialect, line_end));
            let (one, two) = bytes.split_at(bytes.len() / 2);
            for compression in COMPRESSIONS {
                let stored = compressed(compression, &[one, two]);
                for piece_bytes in [1, 7, 64 << 10] {
                    let world = World::new(stored.clone(), compression, encoding, piece_bytes);
                    let found = read(&world.pieces(0, None).unwrap(), &dialect);
                    assert_eq!(found, rows, "{dialect:?} {encoding} {compression:?} {piece_bytes}");
                }
            }
        }
    }
}
