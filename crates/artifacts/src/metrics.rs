//! What a store tells about itself while it works.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use mambafleet_protocol::Symbol;
use serde::Serialize;

use crate::Commit;

/// Is told what happens to a store; give one to [`StoreOptions`](crate::StoreOptions::metrics).
///
/// Calls come from whatever thread did the work, some while a lock is held: be quick.
pub trait StoreMetrics: fmt::Debug + Send + Sync {
    /// A symbol's lock was taken after waiting this long.
    fn locked(&self, symbol: &Symbol, waited: Duration);
    /// A symbol's lock did not become free in time.
    fn lock_timed_out(&self, symbol: &Symbol, waited: Duration);
    /// Another writer took the generation number that a commit was about to take.
    fn conflict(&self, symbol: &Symbol);
    /// A generation was committed.
    fn committed(&self, symbol: &Symbol, commit: &Commit);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NoMetrics;

impl StoreMetrics for NoMetrics {
    fn locked(&self, _symbol: &Symbol, _waited: Duration) {}
    fn lock_timed_out(&self, _symbol: &Symbol, _waited: Duration) {}
    fn conflict(&self, _symbol: &Symbol) {}
    fn committed(&self, _symbol: &Symbol, _commit: &Commit) {}
}

/// Counts everything; may be read at any time, from any thread.
#[derive(Debug, Default)]
pub struct StoreCounters {
    lock_wait: Histogram,
    lock_timeouts: AtomicU64,
    conflicts: AtomicU64,
    commit_time: Histogram,
    committed_bytes: AtomicU64,
}

impl StoreCounters {
    /// How long locks were waited for, one value per lock that was taken.
    #[must_use]
    pub fn lock_wait(&self) -> &Histogram {
        &self.lock_wait
    }

    /// How many locks were not taken in time.
    #[must_use]
    pub fn lock_timeouts(&self) -> u64 {
        self.lock_timeouts.load(Relaxed)
    }

    /// How often a generation number was lost to another writer.
    #[must_use]
    pub fn conflicts(&self) -> u64 {
        self.conflicts.load(Relaxed)
    }

    /// How long commits took, from the call of commit to its return; one value per commit.
    #[must_use]
    pub fn commit_time(&self) -> &Histogram {
        &self.commit_time
    }

    /// The length of all files committed, in bytes.
    #[must_use]
    pub fn committed_bytes(&self) -> u64 {
        self.committed_bytes.load(Relaxed)
    }
}

impl StoreMetrics for StoreCounters {
    fn locked(&self, _symbol: &Symbol, waited: Duration) {
        self.lock_wait.record(waited);
    }

    fn lock_timed_out(&self, _symbol: &Symbol, _waited: Duration) {
        self.lock_timeouts.fetch_add(1, Relaxed);
    }

    fn conflict(&self, _symbol: &Symbol) {
        self.conflicts.fetch_add(1, Relaxed);
    }

    fn committed(&self, _symbol: &Symbol, commit: &Commit) {
        self.commit_time.record(commit.elapsed);
        self.committed_bytes.fetch_add(commit.manifest.total_length(), Relaxed);
    }
}

/// Buckets per doubling: a value is known to within 19 %.
const PER_DOUBLING: u32 = 4;

/// Enough doublings of a microsecond for two centuries.
const BUCKETS: usize = 53 * PER_DOUBLING as usize;

/// A histogram of durations with exponential buckets, the first for all below a microsecond.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    total_us: AtomicU64,
    max_us: AtomicU64,
}

/// One bucket of a [`Histogram`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bucket {
    /// The longest duration that it counts, in seconds.
    pub le: f64,
    /// How many values it holds.
    pub count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, total_us: AtomicU64::new(0), max_us: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&self, value: Duration) {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        let bucket = (0..BUCKETS).find(|&index| micros_of(index) >= micros as f64);
        self.buckets[bucket.unwrap_or(BUCKETS - 1)].fetch_add(1, Relaxed);
        self.total_us.fetch_add(micros, Relaxed);
        self.max_us.fetch_max(micros, Relaxed);
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// All durations together.
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_micros(self.total_us.load(Relaxed))
    }

    /// The longest duration.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.max_us.load(Relaxed))
    }

    /// The buckets that are not empty, ascending.
    #[must_use]
    pub fn buckets(&self) -> Vec<Bucket> {
        let bucket = |(index, count): (usize, &AtomicU64)| Bucket {
            le: micros_of(index) / 1e6,
            count: count.load(Relaxed),
        };
        self.buckets.iter().enumerate().map(bucket).filter(|bucket| bucket.count > 0).collect()
    }

    /// The duration that a share of `q` of all values does not exceed, as the upper end of its
    /// bucket and never above the longest; zero while there is none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Duration {
        let rank = (q.clamp(0.0, 1.0) * self.count() as f64).ceil().max(1.0);
        let mut seen = 0;
        for Bucket { le, count } in self.buckets() {
            seen += count;
            if seen as f64 >= rank {
                return Duration::try_from_secs_f64(le).unwrap_or(Duration::MAX).min(self.max());
            }
        }
        Duration::ZERO
    }
}

/// The upper end of a bucket, in microseconds.
fn micros_of(index: usize) -> f64 {
    (index as f64 / f64::from(PER_DOUBLING)).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_bucket_of_the_truth() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        for ms in 1..=1000 {
            histogram.record(Duration::from_millis(ms));
        }
        assert_eq!(histogram.count(), 1000);
        assert_eq!(histogram.max(), Duration::from_secs(1));
        assert_eq!(histogram.total(), Duration::from_millis(500_500));
        for (q, truth) in [(0.01, 0.010), (0.5, 0.5), (0.99, 0.99), (1.0, 1.0)] {
            let found = histogram.quantile(q).as_secs_f64();
            assert!(found >= truth && found <= truth * 1.2, "{q}: {found} for {truth}");
        }
        assert_eq!(histogram.buckets().iter().map(|bucket| bucket.count).sum::<u64>(), 1000);
    }

    #[test]
    fn the_shortest_and_the_longest_have_a_place() {
        let histogram = Histogram::default();
        histogram.record(Duration::ZERO);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.count(), 2);
        assert_eq!(histogram.quantile(0.0), Duration::from_micros(1));
    }
}
