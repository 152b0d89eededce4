//! Whether lines have columns of a fixed width instead of a delimiter.

/// Lines that are looked at, and how many there must be.
const MOST_LINES: usize = 200;
const LEAST_LINES: usize = 3;

/// Blanks that part two columns, at least: one may be part of a text.
const LEAST_BLANKS: usize = 2;

/// The places, in bytes from the start of a line, at which columns begin after blanks that all lines have; none if there are no such
/// columns. Most lines must have something before and after these blanks. `whole` when the text is all there is; otherwise its last
/// line may be cut off.
pub(crate) fn columns(text: &[u8], whole: bool) -> Option<Vec<usize>> {
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).collect();
    if !whole {
        lines.pop();
    }
    lines.retain(|line| !line.is_empty());
    lines.truncate(MOST_LINES);
    if lines.len() < LEAST_LINES || lines.iter().any(|line| line.contains(&b'\t')) {
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
        let has_both = |line: &&&[u8]| {
            line.len() > place && line.get(..place).is_some_and(|before| !before.trim_ascii().is_empty())
        };
        if blanks >= LEAST_BLANKS && lines.iter().filter(has_both).count() * 2 > lines.len() {
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
        for (text, expected) in [
            ("ID      NAME       AMOUNT\n00001   Ann         12.50\n00002   Bob Smith    3.10\n", Some(vec![8, 19])),
            ("id   name\n1    Ann\n22   Bob\n333  Eve\n", Some(vec![5])),
            // A line of one word, as a title, has no column to speak against.
            ("id   name\n1    Ann\n22   Bob\nend\n", Some(vec![5])),
            ("id   name\n1    Ann\n", None),
            ("one\ntwo\nthree\n", None),
            ("a b\nc d\ne f\n", None),
            ("some  words here\nothers are   apart\nand so  on\n", None),
            ("  indented\n  indented too\n  and so on\n", None),
            ("", None),
        ] {
            assert_eq!(columns(text.as_bytes(), true), expected, "{text}");
        }
        assert_eq!(columns(b"id   name\n1    Ann\n22   Bob\n333333", false), Some(vec![5]));
    }
}
