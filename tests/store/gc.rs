//! `gc`.

use mambafleet_artifacts::Wait;
use serde_json::json;

use super::Shelf;

impl Shelf {
    fn generations(&self, symbol: &str) -> Vec<u64> {
        self.store.symbol(&symbol.parse().unwrap()).generations().unwrap()
    }
}

#[test]
fn a_dry_run_says_would_and_does_nothing() {
    let shelf = Shelf::with_generations(5);
    let ended = shelf.sandbox.run("gc --keep 2 --min-age 0s --dry-run").expect(0);
    insta::assert_snapshot!(ended.stdout, @"
    SYMBOL  WOULD REMOVE  WOULD KEEP  WOULD FREE
    AAPL    1-3           4-5               48 B

    dry run: would remove 3 generations and free 48 B
    ");
    assert_eq!(shelf.generations("AAPL"), [1, 2, 3, 4, 5]);
    let json = shelf.sandbox.run("gc --keep 2 --min-age 0s --dry-run --format json").expect(0);
    assert_eq!(json.json()["dry_run"], true);
}

#[test]
fn old_generations_of_every_symbol_go_and_what_was_freed_is_said() {
    let shelf = Shelf::with_generations(5);
    shelf.commit("MSFT", &[("metrics.json", json!({ "loss": 1 }))]);
    let ended = shelf.sandbox.run("gc --keep 2 --min-age 0s").expect(0);
    insta::assert_snapshot!(ended.stdout, @"
    SYMBOL  REMOVED  KEPT  FREED
    AAPL    1-3      4-5    48 B
    MSFT             1       0 B

    removed 3 generations, freed 48 B
    ");
    assert_eq!(shelf.generations("AAPL"), [4, 5]);
    shelf.sandbox.run("verify --all").expect(0);
    let json = shelf.sandbox.run("gc --keep 1 --min-age 0s AAPL --format json").expect(0).json();
    assert_eq!((&json["type"], &json["dry_run"]), (&"collected".into(), &false.into()));
    assert_eq!((&json["keep"], &json["min_age_s"]), (&1.into(), &0.0.into()));
    let aapl = &json["symbols"][0];
    assert_eq!((&json["symbols"].as_array().unwrap().len(), &json["bytes"]), (&1, &16.into()));
    assert_eq!((&aapl["symbol"], &aapl["kept"]), (&"AAPL".into(), &json!([5])));
    assert_eq!(aapl["removed"][0]["generation"], 4);
    assert_eq!((&aapl["bytes"], &aapl["removed"][0]["bytes"]), (&16.into(), &16.into()));
    assert_eq!((&aapl["leftovers"], &json["failures"]), (&json!([]), &json!([])));
}

#[test]
fn what_is_young_stays_unless_another_age_is_named() {
    let shelf = Shelf::with_generations(3);
    let ended = shelf.sandbox.run("gc --keep 1").expect(0);
    assert!(ended.stdout.contains("removed 0 generations"), "{}", ended.stdout);
    assert_eq!(shelf.generations("AAPL"), [1, 2, 3]);
    std::thread::sleep(std::time::Duration::from_millis(20));
    shelf.sandbox.run("gc --keep 1 --min-age 10ms").expect(0);
    assert_eq!(shelf.generations("AAPL"), [3]);
}

#[test]
fn nothing_vanishes_while_somebody_holds_the_lock() {
    let shelf = Shelf::with_generations(3);
    shelf.commit("MSFT", &[("metrics.json", json!({ "loss": 1 }))]);
    let held = shelf.store.symbol(&"AAPL".parse().unwrap()).lock(Wait::Fail).unwrap();
    let args = "gc --keep 1 --min-age 0s --set lock.timeout=50ms";
    let ended = shelf.sandbox.run(args).expect(5);
    assert!(ended.stderr.contains("AAPL is busy"), "{}", ended.stderr);
    assert_eq!(shelf.generations("AAPL"), [1, 2, 3]);
    shelf.sandbox.run("gc --keep 1 --min-age 0s --dry-run").expect(0);
    drop(held);
    shelf.sandbox.run(args).expect(0);
    assert_eq!(shelf.generations("AAPL"), [3]);
}

#[test]
fn damaged_generations_push_out_no_intact_ones() {
    let shelf = Shelf::with_generations(4);
    shelf.damage(4, "metrics.json");
    shelf.damage(3, "metrics.json");
    shelf.sandbox.run("gc --keep 1 --min-age 0s").expect(0);
    assert_eq!(shelf.generations("AAPL"), [2, 3, 4]);
}

#[test]
fn what_is_asked_must_make_sense() {
    let shelf = Shelf::with_generations(2);
    for (args, code, said) in [
        ("gc", 2, "--keep"),
        ("gc --keep 0", 2, "--keep"),
        ("gc --keep 1 --min-age 5", 2, "a duration with its unit"),
        ("gc --keep 1 --min-age 0s MSFT", 4, "MSFT has no generation"),
        ("gc --keep 1 --min-age 0s AAPL MSFT", 4, "MSFT has no generation"),
    ] {
        let ended = shelf.sandbox.run(args).expect(code);
        assert!(ended.stderr.contains(said), "{args}: {}", ended.stderr);
    }
    assert_eq!(shelf.generations("AAPL"), [1, 2], "something was removed all the same");
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_dead_writer_left_goes_and_what_is_in_doubt_stays() {
    let shelf = Shelf::with_generations(1);
    let unknown = "mambafleet-store/symbols/AAPL/.staging-elsewhere-1/x";
    let dead = "mambafleet-store/symbols/AAPL/.trash-elsewhere-1/x";
    shelf.sandbox.write(unknown, "");
    shelf.sandbox.write(dead, "");
    let ended = shelf.sandbox.run("gc --keep 1 --dry-run").expect(0);
    assert!(ended.stdout.contains("AAPL: would remove .trash-elsewhere-1"), "{ended:?}");
    let ended = shelf.sandbox.run("gc --keep 1").expect(0);
    assert!(ended.stdout.contains("AAPL: removed .trash-elsewhere-1"), "{ended:?}");
    assert!(ended.stdout.contains("AAPL: kept .staging-elsewhere-1"), "{ended:?}");
    assert!(!shelf.sandbox.path(dead).exists() && shelf.sandbox.path(unknown).exists());
}

#[cfg(unix)]
#[test]
fn one_symbol_that_fails_costs_the_others_nothing() {
    let shelf = Shelf::with_generations(3);
    shelf.commit_many_files("MSFT");
    shelf.commit_many_files("MSFT");
    let json = "gc --keep 1 --min-age 0s --format json";
    let ended = shelf.short_of_files(json).expect(3).json();
    assert_eq!(ended["failures"][0]["symbol"], "MSFT");
    assert_eq!(ended["symbols"][0]["symbol"], "AAPL");
    assert_eq!((shelf.generations("AAPL"), shelf.generations("MSFT")), (vec![3], vec![1, 2]));
    let human = shelf.short_of_files("gc --keep 1 --min-age 0s").expect(3);
    assert!(human.stderr.contains("MSFT: cannot "), "{}", human.stderr);
}
