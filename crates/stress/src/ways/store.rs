//! Our way: the artifact store.

use std::path::Path;
use std::time::{Duration, Instant};

use mambafleet_artifacts::{Snapshot, Store, StoreError, SymbolReport, SymbolStore, Wait};
use mambafleet_protocol::{Symbol, cause_chain};
use rayon::prelude::*;

use super::{Checked, Loaded, LockTimes, Receipt, SaveError, Saved, Saver};
use crate::StressError;
use crate::set::{Contents, FILES, Set, judge};

/// Saves generations.
pub(super) struct OurStore {
    store: Store,
    wait: Wait,
}

impl OurStore {
    pub(super) fn open(dir: &Path, lock_timeout: Duration) -> Result<Self, StressError> {
        Ok(Self { store: Store::open(dir)?, wait: Wait::Until(lock_timeout) })
    }
}

impl Saver for OurStore {
    fn save(&self, symbol: &Symbol, set: &Set) -> Result<Saved, SaveError> {
        let symbol = self.store.symbol(symbol);
        let mut transaction = symbol.begin().map_err(refused)?;
        for (name, bytes) in set.files() {
            transaction.put_bytes(name, bytes).map_err(refused)?;
        }
        transaction.prepare().map_err(refused)?;
        let asked = Instant::now();
        let lock = symbol.lock(self.wait).map_err(refused)?;
        let (waited, lock_overhead) = (lock.waited(), lock.overhead());
        let taken = Instant::now();
        let commit = transaction.commit(&lock).map_err(refused)?;
        let done = Instant::now();
        drop(lock);
        let taking = (taken - asked).saturating_sub(waited);
        let lock = LockTimes {
            waited,
            held: taking + taken.elapsed(),
            overhead: lock_overhead + done.elapsed(),
        };
        Ok(Saved {
            generation: Some(commit.generation),
            lock: Some(lock),
            hashing: Some(commit.hashing),
        })
    }

    fn load(&self, symbol: &Symbol) -> Result<Loaded, StressError> {
        match self.store.symbol(symbol).latest() {
            Ok(None) => Ok(Loaded::Absent),
            Ok(Some(snapshot)) => Ok(match snapshot.skipped().first() {
                Some(fault) => Loaded::Damaged(fault.to_string()),
                None => Loaded::Set(contents(&snapshot)),
            }),
            Err(error) if error.is_corrupt() => Ok(Loaded::Damaged(cause_chain(&error))),
            Err(error) => Err(error.into()),
        }
    }

    /// Verifies every byte of every generation, then that each holds what one writer wrote, and
    /// that every acknowledged save is the generation it was said to be.
    fn check(&self, symbol: &Symbol, acknowledged: &[Receipt]) -> Result<Checked, StressError> {
        let symbol = self.store.symbol(symbol);
        let mut report = symbol.verify_all()?;
        let mut checked = Checked::default();
        count_faults(&mut checked, &mut report);
        let read: Vec<(u64, Result<Snapshot, StoreError>)> = report
            .generations
            .into_par_iter()
            .map(|generation| (generation, symbol.snapshot(generation)))
            .collect();
        let mut found = Vec::<(u64, String)>::new();
        for (generation, snapshot) in read {
            match snapshot {
                Ok(snapshot) => {
                    let place = place(&symbol, generation);
                    let id = checked.count(&place, judge(&contents(&snapshot)));
                    found.extend(id.map(|id| (generation, id)));
                }
                // Counted already: it has faults.
                Err(StoreError::Corrupt { .. }) => checked.sets += 1,
                Err(error) => return Err(error.into()),
            }
        }
        for Receipt { id, generation, .. } in acknowledged {
            let generation = generation.unwrap_or_default();
            let at = found.binary_search_by_key(&generation, |(generation, _)| *generation);
            if !at.is_ok_and(|at| found[at].1 == *id) {
                checked.lost += 1;
                let place = place(&symbol, generation);
                checked.faults.push(format!("{place}: does not hold {id}, as acknowledged"));
            }
        }
        Ok(checked)
    }
}

fn count_faults(checked: &mut Checked, report: &mut SymbolReport) {
    let faults = std::mem::take(&mut report.faults);
    checked.faults.extend(faults.iter().map(|fault| format!("{}: {fault}", report.symbol)));
    let mut files: Vec<_> =
        faults.into_iter().map(|fault| (fault.generation, fault.file)).collect();
    files.sort_unstable();
    files.dedup();
    checked.corrupt_files += files.len() as u64;
}

fn place(symbol: &SymbolStore, generation: u64) -> String {
    format!("{}@{generation}", symbol.symbol())
}

/// The files in the order of [`FILES`]; one that is missing counts as empty, which is torn.
fn contents(snapshot: &Snapshot) -> Contents {
    FILES.map(|name| snapshot.bytes(name).unwrap_or_default().to_vec())
}

fn refused(error: StoreError) -> SaveError {
    if error.is_lock_timeout() {
        SaveError::Timeout(error)
    } else {
        SaveError::Other(StressError::Store(error))
    }
}
