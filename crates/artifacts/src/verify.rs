//! Checking everything a symbol has, and reporting every fault.

use mambafleet_protocol::Symbol;
use rayon::prelude::*;
use serde::Serialize;

use crate::manifest::MANIFEST_FILE;
use crate::symbol_store::{SymbolStore, lost};
use crate::{Fault, Manifest, Parent, Problem, StoreError};

/// The result of checking all generations of a symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SymbolReport {
    /// The symbol.
    pub symbol: Symbol,
    /// The generations that were checked, ascending.
    pub generations: Vec<u64>,
    /// The length of all files whose generation has an intact manifest, in bytes.
    pub bytes: u64,
    /// Everything that is wrong, by generation.
    pub faults: Vec<Fault>,
}

impl SymbolReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

/// One generation, checked by itself.
struct Checked {
    generation: u64,
    manifest: Option<Manifest>,
    faults: Vec<Fault>,
}

impl SymbolStore {
    /// Checks all generations and the chain of their parents, and lists every fault. Uses all
    /// threads of rayon's current pool.
    ///
    /// A symbol without generations is in order. Generations that are removed meanwhile are left
    /// out.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the operating system refuses to read something; damage is no error
    /// here but a fault in the report.
    pub fn verify_all(&self) -> Result<SymbolReport, StoreError> {
        self.verify_each(&|_| {})
    }

    /// [`verify_all`](Self::verify_all) that tells `done` the number of each generation as soon as
    /// that has been checked, from whatever thread did it.
    ///
    /// # Errors
    /// As [`verify_all`](Self::verify_all).
    pub fn verify_each(&self, done: &(dyn Fn(u64) + Sync)) -> Result<SymbolReport, StoreError> {
        let hinted = self.hinted();
        let generations = self.generations()?;
        let lost = lost(hinted, &generations);
        let checked: Vec<Option<Checked>> = generations
            .into_par_iter()
            .map(|generation| check(self, generation).inspect(|_| done(generation)))
            .collect::<Result<_, _>>()?;
        let mut checked: Vec<Checked> = checked.into_iter().flatten().collect();
        // Only now: what was collected while others were being checked was noted before it went.
        let collected = self.collected_below()?;
        for at in 0..checked.len() {
            let fault = chain_fault(&checked[..at], &checked[at], collected);
            checked[at].faults.extend(fault);
        }
        Ok(SymbolReport {
            symbol: self.symbol().clone(),
            generations: checked.iter().map(|one| one.generation).collect(),
            bytes: checked
                .iter()
                .filter_map(|one| one.manifest.as_ref())
                .map(Manifest::total_length)
                .sum(),
            faults: checked.into_iter().flat_map(|one| one.faults).chain(lost).collect(),
        })
    }
}

/// Checks one generation; `None` when it is gone by now.
fn check(store: &SymbolStore, generation: u64) -> Result<Option<Checked>, StoreError> {
    let opened = match store.open(generation) {
        Err(StoreError::NotFound { .. }) => return Ok(None),
        result => result?,
    };
    let (manifest, mut faults) = opened.check()?;
    let manifest = manifest.map_err(|fault| faults.push(fault)).ok();
    Ok(Some(Checked { generation, manifest, faults }))
}

/// Checks that `this` was committed on top of the newest generation that was intact before it.
///
/// A parent that was removed is in order when it was older than everything that is left, or when
/// it is below `collected`: a crash may have brought some older one back.
fn chain_fault(earlier: &[Checked], this: &Checked, collected: u64) -> Option<Fault> {
    let manifest = this.manifest.as_ref()?;
    let intact = earlier.iter().rev().find_map(|one| one.manifest.as_ref());
    let found = match (&manifest.parent, intact) {
        (None, None) => return None,
        (None, Some(before)) => format!("generation {} precedes it", before.generation),
        (Some(parent), _) => wrong_parent(parent, intact, earlier, this.generation, collected)?,
    };
    let recorded = manifest.parent.as_ref().map_or_else(|| "none".to_owned(), describe);
    let problem = Problem::Parent { recorded, found };
    Some(Fault { generation: this.generation, file: MANIFEST_FILE.to_owned(), problem })
}

fn wrong_parent(
    parent: &Parent,
    intact: Option<&Manifest>,
    earlier: &[Checked],
    generation: u64,
    collected: u64,
) -> Option<String> {
    if parent.generation >= generation {
        return Some("a parent comes before its child".to_owned());
    }
    match intact {
        Some(before) if before.generation > parent.generation => {
            Some(format!("generation {} lies between", before.generation))
        }
        Some(before) if before.generation == parent.generation => {
            let found = Parent { generation: before.generation, manifest_hash: before.hash };
            (found != *parent).then(|| describe(&found))
        }
        _ => {
            let first = earlier.first().map_or(u64::MAX, |one| one.generation);
            let damaged = earlier.iter().any(|one| one.generation == parent.generation);
            let gone = !damaged && parent.generation >= first.max(collected);
            gone.then(|| "that generation is missing".to_owned())
        }
    }
}

fn describe(parent: &Parent) -> String {
    format!("generation {} with manifest hash {}", parent.generation, parent.manifest_hash)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use crate::{Store, Wait};

    #[test]
    fn each_generation_is_reported_once_it_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(dir.path()).unwrap();
        let aapl = store.symbol(&"AAPL".parse().unwrap());
        for number in 1..=3 {
            let mut transaction = aapl.begin().unwrap();
            transaction.put_json("metrics.json", &number).unwrap();
            transaction.commit(&aapl.lock(Wait::Fail).unwrap()).unwrap();
        }
        let told = Mutex::new(BTreeSet::new());
        let report = aapl.verify_each(&|number| assert!(told.lock().unwrap().insert(number)));
        assert!(report.unwrap().is_clean());
        assert_eq!(told.into_inner().unwrap(), BTreeSet::from([1, 2, 3]));
    }
}
