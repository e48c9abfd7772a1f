//! `lock`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mambafleet_artifacts::{SymbolStore, Wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Shelf;
use crate::support::{Ended, Running, finish};

impl Shelf {
    fn aapl(&self) -> SymbolStore {
        self.store.symbol(&"AAPL".parse().unwrap())
    }

    /// A shell's line under AAPL's lock.
    fn under_lock(&self, line: &str) -> Command {
        let mut command = self.sandbox.command("lock AAPL -- sh -c");
        command.arg(line);
        command
    }

    fn run_under_lock(&self, line: &str) -> Ended {
        finish(&mut self.under_lock(line))
    }

    /// Starts a shell's line that prints a line once it is ready, in a process group of its own, as
    /// from a service manager, and waits until then.
    fn start_under_lock(&self, line: &str) -> Running {
        use std::os::unix::process::CommandExt;
        let mut command = self.under_lock(line);
        let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        Running::from(child)
    }

    fn is_locked(&self) -> bool {
        self.aapl().lock(Wait::Fail).is_err()
    }
}

fn signal(process: &Running, signal: Signal) {
    kill(process.id(), signal);
}

fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn the_command_runs_under_the_lock_and_knows_it() {
    let shelf = Shelf::with_generations(1);
    let line =
        "echo $MAMBAFLEET_LOCK_SYMBOL $MAMBAFLEET_LOCK_TOKEN; cd $MAMBAFLEET_SYMBOL_DIR && ls";
    let ended = shelf.run_under_lock(line).expect(0);
    // Token 1 was drawn for the generation.
    assert_eq!(ended.stdout, "AAPL 2\n000001\nlatest\n");
    let mut child = shelf.start_under_lock("echo ready; sleep 0.3");
    assert!(shelf.is_locked());
    let busy = shelf.sandbox.run("lock AAPL --lock-timeout 10ms -- true").expect(5);
    assert!(busy.stderr.contains(&format!("held by process {}", child.id())), "{}", busy.stderr);
    assert_eq!(child.code(), Some(0));
    assert!(!shelf.is_locked());
}

#[test]
fn the_command_s_end_is_passed_through() {
    let shelf = Shelf::new();
    for (line, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        shelf.run_under_lock(line).expect(code);
    }
    assert!(!shelf.is_locked());
}

#[test]
fn input_and_output_are_the_command_s_own() {
    let shelf = Shelf::new();
    let input = std::fs::File::open(shelf.sandbox.write("input", "one\ntwo\n")).unwrap();
    let ended = finish(shelf.under_lock("cat; echo three >&2").stdin(input)).expect(0);
    assert_eq!((&*ended.stdout, &*ended.stderr), ("one\ntwo\n", "three\n"));
}

#[test]
fn json_tells_how_it_went_in_the_last_line() {
    let shelf = Shelf::new();
    let run = |line: &str| {
        let mut command = shelf.sandbox.command("lock AAPL --format json --wait auto -- sh -c");
        let ended = finish(command.arg(line));
        let last: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
        assert_eq!((&last["schema"], &last["type"]), (&1.into(), &"command_ended".into()));
        assert_eq!(last["symbol"], "AAPL");
        assert!(last["held_s"].is_number() && last["lock_waited_ms"].is_number(), "{last}");
        (ended, last)
    };
    let (ended, last) = run("echo hello; exit 3");
    assert!(ended.expect(3).stdout.starts_with("hello\n"));
    assert_eq!((&last["token"], &last["exit_code"]), (&1.into(), &3.into()));
    assert_eq!(last["signal"], Value::Null);
    let (_, killed) = run("kill -HUP $$");
    assert_eq!((&killed["token"], &killed["exit_code"]), (&2.into(), &Value::Null));
    assert_eq!(killed["signal"], 1);
}

#[test]
fn a_command_that_cannot_run_is_a_mistake_of_the_call() {
    let shelf = Shelf::new();
    let file = shelf.sandbox.write("no-program", "");
    let file = file.to_str().unwrap();
    for (args, said) in [
        ("lock AAPL -- frobnicate-it --now", "cannot run frobnicate-it: "),
        (&*format!("lock AAPL -- {file}"), "cannot run "),
        ("lock AAPL", "COMMAND"),
        ("lock AAPL true", "true"),
        ("lock A?L -- true", "contains '?'"),
        ("lock AAPL --wait soon -- true", "--wait: lock.timeout: "),
    ] {
        let ended = shelf.sandbox.run(args).expect(2);
        assert!(ended.stderr.contains(said), "{args}: {}", ended.stderr);
    }
    let json = shelf.sandbox.run("lock AAPL --format json -- frobnicate-it").expect(2).json();
    assert_eq!(json["type"], "error");
    assert!(json["hint"].as_str().unwrap().contains("PATH"), "{json}");
    // What belongs to the command does not choose the form of our errors.
    let human = shelf.sandbox.run("lock AAPL --frobnicate -- true --format json").expect(2);
    assert!(human.stdout.is_empty(), "{}", human.stdout);
    assert!(!shelf.is_locked());
    shelf.sandbox.run("lock AAPL --store nowhere -- true").expect(4);
}

