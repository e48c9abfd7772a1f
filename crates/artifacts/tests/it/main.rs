//! The store's promises, tested from outside.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that calls them")]

mod commit;
mod concurrency;
#[cfg(unix)]
mod crash;
mod damage;
mod durable;
#[cfg(unix)]
mod faults;
mod history;
mod lock;
mod model;
mod processes;
#[cfg(unix)]
mod schedule;
#[cfg(unix)]
mod sim;
mod store;
#[cfg(windows)]
mod windows;

use std::collections::BTreeMap;
use std::time::Duration;

use mambafleet_artifacts::{Commit, Snapshot, Store, StoreError, SymbolStore, Transaction, Wait};
use tempfile::TempDir;

/// Longer than any test should ever wait.
const PATIENT: Wait = Wait::Until(Duration::from_secs(60));

/// An empty store, and the directory that keeps it alive.
fn empty_store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_or_create(dir.path().join("store")).unwrap();
    (dir, store)
}

/// A symbol of an empty store.
fn empty_symbol() -> (TempDir, SymbolStore) {
    let (dir, store) = empty_store();
    (dir, store.symbol(&"AAPL".parse().unwrap()))
}

/// Stages three files that all name `id`.
fn stage(symbol: &SymbolStore, id: u64) -> Transaction {
    try_stage(symbol, id).unwrap()
}

/// [`stage`] where it may fail.
fn try_stage(symbol: &SymbolStore, id: u64) -> Result<Transaction, StoreError> {
    let mut transaction = symbol.begin()?;
    let values = [id as f32; 600];
    let meta = BTreeMap::from([("id".to_owned(), id.to_string())]);
    transaction.put_weights([("w", &[20, 30][..], &values[..])], meta)?;
    transaction.put_json("metrics.json", &BTreeMap::from([("id", id)]))?;
    transaction.put_bytes("metadata.json", format!("{{\"id\":{id}}}").as_bytes())?;
    Ok(transaction)
}

/// Commits three files that all name `id`.
fn commit(symbol: &SymbolStore, id: u64) -> Result<Commit, StoreError> {
    let transaction = try_stage(symbol, id)?;
    transaction.commit(&symbol.lock(PATIENT)?)
}

/// The id that all three files name.
fn id_of(snapshot: &Snapshot) -> u64 {
    let id = snapshot.json::<BTreeMap<String, u64>>("metrics.json").unwrap()["id"];
    assert_eq!(snapshot.json::<BTreeMap<String, u64>>("metadata.json").unwrap()["id"], id);
    assert_eq!(snapshot.weights_meta().unwrap()["id"], id.to_string());
    let tensors = snapshot.tensors().unwrap();
    assert_eq!(tensors["w"].0, [20, 30]);
    assert!(tensors["w"].1.iter().all(|&value| value == id as f32));
    id
}

/// What lies in a symbol's directory, without the files that every symbol has.
fn names_in(symbol: &SymbolStore) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(symbol.dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| ![".lock", ".owner.json", "latest"].contains(&name.as_str()))
        .collect();
    names.sort();
    names
}
