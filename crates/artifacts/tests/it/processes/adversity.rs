//! A holder of the lock that is stopped, a process that outlives one, and a process whose working
//! directory is gone.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mambafleet_artifacts::{Store, StoreError, SymbolStore, Wait};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, test_kill_process, waitpid};

use super::{Other, STORE_VARIABLE, given_store};
use crate::{PATIENT, commit, empty_store, id_of, stage};

/// The least that `Wait::Auto` waits for a sign of life.
const LEAST: Duration = Duration::from_secs(10);

fn aapl(store: &Store) -> SymbolStore {
    store.symbol(&"AAPL".parse().unwrap())
}

/// The child: takes the lock, says so, and commits what it staged once it is told to.
#[test]
fn child_that_commits_when_it_is_told_to() {
    let Some(store) = given_store() else { return };
    let symbol = aapl(&store);
    let staged = stage(&symbol, 2);
    let lock = symbol.lock(PATIENT).unwrap();
    println!("\nheld");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    println!("committed {}", staged.commit(&lock).unwrap().generation);
}

#[test]
fn a_holder_that_is_stopped_holds_up_those_who_wait_but_loses_nothing() {
    let (_dir, store) = empty_store();
    let symbol = aapl(&store);
    commit(&symbol, 1).unwrap();
    let mut holder =
        Other::start("adversity::child_that_commits_when_it_is_told_to", store.root(), &[]);
    holder.hear("held");
    let pid = Pid::from_child(&holder.child);
    kill_process(pid, Signal::STOP).unwrap();
    let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped());
    holder.child.stdin.take().unwrap().write_all(b"go on\n").unwrap();

    let times_out = |wait, least: Duration| {
        let started = Instant::now();
        let error = symbol.lock(wait).unwrap_err();
        let took = started.elapsed();
        assert!(took >= least && took < least + Duration::from_secs(20), "{wait:?}: {took:?}");
        let StoreError::LockTimeout { waited, holder: Some(named), .. } = error else {
            panic!("{error}")
        };
        assert!(waited >= least);
        assert_eq!(named.writer.pid, holder.child.id());
    };
    times_out(Wait::Fail, Duration::ZERO);
    times_out(Wait::Until(Duration::from_millis(50)), Duration::from_millis(50));
    // Holds of this lock are known to be short: ten seconds without a sign of life are enough.
    times_out(Wait::Auto, LEAST);
    assert_eq!(id_of(&symbol.latest().unwrap().unwrap()), 1, "readers do not wait");

    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let staged = stage(&symbol, 3);
            staged.commit(&symbol.lock(Wait::Auto).unwrap()).unwrap().generation
        });
        thread::sleep(Duration::from_millis(50));
        kill_process(pid, Signal::CONT).unwrap();
        assert_eq!(holder.hear("committed"), "2");
        assert_eq!(waiter.join().unwrap(), 3);
    });
    let ids = [1, 2, 3].map(|generation| id_of(&symbol.snapshot(generation).unwrap()));
    assert_eq!(ids, [1, 2, 3]);
    assert!(symbol.verify_all().unwrap().is_clean());
}

/// The child: takes the lock, starts a process of its own, and ends without letting go.
#[test]
fn child_that_is_outlived_by_its_own() {
    let Some(store) = given_store() else { return };
    let symbol = aapl(&store);
    let staged = stage(&symbol, 1);
    let lock = symbol.lock(Wait::Fail).unwrap();
    let mut sleep = Command::new("sleep");
    let sleep = sleep.arg("60").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    println!("\nstarted {}", sleep.spawn().unwrap().id());
    std::mem::forget((staged, lock));
}

#[test]
fn the_lock_is_free_when_its_holder_has_ended_though_a_process_that_it_started_has_not() {
    let (_dir, store) = empty_store();
    let symbol = aapl(&store);
    let mut holder =
        Other::start("adversity::child_that_is_outlived_by_its_own", store.root(), &[]);
    let grandchild: i32 = holder.hear("started").parse().unwrap();
    let grandchild = Pid::from_raw(grandchild).unwrap();
    assert!(holder.child.wait().unwrap().success(), "{}", holder.complaints());

    // A new process closes what it must not inherit a moment after its parent goes on.
    let lock = symbol.lock(Wait::Until(LEAST));
    let inherited = inherited_from(store.root(), grandchild);
    let outlives = test_kill_process(grandchild);
    kill_process(grandchild, Signal::KILL).unwrap();
    assert_eq!((outlives, inherited), (Ok(()), Vec::<String>::new()));
    assert_eq!(lock.unwrap().token(), 2);
    assert_eq!(commit(&symbol, 2).unwrap().generation, 1);
}

/// The files below `root` that a process has open, where the system shows them.
fn inherited_from(root: &Path, process: Pid) -> Vec<String> {
    let open = std::fs::read_dir(format!("/proc/{}/fd", process.as_raw_nonzero()));
    let targets = open.into_iter().flatten().map_while(Result::ok).filter_map(|entry| {
        let target = std::fs::read_link(entry.path()).ok()?;
        target.starts_with(root).then(|| target.display().to_string())
    });
    targets.collect()
}

/// The child: works on a store after its working directory was removed.
#[test]
fn child_whose_working_directory_is_removed() {
    let Some(root) = std::env::var_os(STORE_VARIABLE) else { return };
    let gone = tempfile::tempdir().unwrap();
    std::env::set_current_dir(gone.path()).unwrap();
    gone.close().unwrap();

    let store = Store::open_or_create(root).unwrap();
    let symbol = aapl(&store);
    assert_eq!(commit(&symbol, 7).unwrap().generation, 1);
    assert_eq!(id_of(&symbol.latest().unwrap().unwrap()), 7);
    assert!(symbol.verify_all().unwrap().is_clean());

    let error = Store::open_or_create("relative").unwrap_err();
    assert_eq!(error.to_string(), "cannot find the working directory for relative");
    let error = Store::open("relative").unwrap_err();
    assert_eq!(error.to_string(), "relative is not a store: it has no store.json");
    println!("\nworked");
}

#[test]
fn a_process_whose_working_directory_is_gone_needs_an_absolute_path_and_nothing_else() {
    let (dir, _store) = empty_store();
    let root = dir.path().join("another");
    let mut child = Other::start("adversity::child_whose_working_directory_is_removed", &root, &[]);
    child.hear("worked");
    assert!(child.child.wait().unwrap().success());
    let latest = aapl(&Store::open(root).unwrap()).latest().unwrap().unwrap();
    assert_eq!(id_of(&latest), 7);
}
