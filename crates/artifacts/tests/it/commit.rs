//! Transactions: what they write, and what they refuse.

use std::collections::BTreeMap;

use mambafleet_artifacts::{Digest, StoreError, WEIGHTS_FILE, Wait};

use crate::{PATIENT, commit, empty_store, empty_symbol, id_of, names_in, stage};

#[test]
fn what_was_committed_is_read_back_whole() {
    let (_dir, symbol) = empty_symbol();
    assert!(symbol.latest().unwrap().is_none());
    let done = commit(&symbol, 7).unwrap();
    assert_eq!((done.generation, done.lock_token), (1, 1));

    let snapshot = symbol.latest().unwrap().unwrap();
    assert_eq!(id_of(&snapshot), 7);
    assert_eq!(snapshot.manifest(), &done.manifest);
    assert!(snapshot.skipped().is_empty());
    let names: Vec<_> = snapshot.files().map(|(name, _)| name).collect();
    assert_eq!(names, ["metadata.json", "metrics.json", WEIGHTS_FILE]);
    assert_eq!(names, done.manifest.files.iter().map(|f| f.name.as_str()).collect::<Vec<_>>());
    for entry in &done.manifest.files {
        let bytes = snapshot.bytes(&entry.name).unwrap();
        assert_eq!((bytes.len() as u64, Digest::of(bytes)), (entry.length, entry.blake3));
    }
    assert_eq!(done.manifest.writer.pid, std::process::id());
}

#[test]
fn generations_are_numbered_and_chained() {
    let (_dir, symbol) = empty_symbol();
    let commits: Vec<_> = (0..5).map(|id| commit(&symbol, id).unwrap()).collect();
    assert_eq!(symbol.generations().unwrap(), [1, 2, 3, 4, 5]);
    assert!(commits[0].manifest.parent.is_none());
    for pair in commits.windows(2) {
        let parent = pair[1].manifest.parent.as_ref().unwrap();
        assert_eq!(parent.generation, pair[0].generation);
        assert_eq!(parent.manifest_hash, pair[0].manifest.hash);
        assert!(pair[1].lock_token > pair[0].lock_token);
    }
    for (id, commit) in commits.iter().enumerate() {
        assert_eq!(id_of(&symbol.snapshot(commit.generation).unwrap()), id as u64);
    }
}

#[test]
fn one_lock_serves_several_commits() {
    let (_dir, symbol) = empty_symbol();
    let lock = symbol.lock(Wait::Fail).unwrap();
    for generation in 1..=3 {
        assert_eq!(stage(&symbol, 0).commit(&lock).unwrap().generation, generation);
    }
}

#[test]
fn numbers_go_on_beyond_six_digits_and_over_what_is_in_the_way() {
    let (_dir, symbol) = empty_symbol();
    std::fs::create_dir_all(symbol.dir().join("999998")).unwrap();
    std::fs::File::create_new(symbol.dir().join("999999")).unwrap();
    let done = commit(&symbol, 1).unwrap();
    assert_eq!(done.generation, 1_000_000);
    assert_eq!(commit(&symbol, 2).unwrap().generation, 1_000_001);
    assert_eq!(symbol.latest().unwrap().unwrap().generation(), 1_000_001);
}

#[cfg(unix)]
#[test]
fn the_link_points_to_the_newest() {
    let (_dir, symbol) = empty_symbol();
    for target in ["000001", "000002"] {
        commit(&symbol, 0).unwrap();
        let link = std::fs::read_link(symbol.dir().join("latest")).unwrap();
        assert_eq!(link, std::path::Path::new(target));
    }
    // Somebody else's directory of that name costs no commit.
    std::fs::remove_file(symbol.dir().join("latest")).unwrap();
    std::fs::create_dir(symbol.dir().join("latest")).unwrap();
    assert_eq!(commit(&symbol, 0).unwrap().generation, 3);
}

