//! The contention test itself: what it counts, and that it ends however its processes do.

use serde_json::Value;

use crate::support::{Ended, Sandbox};

const SMALL: &str = "--workers 3 --iterations 4 --bytes 20KB --readers 2";

/// What is left of the test's own directories.
fn left(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.path("")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("mambafleet-stress-")).collect()
}

fn counts(way: &Value) -> Vec<(&str, u64)> {
    [
        "errors",
        "timeouts",
        "torn_reads",
        "mixed_reads",
        "corrupt_files",
        "mixed_sets",
        "lost_commits",
    ]
    .map(|name| (name, way[name].as_u64().unwrap()))
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .collect()
}

#[test]
fn the_store_bears_contention() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&format!("stress {SMALL} --symbols 2 --format json")).expect(0);
    let report = ended.json();
    assert_eq!((&report["type"], &report["way"]), (&"stress".into(), &"ours".into()));
    assert_eq!((&report["commits"], &report["sets_checked"]), (&12.into(), &12.into()));
    assert_eq!(counts(&report), [], "{report:#}");
    assert!(report["reads"].as_u64().unwrap() > 0);
    assert!(report["commits_per_s"].as_f64().unwrap() > 0.0);
    let wait = &report["lock_wait_ms"];
    let [p50, p99, max] = ["p50", "p99", "max"].map(|name| wait[name].as_f64().unwrap());
    assert!(p50 <= p99 && p99 <= max, "{wait}");
    // Three workers on two symbols: each waits for half another, at the ideal.
    let [held, ideal] = [&wait["held"]["mean"], &wait["ideal"]].map(|ms| ms.as_f64().unwrap());
    assert!(held > 0.0 && (ideal - held / 2.0).abs() < 1e-9, "{wait}");
    assert_eq!(left(&sandbox), Vec::<String>::new());
    assert!(!sandbox.store().exists(), "the store itself is left alone");
}

#[test]
fn all_ways_are_compared_in_one_run() {
    let sandbox = Sandbox::new();
    let report = sandbox.run(&format!("stress {SMALL} --compare --format json")).expect(0).json();
    // How often the other ways spoil a set is chance; that they are counted alike is not.
    for way in ["three_renames", "unsafe"] {
        assert_eq!((&report[way]["way"], &report[way]["commits"]), (&way.into(), &12.into()));
        assert_eq!((&report[way]["sets_checked"], &report[way]["errors"]), (&1.into(), &0.into()));
        assert_eq!(report[way]["lock_wait_ms"], Value::Null);
    }
    let cost = |name: &str| report["costs"][name].as_f64().unwrap();
    assert!((cost("ours_to_unsafe") - cost("ours_ms") / cost("unsafe_ms")).abs() < 1e-9);
    assert!(cost("three_renames_ms") > 0.0 && cost("locking_and_hashing_share") > 0.0);

    let human =
        sandbox.run(&format!("stress {SMALL} --unsafe --dir {}", sandbox.path("").display()));
    let Ended { stdout, stderr, .. } = human.expect(0);
    let ways: Vec<&str> = stdout.lines().filter_map(|line| line.split("  ").next()).collect();
    assert_eq!(ways[..3], ["WAY", "ours", "unsafe"], "{stdout}");
    assert!(stdout.contains("12 generations verified: each whole"), "{stdout}");
    assert!(stdout.contains("ideal wait: (3 / 1 - 1) x "), "{stdout}");
    assert!(stderr.contains("working in "), "{stderr}");
    assert_eq!(left(&sandbox), Vec::<String>::new());
}

#[test]
fn wrong_arguments_say_what_to_write() {
    let sandbox = Sandbox::new();
    for (args, named) in [
        ("--workers 0", "whole number from 1"),
        ("--iterations many", "whole number from 1"),
        ("--symbols 0", "whole number from 1"),
        ("--bytes 0", "1B to 4GiB"),
        ("--bytes 5GiB", "1B to 4GiB"),
        ("--bytes 10parsecs", "300KB, 10MB or 2GiB"),
        ("--lock-timeout 5", "with its unit"),
        ("--dir no/such/place", "--dir"),
    ] {
        let ended = sandbox.run(&format!("stress {args}")).expect(2);
        assert!(ended.stderr.contains(named), "{args}: {}", ended.stderr);
    }
}

