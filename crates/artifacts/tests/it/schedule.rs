//! Writers, readers, collectors and rollbacks at once, one file operation at a time in an order
//! that is drawn at random, over locks that do nothing: correctness does not rest on them.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use mambafleet_artifacts::{StoreError, StoreOptions, SymbolStore, Wait};
use proptest::prelude::*;

use crate::crash;
use crate::sim::{Disk, SimVfs, Verdict};
use crate::{id_of, try_stage};

thread_local! {
    /// Which actor this thread is; none of them outside the schedule.
    static ACTOR: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Lets one actor at a time do one operation.
struct Schedule {
    state: Mutex<Turns>,
    changed: Condvar,
}

struct Turns {
    alive: usize,
    waiting: BTreeSet<usize>,
    granted: Option<usize>,
    /// Which of those that wait comes next, again and again.
    choices: Vec<usize>,
    turn: usize,
}

impl Turns {
    /// Once everybody waits, somebody is chosen.
    fn grant(&mut self) {
        if self.granted.is_none() && self.waiting.len() == self.alive && self.alive > 0 {
            let choice = self.choices[self.turn % self.choices.len()] % self.alive;
            self.granted = self.waiting.iter().nth(choice).copied();
            self.turn += 1;
        }
    }
}

impl Schedule {
    fn new(actors: usize, choices: Vec<usize>) -> Self {
        let waiting = BTreeSet::new();
        let turns = Turns { alive: actors, waiting, granted: None, choices, turn: 0 };
        Self { state: Mutex::new(turns), changed: Condvar::new() }
    }

    /// Waits for this actor's turn.
    fn step(&self) {
        let Some(actor) = ACTOR.get() else { return };
        let mut turns = self.state.lock().unwrap();
        turns.waiting.insert(actor);
        turns.grant();
        self.changed.notify_all();
        while turns.granted != Some(actor) {
            turns = self.changed.wait(turns).unwrap();
        }
        turns.granted = None;
        turns.waiting.remove(&actor);
    }

    /// This actor has nothing more to do.
    fn leave(&self) {
        let mut turns = self.state.lock().unwrap();
        turns.alive -= 1;
        turns.grant();
        self.changed.notify_all();
    }
}

#[derive(Debug, Clone, Copy)]
enum Actor {
    Writer { commits: u64, prepares: bool },
    Reader { reads: usize },
    Collector { runs: usize, keep: usize },
    Rollback { runs: usize },
}

fn actor() -> impl Strategy<Value = Actor> {
    prop_oneof![
        3 => (1..4_u64, any::<bool>())
            .prop_map(|(commits, prepares)| Actor::Writer { commits, prepares }),
        2 => (1..5_usize).prop_map(|reads| Actor::Reader { reads }),
        1 => (1..3_usize, 1..3_usize).prop_map(|(runs, keep)| Actor::Collector { runs, keep }),
        1 => (1..3_usize).prop_map(|runs| Actor::Rollback { runs }),
    ]
}

/// What the actors were told.
#[derive(Debug, Default)]
struct Seen {
    /// The content of each generation that was acknowledged. Each was acknowledged once.
    acknowledged: BTreeMap<u64, u64>,
    /// Generation and content, as readers saw them.
    read: Vec<(u64, u64)>,
    collected: BTreeSet<u64>,
}

impl Seen {
    fn acknowledge(&mut self, generation: u64, id: u64) {
        let before = self.acknowledged.insert(generation, id);
        assert_eq!(before, None, "generation {generation} was acknowledged twice");
    }
}

fn act(actor: Actor, number: u64, symbol: &SymbolStore, seen: &Mutex<Seen>) {
    match actor {
        Actor::Writer { commits, prepares } => {
            for turn in 0..commits {
                let id = 100 * (number + 1) + turn;
                let written = write(symbol, id, prepares);
                if let Some(generation) = unless_overtaken(written) {
                    seen.lock().unwrap().acknowledge(generation, id);
                }
            }
        }
        Actor::Reader { reads } => {
            let mut before = 0;
            for _ in 0..reads {
                let latest = match symbol.latest() {
                    Err(StoreError::Unstable { .. }) => continue,
                    latest => latest.unwrap().unwrap(),
                };
                assert!(latest.skipped().is_empty(), "{:?}", latest.skipped());
                assert!(latest.generation() >= before, "time runs backwards");
                before = latest.generation();
                seen.lock().unwrap().read.push((before, id_of(&latest)));
            }
        }
        Actor::Collector { runs, keep } => {
            for _ in 0..runs {
                let collected = symbol.gc(&crash::keep(keep), false).unwrap();
                let removed = collected.removed.iter().map(|removed| removed.generation);
                seen.lock().unwrap().collected.extend(removed);
            }
        }
        Actor::Rollback { runs } => {
            for _ in 0..runs {
                if let Some(generation) = unless_overtaken(roll_back(symbol)) {
                    let id = id_of(&symbol.snapshot(generation).unwrap());
                    seen.lock().unwrap().acknowledge(generation, id);
                }
            }
        }
    }
}

fn write(symbol: &SymbolStore, id: u64, prepares: bool) -> Result<u64, StoreError> {
    let mut transaction = try_stage(symbol, id)?;
    if prepares {
        transaction.prepare()?;
    }
    Ok(transaction.commit(&symbol.lock(Wait::Fail)?)?.generation)
}

fn roll_back(symbol: &SymbolStore) -> Result<u64, StoreError> {
    Ok(symbol.rollback(None, Wait::Fail)?.generation)
}

/// What a writer may be told that the lock did not keep apart from others.
fn unless_overtaken(result: Result<u64, StoreError>) -> Option<u64> {
    match result {
        Err(
            StoreError::Fenced { .. } | StoreError::Conflict { .. } | StoreError::NotFound { .. },
        ) => None,
        result => Some(result.unwrap()),
    }
}

/// Runs the actors and checks what they saw and what they left.
fn play(actors: &[Actor], choices: Vec<usize>) {
    let vfs = SimVfs::new(Disk::holding(&crash::bare()), None);
    let options = StoreOptions::default().vfs(Arc::new(vfs.clone())).require_locks(false);
    let store = options.open_or_create(crash::ROOT).unwrap();
    let symbol = store.symbol(&"AAPL".parse().unwrap());
    let seen = Mutex::new(Seen::default());
    for id in [1, 2] {
        let generation = write(&symbol, id, true).unwrap();
        seen.lock().unwrap().acknowledge(generation, id);
    }
    let schedule = Arc::new(Schedule::new(actors.len(), choices));
    let turns = schedule.clone();
    vfs.set_hook(move |_| {
        turns.step();
        Verdict::Done
    });
    thread::scope(|scope| {
        for (number, &actor) in actors.iter().enumerate() {
            let (symbol, seen, schedule) = (&symbol, &seen, &schedule);
            scope.spawn(move || {
                ACTOR.set(Some(number));
                let leaves = Leaves(schedule);
                act(actor, number as u64, symbol, seen);
                drop(leaves);
            });
        }
    });
    vfs.clear_hook();
    check(&symbol, &seen.into_inner().unwrap());
}

/// Leaves also when the actor fails.
struct Leaves<'a>(&'a Schedule);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

fn check(symbol: &SymbolStore, seen: &Seen) {
    let Seen { acknowledged, read, collected } = seen;
    let report = symbol.verify_all().unwrap();
    assert!(report.is_clean(), "{:?}", report.faults);
    for (generation, id) in acknowledged {
        assert!(
            report.generations.contains(generation) || collected.contains(generation),
            "{generation} is lost: {:?}, {seen:?}",
            report.generations
        );
        assert!(read.iter().all(|(at, read)| at != generation || read == id), "{seen:?}");
    }
    for generation in &report.generations {
        let id = id_of(&symbol.snapshot(*generation).unwrap());
        assert_eq!(acknowledged.get(generation), Some(&id), "{generation}, {seen:?}");
    }
    let newest = symbol.latest().unwrap().unwrap().generation();
    assert_eq!(Some(&newest), acknowledged.keys().next_back());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn no_order_of_operations_breaks_a_promise(
        actors in prop::collection::vec(actor(), 2..6),
        choices in prop::collection::vec(any::<usize>(), 1..300),
    ) {
        play(&actors, choices);
    }
}
