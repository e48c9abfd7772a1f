//! Writers that commit generations and put on record what was acknowledged.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use mambafleet_artifacts::{Retention, Store, StoreError, SymbolStore, Wait};
use mambafleet_protocol::Symbol;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::check::describe;
use crate::marks::Mark;
use crate::{LabError, content};

/// The symbols written to; one whose directory name is escaped is among them.
pub const SYMBOLS: [&str; 4] = ["AAPL", "MSFT", "^GSPC", "BTC/USD"];

/// How many ids a workload may use, whose seed decides where they begin.
const IDS: u64 = 100_000;

/// How many generations a collection keeps.
const KEEP: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// Longer than any queue of the lab.
const PATIENT: Wait = Wait::Until(Duration::from_secs(60));

/// Puts a mark on record. When it returns, the mark stands.
pub type Recorder<'a> = &'a (dyn Fn(&Mark) -> Result<(), LabError> + Sync);

/// What the writers shall do.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    /// Whether no other process writes to the store: then old generations are collected too.
    pub alone: bool,
    /// How many write at the same time.
    pub writers: u64,
    /// How many commits each tries; some of them bring an older generation back, and some are
    /// collections instead.
    pub commits: u64,
    /// How many of [`SYMBOLS`] they write to.
    pub symbols: usize,
    /// Decides who writes what when.
    pub seed: u64,
}

/// What became of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Commits that were acknowledged.
    pub acknowledged: u64,
    /// Commits that the store refused, and why.
    pub refused: Vec<String>,
}

/// The symbols of a workload.
///
/// # Errors
/// [`LabError::Parse`] is impossible.
pub fn symbols(count: usize) -> Result<Vec<Symbol>, LabError> {
    let parse = |text: &&str| text.parse().map_err(|_| LabError::Parse((*text).to_owned()));
    SYMBOLS.iter().take(count).map(parse).collect()
}

/// Creates the store in `root` and writes to it until all is done or `stop` is set. What the store
/// refuses is counted and does not end the run.
///
/// # Errors
/// When the store cannot be created or a mark cannot be put on record.
pub fn run(
    workload: Workload,
    root: &Path,
    record: Recorder<'_>,
    stop: &AtomicBool,
) -> Result<Outcome, LabError> {
    let store = Store::open_or_create(root)?;
    record(&Mark::Store)?;
    let targets: Vec<(SymbolStore, RwLock<()>)> = symbols(workload.symbols)?
        .iter()
        .map(|symbol| (store.symbol(symbol), RwLock::new(())))
        .collect();
    let outcome = Mutex::new(Outcome::default());
    let results: Vec<Result<(), LabError>> = thread::scope(|scope| {
        let writers: Vec<_> = (0..workload.writers)
            .map(|number| {
                let writer = Writer { number, targets: &targets, record, outcome: &outcome };
                scope.spawn(move || writer.write(workload, stop))
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap_or(Err(LabError::Parse("a panic".to_owned()))))
            .collect()
    });
    results.into_iter().collect::<Result<Vec<()>, LabError>>()?;
    Ok(outcome.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Writer<'a> {
    number: u64,
    targets: &'a [(SymbolStore, RwLock<()>)],
    record: Recorder<'a>,
    outcome: &'a Mutex<Outcome>,
}

impl Writer<'_> {
    fn write(&self, workload: Workload, stop: &AtomicBool) -> Result<(), LabError> {
        let mut random = ChaCha8Rng::seed_from_u64(workload.seed);
        random.set_stream(self.number);
        for turn in 0..workload.commits {
            if stop.load(Relaxed) {
                break;
            }
            let Some((symbol, guard)) =
                self.targets.get(random.random_range(0..self.targets.len()))
            else {
                break;
            };
            if workload.alone && random.random_bool(0.15) {
                let _collecting = guard.write().unwrap_or_else(PoisonError::into_inner);
                self.collect(symbol)?;
                continue;
            }
            // What is collected is determined while nobody commits.
            let _committing = guard.read().unwrap_or_else(PoisonError::into_inner);
            let id = workload.seed % 1000 * IDS + turn * workload.writers + self.number;
            // Some give up with everything staged.
            let give_up = random.random_bool(0.1);
            let committed = if random.random_bool(0.15) {
                roll_back(symbol)
            } else {
                commit(symbol, id, give_up).map(|generation| generation.zip(Some(id)))
            };
            match committed {
                Ok(None) => {}
                Ok(Some((generation, id))) => {
                    self.outcome().acknowledged += 1;
                    let symbol = symbol.symbol().clone();
                    (self.record)(&Mark::Acknowledged { symbol, generation, id })?;
                }
                Err(error) => self.refused(&error),
            }
        }
        Ok(())
    }

    /// Collects all but the newest two, once it is on record that they may go.
    fn collect(&self, symbol: &SymbolStore) -> Result<(), LabError> {
        let retention = Retention { keep: KEEP, min_age: Duration::ZERO };
        let last = match symbol.gc(&retention, true) {
            Ok(planned) => planned.removed.last().map(|removed| removed.generation),
            Err(error) => {
                self.refused(&error);
                return Ok(());
            }
        };
        if let Some(up_to) = last {
            (self.record)(&Mark::Removable { symbol: symbol.symbol().clone(), up_to })?;
        }
        if let Err(error) = symbol.gc(&retention, false) {
            self.refused(&error);
        }
        Ok(())
    }

    fn refused(&self, error: &StoreError) {
        self.outcome().refused.push(describe(error));
        // A disk that fails does so at once: leave it a moment.
        thread::sleep(Duration::from_millis(20));
    }

    fn outcome(&self) -> std::sync::MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Brings the oldest generation back, and tells the new one's number and content; none when there
/// is nothing to bring back, or when it was collected meanwhile.
fn roll_back(symbol: &SymbolStore) -> Result<Option<(u64, u64)>, StoreError> {
    let Some(&oldest) = symbol.generations()?.first() else { return Ok(None) };
    let id = match symbol.snapshot(oldest) {
        Ok(snapshot) => content::id_of(&snapshot).ok(),
        Err(StoreError::NotFound { .. }) => None,
        Err(error) => return Err(error),
    };
    let Some(id) = id else { return Ok(None) };
    let generation = symbol.rollback(Some(oldest), PATIENT)?.generation;
    Ok(Some((generation, id)))
}

/// The generation committed; none when the writer gave up before.
pub(crate) fn commit(
    symbol: &SymbolStore,
    id: u64,
    give_up: bool,
) -> Result<Option<u64>, StoreError> {
    let mut transaction = symbol.begin()?;
    content::stage(&mut transaction, id)?;
    if id.is_multiple_of(2) {
        transaction.prepare()?;
    }
    let lock = symbol.lock(PATIENT)?;
    if give_up {
        return Ok(None);
    }
    Ok(Some(transaction.commit(&lock)?.generation))
}
