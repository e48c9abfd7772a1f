//! Damage is found, named, and stepped over.
#![expect(clippy::disallowed_methods, reason = "tests write damage in place")]

use std::fs;
use std::path::PathBuf;

use mambafleet_artifacts::{Problem, StoreError, SymbolStore};

use crate::{commit, empty_symbol, id_of, names_in};

/// A small generation, so that each of its bytes can be flipped in turn.
fn small_generation() -> (tempfile::TempDir, SymbolStore) {
    let (dir, symbol) = empty_symbol();
    commit_small(&symbol);
    (dir, symbol)
}

fn commit_small(symbol: &SymbolStore) {
    let mut transaction = symbol.begin().unwrap();
    transaction.put_weights([("w", &[1][..], &[1.5][..])], [].into()).unwrap();
    transaction.put_json("metrics.json", &[1, 2]).unwrap();
    transaction.commit(&symbol.lock(crate::PATIENT).unwrap()).unwrap();
}

fn files_of(symbol: &SymbolStore, generation: u64) -> Vec<PathBuf> {
    let entries = fs::read_dir(symbol.generation_dir(generation)).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The one fault of generation 1, as `verify` and `verify_all` both report it.
fn only_fault(symbol: &SymbolStore) -> (String, Problem) {
    let report = symbol.verify_all().unwrap();
    assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
    let error = symbol.verify(1).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    let StoreError::Corrupt { generation, file, problem, .. } = error else { unreachable!() };
    let fault = &report.faults[0];
    assert_eq!((fault.generation, &fault.file, &fault.problem), (generation, &file, &*problem));
    (file, *problem)
}

#[test]
fn every_flipped_byte_of_every_file_is_found() {
    let (_dir, symbol) = small_generation();
    let mut flips = 0;
    for path in files_of(&symbol, 1) {
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            // Case, the lowest bit, everything.
            for mask in [0x20, 0x01, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= mask;
                fs::write(&path, &bad).unwrap();
                let (file, _) = only_fault(&symbol);
                assert!(path.ends_with(&file), "byte {at} of {} blamed on {file}", path.display());
                assert!(symbol.latest().unwrap_err().is_corrupt());
                flips += 1;
            }
        }
        fs::write(&path, good).unwrap();
    }
    assert!(flips > 2000, "{flips}");
    assert!(symbol.verify_all().unwrap().is_clean());
}

#[test]
fn every_truncation_and_extension_is_found() {
    let (_dir, symbol) = small_generation();
    for path in files_of(&symbol, 1) {
        let good = fs::read(&path).unwrap();
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).unwrap();
            let (file, problem) = only_fault(&symbol);
            assert!(path.ends_with(&file));
            if file != "manifest.json" {
                let (expected, found) = (good.len() as u64, length as u64);
                assert_eq!(problem, Problem::Length { expected, found });
            }
        }
        for extra in [" ", "\n", "\0"] {
            fs::write(&path, [&good, extra.as_bytes()].concat()).unwrap();
            assert!(path.ends_with(only_fault(&symbol).0));
        }
        fs::write(&path, good).unwrap();
    }
    symbol.verify(1).unwrap();
}

#[test]
fn missing_and_extra_files_are_found() {
    let (_dir, symbol) = small_generation();
    for path in files_of(&symbol, 1) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let good = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(only_fault(&symbol), (name.to_owned(), Problem::Missing));
        assert!(symbol.latest().unwrap_err().is_corrupt());
        fs::create_dir(&path).unwrap();
        assert_eq!(only_fault(&symbol), (name.to_owned(), Problem::NotAFile));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, good).unwrap();
    }
    let extra = symbol.generation_dir(1).join("extra");
    fs::write(&extra, "x").unwrap();
    assert_eq!(only_fault(&symbol), ("extra".to_owned(), Problem::Extra));
    assert_eq!(symbol.latest().unwrap().unwrap().generation(), 1, "it harms no reader");
    fs::remove_file(&extra).unwrap();
    fs::create_dir(&extra).unwrap();
    assert_eq!(only_fault(&symbol), ("extra".to_owned(), Problem::Extra));
}

#[test]
fn every_fault_is_reported_not_only_the_first() {
    let (_dir, symbol) = empty_symbol();
    for id in 0..4 {
        commit(&symbol, id).unwrap();
    }
    fs::remove_file(symbol.generation_dir(1).join("metrics.json")).unwrap();
    fs::write(symbol.generation_dir(1).join("weights.safetensors"), "").unwrap();
    fs::write(symbol.generation_dir(3).join("note"), "").unwrap();
    let report = symbol.verify_all().unwrap();
    assert_eq!(report.generations, [1, 2, 3, 4]);
    let found: Vec<_> = report.faults.iter().map(|f| (f.generation, f.file.as_str())).collect();
    assert_eq!(found, [(1, "metrics.json"), (1, "weights.safetensors"), (3, "note")]);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["faults"][0]["problem"]["kind"], "missing");
}

