//! Lines of a block, counted while its records are found: nothing is looked at twice for them.

use shared::{LineKind, Lines, SkippedLine, SkippedLines};

/// The lines of a block so far. Of those that are skipped, places are kept, since there may be millions.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockLines {
    /// Lines of records and skipped ones.
    total: u64,
    comments: Option<Run>,
    blanks: Option<Run>,
    footer: Option<Run>,
}

/// Skipped lines of one kind.
#[derive(Clone, Copy, Debug)]
struct Run {
    lines: u64,
    first: Place,
    last: Place,
}

/// Where a line is: its number within the block, from 1, where it begins and ends.
#[derive(Clone, Copy, Debug)]
struct Place {
    line: u64,
    start: usize,
    end: usize,
}

impl BlockLines {
    /// Adds a record of so many lines.
    #[inline]
    pub(crate) fn add_record(&mut self, lines: usize) {
        self.total += u64::try_from(lines).unwrap_or_default();
    }

    /// Adds a line with nothing in it.
    #[cold]
    pub(crate) fn skip_blank(&mut self, start: usize, end: usize) {
        self.total += 1;
        add(&mut self.blanks, Place { line: self.total, start, end });
    }

    /// Adds a comment.
    pub(crate) fn skip_comment(&mut self, start: usize, end: usize) {
        self.total += 1;
        add(&mut self.comments, Place { line: self.total, start, end });
    }

    /// Adds a line after the last record.
    #[cold]
    pub(crate) fn skip_footer(&mut self, start: usize, end: usize) {
        self.total += 1;
        add(&mut self.footer, Place { line: self.total, start, end });
    }

    /// What is kept of them, of a block with this text that begins at a byte offset.
    pub(crate) fn of_block(&self, text: &[u8], block_start: u64) -> Lines {
        let mut lines = Lines::default();
        let kinds =
            [(LineKind::Comment, self.comments), (LineKind::Blank, self.blanks), (LineKind::Footer, self.footer)];
        let mut runs: Vec<(LineKind, Run)> = kinds.into_iter().filter_map(|(kind, run)| Some((kind, run?))).collect();
        runs.sort_by_key(|(_, run)| run.first.line);
        let line = |place: Place| {
            let bytes = text.get(place.start..place.end).unwrap_or_default();
            SkippedLine::new(place.line, block_start + u64::try_from(place.start).unwrap_or_default(), bytes)
        };
        lines.skipped.extend(runs.into_iter().map(|(kind, run)| SkippedLines {
            kind,
            lines: run.lines,
            first: line(run.first),
            last: (run.lines > 1).then(|| line(run.last)),
        }));
        lines.total = self.total;
        lines.of_records = self.total - lines.skipped();
        lines
    }
}

fn add(run: &mut Option<Run>, place: Place) {
    match run {
        Some(run) => (run.lines, run.last) = (run.lines + 1, place),
        None => *run = Some(Run { lines: 1, first: place, last: place }),
    }
}
