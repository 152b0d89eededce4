//! Which of two routes is the more specific one.

use std::cmp::Ordering;

use super::pattern::{Closeness, KeyPattern};

/// How specific a route is: first whether it names a bucket, then its segments one by one, then whether it names endings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    has_bucket: bool,
    /// A list that another one begins with is the more specific one of the two.
    segments: Vec<(Closeness, usize)>,
    has_suffix: bool,
}

impl Rank {
    pub(super) fn new(has_bucket: bool, key: &KeyPattern, has_suffix: bool) -> Self {
        Self { has_bucket, segments: key.closeness.clone(), has_suffix }
    }

    /// Why another rank is above this one, in words about what this one has.
    pub(super) fn why_below(&self, above: &Self) -> String {
        if self.has_bucket != above.has_bucket {
            return "it names no bucket".to_owned();
        }
        let pairs = self.segments.iter().zip(&above.segments).enumerate();
        let differs = pairs.map(|(place, (own, other))| (place + 1, own, other)).find(|(_, own, other)| own != other);
        match differs {
            Some((place, (own, _), (other, _))) if own == other => {
                format!("segment {place} of its key has less text")
            }
            Some((place, (own, _), (other, _))) => {
                format!("segment {place} of its key is {}, the other's {}", own.words(), other.words())
            }
            None if self.segments.len() != above.segments.len() => "its key has fewer segments".to_owned(),
            None if self.cmp(above) == Ordering::Less => "it names no suffix".to_owned(),
            None => "it is as specific".to_owned(),
        }
    }
}

impl Closeness {
    fn words(self) -> &'static str {
        match self {
            Self::Run => "**",
            Self::Any => "* or a capture",
            Self::Mixed => "text with * or a capture",
            Self::Literal => "text",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(bucket: bool, key: &str, suffix: bool) -> Rank {
        Rank::new(bucket, &KeyPattern::parse(key).unwrap(), suffix)
    }

    #[test]
    fn the_rule_of_specificity() {
        for (above, below, why) in [
            ((true, "**", false), (false, "a/b", false), "it names no bucket"),
            ((false, "a/*", false), (false, "a/**", false), "segment 2 of its key is **, the other's * or a capture"),
            (
                (false, "a/x-*", false),
                (false, "a/{x}", false),
                "segment 2 of its key is * or a capture, the other's text with * or a capture",
            ),
            (
                (false, "a/b", false),
                (false, "a/b*", false),
                "segment 2 of its key is text with * or a capture, the other's text",
            ),
            ((false, "a/xy-*", false), (false, "a/x*", false), "segment 2 of its key has less text"),
            (
                (false, "a/*/**", false),
                (false, "*/b/c", false),
                "segment 1 of its key is * or a capture, the other's text",
            ),
            ((false, "a/**/*", false), (false, "a/**", false), "its key has fewer segments"),
            ((false, "a/*", true), (false, "a/*", false), "it names no suffix"),
        ] {
            let (above, below) = (rank(above.0, above.1, above.2), rank(below.0, below.1, below.2));
            assert!(above > below, "{above:?} {below:?}");
            assert_eq!(below.why_below(&above), why);
        }
        assert_eq!(rank(false, "a/{x}", false), rank(false, "b/*", false));
    }
}