#[test]
fn an_abandoned_transaction_leaves_nothing() {
    let (_dir, symbol) = empty_symbol();
    let transaction = stage(&symbol, 1);
    assert_eq!(names_in(&symbol).len(), 1, "the staging directory");
    assert!(symbol.latest().unwrap().is_none(), "staged files are not visible");
    drop(transaction);
    assert!(names_in(&symbol).is_empty());
}

#[test]
fn a_commit_leaves_nothing_but_the_generation() {
    let (_dir, symbol) = empty_symbol();
    commit(&symbol, 1).unwrap();
    assert_eq!(names_in(&symbol), ["000001"]);
}

#[test]
fn the_guard_of_another_symbol_or_store_is_refused() {
    let (_dir, store) = empty_store();
    let (_other_dir, other_store) = empty_store();
    let [aapl, msft] = ["AAPL", "MSFT"].map(|s| store.symbol(&s.parse().unwrap()));
    let elsewhere = other_store.symbol(aapl.symbol());
    for wrong in [&msft, &elsewhere] {
        let lock = wrong.lock(Wait::Fail).unwrap();
        let error = stage(&aapl, 1).commit(&lock).unwrap_err();
        assert!(matches!(error, StoreError::WrongLock { .. }), "{error}");
        assert!(error.to_string().contains("AAPL"), "{error}");
    }
    assert!(names_in(&aapl).is_empty());
}

#[cfg(unix)]
#[test]
fn a_guard_taken_by_another_path_of_the_same_store_is_accepted() {
    let (dir, store) = empty_store();
    let link = dir.path().join("link");
    std::process::Command::new("ln").arg("-s").arg(store.root()).arg(&link).status().unwrap();
    let aapl = "AAPL".parse().unwrap();
    let lock =
        mambafleet_artifacts::Store::open(link).unwrap().symbol(&aapl).lock(Wait::Fail).unwrap();
    assert_eq!(stage(&store.symbol(&aapl), 1).commit(&lock).unwrap().generation, 1);
}

#[test]
fn names_that_are_not_plain_are_refused() {
    let (_dir, symbol) = empty_symbol();
    let mut transaction = stage(&symbol, 1);
    let bad = ["", "..", "a/b", "../x", "/etc/x", "manifest.json", ".lock", "metrics.json"];
    for name in bad.into_iter().chain(["Metrics.json", "a\\b", "a b"]) {
        let error = transaction.put_bytes(name, b"x").unwrap_err();
        assert!(matches!(error, StoreError::InvalidName { .. }), "{name:?}: {error}");
    }
    let error = transaction.put_weights([("w", &[][..], &[1.0][..])], BTreeMap::new()).unwrap_err();
    assert!(matches!(error, StoreError::InvalidName { .. }), "weights twice");
    // A refusal does no harm.
    transaction.commit(&symbol.lock(Wait::Fail).unwrap()).unwrap();
    assert_eq!(id_of(&symbol.latest().unwrap().unwrap()), 1);
}

#[test]
fn tensors_and_values_that_cannot_be_stored_are_refused_before_anything_is_written() {
    let (_dir, symbol) = empty_symbol();
    let mut transaction = symbol.begin().unwrap();
    let misfit = [("w", &[2][..], &[1.0][..])];
    let error = transaction.put_weights(misfit, BTreeMap::new()).unwrap_err();
    assert!(matches!(error, StoreError::InvalidTensor { .. }), "{error}");
    let no_json = BTreeMap::from([((1, 2), 3)]);
    let error = transaction.put_json("metrics.json", &no_json).unwrap_err();
    assert!(matches!(error, StoreError::Encode { .. }), "{error}");
    let error = transaction.commit(&symbol.lock(Wait::Fail).unwrap()).unwrap_err();
    assert!(matches!(error, StoreError::Empty { .. }), "{error}");
    assert!(names_in(&symbol).is_empty());
}

