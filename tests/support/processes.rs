//! Processes that tests kill, and look for afterwards.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Running, Sandbox};

pub(crate) fn kill(pid: u64, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

pub(crate) fn kill_child(child: &Running, signal: Signal) {
    kill(u64::from(child.id()), signal);
}

/// Process ids of the newest run's workers.
pub(crate) fn workers(sandbox: &Sandbox) -> Vec<u64> {
    let events = sandbox.events();
    let started = events.iter().filter(|event| event["type"] == "worker_started");
    started.map(|event| event["pid"].as_u64().unwrap()).collect()
}

/// The state of a process, as the kernel abbreviates it.
pub(crate) fn state(pid: u64) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether a process runs: it exists and is no zombie.
fn is_alive(pid: u64) -> bool {
    state(pid).is_some_and(|state| !['Z', 'X'].contains(&state))
}

/// Fails unless all these processes are gone within two seconds.
#[track_caller]
pub(crate) fn assert_gone(pids: &[u64]) {
    let deadline = Instant::now() + Duration::from_secs(2);
    while pids.iter().any(|pid| is_alive(*pid)) {
        let left: Vec<_> = pids.iter().filter(|pid| is_alive(**pid)).collect();
        assert!(Instant::now() < deadline, "still running of {pids:?}: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Fails unless all of them run.
#[track_caller]
pub(crate) fn assert_alive(pids: &[u64]) {
    let dead: Vec<_> = pids.iter().filter(|pid| !is_alive(**pid)).collect();
    assert!(dead.is_empty(), "gone of {pids:?}: {dead:?}");
}