#[test]
fn waiters_hear_of_a_command_that_runs_long() {
    let shelf = Shelf::new();
    let mut child = shelf.start_under_lock("echo ready; sleep 20");
    let note = shelf.aapl().dir().join(".owner.json");
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut beats = std::collections::BTreeSet::new();
    while beats.len() < 2 {
        assert!(Instant::now() < deadline, "no sign of life: {beats:?}");
        std::thread::sleep(Duration::from_millis(50));
        let text = std::fs::read(&note).unwrap_or_default();
        let note: Value = serde_json::from_slice(&text).unwrap_or_default();
        beats.extend(note["beat"].as_str().map(str::to_owned));
    }
    signal(&child, Signal::TERM);
    assert_eq!(child.code(), Some(143));
}

#[test]
fn what_the_command_left_running_does_not_hold_the_lock() {
    let shelf = Shelf::new();
    let line = "sleep 60 </dev/null >/dev/null 2>&1 & echo $!";
    let ended = shelf.run_under_lock(line).expect(0);
    let left: u32 = ended.stdout.trim().parse().unwrap();
    let free = !shelf.is_locked();
    kill(left, Signal::KILL);
    assert!(free, "a process that outlived the command holds the lock");
}

#[cfg(target_os = "linux")]
#[test]
fn the_command_does_not_inherit_the_lock() {
    let shelf = Shelf::new();
    let open = shelf.run_under_lock("ls -l /proc/self/fd").expect(0).stdout;
    assert!(open.contains("/proc/") && !open.contains(".lock"), "{open}");
    // Not even when mambafleet dies without a word.
    let mut child = shelf.start_under_lock("echo ready; sleep 60 & echo $! >pid; wait");
    signal(&child, Signal::KILL);
    assert_eq!(child.code(), None);
    let freed = shelf.aapl().lock(Wait::Until(Duration::from_secs(5)));
    let pid = || std::fs::read_to_string(shelf.sandbox.path("pid")).unwrap_or_default();
    while !pid().ends_with('\n') {
        std::thread::sleep(Duration::from_millis(5));
    }
    kill(pid().trim().parse().unwrap(), Signal::KILL);
    assert!(freed.is_ok(), "{freed:?}");
}

#[test]
fn signals_are_passed_on_and_the_lock_is_held_until_the_command_is_gone() {
    for (sent, name) in [(Signal::TERM, "TERM"), (Signal::INT, "INT"), (Signal::HUP, "HUP")] {
        let shelf = Shelf::new();
        let line = format!(
            "trap 'touch asked; sleep 0.4; exit 9' {name}; echo ready; \
             for i in $(seq 500); do sleep 0.02; done"
        );
        let mut child = shelf.start_under_lock(&line);
        signal(&child, sent);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !shelf.sandbox.path("asked").exists() {
            assert!(Instant::now() < deadline, "{name} was not passed on");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(shelf.is_locked(), "{name}: the lock was let go before the command was gone");
        assert_eq!(child.code(), Some(9), "{name}");
        assert!(!shelf.is_locked());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_caller_wanted_ignored_stays_ignored() {
    let shelf = Shelf::new();
    let program = env!("CARGO_BIN_EXE_mambafleet");
    let ignored = |line: &str| {
        let line = format!("{line} exec {program} lock AAPL -- grep SigIgn /proc/self/status");
        let shown = finish(&mut shelf.sandbox.shell(&line)).expect(0).stdout;
        let mask = u64::from_str_radix(shown.split_whitespace().last().unwrap(), 16).unwrap();
        mask & 1 == 1
    };
    assert!(ignored("trap '' HUP;"), "nohup has lost its effect");
    assert!(!ignored(""));
}

#[test]
fn a_command_never_waits_for_the_lock_that_it_runs_under() {
    let shelf = Shelf::with_generations(2);
    let program = env!("CARGO_BIN_EXE_mambafleet");
    let run = |args: &str| {
        let started = Instant::now();
        let mut command = shelf.under_lock(&format!("{program} {args}"));
        let ended = finish(command.env("MAMBAFLEET_LOCK_TIMEOUT", "10s"));
        assert!(started.elapsed() < Duration::from_secs(8), "{args} waited for itself");
        ended
    };
    for args in ["rollback AAPL", "train --symbols MSFT,AAPL", "lock AAPL -- true"] {
        let ended = run(args).expect(5);
        assert!(ended.stderr.contains("hint: `mambafleet lock AAPL` holds it"), "{}", ended.stderr);
    }
    // Whatever else needs no lock, or another symbol's, works.
    run("ls").expect(0);
    run("lock MSFT -- true").expect(0);
    // The variable alone proves nothing: a process may outlive the lock.
    let mut outlived = shelf.sandbox.command("rollback AAPL");
    finish(outlived.env("MAMBAFLEET_SYMBOL_DIR", shelf.aapl().dir())).expect(0);
}
