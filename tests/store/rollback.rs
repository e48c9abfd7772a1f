//! `rollback`.

use std::time::{Duration, Instant};

use mambafleet_artifacts::Wait;

use super::Shelf;

#[test]
fn the_generation_before_comes_back_as_a_new_one() {
    let shelf = Shelf::with_generations(3);
    let ended = shelf.sandbox.run("rollback AAPL").expect(0);
    assert_eq!(
        ended.stdout,
        "AAPL: generation 4 holds the content of generation 2; before, generation 3 was the \
         newest\n"
    );
    assert_eq!(shelf.newest_loss(), 2);
    let again = shelf.sandbox.run("rollback AAPL --to 1 --format json").expect(0).json();
    assert_eq!((&again["schema"], &again["type"]), (&1.into(), &"rolled_back".into()));
    assert_eq!((&again["symbol"], &again["generation"]), (&"AAPL".into(), &5.into()));
    assert_eq!((&again["restored_from"], &again["replaced"]), (&1.into(), &4.into()));
    assert!(again["bytes"].is_u64() && again["created_at"].is_string(), "{again}");
    assert!(again["lock_waited_ms"].is_number(), "{again}");
    assert_eq!(shelf.newest_loss(), 1);
    shelf.sandbox.run("verify AAPL").expect(0);
}

#[test]
fn damaged_generations_are_stepped_over_but_never_brought_back() {
    let shelf = Shelf::with_generations(4);
    shelf.damage(4, "metrics.json");
    shelf.damage(3, "metrics.json");
    let ended = shelf.sandbox.run("rollback AAPL --format json").expect(0);
    assert_eq!(ended.json()["restored_from"], 2);
    assert!(ended.stderr.contains("damaged"), "{}", ended.stderr);
    let named = shelf.sandbox.run("rollback AAPL --to 3").expect(6);
    assert!(named.stderr.contains("generation 3 of AAPL is damaged"), "{}", named.stderr);
    assert_eq!(shelf.store.symbol(&"AAPL".parse().unwrap()).generations().unwrap().len(), 5);
}

#[test]
fn what_is_not_there_cannot_come_back() {
    let shelf = Shelf::with_generations(1);
    for (args, said) in [
        ("rollback AAPL", "AAPL has no intact generation before 1 to go back to"),
        ("rollback AAPL --to 7", "AAPL has no generation 7"),
        ("rollback MSFT", "MSFT has no generation"),
        ("rollback MSFT --to 1", "MSFT has no generation 1"),
    ] {
        let ended = shelf.sandbox.run(args).expect(4);
        assert!(ended.stderr.contains(said), "{args}: {}", ended.stderr);
    }
    assert!(!shelf.sandbox.store().join("symbols/MSFT").exists(), "it left a trace");
}

#[test]
fn a_busy_symbol_is_waited_for_as_long_as_the_flag_says() {
    let shelf = Shelf::with_generations(2);
    let aapl = shelf.store.symbol(&"AAPL".parse().unwrap());
    let guard = aapl.lock(Wait::Until(Duration::from_secs(5))).unwrap();
    let started = Instant::now();
    let ended = shelf.sandbox.run("rollback AAPL --lock-timeout 50ms").expect(5);
    assert!(started.elapsed() < Duration::from_secs(8), "it waited for longer than it was told");
    let holder = format!("process {}", std::process::id());
    assert!(ended.stderr.contains(&holder), "{}", ended.stderr);
    drop(guard);
    shelf.sandbox.run("rollback AAPL --lock-timeout 50ms").expect(0);
    shelf.sandbox.run("rollback AAPL --lock-timeout soon").expect(2);
}
