//! The load, and where it runs.

use std::num::NonZeroU32;
use std::time::Duration;

use mambafleet_protocol::{InvalidSymbol, Symbol};
use serde::Serialize;

/// Who does how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// Processes that save.
    pub workers: NonZeroU32,
    /// Sets that each of them saves.
    pub iterations: NonZeroU32,
    /// Symbols that they share.
    pub symbols: NonZeroU32,
    /// Bytes of weights in each set.
    pub bytes: usize,
    /// Processes that read all the while.
    pub readers: u32,
    /// Longest wait for a symbol's lock.
    #[serde(skip)]
    pub lock_timeout: Duration,
    /// When a test is broken off, counted from its start, for each way.
    #[serde(skip)]
    pub deadline: Duration,
}

impl Workload {
    /// Sets that are saved if nothing goes wrong.
    #[must_use]
    pub fn saves(&self) -> u64 {
        u64::from(self.workers.get()) * u64::from(self.iterations.get())
    }

    /// The symbols: `S1`, `S2`, and so on.
    pub(crate) fn symbol_list(&self) -> Result<Vec<Symbol>, InvalidSymbol> {
        (1..=self.symbols.get()).map(|number| Symbol::new(format!("S{number}"))).collect()
    }

    /// The ideal queueing time when the lock is held for `held` on average.
    ///
    /// In a closed loop of W writers on S symbols, W/S writers share a lock. One that asks while
    /// all others of its symbol are in front of it, and is served in turn, waits for W/S - 1
    /// holds: `(W / S - 1) x mean time held`.
    #[must_use]
    pub fn ideal_wait(&self, held: f64) -> f64 {
        let sharing = f64::from(self.workers.get()) / f64::from(self.symbols.get());
        (sharing - 1.0).max(0.0) * held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ideal_wait_is_that_of_all_others_in_front() {
        let ideal = |workers, symbols| {
            let workload = Workload {
                workers: NonZeroU32::new(workers).unwrap(),
                iterations: NonZeroU32::MIN,
                symbols: NonZeroU32::new(symbols).unwrap(),
                bytes: 1,
                readers: 0,
                lock_timeout: Duration::ZERO,
                deadline: Duration::ZERO,
            };
            workload.ideal_wait(2.0)
        };
        assert_eq!([ideal(10, 1), ideal(10, 5), ideal(1, 1), ideal(2, 4)], [18.0, 2.0, 0.0, 0.0]);
    }
}
