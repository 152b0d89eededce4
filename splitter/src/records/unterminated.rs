//! Lines that are kept of records whose end was not found.

use std::borrow::Cow;

use crate::records::rejects::Fault;
use crate::records::span::Span;

/// Why the end of a record was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unterminated {
    /// It is longer than the limit.
    TooLong,
    /// The source ends inside a quoted field.
    OpenQuote,
}

/// Lines of a block, each of which is what is kept of a record whose end was not found.
///
/// There may be millions of them, most of which follow each other, so runs are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnterminatedLines(Vec<Run>);

/// Lines that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    span: Span,
    why: Unterminated,
}

/// Goes through such lines from the first to the last.
#[derive(Clone, Debug)]
pub(crate) struct LinesLeft<'a> {
    next: Option<Run>,
    others: &'a [Run],
}

impl UnterminatedLines {
    /// Adds the line between two places of the block, after the others.
    pub(crate) fn add(&mut self, start: usize, end: usize, why: Unterminated) {
        match self.0.last_mut() {
            Some(run) if run.span.end() == start && run.why == why => run.span = Span::new(run.span.start(), end),
            _ => self.0.push(Run { span: Span::new(start, end), why }),
        }
    }

    /// Whether the block has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the first one begins, and why it is one.
    pub(crate) fn first(&self) -> Option<(usize, Unterminated)> {
        self.0.first().map(|run| (run.span.start(), run.why))
    }

    /// All of them.
    pub(crate) fn lines(&self) -> LinesLeft<'_> {
        LinesLeft { next: self.0.first().copied(), others: self.0.get(1..).unwrap_or_default() }
    }

    /// A text of the block, from its start on, without these lines.
    pub(crate) fn removed_from<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        if self.0.is_empty() {
            return text.into();
        }
        let (mut others, mut place) = (Vec::with_capacity(text.len()), 0);
        for run in &self.0 {
            others.extend_from_slice(text.get(place..run.span.start()).unwrap_or_default());
            place = run.span.end();
        }
        others.extend_from_slice(text.get(place..).unwrap_or_default());
        others.into()
    }
}

impl LinesLeft<'_> {
    /// None.
    pub(crate) const NONE: LinesLeft<'static> = LinesLeft { next: None, others: &[] };

    /// Where the next one begins; the end of all texts where there is none.
    #[inline]
    pub(crate) fn start(&self) -> usize {
        self.next.map_or(usize::MAX, |run| run.span.start())
    }

    /// Where the next one ends in the text of the block, and why it is one. It is then behind.
    #[cold]
    pub(crate) fn pass(&mut self, text: &[u8], line_end: u8) -> Option<(usize, Unterminated)> {
        let Run { span, why } = self.next?;
        let length = memchr::memchr(line_end, span.of(text)).map(|end| end + 1);
        let end = length.map_or(span.end(), |length| span.start() + length);
        if end < span.end() {
            self.next = Some(Run { span: Span::new(end, span.end()), why });
        } else {
            self.next = self.others.first().copied();
            self.others = self.others.get(1..).unwrap_or_default();
        }
        Some((end, why))
    }
}

/// What is wrong with such lines, each text made once.
#[derive(Debug)]
pub(crate) struct UnterminatedFaults {
    too_long: Fault,
    open_quote: Fault,
}

impl UnterminatedFaults {
    /// Of records of so many bytes at most.
    pub(crate) fn new(max_record_bytes: usize) -> Self {
        let fault = |why| (None, unterminated_reason(why, max_record_bytes));
        Self { too_long: fault(Unterminated::TooLong), open_quote: fault(Unterminated::OpenQuote) }
    }

    /// What is wrong with one.
    pub(crate) fn of(&self, why: Unterminated) -> &Fault {
        match why {
            Unterminated::TooLong => &self.too_long,
            Unterminated::OpenQuote => &self.open_quote,
        }
    }
}

/// Why a record was rejected whose end was not found.
pub(crate) fn unterminated_reason(unterminated: Unterminated, max_record_bytes: usize) -> String {
    let what = match unterminated {
        Unterminated::TooLong => {
            format!("the record that begins here is longer than MAX_RECORD_MB={}", max_record_bytes >> 20)
        }
        Unterminated::OpenQuote => "the file ends inside a quoted field of the record that begins here".to_owned(),
    };
    format!("{what}{UNTERMINATED_REASON}")
}

/// How the reason ends for which a record was rejected whose end was not found.
const UNTERMINATED_REASON: &str = "; its first line is kept, up to 1 MiB, and the next record begins after this line";

/// Whether this is the reason for which a record was rejected whose end was not found.
pub(crate) fn is_unterminated(reason: &str) -> bool {
    reason.ends_with(UNTERMINATED_REASON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_follow_each_other_are_one_run() {
        let text = b"a\n\"1\n\"2\nb\n\"3\n\"4";
        let mut lines = UnterminatedLines::default();
        for (start, end, why) in [
            (2, 5, Unterminated::TooLong),
            (5, 8, Unterminated::TooLong),
            (10, 13, Unterminated::TooLong),
            (13, 15, Unterminated::OpenQuote),
        ] {
            lines.add(start, end, why);
        }
        assert_eq!((lines.0.len(), lines.first()), (3, Some((2, Unterminated::TooLong))));
        assert_eq!(&*lines.removed_from(text), b"a\nb\n");
        assert_eq!(&*lines.removed_from(&text[..11]), b"a\nb\n");
        let mut left = lines.lines();
        let all = std::iter::from_fn(|| {
            let start = left.start();
            left.pass(text, b'\n').map(|(end, why)| (start, end, why == Unterminated::OpenQuote))
        });
        let expected = [(2, 5, false), (5, 8, false), (10, 13, false), (13, 15, true)];
        assert_eq!(all.collect::<Vec<_>>(), expected);
    }
}
