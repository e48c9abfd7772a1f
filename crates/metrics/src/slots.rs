//! Places for workers, so that not every process there ever was becomes a series.

use std::collections::{BTreeMap, BTreeSet};

/// Places that workers take while they have an attempt. A worker comes back to its own if that is free.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    last: BTreeMap<u64, usize>,
    taken: BTreeSet<usize>,
}

impl Slots {
    /// A place for a worker, from 1: the one it had, or the lowest that is free.
    pub(crate) fn take(&mut self, worker: u64) -> usize {
        let own = self.last.get(&worker).copied().filter(|slot| !self.taken.contains(slot));
        let lowest = || (1..).find(|slot| !self.taken.contains(slot)).unwrap_or(usize::MAX);
        let slot = own.unwrap_or_else(lowest);
        self.taken.insert(slot);
        self.last.insert(worker, slot);
        slot
    }

    /// Its place is free again.
    pub(crate) fn free(&mut self, slot: usize) {
        self.taken.remove(&slot);
    }

    /// A worker that will not come back.
    pub(crate) fn forget(&mut self, worker: u64) {
        self.last.remove(&worker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_come_back_to_their_places_and_others_take_the_free_ones() {
        let mut slots = Slots::default();
        assert_eq!([7, 8, 9].map(|worker| slots.take(worker)), [1, 2, 3]);
        slots.free(1);
        slots.free(3);
        assert_eq!(slots.take(9), 3);
        slots.forget(7);
        assert_eq!((slots.take(10), slots.take(7)), (1, 4));
    }
}
