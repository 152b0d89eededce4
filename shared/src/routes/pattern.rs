//! Patterns of keys: `landing/{system}/*/**`.

use super::sequence::{Place, overlap, places};

/// What one character has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Character {
    This(char),
    Any,
}

/// What one segment has to be: what stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    places: Vec<Place<Character>>,
    /// Each capture, and the places that it is made of.
    captures: Vec<(String, std::ops::Range<usize>)>,
}

/// How closely a segment says what it takes, the loosest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Closeness {
    /// `**`.
    Run,
    /// `*` or `{capture}` alone.
    Any,
    /// Text beside `*` or `{capture}`.
    Mixed,
    /// Text alone.
    Literal,
}

/// A pattern of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyPattern {
    /// As it is written.
    pub(super) text: String,
    /// The segments as they are written, each with how closely it says what it takes and the characters of its text.
    pub(super) closeness: Vec<(Closeness, usize)>,
    segments: Vec<Place<Segment>>,
}

impl KeyPattern {
    /// Reads a pattern; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        if text.starts_with('/') || text.contains("://") {
            return Err("a key has no leading slash and no scheme; `bucket` names the bucket".to_owned());
        }
        if text.ends_with('/') {
            return Err(format!("an object's key does not end with a slash: write {text}**"));
        }
        let (mut segments, mut closeness) = (Vec::new(), Vec::new());
        let mut written = text.split('/').peekable();
        while let Some(part) = written.next() {
            if part == "**" {
                closeness.push((Closeness::Run, 0));
                if written.peek().is_none() {
                    // Else landing/{system}/** would take landing/orders.csv.
                    segments.push(Place::One(Segment::any()));
                }
                segments.push(Place::Many);
                continue;
            }
            let (segment, close) = Segment::parse(part)?;
            segments.push(Place::One(segment));
            closeness.push(close);
        }
        let pattern = Self { text: text.to_owned(), closeness, segments };
        let mut names: Vec<&str> = pattern.captures().collect();
        names.sort_unstable();
        let twice = names.iter().zip(names.iter().skip(1)).find(|(one, next)| one == next);
        twice.map_or(Ok(()), |(name, _)| Err(format!("it has the capture {{{name}}} twice")))?;
        Ok(pattern)
    }

    /// Names of its captures.
    pub(super) fn captures(&self) -> impl Iterator<Item = &str> {
        let segments = self.segments.iter().filter_map(|place| match place {
            Place::One(segment) => Some(segment),
            Place::Many => None,
        });
        segments.flat_map(|segment| segment.captures.iter().map(|(name, _)| name.as_str()))
    }

    /// What its captures are in a key; none if it does not match the key.
    pub(super) fn captured(&self, key: &str) -> Option<Vec<(String, String)>> {
        let parts: Vec<Vec<char>> = key.split('/').map(|part| part.chars().collect()).collect();
        let begins = places(&self.segments, &parts, |segment, part| segment.begins(part).is_some())?;
        let mut captured = Vec::new();
        for (place, at) in self.segments.iter().zip(begins) {
            let (Place::One(segment), Some(part)) = (place, parts.get(at)) else { continue };
            captured.extend(segment.captured(part)?);
        }
        Some(captured)
    }

    /// Whether there is a key that both match.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        overlap(&self.segments, &other.segments, Segment::overlaps)
    }
}

impl Segment {
    fn any() -> Self {
        Self { places: vec![Place::Many], captures: Vec::new() }
    }

