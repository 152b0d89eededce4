//! What follows from the samples for sizes that were not tried, and for a crowd of workers.

use serde::Serialize;

use super::measure::Run;

/// A line through what was measured: how much there is of something for so many MiB of a chunk, or millions of records.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Line {
    /// For none.
    pub(super) fixed: f64,
    /// For each MiB, or million, more.
    pub(super) each: f64,
}

impl Line {
    /// The line with the least squares of its errors, among those that neither fall nor begin below zero. Of one size alone, it
    /// goes through zero. `None` of no points.
    pub(super) fn fit(points: &[(f64, f64)]) -> Option<Self> {
        let count = float(u64::try_from(points.len()).ok()?);
        if points.is_empty() {
            return None;
        }
        let sum = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>();
        let (xs, ys) = (sum(|(x, _)| *x), sum(|(_, y)| *y));
        let (squares, products) = (sum(|(x, _)| x * x), sum(|(x, y)| x * y));
        let through_zero = Self { fixed: 0.0, each: if squares > 0.0 { products / squares } else { 0.0 } };
        let spread = count * squares - xs * xs;
        // Sizes that differ by less than this share are one.
        if spread <= 1e-4 * count * squares {
            return Some(through_zero);
        }
        let each = (count * products - xs * ys) / spread;
        let fixed = (ys - each * xs) / count;
        Some(match (each < 0.0, fixed < 0.0) {
            (true, _) => Self { fixed: ys / count, each: 0.0 },
            (_, true) => through_zero,
            _ => Self { fixed, each },
        })
    }

    /// Its value for so many.
    pub(super) fn at(self, count: f64) -> f64 {
        self.each.mul_add(count, self.fixed)
    }
}

/// What all runs together say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Model {
    /// CPU seconds of the worker for a chunk.
    pub(super) worker_cpu_seconds: Line,
    /// Most resident memory of the worker in MiB; none where the system does not tell.
    pub(super) worker_peak_mib: Option<Line>,
    /// Most resident memory of the splitter in MiB; none where the system does not tell.
    pub(super) splitter_peak_mib: Option<Line>,
    /// CPU seconds of the splitter for millions of records.
    pub(super) splitter_cpu_seconds: Line,
    /// Cores that each stage keeps busy when it has them, from 1.
    pub(super) splitter_cores: f64,
    pub(super) worker_cores: f64,
    /// Bytes of data files for a byte of chunk.
    pub(super) data_share: f64,
}

impl Model {
    /// Of at least one run with a chunk.
    pub(super) fn fit(runs: &[Run]) -> Option<Self> {
        let loaded = runs.iter().flat_map(|run| &run.chunks);
        let worker_cpu_seconds =
            Line::fit(&loaded.clone().map(|chunk| (mib(chunk.bytes), chunk.cpu_seconds)).collect::<Vec<_>>())?;
        let peaks = |peak: fn(&Run) -> Option<u64>| {
            let point = |run: &Run| Some((run.largest_mib(), mib(peak(run)?)));
            Line::fit(&runs.iter().filter_map(point).collect::<Vec<_>>())
        };
        let marks = runs.iter().flat_map(|run| &run.marks);
        let splitter_cpu_seconds =
            Line::fit(&marks.map(|mark| (millions(mark.records), mark.cpu_seconds)).collect::<Vec<_>>())?;
        let splitter_cpu: f64 = runs.iter().map(|run| run.splitter.cpu_seconds).sum();
        let splitter_wall: f64 = runs.iter().map(|run| run.splitter.seconds).sum();
        let worker_cpu: f64 = loaded.clone().map(|chunk| chunk.cpu_seconds).sum();
        let worker_wall: f64 = loaded.clone().map(|chunk| chunk.seconds).sum();
        let chunk_bytes: u64 = loaded.map(|chunk| chunk.bytes).sum();
        let data_bytes: u64 = runs.iter().map(|run| run.data_bytes).sum();
        Some(Self {
            worker_cpu_seconds,
            worker_peak_mib: peaks(|run| run.worker.peak_bytes),
            splitter_peak_mib: peaks(|run| run.splitter.peak_bytes),
            splitter_cpu_seconds,
            splitter_cores: (splitter_cpu / splitter_wall).max(1.0),
            worker_cores: (worker_cpu / worker_wall).max(1.0),
            data_share: float(data_bytes) / float(chunk_bytes.max(1)),
        })
    }
}

impl Run {
    /// The largest of the chunks, in MiB.
    pub(super) fn largest_mib(&self) -> f64 {
        mib(self.chunks.iter().map(|chunk| chunk.bytes).max().unwrap_or_default())
    }
}

