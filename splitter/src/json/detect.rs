//! Whether a text is NDJSON.

use crate::json::object::{Object, lines, parse_error};

/// Lines that are looked at to decide whether a text is NDJSON.
const LINES_LOOKED_AT: usize = 5;

/// Whether a text is NDJSON: its first lines that are not blank are objects, most of them, the first for sure. `whole` when
/// this is all there is; otherwise the last line may be cut off.
pub(crate) fn is_ndjson(head: &[u8], whole: bool) -> bool {
    let complete = |(start, line): &(usize, &[u8])| whole || start + line.len() < head.len();
    let looked_at: Vec<bool> =
        lines(head).filter(complete).take(LINES_LOOKED_AT).map(|(_, line)| Object::parse(line).is_ok()).collect();
    let objects = looked_at.iter().filter(|is_object| **is_object).count();
    looked_at.first() == Some(&true) && objects * 2 > looked_at.len()
}

/// The number, from 1, of the first line that seems to be an object and is not, with what is wrong with it; none where another shape of
/// JSON is more likely.
pub(crate) fn broken_line(head: &[u8]) -> Option<(usize, String)> {
    /// Characters of the value that are shown.
    const SHOWN: usize = 20;
    let (number, line) =
        head.split(|byte| *byte == b'\n').enumerate().find(|(_, line)| !line.trim_ascii().is_empty())?;
    let line = std::str::from_utf8(line).ok()?.trim_end();
    if !line.trim_start().starts_with('{') || !line.ends_with('}') {
        return None;
    }
    let error = serde_json::from_str::<Object<'_>>(line).err()?;
    let from = error.column().saturating_sub(1);
    let shown: String = line.get(from..).unwrap_or_default().chars().take(SHOWN).collect();
    Some((number + 1, format!("{}, at '{shown}'", parse_error(&error))))
}

/// Keys that services write beside rows: how many there are, where the next are, and whether all went well.
const BESIDE_ROWS: [&str; 26] = [
    "@odata.context",
    "@odata.count",
    "@odata.nextLink",
    "count",
    "cursor",
    "errors",
    "has_more",
    "hasMore",
    "limit",
    "links",
    "meta",
    "next",
    "next_page",
    "nextPageToken",
    "object",
    "offset",
    "page",
    "pages",
    "per_page",
    "previous",
    "size",
    "status",
    "success",
    "total",
    "total_count",
    "url",
];

/// The key of the rows of a document such as `{"data": [{...}, {...}]}`, if the text is one object in one line: the only key, or one
/// that services give to rows, beside keys that they give to all else. Any other object may be a record with a list.
pub(crate) fn rows_within(text: &[u8]) -> Option<String> {
    const USUAL: [&str; 7] = ["data", "records", "results", "items", "rows", "value", "hits"];
    let mut lines = lines(text);
    let (Some((_, line)), None) = (lines.next(), lines.next()) else { return None };
    let Object(pairs) = Object::parse(line).ok()?;
    let is_rows = |value: &str| value.strip_prefix('[').is_some_and(|rows| rows.trim_start().starts_with('{'));
    let is_usual = |key: &str| pairs.len() == 1 || USUAL.contains(&key);
    let (rows, _) = pairs.iter().find(|(key, value)| is_rows(value.get()) && is_usual(key))?;
    let mut others = pairs.iter().filter(|(key, _)| key != rows);
    others.all(|(key, _)| BESIDE_ROWS.contains(&key.as_ref())).then(|| rows.to_string())
}

/// Whether a text begins as a JSON array.
pub(crate) fn is_array(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"[")
}

/// Whether a text is JSON in another shape: one array of objects, or an object over several lines.
pub(crate) fn is_other_json(head: &[u8]) -> bool {
    let opens = |text: &[u8], first: u8| text.strip_prefix(&[first]).map(<[u8]>::trim_ascii_start).map(<[u8]>::to_vec);
    let head = head.get(..head.len().min(4096)).unwrap_or_default().trim_ascii_start();
    let in_array = opens(head, b'[');
    let object = in_array.as_deref().unwrap_or(head);
    opens(object, b'{').is_some_and(|keys| keys.starts_with(b"\""))
}
