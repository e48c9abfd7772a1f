//! Looking back, going back, collecting, exporting.
#![expect(clippy::disallowed_methods, reason = "tests write damage in place")]

use std::num::NonZeroUsize;
use std::time::Duration;

use mambafleet_artifacts::{LeftoverState, Retention, StoreError, SymbolStore, Wait};

use crate::{PATIENT, commit, empty_symbol, id_of, names_in, stage};

fn keep(keep: usize) -> Retention {
    Retention { keep: NonZeroUsize::new(keep).unwrap(), min_age: Duration::ZERO }
}

fn commits(symbol: &SymbolStore, count: u64) {
    for id in 1..=count {
        commit(symbol, id).unwrap();
    }
}

fn damage(symbol: &SymbolStore, generation: u64) {
    let path = symbol.generation_dir(generation).join("metrics.json");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[0] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_rollback_is_a_new_generation_with_the_old_content() {
    let (_dir, symbol) = empty_symbol();
    commits(&symbol, 3);
    let back = symbol.rollback(Some(1), PATIENT).unwrap();
    assert_eq!(back.generation, 4);
    assert_eq!(back.manifest.restored_from.as_ref().unwrap().generation, 1);
    assert_eq!(id_of(&symbol.latest().unwrap().unwrap()), 1);
    assert_eq!(symbol.generations().unwrap(), [1, 2, 3, 4]);
    assert!(symbol.verify_all().unwrap().is_clean());
    let history = symbol.history().unwrap();
    assert_eq!(history[3].manifest.as_ref().unwrap(), &back.manifest);
}

#[test]
fn going_back_steps_over_what_is_damaged_and_needs_somewhere_to_go() {
    let (_dir, symbol) = empty_symbol();
    assert!(matches!(symbol.rollback(None, Wait::Fail), Err(StoreError::NotFound { .. })));
    commits(&symbol, 1);
    assert!(matches!(symbol.rollback(None, Wait::Fail), Err(StoreError::NotFound { .. })));
    commit(&symbol, 2).unwrap();
    commit(&symbol, 3).unwrap();
    damage(&symbol, 2);
    assert!(matches!(symbol.rollback(Some(2), PATIENT), Err(StoreError::Corrupt { .. })));
    assert_eq!(symbol.generations().unwrap(), [1, 2, 3], "nothing half done");
    assert_eq!(
        symbol.rollback(None, PATIENT).unwrap().manifest.restored_from.unwrap().generation,
        1
    );
}

#[test]
fn a_commit_that_insists_on_its_parent_conflicts_when_another_was_quicker() {
    let (_dir, symbol) = empty_symbol();
    let first = stage(&symbol, 1).on_top_of(None);
    let late = stage(&symbol, 2).on_top_of(None);
    let lock = symbol.lock(PATIENT).unwrap();
    first.commit(&lock).unwrap();
    let error = late.commit(&lock).unwrap_err();
    assert!(
        matches!(error, StoreError::Conflict { expected: None, found: Some(1), .. }),
        "{error}"
    );
    assert_eq!(names_in(&symbol), ["000001"]);
    stage(&symbol, 3).on_top_of(Some(1)).commit(&lock).unwrap();
}

#[test]
fn collecting_keeps_the_newest_that_verify_and_everything_above() {
    let (_dir, symbol) = empty_symbol();
    commits(&symbol, 6);
    damage(&symbol, 5);
    let planned = symbol.gc(&keep(2), true).unwrap();
    assert_eq!(symbol.generations().unwrap().len(), 6, "a dry run removes nothing");
    let done = symbol.gc(&keep(2), false).unwrap();
    assert_eq!(planned, done);
    assert_eq!(done.removed.iter().map(|one| one.generation).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(symbol.generations().unwrap(), [4, 5, 6]);
    assert_eq!(done.kept, [4, 5, 6]);
    assert!(done.bytes() > 0);
    assert!(!names_in(&symbol).iter().any(|name| name.starts_with(".trash")));
    let faults = symbol.verify_all().unwrap().faults;
    assert!(faults.iter().all(|fault| fault.generation == 5), "{faults:?}");
    assert_eq!(commit(&symbol, 7).unwrap().generation, 7);
}

#[test]
fn what_is_young_or_not_known_to_be_intact_enough_is_kept() {
    let (_dir, symbol) = empty_symbol();
    commits(&symbol, 3);
    let young = Retention { min_age: Duration::from_secs(3600), ..keep(1) };
    assert!(symbol.gc(&young, false).unwrap().removed.is_empty());
    damage(&symbol, 3);
    damage(&symbol, 2);
    assert!(symbol.gc(&keep(2), false).unwrap().removed.is_empty());
    assert_eq!(symbol.generations().unwrap(), [1, 2, 3]);
}

#[test]
fn a_newest_generation_that_was_removed_by_hand_is_missed() {
    let (_dir, symbol) = empty_symbol();
    commits(&symbol, 2);
    std::fs::remove_dir_all(symbol.generation_dir(2)).unwrap();
    let report = symbol.verify_all().unwrap();
    let missed = report.faults.iter().any(|fault| fault.generation == 2);
    assert_eq!(missed, cfg!(unix), "{report:?}");
}

#[cfg(unix)]
#[test]
fn the_number_of_a_generation_that_was_removed_by_hand_is_not_given_out_again() {
    let (_dir, symbol) = empty_symbol();
    commits(&symbol, 2);
    std::fs::remove_dir_all(symbol.generation_dir(2)).unwrap();
    let older = symbol.latest().unwrap().unwrap();
    assert_eq!((older.generation(), older.skipped()[0].generation), (1, 2));
    assert_eq!(older.skipped()[0].problem, mambafleet_artifacts::Problem::Missing);
    assert_eq!(commit(&symbol, 3).unwrap().generation, 3);
    assert!(symbol.latest().unwrap().unwrap().skipped().is_empty());
    assert!(symbol.verify_all().unwrap().is_clean());
    std::fs::remove_dir_all(symbol.generation_dir(3)).unwrap();
    std::fs::remove_dir_all(symbol.generation_dir(1)).unwrap();
    assert!(matches!(symbol.latest(), Err(StoreError::Corrupt { generation: 3, .. })));
}

#[test]
fn a_damaged_generation_goes_once_the_one_above_it_is_old() {
    let (_dir, symbol) = empty_symbol();
    commits(&symbol, 4);
    std::fs::write(symbol.generation_dir(3).join("manifest.json"), "junk").unwrap();
    let young = Retention { min_age: Duration::from_secs(3600), ..keep(1) };
    assert!(symbol.gc(&young, false).unwrap().removed.is_empty());
    assert_eq!(symbol.gc(&keep(1), false).unwrap().kept, [4]);
    assert!(symbol.verify_all().unwrap().is_clean());
}

#[test]
fn the_staging_of_the_dead_is_removed_and_no_other() {
    let (_dir, symbol) = empty_symbol();
    let alive = stage(&symbol, 1);
    let mine = names_in(&symbol).remove(0);
    let pid = format!("-{}-", std::process::id());
    // Beyond the greatest id that Linux gives out.
    let dead = mine.replacen(&pid, "-2147483646-", 1);
    for name in [dead.as_str(), ".staging-of-nobody-known", ".trash-x"] {
        std::fs::create_dir(symbol.dir().join(name)).unwrap();
        std::fs::write(symbol.dir().join(name).join("part"), "part").unwrap();
    }
    let leftovers = symbol.gc(&keep(1), true).unwrap().leftovers;
    let state = |name: &str| leftovers.iter().find(|one| one.name == name).unwrap().state;
    assert_eq!(state(".staging-of-nobody-known"), LeftoverState::Unknown);
    assert_eq!(state(".trash-x"), LeftoverState::Dead);
    if cfg!(target_os = "linux") {
        assert_eq!((state(&mine), state(&dead)), (LeftoverState::InUse, LeftoverState::Dead));
        // A new writer sweeps too.
        drop(symbol.begin().unwrap());
        assert!(!symbol.dir().join(&dead).exists());
    }
    symbol.gc(&keep(1), false).unwrap();
    assert!(!symbol.dir().join(".trash-x").exists());
    assert!(symbol.dir().join(".staging-of-nobody-known").exists());
    alive.commit(&symbol.lock(PATIENT).unwrap()).unwrap();
}

#[test]
fn an_export_is_the_whole_generation_or_nothing() {
    let (dir, symbol) = empty_symbol();
    commits(&symbol, 2);
    let dest = dir.path().join("exported");
    let manifest = symbol.export(1, &dest).unwrap();
    for file in ["weights.safetensors", "metrics.json", "metadata.json", "manifest.json"] {
        let original = std::fs::read(symbol.generation_dir(1).join(file)).unwrap();
        assert_eq!(std::fs::read(dest.join(file)).unwrap(), original, "{file}");
    }
    assert_eq!(manifest.generation, 1);
    assert!(matches!(symbol.export(2, &dest), Err(StoreError::Exists { .. })));
    damage(&symbol, 2);
    let other = dir.path().join("other");
    assert!(matches!(symbol.export(2, &other), Err(StoreError::Corrupt { .. })));
    assert!(!other.exists());
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 2, "the store and one export");
    for inside in [symbol.generation_dir(3), dir.path().join("store/exported")] {
        assert!(matches!(symbol.export(1, &inside), Err(StoreError::InsideStore { .. })));
        assert!(!inside.exists());
    }
    assert_eq!(symbol.generations().unwrap(), [1, 2]);
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_killed_export_left_goes_with_the_next_and_nothing_else_does() {
    let (dir, symbol) = empty_symbol();
    commits(&symbol, 1);
    let alive = stage(&symbol, 2);
    let mine = names_in(&symbol).into_iter().find(|name| name.starts_with(".staging")).unwrap();
    // Beyond the greatest id that Linux gives out.
    let dead = mine.replacen(&format!("-{}-", std::process::id()), "-2147483646-", 1);
    for name in [dead.as_str(), mine.as_str(), ".staging-mine", ".trash-1000"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    symbol.export(1, &dir.path().join("exported")).unwrap();
    assert!(!dir.path().join(dead).exists());
    for kept in [mine.as_str(), ".staging-mine", ".trash-1000"] {
        assert!(dir.path().join(kept).exists(), "{kept}");
    }
    drop(alive);
}
