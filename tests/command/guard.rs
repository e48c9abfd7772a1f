//! Nothing that a program is or has started outlives whoever wanted its result.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::sandbox;
use crate::support::Sandbox;
use crate::support::processes::{assert_alive, assert_gone, kill, kill_child, workers};

/// A program that starts another one, and takes no notice of anything from then on. `{WHEN}` is the
/// request that it does so at.
const DEAF: &str = r#"
import json, os, signal, subprocess, sys, time
def say(kind, **more):
    print(json.dumps({"mambafleet": 1, "type": kind, **more}), flush=True)
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
say("hello")
request = json.loads(sys.stdin.readline())
if request["type"] == "train" != "{WHEN}":
    weights = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    with open(request["weights"], "wb") as file:
        file.write(len(weights).to_bytes(8, "little") + weights + bytes(4))
    say("done")
    sys.exit(0)
grandchild = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
with open("running.new", "w") as file:
    print(os.getpid(), grandchild.pid, os.getppid(), os.path.dirname(request["weights"]), file=file)
os.rename("running.new", "running")
while True:
    time.sleep(600)
"#;

/// A deaf program that runs.
struct Deaf {
    program: u64,
    grandchild: u64,
    guard: u64,
    staging: PathBuf,
}

impl Deaf {
    /// Waits until it runs.
    fn of(sandbox: &Sandbox) -> Self {
        let deadline = Instant::now() + Duration::from_secs(60);
        let path = sandbox.path("running");
        while !path.exists() {
            assert!(Instant::now() < deadline, "the program never got to it");
            std::thread::sleep(Duration::from_millis(5));
        }
        let text = fs::read_to_string(path).unwrap();
        let words: Vec<_> = text.split_whitespace().collect();
        let pid = |index: usize| words[index].parse().unwrap();
        let deaf =
            Self { program: pid(0), grandchild: pid(1), guard: pid(2), staging: words[3].into() };
        assert_alive(&[deaf.program, deaf.grandchild, deaf.guard]);
        assert!(deaf.staging.is_dir());
        deaf
    }

    #[track_caller]
    fn assert_gone(&self) {
        assert_gone(&[self.program, self.grandchild, self.guard]);
        assert!(!self.staging.exists(), "{} was left", self.staging.display());
    }
}

const TRAIN: &str = "train --symbols AAPL --set run.retries=0";

fn deaf(when: &str) -> Option<Sandbox> {
    sandbox(&DEAF.replace("{WHEN}", when))
}

#[test]
fn a_killed_worker_takes_its_program_along() {
    for when in ["train", "predict"] {
        let Some(sandbox) = deaf(when) else { return };
        let mut child = sandbox.start(TRAIN);
        let deaf = Deaf::of(&sandbox);
        kill(workers(&sandbox)[0], Signal::KILL);
        deaf.assert_gone();
        assert_eq!(child.code(), Some(3));
    }
}

#[test]
fn a_killed_orchestrator_takes_its_programs_along() {
    for when in ["train", "predict"] {
        let Some(sandbox) = deaf(when) else { return };
        let child = sandbox.start(TRAIN);
        let deaf = Deaf::of(&sandbox);
        let workers = workers(&sandbox);
        kill_child(&child, Signal::KILL);
        deaf.assert_gone();
        assert_gone(&workers);
    }
}

#[test]
fn the_end_of_the_grace_period_ends_programs() {
    let Some(sandbox) = deaf("train") else { return };
    let mut child = sandbox.start(&format!("{TRAIN} --set run.grace=100ms"));
    let deaf = Deaf::of(&sandbox);
    kill_child(&child, Signal::INT);
    assert_eq!(child.code(), Some(130));
    deaf.assert_gone();
    assert_gone(&workers(&sandbox));
    let events = sandbox.events();
    let symbols = &events.last().unwrap()["summary"]["symbols"];
    assert_eq!(symbols[0]["outcome"], "interrupted");
}

#[test]
fn an_interrupted_forecast_ends_its_program() {
    let Some(sandbox) = sandbox(super::LINEAR) else { return };
    sandbox.run(TRAIN).expect(0);
    sandbox.write("train.py", DEAF.replace("{WHEN}", "predict"));
    let mut child = sandbox.start("predict --symbols AAPL");
    let deaf = Deaf::of(&sandbox);
    kill_child(&child, Signal::INT);
    assert_eq!(child.code(), None);
    deaf.assert_gone();
}

#[test]
fn a_killed_guard_costs_one_attempt() {
    let Some(sandbox) = deaf("train") else { return };
    let mut child = sandbox.start(TRAIN);
    let deaf = Deaf::of(&sandbox);
    kill(deaf.guard, Signal::KILL);
    deaf.assert_gone();
    assert_eq!(child.code(), Some(3));
    let events = sandbox.events();
    let aapl = &events.last().unwrap()["summary"]["symbols"][0];
    assert_eq!(aapl["kind"], "crashed");
    assert!(aapl["cause"].as_str().unwrap().contains("guard died"), "{aapl}");
}

/// As `killall -9 mambafleet` does.
#[cfg(target_os = "linux")]
#[test]
fn a_program_does_not_outlive_its_guard() {
    let Some(sandbox) = deaf("train") else { return };
    let child = sandbox.start(TRAIN);
    let deaf = Deaf::of(&sandbox);
    let worker = workers(&sandbox)[0];
    // A stopped worker does nothing about it.
    kill(worker, Signal::STOP);
    kill(deaf.guard, Signal::KILL);
    assert_gone(&[deaf.program]);
    kill_child(&child, Signal::KILL);
    kill(worker, Signal::KILL);
    kill(deaf.grandchild, Signal::KILL);
    fs::remove_dir_all(&deaf.staging).unwrap();
}