#[test]
fn lock_waits_that_are_too_long_are_time_outs_and_leave_a_whole_store() {
    let sandbox = Sandbox::new();
    let args = "stress --workers 8 --iterations 6 --bytes 1KB --readers 0 --lock-timeout 0s";
    let ended = sandbox.run(&format!("{args} --format json"));
    let report = ended.json();
    let [commits, timeouts] = ["commits", "timeouts"].map(|name| report[name].as_u64().unwrap());
    assert_eq!((commits + timeouts, &report["sets_checked"]), (48, &commits.into()), "{report:#}");
    // That somebody finds the lock taken is all but certain, and no more than that.
    if timeouts == 0 {
        ended.expect(0);
        return;
    }
    ended.expect(5);
    assert_eq!(counts(&report), [("timeouts", timeouts)], "{report:#}");
    let fault = report["faults"][0].as_str().unwrap();
    assert!(fault.starts_with("worker ") && fault.contains("busy"), "{fault}");
}

#[test]
fn what_takes_too_long_is_broken_off_and_named() {
    let sandbox = Sandbox::new();
    let args = "stress --workers 2 --iterations 1000000 --bytes 1KB --readers 1 --deadline 1s";
    let report = sandbox.run(&format!("{args} --format json")).expect(3).json();
    assert_eq!(report["errors"], 3, "{report:#}");
    let faults = report["faults"].as_array().unwrap();
    for (fault, name) in faults.iter().zip(["worker 1", "worker 2", "reader 1"]) {
        let fault = fault.as_str().unwrap();
        assert!(fault.starts_with(name) && fault.contains("1s"), "{fault}");
    }
    assert_eq!(counts(&report), [("errors", 3)], "what was acknowledged is there and whole");
    assert!(report["sets_checked"].as_u64() >= report["commits"].as_u64());
}

#[cfg(target_os = "linux")]
mod processes {
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process};

    use super::{counts, left};
    use crate::support::Sandbox;

    /// So much to do that a test always finds the processes working.
    const ENDLESS: &str = "stress --workers 3 --iterations 1000000 --bytes 1KB --readers 1";

    /// The living children of a process.
    fn children(parent: u32) -> Vec<i32> {
        let entries = std::fs::read_dir("/proc").unwrap().map_while(Result::ok);
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let is_child = |pid: &i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            let state = fields.next();
            state.is_some_and(|state| state != "Z")
                && fields.next().and_then(|ppid| ppid.parse().ok()) == Some(parent)
        };
        pids.filter(is_child).collect()
    }

    /// The members of a test, once all of them are there and something was saved.
    fn members(sandbox: &Sandbox, parent: u32, count: usize) -> Vec<i32> {
        let saved = || {
            let dir = left(sandbox).pop()?;
            sandbox.path(&dir).join("ours/symbols/S1/000001").is_dir().then_some(())
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let members = children(parent);
            if members.len() == count && saved().is_some() {
                return members;
            }
            assert!(Instant::now() < deadline, "only {members:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn kill(pid: i32, signal: Signal) {
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    fn assert_gone(members: &[i32]) {
        let alive = |pid: &&i32| {
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z "))
        };
        let deadline = Instant::now() + Duration::from_secs(3);
        while let Some(pid) = members.iter().find(alive) {
            assert!(Instant::now() < deadline, "{pid} still runs");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_killed_member_is_counted_and_named_and_nobody_waits_for_it() {
        let sandbox = Sandbox::new();
        let args = "stress --workers 3 --iterations 300 --bytes 1KB --readers 0 --format json";
        let mut command = sandbox.command(args);
        let child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let victim = members(&sandbox, child.id(), 3)[0];
        kill(victim, Signal::KILL);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(counts(&report), [("errors", 1)], "{report:#}");
        let fault = report["faults"][0].as_str().unwrap();
        assert!(fault.starts_with("worker ") && fault.contains("SIGKILL"), "{fault}");
        let commits = report["commits"].as_u64().unwrap();
        assert!((600..900).contains(&commits), "the others did all of theirs: {commits}");
    }

    #[test]
    fn the_members_of_a_killed_test_end() {
        let sandbox = Sandbox::new();
        let mut parent = sandbox.start(ENDLESS);
        let members = members(&sandbox, parent.id(), 4);
        kill(i32::try_from(parent.id()).unwrap(), Signal::KILL);
        assert_eq!(parent.code(), None);
        assert_gone(&members);
    }

    #[test]
    fn an_interrupted_test_leaves_neither_processes_nor_files() {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
            let sandbox = Sandbox::new();
            let mut parent = sandbox.start(ENDLESS);
            let members = members(&sandbox, parent.id(), 4);
            kill(i32::try_from(parent.id()).unwrap(), signal);
            assert_eq!(parent.code(), Some(code));
            assert_gone(&members);
            assert_eq!(left(&sandbox), Vec::<String>::new());
        }
    }
}
