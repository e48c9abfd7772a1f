//! Processes that are killed at any moment: whatever one of them was told is committed stays.
//!
//! `just torture` kills ten thousand. What happens depends on the seed and on how the system lets
//! the processes take turns: the same seed begins in the same way and need not end so.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::num::NonZeroUsize;
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mambafleet_artifacts::{LeftoverState, Retention, Store, StoreError, SymbolStore, Wait};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::{Other, given_store};
use crate::{PATIENT, commit, empty_store, id_of, names_in, stage};

/// How many processes to kill.
const KILLS_VARIABLE: &str = "ARTIFACTS_KILLS";
const KILLS: u64 = 300;

/// What all randomness comes from; each child has a seed of its own.
const SEED_VARIABLE: &str = "ARTIFACTS_SEED";

const SYMBOLS: [&str; 3] = ["AAPL", "BRK.B", "BTC/USD"];

/// How many processes work at once.
const AT_ONCE: usize = 4;

/// How many are killed until none is left, and everything is looked at in peace.
const BATCH: u64 = 40;

/// The longest that a process lives once it is ready.
const LIFE: Duration = Duration::from_millis(30);

const KEEP: Retention = Retention { keep: NonZeroUsize::new(8).unwrap(), min_age: Duration::ZERO };

/// What the store notes before it collects; a number follows.
const NOTE_PREFIX: &str = ".collected-";

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// The child: does all that can be done to a store, at random, and says what it was told is
/// committed.
#[test]
fn child_that_works_until_it_is_killed() {
    let Some(store) = given_store() else { return };
    let mut rng = StdRng::seed_from_u64(number_from(SEED_VARIABLE).unwrap());
    println!("\nready");
    loop {
        let index = rng.random_range(0..SYMBOLS.len());
        let symbol = store.symbol(&SYMBOLS[index].parse().unwrap());
        if let Some((generation, id)) = work(&symbol, &mut rng) {
            println!("committed {index} {generation} {id}");
        }
    }
}

/// Does one thing to the symbol; the generation and the id that it committed, if it did.
fn work(symbol: &SymbolStore, rng: &mut StdRng) -> Option<(u64, u64)> {
    let id = u64::from(rng.random::<u32>());
    match rng.random_range(0..12) {
        0..=2 => return Some((commit(symbol, id).unwrap().generation, id)),
        3..=5 => {
            let mut transaction = stage(symbol, id);
            transaction.prepare().unwrap();
            let lock = symbol.lock(PATIENT).unwrap();
            return Some((transaction.commit(&lock).unwrap().generation, id));
        }
        6 => stage(symbol, id).prepare().unwrap(),
        7 | 8 => return roll_back(symbol, rng),
        9 => drop(symbol.gc(&KEEP, false).unwrap()),
        10 => assert_eq!(symbol.verify_all().unwrap().faults, []),
        _ => {
            let snapshot = symbol.latest().unwrap()?;
            assert_eq!(snapshot.skipped(), []);
            id_of(&snapshot);
        }
    }
    None
}

fn roll_back(symbol: &SymbolStore, rng: &mut StdRng) -> Option<(u64, u64)> {
    let to = *symbol.generations().unwrap().choose(rng)?;
    let id = id_of(&unless_collected(symbol.snapshot(to))?);
    Some((unless_collected(symbol.rollback(Some(to), PATIENT))?.generation, id))
}

fn unless_collected<T>(result: Result<T, StoreError>) -> Option<T> {
    match result {
        Err(StoreError::NotFound { .. }) => None,
        result => Some(result.unwrap()),
    }
}

#[test]
fn what_was_acknowledged_survives_kills_at_any_moment() {
    let kills = number_from(KILLS_VARIABLE).unwrap_or(KILLS);
    let seed = number_from(SEED_VARIABLE).unwrap_or_else(rand::random);
    println!("{SEED_VARIABLE}={seed}");
    let started = Instant::now();
    let (_dir, store) = empty_store();
    let mut torture = Torture::new(store, seed);
    let killed = AtomicU64::new(0);
    while killed.load(Ordering::Relaxed) < kills {
        let until = kills.min(killed.load(Ordering::Relaxed) + BATCH);
        let next = || {
            let next = |killed| (killed < until).then_some(killed + 1);
            killed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()
        };
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| std::iter::from_fn(next).for_each(|number| torture.kill(number)));
            }
        });
        torture.check_in_peace();
    }
    for track in &torture.tracks {
        assert!(commit(&track.symbol, 1).unwrap().generation > track.floor);
    }
    torture.check_in_peace();
    println!("{kills} kills in {:.1?}, {torture}", started.elapsed());
}

struct Torture {
    store: Store,
    seed: u64,
    tracks: Vec<Track>,
    acknowledged: AtomicU64,
    verified: AtomicU64,
    leftovers: AtomicU64,
}

/// What is known of one symbol.
struct Track {
    symbol: SymbolStore,
    /// The newest generation when last nobody was at work.
    floor: u64,
    /// The generations that were acknowledged and not collected, and their ids.
    acknowledged: Mutex<BTreeMap<u64, u64>>,
}

impl std::fmt::Display for Torture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [acknowledged, verified, leftovers] =
            [&self.acknowledged, &self.verified, &self.leftovers]
                .map(|count| count.load(Ordering::Relaxed));
        write!(
            f,
            "{acknowledged} acknowledged commits, {verified} generations verified, \
             {leftovers} leftovers of the dead collected, 0 violations (seed {})",
            self.seed
        )
    }
}

