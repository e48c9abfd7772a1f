//! Kills, interrupts and damage, at the real binary.

#[cfg(unix)]
mod unix {
    use std::time::Duration;

    use rustix::process::Signal;
    use serde_json::Value;

    use crate::support::Sandbox;
    use crate::support::processes::{assert_gone, kill, kill_child, workers};

    /// So many epochs that a test always finds the attempt running.
    const ENDLESS: &str = "--epochs 1000000 --set train.patience=1000000";

    fn is_progress(symbol: &str) -> impl Fn(&Value) -> bool {
        move |event| event["type"] == "progress" && event["symbol"] == symbol
    }

    #[test]
    fn a_killed_worker_costs_one_attempt_and_nothing_else() {
        let sandbox = Sandbox::new();
        let mut child = sandbox.start(
            "train --symbols AAPL,MSFT,IBM --parallel 2 --epochs 60 --set train.patience=60",
        );
        let progress = sandbox.wait_for_event(is_progress("AAPL"));
        assert_eq!(progress["epochs"], 60);
        let started =
            sandbox.wait_for_event(|e| e["type"] == "attempt_started" && e["symbol"] == "AAPL");
        kill(started["pid"].as_u64().unwrap(), Signal::KILL);
        assert_eq!(child.code(), Some(0));
        let events = sandbox.events();
        let lost: Vec<_> = events.iter().filter(|e| e["type"] == "worker_lost").collect();
        assert_eq!(lost.len(), 1);
        assert!(lost[0]["cause"].as_str().unwrap().contains("signal 9 (SIGKILL)"));
        let attempts = |symbol: &str| {
            let of = |e: &&Value| e["type"] == "attempt_started" && e["symbol"] == symbol;
            events.iter().filter(of).count()
        };
        assert_eq!((attempts("AAPL"), attempts("MSFT"), attempts("IBM")), (2, 1, 1));
        let verified = sandbox.run("verify --all --format json").expect(0).json();
        assert_eq!((&verified["symbols"], &verified["generations"]), (&3.into(), &3.into()));
    }

    #[test]
    fn a_killed_orchestrator_leaves_no_process_and_no_damage() {
        let sandbox = Sandbox::new();
        sandbox.run("train --symbols MSFT").expect(0);
        let train = "train --symbols AAPL,MSFT,IBM --parallel 3";
        let mut child = sandbox.start(&format!("{train} {ENDLESS}"));
        for symbol in ["AAPL", "MSFT", "IBM"] {
            sandbox.wait_for_event(is_progress(symbol));
        }
        let pids = workers(&sandbox);
        assert_eq!(pids.len(), 3);
        kill_child(&child, Signal::KILL);
        assert_eq!(child.code(), None);
        assert_gone(&pids);
        sandbox.run("verify --all").expect(0);
        let rest = sandbox.run(&format!("{train} --format json")).expect(0);
        assert_eq!(rest.outcome("MSFT")["outcome"], "up_to_date");
        assert_eq!(rest.outcome("AAPL")["outcome"], "trained");
        assert_eq!(rest.outcome("IBM")["outcome"], "trained");
        sandbox.run("verify --all").expect(0);
    }

    #[test]
    fn the_first_interrupt_lets_running_attempts_finish() {
        let sandbox = Sandbox::new();
        let mut child = sandbox.start(
            "train --symbols AAPL,MSFT,IBM --parallel 1 --epochs 40 --set train.patience=40",
        );
        sandbox.wait_for_event(is_progress("AAPL"));
        kill_child(&child, Signal::INT);
        assert_eq!(child.code(), Some(130));
        let events = sandbox.events();
        let summary = &events.last().unwrap()["summary"];
        let outcomes: Vec<_> =
            summary["symbols"].as_array().unwrap().iter().map(|s| s["outcome"].clone()).collect();
        assert_eq!(outcomes, ["trained", "interrupted", "interrupted"]);
        assert_gone(&workers(&sandbox));
        sandbox.run("verify --all").expect(0);
    }

    #[test]
    fn the_second_interrupt_and_the_end_of_the_grace_period_kill() {
        for (grace, signals) in [("1h", 2), ("200ms", 1)] {
            let sandbox = Sandbox::new();
            let train = format!("train --symbols AAPL,MSFT --parallel 2 {ENDLESS}");
            let mut child = sandbox.start(&format!("{train} --set run.grace={grace}"));
            sandbox.wait_for_event(is_progress("AAPL"));
            let pids = workers(&sandbox);
            kill_child(&child, Signal::TERM);
            sandbox.wait_for_event(|event| event["type"] == "draining");
            if signals == 2 {
                // Two signals at the same moment are one wish.
                std::thread::sleep(Duration::from_millis(600));
                kill_child(&child, Signal::INT);
            }
            assert_eq!(child.code(), Some(143));
            assert_gone(&pids);
            let events = sandbox.events();
            let symbols = events.last().unwrap()["summary"]["symbols"].clone();
            assert_eq!(symbols[0]["outcome"], "interrupted");
            assert_eq!(symbols[0]["started"], true);
        }
    }

    #[test]
    fn two_signals_at_the_same_moment_are_one_wish() {
        let sandbox = Sandbox::new();
        let mut child = sandbox
            .start("train --symbols AAPL,MSFT --parallel 1 --epochs 40 --set train.patience=40");
        sandbox.wait_for_event(is_progress("AAPL"));
        kill_child(&child, Signal::TERM);
        kill_child(&child, Signal::TERM);
        assert_eq!(child.code(), Some(143));
        let events = sandbox.events();
        let symbols = &events.last().unwrap()["summary"]["symbols"];
        assert_eq!(symbols[0]["outcome"], "trained");
    }

