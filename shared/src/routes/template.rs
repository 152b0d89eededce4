//! Tables by the captures of a route: `s3://lake/{system}/{dataset}`.

use crate::location::Location;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Capture(String),
}

/// The URI of a table, with captures in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableTemplate {
    /// As it is written.
    pub(super) text: String,
    parts: Vec<Part>,
}

impl TableTemplate {
    /// Reads a template whose captures are among these; the error says what is wrong with it.
    pub(super) fn parse(text: &str, captures: &[&str]) -> Result<Self, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(start) = rest.find(['{', '}']) {
            let (before, braced) = rest.split_at(start);
            let name = braced.strip_prefix('{').and_then(|braced| braced.split_once('}'));
            let Some((name, after)) = name else {
                return Err(format!("'{text}' has a brace that is not of a {{capture}}"));
            };
            if !captures.contains(&name) {
                let there = if captures.is_empty() { "none".to_owned() } else { captures.join(", ") };
                return Err(format!("'{{{name}}}' is not a capture of the route's key, which has {there}"));
            }
            parts.extend([Part::Text(before.to_owned()), Part::Capture(name.to_owned())]);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let template = Self { text: text.to_owned(), parts };
        template.check()?;
        Ok(template)
    }

    fn check(&self) -> Result<(), String> {
        let location = self.filled(|_| Some("x".to_owned())).and_then(|text| text.parse::<Location>().ok());
        let Some(location) = location else {
            return Err(format!("'{}' is not s3://bucket/prefix or a path", self.text));
        };
        let bucket = self.text.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
        if bucket.is_some_and(|bucket| bucket.contains('{')) {
            // Who may drop a file would choose the bucket.
            return Err(format!("'{}' has a capture in its bucket", self.text));
        }
        match location {
            Location::S3 { key, .. } if key.is_empty() => {
                Err(format!("'{}' has no prefix below its bucket", self.text))
            }
            _ => Ok(()),
        }
    }

    fn filled(&self, value: impl Fn(&str) -> Option<String>) -> Option<String> {
        let part = |part: &Part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Capture(name) => value(name),
        };
        self.parts.iter().map(part).collect()
    }

    /// The table for captured values. They are the names of folders as they are: who opens the table encodes them into a URI.
    pub(super) fn table(&self, captured: &[(String, String)]) -> Result<Location, String> {
        let value = |name: &str| {
            let (_, value) = captured.iter().find(|(captured, _)| captured == name)?;
            Some(value.clone())
        };
        let text = self.filled(value).ok_or_else(|| format!("'{}' has a capture without a value", self.text))?;
        text.parse().map_err(|error: crate::location::LocationError| error.to_string())
    }
}

/// Refuses a captured value that could lead elsewhere, or that nobody can read.
pub(super) fn check_captured((name, value): &(String, String)) -> Result<(), String> {
    let wrong = if value.is_empty() {
        "is empty"
    } else if value.contains('/') {
        "holds a slash"
    } else if value == "." || value.contains("..") {
        "is '.' or holds '..'"
    } else if value.contains('%') {
        // Readers decode a table's URI once more than they should, and look for it elsewhere.
        "holds '%'"
    } else if value.chars().any(char::is_control) {
        "holds a control character"
    } else {
        return Ok(());
    };
    Err(format!("the capture {{{name}}} {wrong}: {value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str, values: &[(&str, &str)]) -> Result<String, String> {
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        let captured: Vec<_> = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        captured.iter().try_for_each(check_captured)?;
        Ok(TableTemplate::parse(text, &names)?.table(&captured)?.to_string())
    }

    #[test]
    fn captures_are_names_of_folders() {
        for (text, value, expected) in [
            ("s3://lake/{a}", "crm", "s3://lake/crm"),
            ("s3://lake/x-{a}/y", "a b", "s3://lake/x-a b/y"),
            ("s3://lake/{a}", "é", "s3://lake/é"),
            ("s3://lake/{a}", "a=1+2.x_y~", "s3://lake/a=1+2.x_y~"),
            ("/no-such/{a}/", "x", "/no-such/x"),
        ] {
            assert_eq!(table(text, &[("a", value)]).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_cannot_be_a_table() {
        for (text, value, expected) in [
            ("s3://{a}/t", "x", "'s3://{a}/t' has a capture in its bucket"),
            ("s3://lake", "x", "'s3://lake' has no prefix below its bucket"),
            ("gs://lake/t", "x", "'gs://lake/t' is not s3://bucket/prefix or a path"),
            ("s3://lake/{b}", "x", "'{b}' is not a capture of the route's key, which has a"),
            ("s3://lake/{a", "x", "'s3://lake/{a' has a brace that is not of a {capture}"),
            ("s3://lake/{a}", "..", "the capture {a} is '.' or holds '..': \"..\""),
            ("s3://lake/{a}", "a..b", "the capture {a} is '.' or holds '..': \"a..b\""),
            ("s3://lake/{a}", "a/b", "the capture {a} holds a slash: \"a/b\""),
            ("s3://lake/{a}", "100%", "the capture {a} holds '%': \"100%\""),
            ("s3://lake/{a}", "", "the capture {a} is empty: \"\""),
            ("s3://lake/{a}", "a\nb", "the capture {a} holds a control character: \"a\\nb\""),
        ] {
            assert_eq!(table(text, &[("a", value)]).unwrap_err(), expected, "{text}");
        }
    }
}