#[test]
fn a_transaction_with_a_failed_write_cannot_be_committed() {
    let (_dir, symbol) = empty_symbol();
    let mut transaction = stage(&symbol, 1);
    let failed = transaction.put_with("half.bin", |out| {
        out.write_all(b"half")?;
        Err(std::io::Error::other("the source ran dry"))
    });
    assert!(matches!(failed, Err(StoreError::Io { op: "write", .. })));
    let again = transaction.put_bytes("other.bin", b"x");
    assert!(matches!(again, Err(StoreError::Abandoned { .. })));
    let error = transaction.commit(&symbol.lock(Wait::Fail).unwrap()).unwrap_err();
    assert!(matches!(error, StoreError::Abandoned { .. }), "{error}");
    assert!(names_in(&symbol).is_empty());
}

#[test]
fn content_of_any_size_passes_through_in_pieces() {
    let (_dir, symbol) = empty_symbol();
    let mut transaction = symbol.begin().unwrap();
    let piece: Vec<u8> = (0..=255).collect();
    transaction
        .put_with("big.bin", |out| (0..5000).try_for_each(|_| out.write_all(&piece[..251])))
        .unwrap();
    transaction.commit(&symbol.lock(Wait::Fail).unwrap()).unwrap();
    let snapshot = symbol.latest().unwrap().unwrap();
    assert_eq!(snapshot.bytes("big.bin").unwrap(), piece[..251].repeat(5000));
}

#[test]
fn what_a_generation_does_not_hold_is_a_typed_error() {
    let (_dir, symbol) = empty_symbol();
    let mut transaction = symbol.begin().unwrap();
    transaction.put_bytes("note.txt", b"not json").unwrap();
    transaction.commit(&symbol.lock(Wait::Fail).unwrap()).unwrap();
    let snapshot = symbol.latest().unwrap().unwrap();
    assert!(matches!(snapshot.json::<u8>("absent"), Err(StoreError::NoFile { .. })));
    assert!(matches!(snapshot.json::<u8>("note.txt"), Err(StoreError::Decode { .. })));
    assert!(matches!(snapshot.tensors(), Err(StoreError::NoFile { .. })));
    assert!(snapshot.bytes("absent").is_none());
    assert!(matches!(symbol.snapshot(2), Err(StoreError::NotFound { generation: 2, .. })));
    assert!(matches!(symbol.verify(2), Err(StoreError::NotFound { generation: 2, .. })));
}

#[test]
fn a_prepared_transaction_commits_what_it_prepared_or_writes_it_anew() {
    let (_dir, symbol) = empty_symbol();
    let manifest_in_staging = || {
        let names = names_in(&symbol);
        let staging = names.iter().find(|name| name.starts_with(".staging-")).unwrap();
        std::fs::read(symbol.dir().join(staging).join("manifest.json")).ok()
    };

    // Nobody comes between: the manifest is the one that was prepared.
    let mut first = stage(&symbol, 1);
    first.prepare().unwrap();
    let prepared = manifest_in_staging().unwrap();
    let lock = symbol.lock(PATIENT).unwrap();
    first.commit(&lock).unwrap();
    let committed = symbol.generation_dir(1).join("manifest.json");
    assert_eq!(std::fs::read(committed).unwrap(), prepared);

    // Somebody holds the lock: nothing is guessed.
    let mut second = stage(&symbol, 2);
    second.prepare().unwrap();
    assert_eq!(manifest_in_staging(), None);
    drop(lock);

    // Somebody commits in between, and one more file is added: both are in the manifest.
    second.prepare().unwrap();
    assert!(manifest_in_staging().is_some());
    commit(&symbol, 3).unwrap();
    second.put_bytes("late.txt", b"late").unwrap();
    let second = second.commit(&symbol.lock(PATIENT).unwrap()).unwrap();
    assert_eq!(second.generation, 3);
    let manifest = symbol.verify(3).unwrap();
    assert_eq!(manifest.parent.unwrap().generation, 2);
    assert!(manifest.files.iter().any(|file| file.name == "late.txt"));

    let mut empty = symbol.begin().unwrap();
    assert!(matches!(empty.prepare(), Err(StoreError::Empty { .. })));
}