    #[test]
    fn a_record_that_vanishes_costs_no_symbol_and_no_table() {
        let sandbox = Sandbox::new();
        let mut command =
            sandbox.command("train --symbols AAPL,MSFT --epochs 40 --set train.patience=40");
        let child =
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
        let child = child.spawn().unwrap();
        sandbox.wait_for_event(is_progress("AAPL"));
        std::fs::remove_dir_all(sandbox.store().join("runs")).unwrap();
        let output = child.wait_with_output().unwrap();
        let table = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && table.contains("2 trained"), "{table}");
    }

    #[test]
    fn a_log_that_cannot_be_written_ends_nothing() {
        let sandbox = Sandbox::new();
        sandbox.run("train --symbols AAPL").expect(0);
        sandbox.write("mambafleet-store/symbols/AAPL/000001/weights.safetensors", "");
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = sandbox.command("ls");
        assert_eq!(command.stderr(full).status().unwrap().code(), Some(6));
    }

    #[test]
    fn a_worker_that_keeps_dying_fails_its_symbol_after_its_retries() {
        let sandbox = Sandbox::new();
        let mut child =
            sandbox.start(&format!("train --symbols AAPL --set run.retries=1 {ENDLESS}"));
        for attempt in 1..=2 {
            let started = sandbox.wait_for_event(|event| {
                event["type"] == "attempt_started" && event["attempt"] == attempt
            });
            kill(started["pid"].as_u64().unwrap(), Signal::ABORT);
        }
        assert_eq!(child.code(), Some(3));
        let events = sandbox.events();
        let aapl = &events.last().unwrap()["summary"]["symbols"][0];
        assert_eq!((&aapl["kind"], &aapl["attempts"]), (&"crashed".into(), &2.into()));
        assert!(aapl["cause"].as_str().unwrap().contains("SIGABRT"), "{aapl}");
        assert!(std::path::Path::new(aapl["log"].as_str().unwrap()).is_file(), "{aapl}");
    }
}

use crate::support::Sandbox;

#[test]
fn a_flipped_byte_in_any_file_is_found_and_named() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL").expect(0);
    for file in ["weights.safetensors", "metrics.json", "metadata.json", "manifest.json"] {
        let name = format!("mambafleet-store/symbols/AAPL/000001/{file}");
        let good = std::fs::read(sandbox.path(&name)).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 0x20;
        sandbox.write(&name, bad);
        let ended = sandbox.run("verify --all").expect(6);
        assert!(ended.stdout.contains(file), "{file} is not named: {}", ended.stdout);
        let json = sandbox.run("verify --all --format json").expect(6).json();
        assert_eq!(json["faults"][0]["symbol"], "AAPL");
        assert_eq!(json["faults"][0]["file"], file);
        sandbox.run("show AAPL").expect(6);
        sandbox.run("predict --symbols AAPL").expect(6);
        sandbox.write(&name, good);
    }
    sandbox.run("verify --all").expect(0);
}

#[test]
fn a_forecast_by_an_older_generation_says_so() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL").expect(0);
    sandbox.run("train --symbols AAPL --force").expect(0);
    sandbox.write("mambafleet-store/symbols/AAPL/000002/weights.safetensors", "junk");
    let json = sandbox.run("predict --symbols AAPL --format json").expect(6).json();
    let forecast = &json["forecasts"][0];
    assert_eq!(
        (&forecast["generation"], &forecast["skipped"][0]["generation"]),
        (&1.into(), &2.into())
    );
    let human = sandbox.run("predict --symbols AAPL").expect(6);
    assert!(human.stderr.contains("AAPL: forecast by generation 1, because"), "{}", human.stderr);
}

#[test]
fn a_lock_that_stays_busy_ends_with_5_and_names_its_holder() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL").expect(0);
    let store = mambafleet_artifacts::Store::open(sandbox.store()).unwrap();
    let symbol = store.symbol(&"AAPL".parse().unwrap());
    let guard = symbol.lock(mambafleet_artifacts::Wait::Fail).unwrap();
    let train = "train --symbols AAPL,MSFT --force --lock-timeout 100ms --format json";
    let ended = sandbox.run(train).expect(5);
    let aapl = ended.outcome("AAPL");
    assert_eq!((&aapl["kind"], &aapl["attempts"]), (&"lock_busy".into(), &1.into()));
    let cause = aapl["cause"].as_str().unwrap();
    assert!(cause.contains("--lock-timeout"), "{cause}");
    assert!(cause.contains(&std::process::id().to_string()), "{cause}");
    assert_eq!(ended.outcome("MSFT")["outcome"], "trained");
    drop(guard);
    sandbox.run(train).expect(0);
}

#[test]
fn a_damaged_newest_generation_falls_back_loudly() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL").expect(0);
    sandbox.run("train --symbols AAPL --force").expect(0);
    let name = "mambafleet-store/symbols/AAPL/000002/weights.safetensors";
    let mut bytes = std::fs::read(sandbox.path(name)).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    sandbox.write(name, bytes);
    let shown = sandbox.run("show AAPL --format json").expect(6);
    assert_eq!(shown.json()["manifest"]["generation"], 1);
    assert!(shown.stderr.contains("000002") || shown.stderr.contains("generation"), "{shown:?}");
    let listed = sandbox.run("ls").expect(6);
    assert!(listed.stdout.contains("newer generation damaged"), "{}", listed.stdout);
}
