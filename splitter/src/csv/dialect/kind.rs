//! Kinds of cells, as far as the shape of a table shows by them.

/// What a cell looks like. This is for telling tables from broken text, and names from values, and coarser than types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing but spaces.
    Empty,
    /// Digits with a sign, separators, a currency or a percent sign.
    Number,
    /// Digits as a date, a time of day, or both.
    Moment,
    /// A word or a name: no spaces.
    Word,
    /// Text with spaces.
    Text,
    /// Looks like several cells that were not distinguished, or part of a quoted one.
    Broken,
}

impl Kind {
    /// The kind of a cell.
    pub(super) fn of(cell: &[u8]) -> Self {
        let cell = cell.trim_ascii();
        match cell {
            [] => Self::Empty,
            _ if is_moment(cell) => Self::Moment,
            _ if is_number(cell) => Self::Number,
            _ if is_broken(cell) => Self::Broken,
            _ if cell.contains(&b' ') => Self::Text,
            _ => Self::Word,
        }
    }

    /// Whether it is a value rather than a name.
    pub(super) fn is_value(self) -> bool {
        matches!(self, Self::Number | Self::Moment)
    }

    /// How well it speaks of the dialect that it was read by, from 0 to 1; nothing of an empty cell.
    pub(super) fn weight(self) -> Option<f64> {
        match self {
            Self::Empty => None,
            Self::Number | Self::Moment | Self::Word => Some(1.0),
            Self::Text => Some(0.8),
            Self::Broken => Some(0.0),
        }
    }
}

/// Groups of digits with two `-` or `/`, or with a `:`, between them.
fn is_moment(cell: &[u8]) -> bool {
    let count = |sought: &[u8]| cell.iter().filter(|byte| sought.contains(byte)).count();
    let allowed = |byte: &u8| byte.is_ascii_digit() || b"-/.:TZ+ ".contains(byte);
    cell.first().is_some_and(u8::is_ascii_digit)
        && cell.len() >= 4
        && cell.iter().all(allowed)
        && (count(b"-") >= 2 || count(b"/") >= 2 || count(b":") >= 1)
}

fn is_number(cell: &[u8]) -> bool {
    let currencies: [&[u8]; 4] = [b"$", "€".as_bytes(), "£".as_bytes(), "¥".as_bytes()];
    let mut rest = cell.strip_suffix(b"%").unwrap_or(cell);
    for currency in currencies {
        rest = rest.strip_prefix(currency).or(rest.strip_suffix(currency)).unwrap_or(rest).trim_ascii();
    }
    let rest = rest.strip_prefix(b"-").or(rest.strip_prefix(b"+")).unwrap_or(rest);
    let (mantissa, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(place) => (rest.get(..place).unwrap_or_default(), rest.get(place + 1..)),
        None => (rest, None),
    };
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let signed =
        |exponent: &[u8]| digits(exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent));
    let mut groups = mantissa.split(|byte| matches!(byte, b'.' | b','));
    let first = groups.next().unwrap_or_default();
    let last = groups.next_back();
    // Groups of digits between two separators are thousands.
    let thousands = groups.all(|group| group.len() == 3 && digits(group));
    let fraction = last.is_none_or(|last| digits(last) || (last.is_empty() && !first.is_empty()));
    (digits(first) || (first.is_empty() && last.is_some())) && thousands && fraction && exponent.is_none_or(signed)
}

/// A delimiter with text right after it, a quote at one end, or one that was not taken for a quote at both.
fn is_broken(cell: &[u8]) -> bool {
    const DELIMITERS: &[u8] = b",;|\t\x01\x1f";
    let quote = |byte: Option<&u8>| byte == Some(&b'"');
    let in_quotes = matches!(cell, [b'\'', .., b'\'']);
    let glued =
        cell.windows(2).any(|pair| matches!(pair, [first, second] if DELIMITERS.contains(first) && *second != b' '));
    glued || in_quotes || quote(cell.first()) || quote(cell.last()) && memchr::memchr_iter(b'"', cell).count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_cells() {
        for (kind, cells) in [
            (Kind::Empty, &["", "  "][..]),
            (
                Kind::Number,
                &[
                    "0",
                    "-1.5",
                    "1,5",
                    "1.234,56",
                    "$74.69",
                    "€ 5",
                    "12 %",
                    "00123",
                    "1e5",
                    "+49",
                    ".5",
                    "5.",
                    "1,234,567",
                ],
            ),
            (Kind::Moment, &["2013-01-31", "31/01/2013", "10:00", "2013-01-01T10:00:00Z", "2013-01-01 10:00:00+01:00"]),
            (Kind::Word, &["id", "MG-8769", "https://example.com/a", "NA", "e5", "é", "a@b.org", "x,", ".", "1.2.3"]),
            (Kind::Text, &["Hiking Boots", "Hello, world", "say \"yes\" now"]),
            (Kind::Broken, &["a,b", "1;2;3", "1,2,3", "\"half", "half\"", "'x'", "2013-01-01,5", "a\tb"]),
        ] {
            for cell in cells {
                assert_eq!(Kind::of(cell.as_bytes()), kind, "{cell}");
            }
        }
    }
}
