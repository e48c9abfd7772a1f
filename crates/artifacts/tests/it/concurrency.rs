//! Many writers and readers at once.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use mambafleet_artifacts::{Retention, SymbolStore};

use crate::{PATIENT, commit, empty_symbol, id_of, names_in, stage};

const WRITERS: u64 = 8;
const COMMITS: u64 = 6;

/// Counts down when a writer ends, however it ends.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs `write` in eight threads while two others read whatever is newest.
fn under_readers(symbol: &SymbolStore, write: impl Fn(u64) + Sync) {
    let running = AtomicUsize::new(WRITERS as usize);
    let (write, running) = (&write, &running);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| read_while(symbol, running));
        }
        for writer in 0..WRITERS {
            let guard = Running(running);
            scope.spawn(move || {
                let _running = guard;
                write(writer);
            });
        }
    });
}

/// Every read is one writer's set, and time never runs backwards.
fn read_while(symbol: &SymbolStore, running: &AtomicUsize) {
    let mut seen = 0;
    while running.load(Ordering::Acquire) > 0 {
        let Some(snapshot) = symbol.latest().unwrap() else { continue };
        assert!(snapshot.generation() >= seen, "{} after {seen}", snapshot.generation());
        assert!(snapshot.skipped().is_empty());
        seen = snapshot.generation();
        id_of(&snapshot);
    }
}

fn assert_all_there(symbol: &SymbolStore) {
    let generations = symbol.generations().unwrap();
    assert_eq!(generations, (1..=WRITERS * COMMITS).collect::<Vec<_>>());
    let ids: BTreeSet<u64> =
        generations.iter().map(|&g| id_of(&symbol.snapshot(g).unwrap())).collect();
    assert_eq!(ids, (0..WRITERS * COMMITS).collect(), "each commit has its generation");
    let report = symbol.verify_all().unwrap();
    assert!(report.is_clean(), "{:?}", report.faults);
    assert_eq!(report.generations, generations);
    assert_eq!(names_in(symbol).len(), generations.len(), "nothing else is left");
}

#[test]
fn writers_with_locks_and_readers_without_never_see_a_mixed_set() {
    let (_dir, symbol) = empty_symbol();
    under_readers(&symbol, |writer| {
        for i in 0..COMMITS {
            commit(&symbol, writer * COMMITS + i).unwrap();
        }
    });
    assert_all_there(&symbol);
}

/// All writers share one guard, as if the lock did nothing: the rename alone keeps them apart.
#[test]
fn writers_that_the_lock_does_not_keep_apart_lose_nothing_either() {
    let (_dir, symbol) = empty_symbol();
    let lock = symbol.lock(PATIENT).unwrap();
    under_readers(&symbol, |writer| {
        for i in 0..COMMITS {
            stage(&symbol, writer * COMMITS + i).commit(&lock).unwrap();
        }
    });
    assert_all_there(&symbol);
}

/// Old generations vanish while they are read: readers start again, and always find one.
#[test]
fn readers_outlive_the_removal_of_generations() {
    let (_dir, symbol) = empty_symbol();
    commit(&symbol, 0).unwrap();
    let newest_only = Retention { keep: NonZeroUsize::MIN, min_age: Duration::ZERO };
    let running = &AtomicUsize::new(1);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| read_while(&symbol, running));
        }
        let _running = Running(running);
        for id in 1..60 {
            commit(&symbol, id).unwrap();
            symbol.gc(&newest_only, false).unwrap();
        }
    });
    assert!(symbol.generations().unwrap().len() < 60, "nothing was collected");
    assert!(symbol.verify_all().unwrap().is_clean(), "a parent that was collected is in order");
}
