//! What the store must still keep after a crash.

use std::path::Path;
use std::time::Duration;

use mambafleet_artifacts::{Store, StoreError, SymbolStore, Wait};
use mambafleet_protocol::Symbol;

use crate::content;
use crate::marks::{Promises, SymbolPromises};

/// Nobody else holds a lock after a crash.
const WAIT: Wait = Wait::Until(Duration::from_secs(20));

/// What the generation committed on top of a crash state stands for: above all ids of workloads.
const AFTERMATH: u64 = 900_000_001;

/// Everything that is wrong with the store in `root`, given what had been promised. Commits one
/// more generation to `probe` when nothing is.
#[must_use]
pub fn check(root: &Path, promises: &Promises, probe: &Symbol) -> Vec<String> {
    let store = match Store::open(root) {
        Ok(store) => store,
        // The power failed before the store was there, and it can be created still.
        Err(StoreError::NotAStore { .. }) if !promises.store => match Store::open_or_create(root) {
            Ok(store) => store,
            Err(error) => return vec![format!("cannot create the store: {error}")],
        },
        Err(error) => return vec![format!("cannot open the store: {error}")],
    };
    let mut faults = Vec::new();
    match store.symbols() {
        Err(error) => faults.push(format!("cannot list the symbols: {error}")),
        Ok(found) => {
            let nothing = SymbolPromises::default();
            let promised = promises.symbols.keys().filter(|known| !found.contains(known));
            for symbol in found.iter().chain(promised) {
                let promises = promises.symbols.get(symbol).unwrap_or(&nothing);
                let found = check_symbol(&store.symbol(symbol), promises);
                faults.extend(found.into_iter().map(|fault| format!("{symbol}: {fault}")));
            }
        }
    }
    if faults.is_empty() {
        faults.extend(commit_on_top(&store.symbol(probe)).err());
    }
    faults
}

fn check_symbol(symbol: &SymbolStore, promises: &SymbolPromises) -> Vec<String> {
    let generations = match symbol.generations() {
        Ok(generations) => generations,
        Err(error) => return vec![format!("cannot list the generations: {error}")],
    };
    let mut faults = Vec::new();
    for &generation in &generations {
        let id = symbol.snapshot(generation).map_err(|error| describe(&error));
        match id.and_then(|snapshot| content::id_of(&snapshot)) {
            Err(fault) => faults.push(format!("generation {generation}: {fault}")),
            Ok(id) => {
                if let Some(other) = promises.acknowledged.get(&generation).filter(|&&p| p != id) {
                    faults.push(format!("generation {generation} holds {id}, not {other}"));
                }
            }
        }
    }
    for &generation in promises.acknowledged.keys() {
        if generation > promises.removable && !generations.contains(&generation) {
            faults.push(format!("acknowledged generation {generation} is lost"));
        }
    }
    faults.extend(check_latest(symbol, promises));
    match symbol.verify_all() {
        Err(error) => faults.push(format!("cannot verify: {error}")),
        Ok(report) => faults.extend(report.faults.iter().map(ToString::to_string)),
    }
    faults
}

/// The newest is the last acknowledged one or a later one, and nothing was stepped over.
fn check_latest(symbol: &SymbolStore, promises: &SymbolPromises) -> Option<String> {
    let acknowledged = promises.acknowledged.keys().next_back().copied();
    match (symbol.latest(), acknowledged) {
        (Err(error), _) => Some(format!("latest: {}", describe(&error))),
        (Ok(Some(latest)), _) if !latest.skipped().is_empty() => {
            Some(format!("latest stepped over {:?}", latest.skipped()))
        }
        (Ok(Some(latest)), Some(expected)) if latest.generation() < expected => {
            Some(format!("latest is {}, not {expected}", latest.generation()))
        }
        (Ok(None), Some(expected)) => Some(format!("latest is none, not {expected}")),
        (Ok(_), _) => None,
    }
}

/// Shows that the store can still be used: one more commit, read back.
fn commit_on_top(symbol: &SymbolStore) -> Result<(), String> {
    let failed = |error: StoreError| format!("cannot commit on top: {}", describe(&error));
    let mut transaction = symbol.begin().map_err(failed)?;
    content::stage(&mut transaction, AFTERMATH).map_err(failed)?;
    let lock = symbol.lock(WAIT).map_err(failed)?;
    let commit = transaction.commit(&lock).map_err(failed)?;
    let latest = symbol.latest().map_err(failed)?;
    let found = latest.map(|latest| (latest.generation(), content::id_of(&latest)));
    if found != Some((commit.generation, Ok(AFTERMATH))) {
        return Err(format!("committed {} on top, found {found:?}", commit.generation));
    }
    Ok(())
}

/// The error and what caused it.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks::Mark;

    fn committed(store: &Store, symbol: &Symbol, id: u64) -> u64 {
        let symbol = store.symbol(symbol);
        let mut transaction = symbol.begin().unwrap();
        content::stage(&mut transaction, id).unwrap();
        transaction.commit(&symbol.lock(WAIT).unwrap()).unwrap().generation
    }

    #[test]
    fn a_sound_store_passes_and_a_broken_promise_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let (root, symbol) = (dir.path().join("store"), "AAPL".parse::<Symbol>().unwrap());
        assert!(check(&root, &Promises::default(), &symbol).is_empty(), "no store was promised");
        let store = Store::open_or_create(&root).unwrap();
        let generation = committed(&store, &symbol, 5);
        let mut promises = Promises::default();
        promises.note(&Mark::Store);
        let ack = |generation, id| Mark::Acknowledged { symbol: symbol.clone(), generation, id };
        promises.note(&ack(generation, 5));
        assert_eq!(check(&root, &promises, &symbol), [""; 0]);

        promises.note(&ack(generation, 6));
        assert_eq!(check(&root, &promises, &symbol).len(), 1, "other content than acknowledged");
        promises.note(&ack(generation, 5));
        promises.note(&ack(9, 7));
        assert_eq!(check(&root, &promises, &symbol).len(), 2, "lost, and not the latest");
        promises.note(&Mark::Removable { symbol: symbol.clone(), up_to: 9 });
        assert_eq!(check(&root, &promises, &symbol).len(), 1, "the latest is never removed");
    }

    #[test]
    fn a_missing_store_fails_once_it_was_promised() {
        let dir = tempfile::tempdir().unwrap();
        let promises = Promises { store: true, ..Promises::default() };
        let symbol = "AAPL".parse().unwrap();
        assert_eq!(check(&dir.path().join("store"), &promises, &symbol).len(), 1);
    }
}
