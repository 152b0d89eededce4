//! Whether lines have columns of a fixed width instead of a delimiter.

/// Lines that are looked at, and how many there must be.
const MOST_LINES: usize = 200;
const LEAST_LINES: usize = 5;

/// Blanks that part two columns, at least: one may be part of a text.
const LEAST_BLANKS: usize = 2;

/// The places, in bytes from the start of a line, at which columns begin after blanks that all lines have; none if there are no such
/// columns. The first line, which has the names, and most others must have something before and after these blanks. A line that begins
/// with a quote is a value. `whole` when the text is all there is; otherwise its last
/// line may be cut off.
pub(crate) fn columns(text: &[u8], whole: bool) -> Option<Vec<usize>> {
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).collect();
    if !whole {
        lines.pop();
    }
    lines.retain(|line| !line.is_empty());
    lines.truncate(MOST_LINES);
    let is_other = |line: &&[u8]| line.contains(&b'\t') || line.starts_with(b"\"");
    if lines.len() < LEAST_LINES || lines.iter().any(is_other) {
        return None;
    }
    let width = lines.iter().map(|line| line.len()).max().unwrap_or_default();
    let is_blank = |place: usize| lines.iter().all(|line| line.get(place).is_none_or(|byte| *byte == b' '));
    let mut columns = Vec::new();
    let mut blanks = 0;
    for place in 0..width {
        if is_blank(place) {
            blanks += 1;
            continue;
        }
        let has_both = |line: &&[u8]| {
            line.len() > place && line.get(..place).is_some_and(|before| !before.trim_ascii().is_empty())
        };
        let most_have = || lines.iter().filter(|line| has_both(line)).count() * 2 > lines.len();
        if blanks >= LEAST_BLANKS && lines.first().is_some_and(has_both) && most_have() {
            columns.push(place);
        }
        blanks = 0;
    }
    (!columns.is_empty()).then_some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_begin_after_blanks_of_all_lines() {
        let records = "0001 Ann\n0002 Bob\n0003 Eve\n0004 Joe\n";
        let wide = records.replace(' ', "   ");
        for (text, expected) in [
            (format!("ID     NAME\n{wide}"), Some(vec![7])),
            ("ID  NAME   N\n01  Ann    1\n02  B Smith 2\n03  Eve    3\n04  Joe    4\n".to_owned(), Some(vec![4])),
            // A line of one word, as a title at the end, has no column to speak against.
            (format!("id     name\n{wide}end\n"), Some(vec![7])),
            // Names of one column, over values with blanks in them.
            (format!("created\n{wide}"), None),
            (format!("note\n{wide}"), None),
            (format!("\"note\"\n\"{}", wide.replace('\n', "\"\n\"").trim_end_matches('"')), None),
            (format!("ID     NAME\n{}", wide.split_inclusive('\n').take(2).collect::<String>()), None),
            (format!("id name\n{records}"), None),
            ("one\ntwo\nthree\nfour\nfive\n".to_owned(), None),
            ("some  words here\nothers are   apart\nand so  on\nand  on\nto the end\n".to_owned(), None),
            ("  indented\n  indented too\n  and so on\n  and on\n  to the end\n".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(columns(text.as_bytes(), true), expected, "{text}");
        }
        assert_eq!(columns(format!("ID     NAME\n{wide}000555").as_bytes(), false), Some(vec![7]));
    }
}
