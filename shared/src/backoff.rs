//! Waiting between attempts: exponential with full jitter, by the `backoff` crate; nothing else in Sluice knows it.

use std::time::Duration;

use backoff::backoff::Backoff as _;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

/// How often and how long to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffSettings {
    /// Attempts in all, the first included. 1 means no second attempt.
    pub max_attempts: u32,
    /// Mean of the first wait.
    pub initial: Duration,
    /// Upper bound for the mean of a wait; a single wait is at most twice as long.
    pub max: Duration,
    /// Time for all attempts together; `None` for no limit but the attempts'.
    pub max_elapsed: Option<Duration>,
}

impl Default for BackoffSettings {
    fn default() -> Self {
        Self { max_attempts: 10, initial: Duration::from_millis(100), max: Duration::from_secs(5), max_elapsed: None }
    }
}

/// The waits between the attempts of one piece of work.
///
/// Each wait is drawn evenly from zero to twice its mean, the mean doubling from attempt to attempt: "full jitter" of
/// Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
#[derive(Debug)]
pub struct Backoff {
    waits: ExponentialBackoff,
    settings: BackoffSettings,
    attempts_left: u32,
}

impl Backoff {
    /// The first attempt is about to be made.
    pub fn new(settings: &BackoffSettings) -> Self {
        let waits = ExponentialBackoffBuilder::new()
            .with_initial_interval(settings.initial)
            .with_randomization_factor(1.0)
            .with_multiplier(2.0)
            .with_max_interval(settings.max)
            .with_max_elapsed_time(settings.max_elapsed)
            .build();
        Self { waits, settings: *settings, attempts_left: settings.max_attempts.saturating_sub(1) }
    }

    /// How long to wait before the next attempt; `None` when there is to be none.
    pub fn next_wait(&mut self) -> Option<Duration> {
        self.next_wait_among(1)
    }

    /// As [`Self::next_wait`], with this mean, whatever the waits before were, within the bounds of the settings.
    pub fn next_wait_about(&mut self, mean: Duration) -> Option<Duration> {
        self.waits.current_interval = mean.max(self.settings.initial).min(self.settings.max);
        self.next_wait()
    }

    /// As [`Self::next_wait`], among so many others who want the same: the wait is as many times longer, up to the upper
    /// bound, so that a crowd spreads out at its first clash rather than after many. None at all among no others. `None` too
    /// when the time for all attempts would be over before the next one.
    pub fn next_wait_among(&mut self, others: u64) -> Option<Duration> {
        self.attempts_left = self.attempts_left.checked_sub(1)?;
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        let wait = self.waits.next_backoff()?.saturating_mul(others).min(self.settings.max.saturating_mul(2));
        let is_in_time = |most: Duration| self.waits.get_elapsed_time().saturating_add(wait) <= most;
        self.settings.max_elapsed.is_none_or(is_in_time).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_after_the_attempts_and_stays_within_bounds() {
        let settings = BackoffSettings {
            max_attempts: 8,
            initial: Duration::from_millis(10),
            max: Duration::from_millis(40),
            max_elapsed: None,
        };
        let mut backoff = Backoff::new(&settings);
        let waits: Vec<_> = std::iter::from_fn(|| backoff.next_wait()).collect();
        assert_eq!(waits.len(), 7);
        for (wait, mean) in waits.iter().zip([10, 20, 40, 40, 40, 40, 40]) {
            assert!(*wait <= Duration::from_millis(2 * mean), "{waits:?}");
        }
    }

    #[test]
    fn jitter_is_full() {
        let settings = BackoffSettings { initial: Duration::from_secs(1), ..BackoffSettings::default() };
        let first = || Backoff::new(&settings).next_wait().unwrap();
        let waits: Vec<_> = (0..200).map(|_| first()).collect();
        assert!(waits.iter().any(|wait| *wait < Duration::from_millis(300)));
        assert!(waits.iter().any(|wait| *wait > Duration::from_millis(1700)));
    }

    #[test]
    fn a_crowd_waits_longer_within_the_same_bound() {
        let settings = BackoffSettings { initial: Duration::from_millis(10), ..BackoffSettings::default() };
        let mean = |others: u64| {
            let first = || Backoff::new(&settings).next_wait_among(others).unwrap();
            (0..500).map(|_| first()).sum::<Duration>() / 500
        };
        assert_eq!(mean(0), Duration::ZERO);
        assert!(mean(20) > 10 * mean(1));
        let bound = BackoffSettings { max: Duration::from_millis(50), ..settings };
        assert!(Backoff::new(&bound).next_wait_among(1000).unwrap() <= Duration::from_millis(100));
    }

    #[test]
    fn a_mean_can_be_given() {
        let settings = BackoffSettings {
            max_attempts: 1_000,
            initial: Duration::from_millis(10),
            max: Duration::from_millis(200),
            max_elapsed: None,
        };
        let mean = |given: u64| {
            let mut backoff = Backoff::new(&settings);
            let waits = (0..500).map(|_| backoff.next_wait_about(Duration::from_millis(given)).unwrap());
            waits.sum::<Duration>() / 500
        };
        for (given, (least, most)) in [(0, (8, 12)), (50, (42, 58)), (9_000, (170, 230))] {
            let mean = mean(given).as_millis();
            assert!(least < mean && mean < most, "{given}: {mean}");
        }
    }

    #[test]
    fn no_wait_ends_after_the_time_for_all() {
        let left = Duration::from_millis(1);
        let settings =
            BackoffSettings { max_elapsed: Some(left), initial: Duration::from_secs(1), ..BackoffSettings::default() };
        let waits: Vec<_> = (0..50).filter_map(|_| Backoff::new(&settings).next_wait_among(4)).collect();
        assert!(waits.iter().all(|wait| *wait <= left), "{waits:?}");
    }

    #[test]
    fn one_attempt_means_no_wait() {
        assert_eq!(Backoff::new(&BackoffSettings { max_attempts: 1, ..BackoffSettings::default() }).next_wait(), None);
    }
}
