//! What one commit costs when nobody else is there.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use mambafleet_protocol::Symbol;
use serde::Serialize;

use crate::StressError;
use crate::set::Set;
use crate::stats::milliseconds;
use crate::ways::{SaveError, Saver, Way};

/// The first rounds are not counted: they make directories and fill caches.
const WARM_UP: u32 = 6;

/// Bytes of weights that a measurement writes in each way, more or less.
const VOLUME: usize = 60_000_000;

/// All orders of the ways. A sync may pay for what was written before it, so that each way must
/// follow each other way equally often.
const ORDERS: [[Way; 3]; 6] = {
    use Way::{Ours, ThreeRenames, Unsafe};
    [
        [Ours, ThreeRenames, Unsafe],
        [Ours, Unsafe, ThreeRenames],
        [Unsafe, ThreeRenames, Ours],
        [ThreeRenames, Ours, Unsafe],
        [ThreeRenames, Unsafe, Ours],
        [Unsafe, Ours, ThreeRenames],
    ]
};

/// The cost of one commit in each way: medians of rounds in which the ways take turns, one process
/// alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Costs {
    /// Bytes of weights.
    pub bytes: usize,
    /// How often each way saved.
    pub rounds: u32,
    /// The store, in milliseconds.
    pub ours_ms: f64,
    /// Three renames, as durable as the store.
    pub three_renames_ms: f64,
    /// Truncating and writing, without any sync.
    pub unsafe_ms: f64,
    /// The store's cost as a multiple of the three renames'.
    pub ours_to_three_renames: f64,
    /// The store's cost as a multiple of the naive way's.
    pub ours_to_unsafe: f64,
    /// Taking the free lock and giving it back.
    pub locking_ms: f64,
    /// Hashing the files.
    pub hashing_ms: f64,
    /// Locking and hashing as a share of the store's commit.
    pub locking_and_hashing_share: f64,
}

/// The rounds that fit sets of this size.
#[must_use]
pub fn rounds(bytes: usize) -> u32 {
    u32::try_from(VOLUME / bytes.max(1)).unwrap_or(u32::MAX).clamp(18, 198)
}

/// Measures commits of sets with `bytes` bytes of weights in new directories under `root`.
/// `keep_going` is asked before each round; the result is `None` when it refuses.
///
/// # Errors
/// [`StressError`] when a save fails.
pub fn measure(
    root: &Path,
    bytes: usize,
    rounds: u32,
    keep_going: impl Fn() -> bool,
) -> Result<Option<Costs>, StressError> {
    let bench = Bench::new(root)?;
    let mut samples = Samples::default();
    for round in 0..WARM_UP + rounds {
        if !keep_going() {
            return Ok(None);
        }
        let set = Set::new(0, round, bytes)?;
        let counted = if round < WARM_UP { &mut Samples::default() } else { &mut samples };
        bench.round(&set, ORDERS[round as usize % ORDERS.len()], counted)?;
    }
    Ok(Some(samples.costs(bytes, rounds)))
}

/// The three ways, side by side.
struct Bench {
    symbol: Symbol,
    savers: Vec<(Way, Box<dyn Saver>)>,
}

impl Bench {
    fn new(root: &Path) -> Result<Self, StressError> {
        let symbol = Symbol::new("S1").map_err(|error| StressError::Encode(error.to_string()))?;
        let mut savers = Vec::new();
        for way in ORDERS[0] {
            let dir = root.join(way.name().replace(' ', "-"));
            way.prepare(&dir, std::slice::from_ref(&symbol))?;
            savers.push((way, way.open(&dir, Duration::ZERO)?));
        }
        Ok(Self { symbol, savers })
    }

    fn round(&self, set: &Set, order: [Way; 3], samples: &mut Samples) -> Result<(), StressError> {
        for (way, saver) in order.iter().flat_map(|way| self.savers.iter().filter(|s| s.0 == *way))
        {
            let started = Instant::now();
            let saved = saver.save(&self.symbol, set).map_err(|error| match error {
                SaveError::Timeout(error) => StressError::Store(error),
                SaveError::Other(error) => error,
            })?;
            samples.commits.entry(way.name()).or_default().push(started.elapsed());
            samples.locking.extend(saved.lock.map(|lock| lock.overhead + lock.waited));
            samples.hashing.extend(saved.hashing);
            saver.settle(&self.symbol)?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Samples {
    commits: BTreeMap<&'static str, Vec<Duration>>,
    locking: Vec<Duration>,
    hashing: Vec<Duration>,
}

impl Samples {
    fn costs(mut self, bytes: usize, rounds: u32) -> Costs {
        let mut commit = |way: Way| median(self.commits.remove(way.name()).unwrap_or_default());
        let ours_ms = commit(Way::Ours);
        let three_renames_ms = commit(Way::ThreeRenames);
        let unsafe_ms = commit(Way::Unsafe);
        let (locking_ms, hashing_ms) = (median(self.locking), median(self.hashing));
        Costs {
            bytes,
            rounds,
            ours_ms,
            three_renames_ms,
            unsafe_ms,
            ours_to_three_renames: ours_ms / three_renames_ms,
            ours_to_unsafe: ours_ms / unsafe_ms,
            locking_ms,
            hashing_ms,
            locking_and_hashing_share: (locking_ms + hashing_ms) / ours_ms,
        }
    }
}

/// The median in milliseconds; of nothing, not a number.
#[must_use]
pub fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |&time| milliseconds(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_comes_first_and_follows_each_other_way_equally_often() {
        let mut followers = BTreeMap::new();
        for (index, order) in ORDERS.iter().enumerate() {
            let next = ORDERS[(index + 1) % ORDERS.len()][0];
            for pair in [order[0], order[1], order[2], next].windows(2) {
                *followers.entry((pair[0].name(), pair[1].name())).or_insert(0) += 1;
            }
        }
        assert!(followers.values().all(|&times| times == 3), "{followers:?}");
    }

    #[test]
    fn a_measurement_covers_all_ways_and_can_be_broken_off() {
        let dir = tempfile::tempdir().unwrap();
        let costs = measure(dir.path(), 1000, 3, || true).unwrap().unwrap();
        assert_eq!((costs.bytes, costs.rounds), (1000, 3));
        for cost in [costs.ours_ms, costs.three_renames_ms, costs.unsafe_ms, costs.locking_ms] {
            assert!(cost > 0.0, "{costs:?}");
        }
        assert_eq!(costs.ours_to_unsafe, costs.ours_ms / costs.unsafe_ms);
        assert!(costs.hashing_ms > 0.0 && costs.locking_and_hashing_share < 1.0, "{costs:?}");
        let left = std::cell::Cell::new(2);
        let twice = || left.replace(left.get() - 1) > 0;
        assert_eq!(measure(dir.path(), 1000, 3, twice).unwrap(), None);
    }

    #[test]
    fn large_sets_are_saved_less_often() {
        assert_eq!([300_000, 10_000_000, 1, 1 << 40].map(rounds), [198, 18, 198, 18]);
    }
}