#[test]
fn a_damaged_newest_generation_is_stepped_over_and_named() {
    let (_dir, symbol) = empty_symbol();
    for id in 0..4 {
        commit(&symbol, id).unwrap();
    }
    let weights = symbol.generation_dir(4).join("weights.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(weights, bytes).unwrap();
    fs::remove_file(symbol.generation_dir(3).join("manifest.json")).unwrap();

    let snapshot = symbol.latest().unwrap().unwrap();
    assert_eq!((snapshot.generation(), id_of(&snapshot)), (2, 1));
    let [newest, second] = snapshot.skipped() else { panic!("{:?}", snapshot.skipped()) };
    assert_eq!((newest.generation, newest.file.as_str()), (4, "weights.safetensors"));
    assert!(matches!(newest.problem, Problem::Hash { .. }));
    assert_eq!((second.generation, second.file.as_str()), (3, "manifest.json"));
    let text = newest.to_string();
    assert!(text.starts_with("generation 4: weights.safetensors: expected BLAKE3 "), "{text}");
}

#[test]
fn a_commit_on_top_of_a_damaged_manifest_goes_on_with_the_chain() {
    let (_dir, symbol) = empty_symbol();
    for id in 0..2 {
        commit(&symbol, id).unwrap();
    }
    fs::write(symbol.generation_dir(2).join("manifest.json"), "{}").unwrap();
    let done = commit(&symbol, 2).unwrap();
    assert_eq!(done.generation, 3);
    assert_eq!(done.manifest.parent.unwrap().generation, 1);
    assert_eq!(symbol.latest().unwrap().unwrap().generation(), 3);
    let report = symbol.verify_all().unwrap();
    assert_eq!(report.faults.len(), 1, "only generation 2: {:?}", report.faults);
}

#[test]
fn a_generation_in_another_place_is_not_accepted() {
    let (_dir, symbol) = empty_symbol();
    commit(&symbol, 0).unwrap();
    commit(&symbol, 1).unwrap();
    fs::rename(symbol.generation_dir(2), symbol.generation_dir(3)).unwrap();
    let error = symbol.verify(3).unwrap_err().to_string();
    assert!(error.contains("it describes AAPL@2, not AAPL@3"), "{error}");
}

/// Replaces generation 1 by another intact one of the same number.
#[test]
fn a_parent_that_was_exchanged_breaks_the_chain() {
    let (_dir, symbol) = empty_symbol();
    let (_other_dir, other) = empty_symbol();
    commit(&symbol, 0).unwrap();
    commit(&symbol, 1).unwrap();
    commit(&other, 2).unwrap();
    fs::remove_dir_all(symbol.generation_dir(1)).unwrap();
    fs::rename(other.generation_dir(1), symbol.generation_dir(1)).unwrap();
    symbol.verify(2).unwrap();
    let report = symbol.verify_all().unwrap();
    let [fault] = &report.faults[..] else { panic!("{:?}", report.faults) };
    assert_eq!(fault.generation, 2);
    assert!(matches!(fault.problem, Problem::Parent { .. }));
}

#[test]
fn a_hole_in_the_chain_is_found_but_a_collected_beginning_is_in_order() {
    let (_dir, symbol) = empty_symbol();
    for id in 0..4 {
        commit(&symbol, id).unwrap();
    }
    fs::remove_dir_all(symbol.generation_dir(1)).unwrap();
    assert!(symbol.verify_all().unwrap().is_clean());
    fs::remove_dir_all(symbol.generation_dir(3)).unwrap();
    let report = symbol.verify_all().unwrap();
    let [fault] = &report.faults[..] else { panic!("{:?}", report.faults) };
    assert_eq!(fault.generation, 4);
    assert!(fault.to_string().contains("generation 3 with manifest hash"), "{fault}");
    assert!(fault.to_string().ends_with("that generation is missing"), "{fault}");
}

#[test]
fn what_a_crash_leaves_behind_disturbs_nobody() {
    let (_dir, symbol) = empty_symbol();
    let staging = symbol.dir().join(".staging-deadbeef");
    fs::create_dir_all(&staging).unwrap();
    fs::write(staging.join("weights.safetensors"), "half").unwrap();
    fs::create_dir(symbol.dir().join("0000012")).unwrap();
    fs::create_dir(symbol.dir().join("12")).unwrap();
    fs::write(symbol.dir().join("notes.txt"), "mine").unwrap();
    assert!(symbol.generations().unwrap().is_empty());
    assert!(symbol.latest().unwrap().is_none());
    assert!(symbol.verify_all().unwrap().is_clean());
    assert_eq!(commit(&symbol, 0).unwrap().generation, 1);
    assert!(names_in(&symbol).contains(&".staging-deadbeef".to_owned()), "it may be somebody's");
}

/// Opening a named pipe would wait for a writer that never comes.
#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_does_not_block_readers() {
    let (_dir, symbol) = small_generation();
    for name in ["metrics.json", "manifest.json"] {
        let path = symbol.generation_dir(1).join(name);
        fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let error = symbol.latest().unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }
}

#[test]
fn one_file_is_verified_by_itself() {
    let (_dir, symbol) = small_generation();
    let manifest = symbol.manifest(1).unwrap().unwrap();
    let path = symbol.generation_dir(1).join("metrics.json");
    assert_eq!(symbol.file(&manifest, "metrics.json").unwrap(), fs::read(&path).unwrap());
    assert_eq!(symbol.tensors(&manifest, "weights.safetensors").unwrap()["w"].1, [1.5]);
    assert!(matches!(symbol.file(&manifest, "none"), Err(StoreError::NoFile { .. })));
    let undecodable = symbol.tensors(&manifest, "metrics.json");
    assert!(matches!(undecodable, Err(StoreError::Decode { .. })), "{undecodable:?}");
    fs::write(&path, "[1,3]").unwrap();
    assert!(symbol.file(&manifest, "metrics.json").unwrap_err().is_corrupt());
    // The damage of one is none of the other.
    assert!(symbol.tensors(&manifest, "weights.safetensors").is_ok());
    fs::remove_file(&path).unwrap();
    assert!(symbol.file(&manifest, "metrics.json").unwrap_err().is_corrupt());
}
