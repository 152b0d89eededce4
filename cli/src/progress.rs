//! The progress line on stderr: which phase a job is in, how fast that goes, and how long it will take.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use shared::{Progress, ProgressSnapshot};

use crate::numbers::{counted, grouped, remaining, size};

/// Whether no line is shown, whatever stderr is.
static IS_HIDDEN: AtomicBool = AtomicBool::new(false);

/// Has no line shown from now on.
pub(crate) fn hide() {
    IS_HIDDEN.store(true, Relaxed);
}

/// A line that shows how far a job has come, while it lives; nothing when stderr is not a terminal.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    bar: ProgressBar,
    ticker: tokio::task::JoinHandle<()>,
}

impl ProgressLine {
    /// Shows the line from now on.
    pub(crate) fn show(progress: Arc<Progress>) -> Self {
        let target = if IS_HIDDEN.load(Relaxed) { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        let shown = bar.clone();
        let ticker = tokio::spawn(async move {
            let (began, mut course) = (Instant::now(), Course::default());
            let mut every = tokio::time::interval(Duration::from_millis(200));
            loop {
                every.tick().await;
                shown.set_message(course.line(&progress.snapshot(), began.elapsed()));
                shown.tick();
            }
        });
        Self { bar, ticker }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.ticker.abort();
        self.bar.finish_and_clear();
    }
}

/// What a job is at, with how far it is and of how much: bytes, or chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Finding out what the source is.
    Looking,
    Reading {
        bytes: u64,
        of: u64,
    },
    Loading {
        chunks: u64,
        of: u64,
    },
    Committing {
        chunks: u64,
        of: u64,
    },
}

impl Phase {
    fn of(now: &ProgressSnapshot) -> Self {
        let of = now.chunks_to_load;
        let (prepared, committed) = (now.chunks_prepared.min(of), now.chunks_committed.min(of));
        match (of, now.bytes_total) {
            (0, 0) => Self::Looking,
            (0, of) => Self::Reading { bytes: now.bytes_read.min(of), of },
            // The next of many sources.
            (done, of) if committed >= done && now.bytes_read < of => Self::Reading { bytes: now.bytes_read, of },
            (of, _) if prepared.max(committed) < of => Self::Loading { chunks: prepared.max(committed), of },
            (of, _) => Self::Committing { chunks: committed, of },
        }
    }

    /// How much of it is done, and of how much.
    fn extent(self) -> (u64, u64) {
        match self {
            Self::Looking => (0, 0),
            Self::Reading { bytes, of } => (bytes, of),
            Self::Loading { chunks, of } | Self::Committing { chunks, of } => (chunks, of),
        }
    }

    /// The time that its rate is taken from: chunks come in leaps, so theirs is that of the whole phase.
    fn window(self) -> Duration {
        if matches!(self, Self::Reading { .. }) { Duration::from_secs(10) } else { Duration::MAX }
    }
}

/// The way of a job so far, as far as the rate of its phase depends on it.
#[derive(Debug, Default)]
struct Course {
    phase: Option<std::mem::Discriminant<Phase>>,
    /// How much was done at some times.
    marks: VecDeque<(Duration, u64)>,
}

impl Course {
    /// What the line says at a time since its beginning.
    fn line(&mut self, now: &ProgressSnapshot, at: Duration) -> String {
        let phase = Phase::of(now);
        let rate = self.rate(phase, at);
        let (done, of) = phase.extent();
        let left = rate.and_then(|rate| left(done, of, rate)).map(|left| format!(", {} left", remaining(left)));
        let left = left.unwrap_or_default();
        match phase {
            Phase::Looking => "looking at the source".to_owned(),
            Phase::Reading { bytes, of } => {
                let rate = rate.map_or_else(String::new, |rate| format!(", {}/s", size(whole(rate))));
                let rows = counted(now.rows_read, "row");
                format!("reading {} of {}{rate}{left} | {rows}", size(bytes), size(of))
            }
            Phase::Loading { chunks, of } => {
                let rate = rate.map_or_else(String::new, chunk_rate);
                format!("loading {} of {}{rate}{left}", grouped(chunks), counted(of, "chunk"))
            }
            Phase::Committing { chunks, of } => {
                let attempt = match now.commit_attempts {
                    0 | 1 => String::new(),
                    attempts => format!(", attempt {}", grouped(attempts)),
                };
                format!("committing {} of {}{attempt}", grouped(chunks), counted(of, "chunk"))
            }
        }
    }