/// Share of the time of a stage that goes by waiting, on top of its CPU time; as seen on a machine with nothing else to do.
const WAITING: f64 = 0.1;

/// Memory, in MB, with which a Lambda function has one vCPU; it has as much less or more of it as of memory.
const ONE_VCPU_MB: f64 = 1769.0;

/// How long a function takes that has so much memory, for work of so many CPU seconds that can keep so many cores busy.
pub(super) fn lambda_seconds(cpu_seconds: f64, cores: f64, memory_mb: u16) -> f64 {
    cpu_seconds * (1.0 + WAITING) / (f64::from(memory_mb) / ONE_VCPU_MB).min(cores)
}

/// What workers that commit to one table at once lose by it, a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Contention {
    /// Attempts to commit that another worker was faster than.
    pub(super) conflicts: f64,
    /// Seconds that are waited for it.
    pub(super) seconds: f64,
}

/// Time from reading the log to the put of the next version: two reads and a put, at about 30 ms a call of S3.
const ATTEMPT_SECONDS: f64 = 0.1;

/// What 64 workers in processes of their own lose a chunk that do nothing but commit, each call of the store taking 30 ms (the
/// benchmark `contention::bench` of the worker): 1.36 attempts, of which 0.05 succeed, and 1.18 s in the median. A larger crowd does not
/// lose more, since those who win commit for those who lose.
const CROWD: Contention = Contention { conflicts: 1.31, seconds: 1.18 };

/// What is lost when so many workers load chunks that take so long each, apart from committing.
///
/// Others commit at random moments, so an attempt meets none of them with the probability that Poisson's distribution has for
/// no event.
pub(super) fn contention(workers: u16, seconds_a_chunk: f64) -> Contention {
    let others_a_second = f64::from(workers.saturating_sub(1)) / (seconds_a_chunk + ATTEMPT_SECONDS);
    let is_met = 1.0 - (-others_a_second * ATTEMPT_SECONDS).exp();
    Contention { conflicts: CROWD.conflicts * is_met, seconds: CROWD.seconds * is_met }
}

/// Bytes in MiB.
pub(super) fn mib(bytes: u64) -> f64 {
    float(bytes) / f64::from(1 << 20)
}

/// A count in millions.
pub(super) fn millions(count: u64) -> f64 {
    float(count) / 1e6
}

/// A count to reckon with.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "counts of bytes and records are far below 2^52"
)]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// The whole number that is not below; zero for what is negative.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates, which is meant"
)]
pub(super) fn ceiled(number: f64) -> u64 {
    number.ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_neither_fall_nor_begin_below_zero() {
        for (points, fixed, each) in [
            (&[(10.0, 3.0), (20.0, 5.0), (40.0, 9.0)][..], 1.0, 0.2),
            (&[(10.0, 8.0), (20.0, 6.0), (30.0, 4.0)], 6.0, 0.0),
            (&[(10.0, 1.0), (20.0, 4.0)], 0.0, 0.18),
            (&[(10.0, 5.0)], 0.0, 0.5),
            (&[(10.0, 5.0), (10.01, 6.0)], 0.0, 0.55),
            (&[(0.0, 5.0)], 0.0, 0.0),
        ] {
            let line = Line::fit(points).unwrap();
            assert!((line.fixed - fixed).abs() < 1e-3 && (line.each - each).abs() < 1e-3, "{points:?} {line:?}");
        }
        assert_eq!(Line::fit(&[]), None);
    }

    #[test]
    fn a_function_has_cpu_as_it_has_memory() {
        for (cores, memory_mb, seconds) in [(1.0, 1769, 11.0), (2.0, 3538, 5.5), (1.0, 3538, 11.0)] {
            assert!((lambda_seconds(10.0, cores, memory_mb) - seconds).abs() < 1e-9, "{cores} {memory_mb}");
        }
        assert!((lambda_seconds(10.0, 1.0, 884) - 22.0).abs() < 0.1);
    }

    #[test]
    fn a_crowd_loses_more_but_no_more_than_was_measured() {
        let lost = |workers, seconds| contention(workers, seconds).conflicts;
        assert_eq!(contention(1, 1.0), Contention::default(), "nobody is there to lose against");
        assert!(lost(10, 1.0) < lost(100, 1.0) && lost(100, 10.0) < lost(100, 1.0));
        assert!((lost(64, 0.0) - CROWD.conflicts).abs() < 0.01, "what was measured");
        assert!(lost(10_000, 0.0) <= CROWD.conflicts);
    }
}
