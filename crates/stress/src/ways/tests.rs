use std::path::Path;
use std::time::Duration;

use super::*;
use crate::Set;

const WAYS: [Way; 3] = [Way::Ours, Way::ThreeRenames, Way::Unsafe];
const PATIENT: Duration = Duration::from_secs(10);

fn symbol() -> Symbol {
    "S1".parse().unwrap()
}

fn prepared(way: Way) -> (tempfile::TempDir, Box<dyn Saver>) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("sets");
    way.prepare(&root, &[symbol()]).unwrap();
    let saver = way.open(&root, PATIENT).unwrap();
    (dir, saver)
}

fn save(saver: &dyn Saver, writer: u32) -> Receipt {
    let set = Set::new(writer, 0, 200_000).unwrap();
    let saved = saver.save(&symbol(), &set).unwrap();
    Receipt { id: set.id, worker: writer, generation: saved.generation }
}

#[expect(clippy::disallowed_methods, reason = "damages a file on purpose")]
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn every_way_gives_back_what_was_saved_last() {
    for way in WAYS {
        let (_dir, saver) = prepared(way);
        assert!(matches!(saver.load(&symbol()).unwrap(), Loaded::Absent), "{way:?}");
        let receipts = [save(&*saver, 1), save(&*saver, 2)];
        saver.settle(&symbol()).unwrap();
        let Loaded::Set(contents) = saver.load(&symbol()).unwrap() else { panic!("{way:?}") };
        assert_eq!(judge(&contents), Verdict::Whole { id: receipts[1].id.clone() });
        let checked = saver.check(&symbol(), &receipts).unwrap();
        let sets = if way == Way::Ours { 2 } else { 1 };
        assert_eq!(checked, Checked { sets, ..Checked::default() }, "{way:?}");
    }
}

#[test]
fn no_way_leaves_temporary_files() {
    for way in [Way::ThreeRenames, Way::Unsafe] {
        let (dir, saver) = prepared(way);
        save(&*saver, 1);
        let there = fs::read_dir(dir.path().join("sets/S1")).unwrap().count();
        assert_eq!(there, FILES.len(), "{way:?}");
    }
}

#[test]
fn damage_is_counted_by_readers_and_in_the_end() {
    for way in WAYS {
        let (dir, saver) = prepared(way);
        let receipt = save(&*saver, 1);
        let sets = dir.path().join("sets");
        let files = match way {
            Way::Ours => sets.join("symbols/S1/000001"),
            _ => sets.join("S1"),
        };
        damage(&files.join("weights.safetensors"));
        damage(&files.join("metrics.json"));
        let seen = match saver.load(&symbol()).unwrap() {
            Loaded::Set(contents) => matches!(judge(&contents), Verdict::Torn { .. }),
            Loaded::Damaged(_) => true,
            Loaded::Absent => false,
        };
        assert!(seen, "{way:?}");
        let lost = u64::from(way == Way::Ours);
        let checked = saver.check(&symbol(), &[receipt]).unwrap();
        assert_eq!(
            (checked.sets, checked.corrupt_files, checked.mixed_sets, checked.lost),
            (1, 2, 0, lost),
            "{way:?}: {:?}",
            checked.faults
        );
    }
}

#[test]
fn a_mixed_set_is_counted_in_the_end() {
    let (dir, saver) = prepared(Way::Unsafe);
    let (mine, theirs) = (Set::new(1, 0, 10).unwrap(), Set::new(2, 0, 10).unwrap());
    let mut mixed = mine;
    mixed.contents[1].clone_from(&theirs.contents[1]);
    saver.save(&symbol(), &mixed).unwrap();
    let checked = saver.check(&symbol(), &[]).unwrap();
    assert_eq!((checked.sets, checked.corrupt_files, checked.mixed_sets), (1, 0, 1));
    assert!(checked.faults[0].contains(&theirs.id), "{:?}", checked.faults);
    drop(dir);
}

/// A store keeps every set, so one that is gone or another's is lost.
#[test]
fn an_acknowledged_save_that_is_not_there_is_lost() {
    let (_dir, saver) = prepared(Way::Ours);
    let receipt = save(&*saver, 1);
    let elsewhere = Receipt { generation: Some(2), ..receipt.clone() };
    let another = Receipt { id: "w9".to_owned(), ..receipt.clone() };
    let checked = saver.check(&symbol(), &[receipt, elsewhere, another]).unwrap();
    assert_eq!((checked.sets, checked.lost, checked.faults.len()), (1, 2, 2));
}

#[test]
fn a_lock_that_stays_busy_is_a_time_out() {
    let dir = tempfile::tempdir().unwrap();
    Way::Ours.prepare(dir.path(), &[]).unwrap();
    let saver = Way::Ours.open(dir.path(), Duration::from_millis(20)).unwrap();
    let store = mambafleet_artifacts::Store::open(dir.path()).unwrap();
    let _held = store.symbol(&symbol()).lock(mambafleet_artifacts::Wait::Fail).unwrap();
    let set = Set::new(1, 0, 10).unwrap();
    assert!(matches!(saver.save(&symbol(), &set), Err(SaveError::Timeout(_))));
}

#[test]
fn the_times_around_the_lock_add_up() {
    let (_dir, saver) = prepared(Way::Ours);
    let set = Set::new(1, 0, 10).unwrap();
    let LockTimes { held, overhead, .. } = saver.save(&symbol(), &set).unwrap().lock.unwrap();
    assert!(overhead > Duration::ZERO && held > overhead, "{held:?} {overhead:?}");
}
