//! Patterns over sequences: of segments in a key, and of characters in a segment.

/// A place of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place<T> {
    /// One unit, of a kind.
    One(T),
    /// Any number of units, also none.
    Many,
}

/// Where in a sequence each place of a pattern begins, each run as short as it can be, the earlier ones first; none if the pattern
/// does not match all of the sequence.
///
/// It takes time and memory in proportion to both lengths, whatever the number of runs.
pub(super) fn places<T, U>(pattern: &[Place<T>], units: &[U], takes: impl Fn(&T, &U) -> bool) -> Option<Vec<usize>> {
    // Row by row, from the last place to the first: whether the places from here match the units from there.
    let mut rows: Vec<Vec<bool>> = vec![vec![false; units.len()]];
    if let Some(end) = rows.first_mut() {
        end.push(true);
    }
    for place in pattern.iter().rev() {
        let after = rows.last()?;
        let mut row = vec![false; units.len() + 1];
        let mut later = false;
        for at in (0..=units.len()).rev() {
            let fits = match place {
                Place::Many => after[at] || later,
                Place::One(kind) => at < units.len() && after[at + 1] && takes(kind, &units[at]),
            };
            row[at] = fits;
            later = fits;
        }
        rows.push(row);
    }
    rows.reverse();
    if !rows.first()?[0] {
        return None;
    }
    let mut begins = Vec::with_capacity(pattern.len());
    let mut at = 0;
    for (place, after) in pattern.iter().zip(rows.iter().skip(1)) {
        begins.push(at);
        match place {
            Place::One(_) => at += 1,
            Place::Many => at += after.iter().skip(at).position(|fits| *fits)?,
        }
    }
    Some(begins)
}

/// Whether there is a sequence that both patterns match, where `meet` says whether there is a unit that two kinds both take.
pub(super) fn overlap<T>(one: &[Place<T>], other: &[Place<T>], meet: impl Fn(&T, &T) -> bool) -> bool {
    let mut rows = vec![vec![false; other.len() + 1]; one.len() + 1];
    for i in (0..=one.len()).rev() {
        for j in (0..=other.len()).rev() {
            rows[i][j] = match (one.get(i), other.get(j)) {
                (None, None) => true,
                (Some(Place::Many), None) => rows[i + 1][j],
                (None, Some(Place::Many)) => rows[i][j + 1],
                (Some(Place::Many), Some(_)) | (Some(_), Some(Place::Many)) => rows[i + 1][j] || rows[i][j + 1],
                (Some(Place::One(a)), Some(Place::One(b))) => rows[i + 1][j + 1] && meet(a, b),
                (Some(Place::One(_)), None) | (None, Some(Place::One(_))) => false,
            };
        }
    }
    rows[0][0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `?` is any character, `*` a run.
    fn pattern(text: &str) -> Vec<Place<char>> {
        text.chars().map(|c| if c == '*' { Place::Many } else { Place::One(c) }).collect()
    }

    #[test]
    fn runs_are_as_short_as_they_can_be() {
        let takes = |kind: &char, unit: &char| *kind == '?' || kind == unit;
        for (text, units, expected) in [
            ("", "", Some(vec![])),
            ("", "a", None),
            ("a*b", "ab", Some(vec![0, 1, 1])),
            ("*-*", "a-b-c", Some(vec![0, 1, 2])),
            ("*b", "abcb", Some(vec![0, 3])),
            ("?*", "", None),
            ("a*b", "ac", None),
        ] {
            let units: Vec<char> = units.chars().collect();
            assert_eq!(places(&pattern(text), &units, takes), expected, "{text}");
        }
    }

    #[test]
    fn patterns_that_a_sequence_matches_both() {
        let meet = |a: &char, b: &char| a == b || *a == '?' || *b == '?';
        for (one, other, expected) in [
            ("", "", true),
            ("", "*", true),
            ("a", "", false),
            ("a*", "*b", true),
            ("a*", "b*", false),
            ("a*c", "ab", false),
            ("?", "", false),
            ("*?", "ab*", true),
            ("a*b*", "*c*", true),
            ("ab", "a", false),
        ] {
            assert_eq!(overlap(&pattern(one), &pattern(other), meet), expected, "{one} {other}");
            assert_eq!(overlap(&pattern(other), &pattern(one), meet), expected, "{other} {one}");
        }
    }
}
