//! The lock of a symbol, between threads.
#![expect(clippy::disallowed_methods, reason = "tests write damage in place")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mambafleet_artifacts::{StoreError, Wait};

use crate::{PATIENT, commit, empty_store, empty_symbol};

#[test]
fn a_time_out_names_everything_that_helps() {
    let (_dir, symbol) = empty_symbol();
    let held = symbol.lock(Wait::Fail).unwrap();
    let patience = Duration::from_millis(60);
    let started = Instant::now();
    let error = symbol.lock(Wait::Until(patience)).unwrap_err();
    let took = started.elapsed();
    assert!(took >= patience && took < Duration::from_secs(20), "{took:?}");
    assert!(error.is_lock_timeout() && !error.is_corrupt());
    let text = error.to_string();
    let StoreError::LockTimeout { waited, holder, path, .. } = error else { panic!("{text}") };
    assert!(waited >= patience);
    let holder = holder.unwrap();
    assert_eq!((holder.writer.pid, holder.token), (std::process::id(), held.token()));
    assert_eq!(path, held.path());
    let pid = format!("process {} on ", std::process::id());
    let parts = ["AAPL is busy", ".lock", "lock.timeout", "--lock-timeout", "ms", &pid];
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn not_waiting_fails_at_once_also_when_nothing_is_known_of_the_holder() {
    let (_dir, symbol) = empty_symbol();
    let held = symbol.lock(Wait::Fail).unwrap();
    std::fs::write(symbol.dir().join(".owner.json"), "{ torn").unwrap();
    let error = symbol.lock(Wait::Fail).unwrap_err();
    assert!(matches!(error, StoreError::LockTimeout { holder: None, .. }));
    assert!(error.to_string().contains("an unknown process"), "{error}");
    drop(held);
    assert!(symbol.lock(Wait::Fail).is_ok());
}

#[test]
fn a_waiter_gets_the_lock_as_soon_as_it_is_dropped() {
    let (_dir, symbol) = empty_symbol();
    let held = symbol.lock(Wait::Fail).unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| symbol.lock(PATIENT).unwrap().waited());
        thread::sleep(Duration::from_millis(50));
        assert!(!waiter.is_finished(), "two holders");
        drop(held);
        let waited = waiter.join().unwrap();
        assert!(waited < Duration::from_secs(20), "{waited:?}");
    });
}

#[test]
fn only_one_thread_holds_the_lock_and_tokens_rise() {
    let (_dir, symbol) = empty_symbol();
    let inside = AtomicU32::new(0);
    let take = |_| {
        let lock = symbol.lock(PATIENT).unwrap();
        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
        thread::sleep(Duration::from_millis(2));
        inside.fetch_sub(1, Ordering::SeqCst);
        lock.token()
    };
    let take_five = || (0..5).map(take).collect::<Vec<_>>();
    let mut tokens: Vec<u64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(take_five)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    tokens.sort_unstable();
    assert_eq!(tokens, (1..=30).collect::<Vec<_>>());
}

#[test]
fn symbols_do_not_wait_for_each_other() {
    let (_dir, store) = empty_store();
    let [a, b] = ["A", "B"].map(|s| store.symbol(&s.parse().unwrap()));
    let _held = a.lock(Wait::Fail).unwrap();
    assert!(b.lock(Wait::Fail).is_ok());
}

#[test]
fn the_lock_file_stays_and_stays_empty() {
    let (_dir, symbol) = empty_symbol();
    for id in 0..3 {
        commit(&symbol, id).unwrap();
        assert_eq!(std::fs::metadata(symbol.dir().join(".lock")).unwrap().len(), 0);
    }
}

/// A holder whose lock was lost (here: somebody deleted the lock file) must not overtake the one
/// that came after it.
#[cfg(unix)]
#[test]
fn a_holder_that_lost_its_lock_is_fenced_off() {
    let (_dir, symbol) = empty_symbol();
    let lost = symbol.lock(Wait::Fail).unwrap();
    std::fs::remove_file(symbol.dir().join(".lock")).unwrap();
    let later = commit(&symbol, 1).unwrap();
    assert!(later.lock_token > lost.token());
    let error = crate::stage(&symbol, 2).commit(&lost).unwrap_err();
    let StoreError::Fenced { generation: 1, found, token, .. } = error else { panic!("{error}") };
    assert_eq!((found, token), (later.lock_token, lost.token()));
    assert_eq!(crate::names_in(&symbol), ["000001"]);
}

#[test]
fn tokens_rise_also_when_the_owner_file_is_lost() {
    let (_dir, symbol) = empty_symbol();
    let first = commit(&symbol, 1).unwrap().lock_token;
    std::fs::remove_file(symbol.dir().join(".owner.json")).unwrap();
    let second = symbol.lock(Wait::Fail).unwrap().token();
    assert!(second > first);
    assert!(symbol.lock(Wait::Until(Duration::ZERO)).unwrap().token() > second);
}
