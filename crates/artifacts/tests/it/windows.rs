//! What is particular to Windows, where a file that is open stands in the way of others.

use std::fs::File;
use std::num::NonZeroUsize;
use std::os::windows::fs::OpenOptionsExt;
use std::time::Duration;

use mambafleet_artifacts::Retention;

use crate::{commit, empty_symbol, names_in, stage};

/// Where files that are open keep their directory from being renamed, the generation stays;
/// elsewhere, as under Wine, it becomes trash that cannot be emptied yet. It is never half there.
#[test]
fn collecting_leaves_what_is_in_use_to_the_next_time() {
    let (_dir, symbol) = empty_symbol();
    for id in 1..=3 {
        commit(&symbol, id).unwrap();
    }
    let newest_only = Retention { keep: NonZeroUsize::MIN, min_age: Duration::ZERO };
    let metrics = symbol.generation_dir(1).join("metrics.json");
    let in_use = File::options().read(true).share_mode(1).open(metrics).unwrap();
    let done = symbol.gc(&newest_only, false).unwrap();
    assert_eq!(symbol.generations().unwrap(), done.kept);
    let trash = || names_in(&symbol).iter().filter(|name| name.starts_with(".trash-")).count();
    assert_eq!(trash(), usize::from(!done.kept.contains(&1)));
    for &generation in &done.kept {
        symbol.verify(generation).unwrap();
    }
    drop(in_use);
    symbol.gc(&newest_only, false).unwrap();
    assert_eq!((symbol.generations().unwrap(), trash()), (vec![3], 0));
}

/// Staged files are closed before their directory is renamed or removed.
#[test]
fn files_that_are_not_synced_yet_are_in_nobodys_way() {
    let (_dir, symbol) = empty_symbol();
    drop(stage(&symbol, 1));
    assert!(names_in(&symbol).is_empty());
    commit(&symbol, 2).unwrap();
    assert_eq!(names_in(&symbol), ["000001"]);
}