    fn parse(text: &str) -> Result<(Self, (Closeness, usize)), String> {
        let (mut places, mut captures, mut literal) = (Vec::new(), Vec::new(), 0);
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let after_run = places.last() == Some(&Place::Many);
            if first == '*' || first == '{' {
                if after_run {
                    return Err(format!(
                        "'{text}' has * or a capture beside another one: text has to stand between them"
                    ));
                }
                if first == '*' {
                    places.push(Place::Many);
                    rest = &rest[1..];
                    continue;
                }
                let name = rest[1..].split('}').next().unwrap_or_default();
                rest = rest[1 + name.len()..].strip_prefix('}').ok_or_else(|| format!("'{text}' has {{ without }}"))?;
                check_name(name)?;
                captures.push((name.to_owned(), places.len()..places.len() + 2));
                places.extend([Place::One(Character::Any), Place::Many]);
                continue;
            }
            if first == '}' {
                return Err(format!("'{text}' has }} without {{"));
            }
            places.push(Place::One(Character::This(first)));
            literal += 1;
            rest = &rest[first.len_utf8()..];
        }
        let closeness = match (literal, places.contains(&Place::Many)) {
            (_, false) => Closeness::Literal,
            (0, true) => Closeness::Any,
            (_, true) => Closeness::Mixed,
        };
        Ok((Self { places, captures }, (closeness, literal)))
    }

    fn begins(&self, part: &[char]) -> Option<Vec<usize>> {
        places(&self.places, part, |kind, unit| match kind {
            Character::This(character) => character == unit,
            Character::Any => true,
        })
    }

    fn captured(&self, part: &[char]) -> Option<Vec<(String, String)>> {
        let mut begins = self.begins(part)?;
        begins.push(part.len());
        let value = |range: &std::ops::Range<usize>| -> Option<String> {
            let (from, to) = (*begins.get(range.start)?, *begins.get(range.end)?);
            Some(part.get(from..to)?.iter().collect())
        };
        self.captures.iter().map(|(name, range)| Some((name.clone(), value(range)?))).collect()
    }

    fn overlaps(&self, other: &Self) -> bool {
        overlap(&self.places, &other.places, |one, other| match (one, other) {
            (Character::This(one), Character::This(other)) => one == other,
            (Character::Any, _) | (_, Character::Any) => true,
        })
    }
}

/// A name is that of a column as well: letters, digits and underscores.
fn check_name(name: &str) -> Result<(), String> {
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_name {
        Ok(())
    } else {
        Err(format!("'{{{name}}}' is not a capture: its name has lower-case letters, digits and _, a letter first"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_of_keys() {
        for (pattern, key, expected) in [
            ("a.csv", "a.csv", Some("")),
            ("a.csv", "b/a.csv", None),
            ("*.csv", "é.csv", Some("")),
            ("*.csv", "a/b.csv", None),
            ("**/*.csv", "a.csv", Some("")),
            ("**/*.csv", "a/b/c.csv", Some("")),
            ("landing/{system}/**", "landing/crm/2026/a.csv", Some("system=crm")),
            ("landing/{system}/**", "landing/a.csv", None),
            ("landing/**", "landing/a.csv", Some("")),
            ("landing/**", "landing", None),
            ("a/**/b", "a/b", Some("")),
            ("a/**/b", "a/x/y/b", Some("")),
            ("{a}-{b}.csv", "x-y-z.csv", Some("a=x b=y-z")),
            ("{a}-{b}.csv", "-y.csv", None),
            ("**/{a}/**", "x/y/z", Some("a=x")),
            ("{a}/**/{b}.csv", "x/y/z.csv", Some("a=x b=z")),
            ("d={day}/*", "d=2026-01-01/é", Some("day=2026-01-01")),
            ("*", "", Some("")),
            ("{a}", "", None),
        ] {
            let captured = KeyPattern::parse(pattern).unwrap().captured(key);
            let shown =
                captured.map(|all| all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>());
            assert_eq!(shown.map(|all| all.join(" ")).as_deref(), expected, "{pattern} {key}");
        }
    }

    #[test]
    fn patterns_that_cannot_be_used() {
        for (pattern, expected) in [
            ("", "it is empty"),
            ("/a", "a key has no leading slash and no scheme; `bucket` names the bucket"),
            ("s3://b/a", "a key has no leading slash and no scheme; `bucket` names the bucket"),
            ("a/", "an object's key does not end with a slash: write a/**"),
            ("{a}{b}", "'{a}{b}' has * or a capture beside another one: text has to stand between them"),
            ("a**b", "'a**b' has * or a capture beside another one: text has to stand between them"),
            ("{a", "'{a' has { without }"),
            ("a}", "'a}' has } without {"),
            ("{}", "'{}' is not a capture: its name has lower-case letters, digits and _, a letter first"),
            ("{A}", "'{A}' is not a capture: its name has lower-case letters, digits and _, a letter first"),
            ("{ab}/{ab}", "it has the capture {ab} twice"),
        ] {
            assert_eq!(KeyPattern::parse(pattern).unwrap_err(), expected, "{pattern}");
        }
    }

    #[test]
    fn patterns_that_one_key_matches_both() {
        for (one, other, expected) in [
            ("a/*", "*/b", true),
            ("a/{x}", "b/{x}", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("*.csv", "a*", true),
            ("*.csv", "*.json", false),
            ("**/a/**", "**/b/**", true),
            ("x-{a}", "x-*", true),
            ("x-{a}", "x-", false),
        ] {
            let [one, other] = [one, other].map(|text| KeyPattern::parse(text).unwrap());
            assert_eq!(one.overlaps(&other), expected, "{} {}", one.text, other.text);
        }
    }
}