impl Torture {
    fn new(store: Store, seed: u64) -> Self {
        let track = |symbol: &str| Track {
            symbol: store.symbol(&symbol.parse().unwrap()),
            floor: 0,
            acknowledged: Mutex::default(),
        };
        let tracks = SYMBOLS.iter().copied().map(track).collect();
        let [acknowledged, verified, leftovers] = [const { AtomicU64::new(0) }; 3];
        Self { store, seed, tracks, acknowledged, verified, leftovers }
    }

    /// Starts a process, kills it, and looks at what it left while the others work on.
    fn kill(&self, number: u64) {
        let mut rng = StdRng::seed_from_u64(self.seed.wrapping_add(number));
        let seed = OsString::from(rng.random::<u64>().to_string());
        let test = "torture::child_that_works_until_it_is_killed";
        let mut victim = Other::start(test, self.store.root(), &[(SEED_VARIABLE, &seed)]);
        victim.hear("ready");
        thread::sleep(rng.random_range(Duration::ZERO..LIFE));
        self.note(victim);
        for track in &self.tracks {
            self.verified.fetch_add(track.check(), Ordering::Relaxed);
        }
    }

    /// Kills a process and notes what it said and what it left.
    fn note(&self, mut victim: Other) {
        victim.child.kill().unwrap();
        let mut said = String::new();
        victim.output.read_to_string(&mut said).unwrap();
        assert_eq!(victim.complaints(), "");
        assert_eq!(victim.child.wait().unwrap().signal(), Some(9), "it ended by itself: {said}");
        let commits = said.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        for line in commits.filter_map(|line| line.strip_prefix("committed ")) {
            let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            self.tracks[numbers[0] as usize].note(numbers[1], numbers[2]);
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        let tag = format!("-{}-", victim.child.id());
        let left = |track: &Track| {
            let entries = std::fs::read_dir(track.symbol.dir()).into_iter().flatten();
            let names = entries.map(|entry| entry.unwrap().file_name());
            names.filter(|name| name.to_str().unwrap().contains(&tag)).count() as u64
        };
        self.leftovers.fetch_add(self.tracks.iter().map(left).sum(), Ordering::Relaxed);
    }

    fn check_in_peace(&mut self) {
        for track in &mut self.tracks {
            *self.verified.get_mut() += track.check();
            track.check_in_peace();
        }
    }
}

impl Track {
    fn note(&self, generation: u64, id: u64) {
        assert!(generation > self.floor, "{generation} was given out before");
        let before = self.acknowledged.lock().unwrap().insert(generation, id);
        assert_eq!(before, None, "two commits were told that they are generation {generation}");
    }

    /// Whatever else goes on: what was acknowledged is there, unless it was collected, and all
    /// that is there is whole. Tells how many generations there were.
    fn check(&self) -> u64 {
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        let newest = self.symbol.latest().unwrap();
        let newest = newest.map_or(0, |snapshot| {
            assert_eq!(snapshot.skipped(), []);
            snapshot.generation()
        });
        let last = acknowledged.last_key_value().map_or(self.floor, |(&generation, _)| generation);
        assert!(newest >= last, "{newest} is the newest after {last} was acknowledged");

        let report = self.symbol.verify_all().unwrap();
        assert!(report.is_clean(), "{:?}", report.faults);
        let all = acknowledged.keys().chain(&report.generations);
        for &generation in all {
            let Some(snapshot) = unless_collected(self.symbol.snapshot(generation)) else {
                assert!(generation < self.collected_below(), "{generation} is lost");
                continue;
            };
            let id = id_of(&snapshot);
            let expected = acknowledged.get(&generation).unwrap_or(&id);
            assert_eq!(id, *expected, "generation {generation} holds something else");
        }
        report.generations.len() as u64
    }

    /// When nobody else is at work: the lock is free, everything that was collected was
    /// superfluous, and nothing is left of the dead.
    fn check_in_peace(&mut self) {
        let lock = self.symbol.lock(Wait::Fail).unwrap();
        let generations = self.symbol.generations().unwrap();
        let least = if self.collected_below() > 0 { KEEP.keep.get() } else { 0 };
        assert!(generations.len() >= least, "too much was collected: {generations:?} is left");
        self.floor = generations.last().copied().unwrap_or(0);
        let acknowledged = self.acknowledged.get_mut().unwrap();
        acknowledged.retain(|generation, _| generations.contains(generation));
        drop(lock);

        if cfg!(target_os = "linux") {
            let left = self.symbol.gc(&KEEP, false).unwrap().leftovers;
            assert!(left.iter().all(|one| one.state == LeftoverState::Dead), "{left:?}");
            let mut names = names_in(&self.symbol);
            names.retain(|name| {
                name.strip_prefix(NOTE_PREFIX).unwrap_or(name).parse::<u64>().is_err()
            });
            assert_eq!(names, [""; 0], "nobody will ever remove this");
        }
    }

    /// The generations below this one may have been collected.
    fn collected_below(&self) -> u64 {
        let names = names_in(&self.symbol);
        let below = |name: &String| name.strip_prefix(NOTE_PREFIX)?.parse().ok();
        names.iter().filter_map(below).max().unwrap_or(0)
    }
}