    /// Units a second; none before there are some.
    #[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a rate is shown with one decimal")]
    fn rate(&mut self, phase: Phase, at: Duration) -> Option<f64> {
        /// Time without which a rate is a guess.
        const LEAST: Duration = Duration::from_secs(1);
        let (done, _) = phase.extent();
        let discriminant = Some(std::mem::discriminant(&phase));
        if self.phase != discriminant {
            (self.phase, self.marks) = (discriminant, VecDeque::new());
        }
        match phase.window() {
            Duration::MAX if !self.marks.is_empty() => {}
            _ => self.marks.push_back((at, done)),
        }
        while self.marks.get(1).is_some_and(|(mark, _)| at.saturating_sub(*mark) >= phase.window()) {
            self.marks.pop_front();
        }
        let (from, before) = *self.marks.front()?;
        let elapsed = at.saturating_sub(from);
        (elapsed >= LEAST && done > before).then(|| (done - before) as f64 / elapsed.as_secs_f64())
    }
}

/// Seconds until the end of a phase at a rate; none at its end, where there is only something left that has no measure.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "an estimate")]
fn left(done: u64, of: u64, rate: f64) -> Option<u64> {
    (done < of && rate > 0.0).then(|| whole(((of - done) as f64 / rate).ceil()))
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is shown is small and positive, and a cast of too large a number is the largest one"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

fn chunk_rate(rate: f64) -> String {
    if rate < 1.0 { format!(", {:.1} s a chunk", 1.0 / rate) } else { format!(", {rate:.1} chunks/s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_phase_has_its_own_rate_and_end() {
        const MIB: u64 = 1 << 20;
        let mut course = Course::default();
        let mut now = ProgressSnapshot::default();
        let mut lines = vec![course.line(&now, seconds(0))];
        now.bytes_total = 600 * MIB;
        for (at, mib) in [(10, 0), (11, 10), (12, 20), (30, 200), (40, 300), (41, 310), (70, 600), (90, 600)] {
            (now.bytes_read, now.rows_read) = (mib * MIB, mib * 1000);
            lines.push(course.line(&now, seconds(at)));
        }
        now.chunks_to_load = 12;
        for (at, prepared, committed) in [(90, 0, 0), (100, 2, 0), (110, 4, 3), (150, 12, 3), (400, 12, 3)] {
            (now.chunks_prepared, now.chunks_committed) = (prepared, committed);
            lines.push(course.line(&now, seconds(at)));
        }
        now.commit_attempts = 3;
        lines.push(course.line(&now, seconds(401)));
        insta::assert_snapshot!(lines.join("\n"), @r"
        looking at the source
        reading 0 B of 600.0 MiB | 0 rows
        reading 10.0 MiB of 600.0 MiB, 10.0 MiB/s, 59 s left | 10,000 rows
        reading 20.0 MiB of 600.0 MiB, 10.0 MiB/s, 58 s left | 20,000 rows
        reading 200.0 MiB of 600.0 MiB, 10.0 MiB/s, 40 s left | 200,000 rows
        reading 300.0 MiB of 600.0 MiB, 10.0 MiB/s, 30 s left | 300,000 rows
        reading 310.0 MiB of 600.0 MiB, 10.0 MiB/s, 29 s left | 310,000 rows
        reading 600.0 MiB of 600.0 MiB, 10.0 MiB/s | 600,000 rows
        reading 600.0 MiB of 600.0 MiB | 600,000 rows
        loading 0 of 12 chunks
        loading 2 of 12 chunks, 5.0 s a chunk, 50 s left
        loading 4 of 12 chunks, 5.0 s a chunk, 40 s left
        committing 3 of 12 chunks
        committing 3 of 12 chunks
        committing 3 of 12 chunks, attempt 3
        ");
    }

    #[test]
    fn what_was_done_before_is_not_taken_for_speed() {
        let mut course = Course::default();
        let mut now = ProgressSnapshot { bytes_total: 1000, bytes_read: 900, ..ProgressSnapshot::default() };
        assert_eq!(course.line(&now, seconds(0)), "reading 900 B of 1000 B | 0 rows");
        now.bytes_read = 910;
        assert_eq!(course.line(&now, seconds(5)), "reading 910 B of 1000 B, 2 B/s, 45 s left | 0 rows");
        assert_eq!(course.line(&now, seconds(60)), "reading 910 B of 1000 B | 0 rows", "it does not go on");
    }
}
