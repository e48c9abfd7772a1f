//! Which states the disk may be in when the power fails.

use std::collections::HashSet;
use std::ops::Range;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::log::Entry;

/// What a disk writes at once or not at all: the physical sector of present disks.
pub const ATOM: usize = 4096;

/// A state of the disk after a power cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CrashState {
    /// How many entries from the start of the log are on the disk.
    pub settled: usize,
    /// What else is, of the entries behind them.
    pub pieces: Vec<Piece>,
    /// How many entries had happened: marks among them count.
    pub happened: usize,
}

/// A part of the data of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Piece {
    /// The entry's index.
    pub entry: usize,
    /// The range of its data.
    pub range: Range<usize>,
}

/// All states that `log` allows one write at a time, and up to `sets` random sets of unflushed
/// writes for each interval between flushes. [`CrashState::settled`] never falls.
#[must_use]
pub fn crash_states(log: &[Entry], sets: usize, seed: u64) -> Vec<CrashState> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut states = Vec::new();
    let mut start = 0;
    while start < log.len() {
        let flush = (start..log.len()).find(|&at| log[at].is_flush()).unwrap_or(log.len());
        states.extend(random_sets(log, start..flush, sets, &mut random));
        // The flush is part of it: its own data, if any, comes after all before it.
        let end = (flush + 1).min(log.len());
        for at in (start..end).filter(|&at| log[at].changes()) {
            let next = (at + 1..log.len()).find(|&next| log[next].changes());
            let happened = next.unwrap_or(log.len());
            states.push(CrashState { settled: at + 1, pieces: Vec::new(), happened });
        }
        start = end;
    }
    states
}

/// Random sets of the writes in `interval`, none of which had been flushed when the power failed
/// at its end. What was written with FUA is in each of them.
fn random_sets(
    log: &[Entry],
    interval: Range<usize>,
    sets: usize,
    random: &mut ChaCha8Rng,
) -> Vec<CrashState> {
    let changes: Vec<usize> = interval.clone().filter(|&at| log[at].changes()).collect();
    // In the order of the log: each of these is a state of its own already.
    let mut seen: HashSet<Vec<Piece>> = (0..=changes.len())
        .map(|n| changes[..n].iter().map(|&at| whole(log, at)).collect())
        .collect();
    let mut states = Vec::new();
    for _ in 0..sets * 4 {
        if states.len() == sets {
            break;
        }
        let kept = *[0.2, 0.5, 0.8].choose(random).unwrap_or(&0.5);
        let mut pieces = Vec::new();
        for &at in &changes {
            let fua = matches!(log[at], Entry::Write { fua: true, .. });
            if fua || random.random_bool(kept) {
                pieces.push(if fua { whole(log, at) } else { maybe_torn(log, at, random) });
            }
        }
        if seen.insert(pieces.clone()) {
            let (settled, happened) = (interval.start, interval.end);
            states.push(CrashState { settled, pieces, happened });
        }
    }
    states
}

fn length(entry: &Entry) -> usize {
    match entry {
        Entry::Write { data, .. } => data.len(),
        Entry::Discard { length, .. } => usize::try_from(*length).unwrap_or(usize::MAX),
        Entry::Mark(_) => 0,
    }
}

fn whole(log: &[Entry], entry: usize) -> Piece {
    Piece { entry, range: 0..length(&log[entry]) }
}

/// A write of several atoms is cut off at the front or at the back, one time in three.
fn maybe_torn(log: &[Entry], entry: usize, random: &mut ChaCha8Rng) -> Piece {
    let Piece { range, .. } = whole(log, entry);
    let torn = matches!(log[entry], Entry::Write { .. }) && range.len() > ATOM;
    if !torn || random.random_bool(2.0 / 3.0) {
        return Piece { entry, range };
    }
    let cut = random.random_range(1..range.len().div_ceil(ATOM)) * ATOM;
    let range = if random.random_bool(0.5) { 0..cut } else { cut..range.end };
    Piece { entry, range }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(length: usize, flush: bool, fua: bool) -> Entry {
        Entry::Write { at: 0, data: vec![1; length], flush, fua }
    }

    #[test]
    fn every_write_and_its_marks_are_a_state() {
        let log = [
            write(512, false, false),
            write(0, true, false),
            Entry::Mark("a".to_owned()),
            write(512, true, true),
            Entry::Mark("b".to_owned()),
        ];
        let states = crash_states(&log, 0, 1);
        let summary: Vec<_> = states.iter().map(|s| (s.settled, s.happened)).collect();
        // The mark comes before the next write: with it the first state must stand too.
        assert_eq!(summary, [(1, 3), (4, 5)]);
    }

    #[test]
    fn without_the_unflushed_write_is_a_state_of_its_own() {
        let log = [
            write(512, false, false),
            write(512, false, true),
            write(8192, false, false),
            write(0, true, false),
        ];
        let states = crash_states(&log, 50, 1);
        let sets: Vec<_> = states.iter().filter(|s| s.settled == 0).collect();
        assert!(sets.iter().all(|s| s.pieces.iter().any(|p| p.entry == 1)), "FUA is never lost");
        assert!(sets.iter().any(|s| s.pieces.iter().all(|p| p.entry != 0)), "others may be");
        assert!(sets.iter().any(|s| s.pieces.contains(&Piece { entry: 2, range: 0..4096 })));
        assert!(sets.iter().any(|s| s.pieces.contains(&Piece { entry: 2, range: 4096..8192 })));
        assert!(sets.iter().all(|s| s.happened == 3));
    }

    proptest! {
        #[test]
        fn states_are_distinct_ordered_and_within_their_interval(
            kinds in proptest::collection::vec((0..4_usize, any::<bool>(), any::<bool>()), 0..40),
            seed in any::<u64>(),
        ) {
            let log: Vec<Entry> =
                kinds.into_iter().map(|(n, flush, fua)| write(n * 4096, flush, fua)).collect();
            let states = crash_states(&log, 3, seed);
            prop_assert_eq!(states.iter().collect::<HashSet<_>>().len(), states.len());
            for pair in states.windows(2) {
                prop_assert!(pair[0].settled <= pair[1].settled);
            }
            for state in &states {
                prop_assert!(state.settled <= state.happened && state.happened <= log.len());
                for piece in &state.pieces {
                    prop_assert!((state.settled..state.happened).contains(&piece.entry));
                    prop_assert!(!log[piece.entry].is_flush());
                    prop_assert!(piece.range.end <= length(&log[piece.entry]));
                    prop_assert!(!piece.range.is_empty());
                }
            }
        }
    }
}
