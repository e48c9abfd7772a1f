//! Two processes: this test program starts itself again as the other one.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use mambafleet_artifacts::{Store, StoreError, Wait};

use crate::{PATIENT, commit, empty_store, names_in, stage};

/// Names the store to the child; without it, the child's part does nothing.
const STORE_VARIABLE: &str = "ARTIFACTS_TEST_STORE";

/// The child: stages a set, takes the lock, says so, and never lets go.
#[test]
fn child_that_holds_the_lock() {
    let Some(root) = std::env::var_os(STORE_VARIABLE) else { return };
    let symbol = Store::open(root).unwrap().symbol(&"AAPL".parse().unwrap());
    let _staged = stage(&symbol, 1);
    let _held = symbol.lock(Wait::Fail).unwrap();
    println!("held");
    thread::sleep(Duration::from_secs(120));
}

/// Starts the child and returns once it holds the lock.
fn start_holder(store: &Store) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child_that_holds_the_lock", "--nocapture"])
        .env(STORE_VARIABLE, store.root())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.ends_with("held")), "no lock");
    child
}

#[test]
fn a_killed_holder_frees_the_lock_and_leaves_nothing_visible() {
    let (_dir, store) = empty_store();
    let symbol = store.symbol(&"AAPL".parse().unwrap());
    let mut child = start_holder(&store);

    let error = symbol.lock(Wait::Until(Duration::from_millis(30))).unwrap_err();
    let StoreError::LockTimeout { holder: Some(holder), .. } = error else { panic!("{error}") };
    assert_eq!(holder.writer.pid, child.id());

    thread::scope(|scope| {
        let waiter = scope.spawn(|| symbol.lock(PATIENT).map(|lock| lock.token()));
        thread::sleep(Duration::from_millis(30));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(waiter.join().unwrap().unwrap(), holder.token + 1);
    });
    assert!(symbol.latest().unwrap().is_none());
    assert_eq!(names_in(&symbol).len(), 1, "what the child staged");
    assert_eq!(commit(&symbol, 2).unwrap().generation, 1);
    assert!(symbol.verify_all().unwrap().is_clean());
}
