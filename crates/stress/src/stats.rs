//! Percentiles of times.

use std::time::Duration;

use serde::Serialize;

/// The middle and the end of a distribution of times, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of the times are no longer than this.
    pub p50: f64,
    /// 99 of 100 times are no longer than this.
    pub p99: f64,
    /// The longest time.
    pub max: f64,
    /// The arithmetic mean.
    pub mean: f64,
}

impl Percentiles {
    /// The percentiles of some times, by the nearest rank; `None` when there is none.
    #[must_use]
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Option<Self> {
        let mut sorted: Vec<Duration> = times.into_iter().collect();
        sorted.sort_unstable();
        let [p50, p99, max] = ranks(&sorted)?;
        let mean = milliseconds(sorted.iter().sum()) / sorted.len() as f64;
        Some(Self { p50: milliseconds(p50), p99: milliseconds(p99), max: milliseconds(max), mean })
    }
}

/// The median, the 99th percentile and the last of sorted values, by the nearest rank.
pub(crate) fn ranks<T: Copy>(sorted: &[T]) -> Option<[T; 3]> {
    let rank = |percent: usize| (sorted.len() * percent).div_ceil(100).max(1) - 1;
    Some([*sorted.get(rank(50))?, *sorted.get(rank(99))?, *sorted.last()?])
}

/// A duration as JSON shows it.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let shown = |count: u64| Percentiles::of((1..=count).rev().map(Duration::from_millis));
        let expected = |p50, p99, max, mean| Some(Percentiles { p50, p99, max, mean });
        assert_eq!(shown(0), None);
        assert_eq!(shown(1), expected(1.0, 1.0, 1.0, 1.0));
        assert_eq!(shown(2), expected(1.0, 2.0, 2.0, 1.5));
        assert_eq!(shown(100), expected(50.0, 99.0, 100.0, 50.5));
        assert_eq!(shown(1000), expected(500.0, 990.0, 1000.0, 500.5));
    }
}
