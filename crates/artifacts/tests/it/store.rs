//! Opening stores, and what lies in them.
#![expect(clippy::disallowed_methods, reason = "tests write damage in place")]

use std::fs;
use std::thread;

use mambafleet_artifacts::{FORMAT_VERSION, Store, StoreError};
use mambafleet_protocol::Symbol;

use crate::{commit, empty_store};

#[test]
fn a_store_is_made_once_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("some/where/store");
    assert!(matches!(Store::open(&root), Err(StoreError::NotAStore { .. })));
    assert!(matches!(Store::open(dir.path()), Err(StoreError::NotAStore { .. })));
    let store = Store::open_or_create(&root).unwrap();
    let aapl: Symbol = "AAPL".parse().unwrap();
    commit(&store.symbol(&aapl), 1).unwrap();

    let again = Store::open_or_create(&root).unwrap();
    assert_eq!(again.root(), store.root());
    assert!(Store::open(&root).unwrap().root().is_absolute());
    assert!(store.runs_dir().is_dir());
    assert_eq!(again.symbols().unwrap(), [aapl]);
    assert_eq!(fs::read(root.join("store.json")).unwrap(), b"{\n  \"format_version\": 1\n}\n");
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_not_touched() {
    let (_dir, store) = empty_store();
    let path = store.root().join("store.json");
    let newer = format!("{{\"format_version\": {}, \"more\": true}}", FORMAT_VERSION + 1);
    fs::write(&path, &newer).unwrap();
    fs::remove_dir(store.runs_dir()).unwrap();
    for result in [Store::open(store.root()), Store::open_or_create(store.root())] {
        let error = result.unwrap_err();
        assert!(matches!(error, StoreError::FormatVersion { found: 2, supported: 1, .. }));
        assert!(error.to_string().contains("use a newer one"), "{error}");
    }
    assert_eq!(fs::read_to_string(path).unwrap(), newer);
    assert!(!store.runs_dir().exists());
}

#[test]
fn a_damaged_version_file_is_an_error_and_not_a_new_store() {
    let (_dir, store) = empty_store();
    for content in ["", "{", "{}", "{\"format_version\": \"1\"}"] {
        fs::write(store.root().join("store.json"), content).unwrap();
        for result in [Store::open(store.root()), Store::open_or_create(store.root())] {
            let error = result.unwrap_err();
            assert!(matches!(error, StoreError::BadStoreFile { .. }), "{content:?}: {error}");
            assert!(error.is_corrupt());
        }
    }
}

#[test]
fn many_may_make_the_same_store_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("a/b/store");
    thread::scope(|scope| {
        for id in 0..8 {
            let root = &root;
            scope.spawn(move || {
                let store = Store::open_or_create(root).unwrap();
                commit(&store.symbol(&"AAPL".parse().unwrap()), id).unwrap();
            });
        }
    });
    let symbol = Store::open(&root).unwrap().symbol(&"AAPL".parse().unwrap());
    assert_eq!(symbol.generations().unwrap().len(), 8);
}

#[test]
fn symbols_are_listed_in_order_when_they_have_a_generation() {
    let (_dir, store) = empty_store();
    assert!(store.symbols().unwrap().is_empty());
    for text in ["MSFT", "^GSPC", "BRK.B", "BTC/USD", "CON", "aapl"] {
        commit(&store.symbol(&text.parse().unwrap()), 1).unwrap();
    }
    drop(store.symbol(&"EMPTY".parse().unwrap()).begin().unwrap());
    fs::create_dir_all(store.root().join("symbols/not a symbol/000001")).unwrap();
    fs::write(store.root().join("symbols/README"), "").unwrap();
    let symbols = store.symbols().unwrap();
    let texts: Vec<&str> = symbols.iter().map(Symbol::as_str).collect();
    assert_eq!(texts, ["BRK.B", "BTC/USD", "CON", "MSFT", "^GSPC", "aapl"]);
}

#[test]
fn a_symbol_without_generations_is_in_order() {
    let (_dir, store) = empty_store();
    let symbol = store.symbol(&"NONE".parse().unwrap());
    assert!(symbol.generations().unwrap().is_empty());
    assert!(symbol.latest().unwrap().is_none());
    let report = symbol.verify_all().unwrap();
    assert!(report.is_clean() && report.generations.is_empty());
    assert!(!symbol.dir().exists(), "reading makes nothing");
}

#[test]
fn a_store_that_was_removed_is_not_made_again_in_passing() {
    let (_dir, store) = empty_store();
    let symbol = store.symbol(&"AAPL".parse().unwrap());
    fs::remove_dir_all(store.root()).unwrap();
    assert!(matches!(symbol.begin(), Err(StoreError::Io { .. })));
    assert!(!store.root().exists());
}
