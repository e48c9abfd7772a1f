//! Several processes: this test program starts itself again as the others.

#[cfg(unix)]
mod adversity;
#[cfg(unix)]
mod torture;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use mambafleet_artifacts::{Store, StoreError, Wait};

use crate::{PATIENT, commit, empty_store, names_in, stage};

/// Names the store to the child; without it, the child's part does nothing.
const STORE_VARIABLE: &str = "ARTIFACTS_TEST_STORE";

/// The store that this process is to work on, if it is a child.
fn given_store() -> Option<Store> {
    std::env::var_os(STORE_VARIABLE).map(|root| Store::open(root).unwrap())
}

/// Another process, which runs one of the tests here. It is killed when this is dropped.
struct Other {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Other {
    fn start(test: &str, store: &Path, variables: &[(&str, &OsStr)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("processes::{test}"), "--nocapture"])
            .env(STORE_VARIABLE, store)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Waits for a line that begins with `word`, and returns the rest of it.
    fn hear(&mut self, word: &str) -> String {
        let lines = (&mut self.output).lines().map_while(Result::ok);
        let heard =
            lines.filter_map(|line| Some(line.strip_prefix(word)?.trim().to_owned())).next();
        assert!(heard.is_some(), "it never said {word:?}: {}", self.complaints());
        heard.unwrap()
    }

    /// What it wrote to its standard error, once it has ended.
    fn complaints(&mut self) -> String {
        let mut complaints = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        complaints
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The child: stages a set, takes the lock, says so, and never lets go.
#[test]
fn child_that_holds_the_lock() {
    let Some(store) = given_store() else { return };
    let symbol = store.symbol(&"AAPL".parse().unwrap());
    let _staged = stage(&symbol, 1);
    let _held = symbol.lock(Wait::Fail).unwrap();
    println!("\nheld");
    thread::sleep(Duration::from_secs(120));
}

#[test]
fn a_killed_holder_frees_the_lock_and_leaves_nothing_visible() {
    let (_dir, store) = empty_store();
    let symbol = store.symbol(&"AAPL".parse().unwrap());
    let mut child = Other::start("child_that_holds_the_lock", store.root(), &[]);
    child.hear("held");

    let error = symbol.lock(Wait::Until(Duration::from_millis(30))).unwrap_err();
    let StoreError::LockTimeout { holder: Some(holder), .. } = error else { panic!("{error}") };
    assert_eq!(holder.writer.pid, child.child.id());

    thread::scope(|scope| {
        let waiter = scope.spawn(|| symbol.lock(PATIENT).map(|lock| lock.token()));
        thread::sleep(Duration::from_millis(30));
        child.kill();
        assert_eq!(waiter.join().unwrap().unwrap(), holder.token + 1);
    });
    assert!(symbol.latest().unwrap().is_none());
    assert_eq!(names_in(&symbol).len(), 1, "what the child staged");
    assert_eq!(commit(&symbol, 2).unwrap().generation, 1);
    assert!(symbol.verify_all().unwrap().is_clean());
}
