//! Runs that nobody watches: failures of every kind, limits, deadlines, resuming.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::processes::kill_child;
use crate::support::{Running, Sandbox, finish};

/// A call that has the backend which fails by the name of the symbol.
fn faulty(sandbox: &Sandbox, args: &str) -> Command {
    let mut command = sandbox.command(args);
    command.env("MAMBAFLEET_TEST_BACKENDS", "1");
    command
}

/// Starts such a call in the background.
fn start(sandbox: &Sandbox, args: &str) -> Running {
    let mut command = faulty(sandbox, args);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap().into()
}

/// Processes whose working directory is the sandbox.
fn left_running(sandbox: &Sandbox) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let here = sandbox.path("").canonicalize().unwrap();
    processes.filter(|proc| std::fs::read_link(proc.join("cwd")).is_ok_and(|d| d == here)).collect()
}

/// Fails unless nothing runs in the sandbox within two seconds.
fn assert_gone(sandbox: &Sandbox) {
    let deadline = Instant::now() + Duration::from_secs(2);
    while !left_running(sandbox).is_empty() {
        assert!(Instant::now() < deadline, "still running: {:?}", left_running(sandbox));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Fails unless nothing runs any more and no staging directory is left.
fn assert_clean(sandbox: &Sandbox) {
    assert_gone(sandbox);
    let symbols = std::fs::read_dir(sandbox.store().join("symbols")).unwrap();
    let entries = symbols.flat_map(|symbol| std::fs::read_dir(symbol.unwrap().path()).unwrap());
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let staging: Vec<_> = names.filter(|name| name.starts_with(".staging")).collect();
    assert!(staging.is_empty(), "{staging:?}");
}

/// Which symbols ended in which way, in the order of their names.
fn outcomes(summary: &Value, label: &str) -> Vec<String> {
    let symbols = summary["symbols"].as_array().unwrap().iter();
    let of_label = symbols.filter(|symbol| symbol["outcome"] == label);
    let mut names: Vec<_> =
        of_label.map(|symbol| symbol["symbol"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn each_bad_symbol_fails_in_its_own_way_and_costs_no_other_one() {
    let sandbox = Sandbox::new();
    let good: Vec<String> = (1..=14).map(|n| format!("GOOD{n}")).collect();
    let bad = "ERROR,DIES,HANGS,SLEEPS,EATS,RUBBISH";
    let train = format!(
        "train --symbols {bad},{} --parallel 4 --backend faulty --format json --set run.retries=1 \
         --set run.stall_timeout=2s --set run.timeout=12s --set run.memory_limit=400MiB",
        good.join(",")
    );
    let ended = finish(&mut faulty(&sandbox, &train)).expect(3);
    for (symbol, kind, cause, attempts) in [
        ("ERROR", "backend", "this symbol is to fail", 1),
        ("DIES", "crashed", "SIGKILL", 2),
        ("HANGS", "stalled", "silent for 2 s", 2),
        ("SLEEPS", "timed_out", "longer than 12 s", 1),
        ("EATS", "out_of_memory", "may take 400 MiB", 2),
        ("RUBBISH", "protocol", "no messages", 2),
    ] {
        let outcome = ended.outcome(symbol);
        assert_eq!((&outcome["outcome"], &outcome["kind"]), (&"failed".into(), &kind.into()));
        assert!(outcome["cause"].as_str().unwrap().contains(cause), "{cause}: {outcome}");
        assert_eq!(outcome["attempts"], attempts, "{outcome}");
        assert!(Path::new(outcome["log"].as_str().unwrap()).is_file(), "{outcome}");
    }
    let mut good = good;
    good.sort();
    assert_eq!(outcomes(&ended.summary(), "trained"), good);
    assert_clean(&sandbox);
    sandbox.run("verify --all").expect(0);
    for symbol in &good {
        let lock = format!("lock {symbol} --lock-timeout 0s -- true");
        sandbox.run(&lock).expect(0);
    }
}

#[test]
fn a_symbol_whose_disk_is_full_fails_alone() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols SEED").expect(0);
    let full = sandbox.store().join("symbols/FULL");
    std::fs::create_dir(&full).unwrap();
    // A file system of its own, in a mount namespace that ends with the shell.
    let mount = "mount -t tmpfs -o size=64k tmpfs mambafleet-store/symbols/FULL";
    let namespace = |line: String| {
        let mut command = sandbox.shell(&format!("exec unshare -rm sh -c '{line}'"));
        finish(&mut command)
    };
    if namespace(mount.to_owned()).code != Some(0) {
        println!("skipped: no file system can be mounted here");
        return;
    }
    let train = "train --symbols FULL,GOOD --set run.retries=0 --format json";
    let program = env!("CARGO_BIN_EXE_mambafleet");
    let ended = namespace(format!("{mount} && exec {program} {train}")).expect(3);
    let outcome = ended.outcome("FULL");
    assert_eq!(outcome["kind"], "store", "{outcome}");
    let cause = outcome["cause"].as_str().unwrap();
    assert!(cause.contains("no room in"), "{cause}");
    assert_eq!(ended.outcome("GOOD")["outcome"], "trained");
    assert_clean(&sandbox);
}

#[test]
fn what_diverges_is_tried_with_a_lower_learning_rate_if_asked_for() {
    let sandbox = Sandbox::new();
    let train = "train --symbols DIVERGES --backend faulty --format json";
    let ended = finish(&mut faulty(&sandbox, train)).expect(3);
    let outcome = ended.outcome("DIVERGES");
    assert_eq!((&outcome["kind"], &outcome["attempts"]), (&"diverged".into(), &1.into()));
    let more = format!("{train} --set retries.diverged=2 --set train.learning_rate=0.0003");
    let ended = finish(&mut faulty(&sandbox, &more)).expect(0);
    assert_eq!(ended.outcome("DIVERGES")["attempts"], 3);
    let metadata: Value =
        serde_json::from_slice(&sandbox.newest("DIVERGES", "metadata.json")).unwrap();
    assert_eq!(metadata["train"]["learning_rate"], 0.0003 / 4.0);
    // What was asked for has not changed, so neither does the model.
    let again = finish(&mut faulty(&sandbox, &more)).expect(0);
    assert_eq!(again.outcome("DIVERGES")["outcome"], "up_to_date");
}

#[test]
fn an_interrupted_run_is_resumed_where_it_was() {
    let sandbox = Sandbox::new();
    sandbox.run("train --resume").expect(4);
    let train = "train --symbols A,B,C,SLEEPS,D --parallel 1 --backend faulty --force \
                 --set run.grace=200ms";
    let mut child = start(&sandbox, train);
    sandbox.wait_for_event(|e| e["type"] == "attempt_started" && e["symbol"] == "SLEEPS");
    kill_child(&child, Signal::INT);
    assert_eq!(child.code(), Some(130));
    assert_clean(&sandbox);
    // It goes on with the settings of the run, whatever the configuration says by now.
    let resume = "train --resume --epochs 3 --format json";
    assert_eq!(sandbox.run(resume).code, Some(2));
    let resume = "train --resume --format json --set train.epochs=1 --set run.timeout=500ms";
    let ended = finish(&mut faulty(&sandbox, resume)).expect(3);
    assert_eq!(outcomes(&ended.summary(), "up_to_date"), ["A", "B", "C"]);
    assert_eq!(outcomes(&ended.summary(), "trained"), ["D"]);
    assert_eq!(ended.outcome("D")["headline"]["epochs"], 2);
    assert_eq!(ended.outcome("SLEEPS")["kind"], "timed_out");
    // The newest unfinished run is now that one, and what both have committed stays.
    let ended = finish(&mut faulty(&sandbox, resume)).expect(3);
    assert_eq!(outcomes(&ended.summary(), "up_to_date"), ["A", "B", "C", "D"]);
    let listed = sandbox.run("ls --format json").expect(0).json();
    let generations = listed["symbols"].as_array().unwrap().iter().map(|s| s["generation"].clone());
    assert!(generations.clone().all(|generation| generation == 1), "{listed}");
    assert_eq!(generations.count(), 4);
}

#[test]
fn a_run_killed_at_any_moment_is_resumed_without_loss() {
    let sandbox = Sandbox::new();
    let symbols = ["A", "B", "C", "D", "E", "F"];
    let kills = std::env::var("MAMBAFLEET_TEST_KILLS").map_or(8, |kills| kills.parse().unwrap());
    let mut resumed = 0;
    for kill in 0..kills {
        let train = format!("train --symbols {} --parallel 3 --force", symbols.join(","));
        let mut child = sandbox.start(&train);
        // Another moment each time, from before the first worker to after the last commit.
        std::thread::sleep(Duration::from_millis(5 + (kill * 37) % 450));
        kill_child(&child, Signal::KILL);
        child.code();
        // A worker may still be in the middle of a commit.
        assert_gone(&sandbox);
        let before = generations(&sandbox);
        let ended = sandbox.run("train --resume --format json");
        if ended.code == Some(4) {
            // It had not begun, or had ended.
            continue;
        }
        resumed += 1;
        let ended = ended.expect(0);
        let (done, trained) =
            (outcomes(&ended.summary(), "up_to_date"), outcomes(&ended.summary(), "trained"));
        assert_eq!(done.len() + trained.len(), symbols.len(), "{:?}", ended.summary());
        for (symbol, before) in &before {
            let more = u64::from(trained.contains(symbol));
            let after = generations(&sandbox);
            let after = after.iter().find(|(name, _)| name == symbol).unwrap().1;
            assert_eq!(after, before + more, "{symbol} after kill {kill}");
        }
    }
    sandbox.run("verify --all").expect(0);
    assert_clean(&sandbox);
    println!("killed {kills} times, {resumed} of them in the middle of a run, which was resumed");
}

/// The newest generation of each symbol.
fn generations(sandbox: &Sandbox) -> Vec<(String, u64)> {
    let listed = sandbox.run("ls --format json");
    let rows = listed.json()["symbols"].as_array().cloned().unwrap_or_default();
    let pair = |row: &Value| {
        Some((row["symbol"].as_str()?.to_owned(), row["generation"].as_u64().unwrap_or_default()))
    };
    rows.iter().filter_map(pair).collect()
}

#[test]
fn what_the_deadline_leaves_is_named_and_comes_first_the_next_time() {
    let sandbox = Sandbox::new();
    let train = "train --symbols A,B,SLEEPS,C --parallel 1 --backend faulty --format json";
    let late = format!("{train} --deadline 1s --set run.timeout=1500ms");
    let ended = finish(&mut faulty(&sandbox, &late)).expect(7);
    assert_eq!(ended.outcome("SLEEPS")["kind"], "timed_out");
    assert_eq!(outcomes(&ended.summary(), "skipped"), ["C"]);
    assert_eq!(ended.outcome("C")["reason"], "deadline");
    assert!(ended.outcome("C")["why"].as_str().unwrap().contains("deadline"));
    // Nobody knows how long it takes: it comes before those that are known.
    let again = format!("{train} --set run.timeout=500ms --force");
    let ended = finish(&mut faulty(&sandbox, &again)).expect(3);
    let started = ended.lines().into_iter().filter(|event| event["type"] == "attempt_started");
    let order: Vec<_> = started.map(|event| event["symbol"].clone()).collect();
    assert_eq!(order[..2], ["SLEEPS", "C"], "{order:?}");
    let human = late.replace("--format json", "--force");
    let human = finish(&mut faulty(&sandbox, &human)).expect(7);
    assert!(human.stdout.contains("C skipped: the deadline came first"), "{}", human.stdout);
    sandbox.run(&format!("{train} --deadline 6").replace("faulty", "native")).expect(2);
}

#[test]
fn what_is_current_needs_no_time_before_the_deadline() {
    let sandbox = Sandbox::new();
    let train = "train --symbols DAWDLES --parallel 1 --backend faulty --format json";
    finish(&mut faulty(&sandbox, train)).expect(0);
    // There is no time to train it, and no need.
    let late = format!("{train} --deadline 2s");
    let ended = finish(&mut faulty(&sandbox, &late)).expect(0);
    assert_eq!(ended.outcome("DAWDLES")["outcome"], "up_to_date");
    let ended = finish(&mut faulty(&sandbox, &format!("{late} --seed 9"))).expect(7);
    let outcome = ended.outcome("DAWDLES");
    assert_eq!((&outcome["reason"], &outcome["attempts"]), (&"deadline".into(), &0.into()));
    assert!(outcome["why"].as_str().unwrap().contains("the last time"), "{outcome}");
}

#[test]
fn what_another_run_has_trained_meanwhile_is_not_committed_twice() {
    let sandbox = Sandbox::new();
    let train = |symbols: &str| {
        let train = format!("train --symbols {symbols} --backend faulty --format json");
        faulty(&sandbox, &train)
    };
    // Both find nothing, and train the same.
    let summaries = std::thread::scope(|scope| {
        let runs = ["DAWDLES", "DAWDLES,OTHER"];
        let runs = runs.map(|symbols| scope.spawn(move || finish(&mut train(symbols)).expect(0)));
        runs.map(|run| run.join().unwrap().outcome("DAWDLES"))
    });
    let mut outcomes = summaries.map(|outcome| outcome["outcome"].as_str().unwrap().to_owned());
    outcomes.sort();
    assert_eq!(outcomes, ["trained", "up_to_date"]);
    assert_eq!(sandbox.run("ls --format json").expect(0).json()["symbols"][0]["generations"], 1);
}

#[test]
fn what_is_missing_is_told_with_how_old_the_last_good_one_is() {
    let sandbox = Sandbox::new();
    sandbox.run("data synth prices --symbols OLD,GOOD").expect(0);
    sandbox.run("data synth elsewhere --symbols OLD,GOOD,NEW").expect(0);
    // The same symbols with and without prices.
    let train = |data: &str, symbols: &str| {
        let train = format!("train --data {data} --symbols {symbols}");
        let mut command = sandbox.command(&train);
        finish(command.args(["--format", "json"]))
    };
    let good = train("elsewhere", "OLD,GOOD").expect(0).summary();
    assert_eq!(good["last_successful_run"]["run"], good["run"]);
    assert_eq!(good["last_successful_run"]["finished_at"], good["finished_at"]);
    let created = sandbox.newest("OLD", "manifest.json");
    let created: Value = serde_json::from_slice(&created).unwrap();
    std::fs::remove_file(sandbox.path("prices/OLD.csv")).unwrap();

    // Other symbols are another matter, and so is a run that was killed.
    train("elsewhere", "NEW").expect(0);
    std::fs::create_dir(sandbox.store().join("runs/20991231-235959-999-ffff")).unwrap();
    for _ in 0..2 {
        let ended = train("prices", "GOOD,OLD").expect(3);
        assert_eq!(ended.outcome("OLD")["last_success"], created["created_at"]);
        assert_eq!(ended.summary()["last_successful_run"], good["last_successful_run"]);
        let good = ended.outcome("GOOD");
        assert_eq!(
            (&good["outcome"], &good["attempt_seconds"].is_f64()),
            (&"up_to_date".into(), &true)
        );
        assert!(
            good["last_success"].as_str().unwrap()
                < ended.summary()["started_at"].as_str().unwrap()
        );
    }
    let ended = train("prices", "GOOD,NEWER").expect(3);
    assert_eq!(ended.outcome("NEWER")["last_success"], Value::Null);
    assert_eq!(ended.summary()["last_successful_run"], Value::Null);

    let human = |symbols: &str| {
        let mut command = sandbox.command(&format!("train --data prices --symbols {symbols}"));
        finish(command.env("TZ", "UTC")).expect(3).stdout
    };
    let minute = |moment: &Value| moment.as_str().unwrap()[..16].replace('T', " ");
    let shown = human("GOOD,OLD");
    let line = format!("\n  last trained {}\n", minute(&created["created_at"]));
    assert!(shown.contains(&line), "{line} is missing: {shown}");
    let last = minute(&good["finished_at"]);
    let line = format!("\nlast time that all of these symbols went well: {last} (");
    assert!(shown.contains(&line), "{line} is missing: {shown}");
    let shown = human("GOOD,NEWER");
    assert!(shown.contains("\n  never trained before\n"), "{shown}");
    assert!(
        shown.contains("\nnot all of these symbols have ever gone well in one run\n"),
        "{shown}"
    );
}

#[test]
fn going_back_to_an_old_generation_makes_it_no_younger() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols A").expect(0);
    let created = |bytes: Vec<u8>| -> Value {
        serde_json::from_slice::<Value>(&bytes).unwrap()["created_at"].clone()
    };
    let first = created(sandbox.newest("A", "manifest.json"));
    sandbox.run("train --symbols A --force").expect(0);
    // Twice: the third has the content of the first, and the fourth that of the third.
    sandbox.run("rollback A --to 1").expect(0);
    sandbox.run("rollback A --to 3").expect(0);
    let ended = sandbox.run("train --symbols A --force --deadline 1ms --format json").expect(7);
    assert_eq!(ended.outcome("A")["last_success"], first);
    sandbox.run("gc --keep 1 --min-age 0s").expect(0);
    let ended = sandbox.run("train --symbols A --force --deadline 1ms --format json").expect(7);
    assert_eq!(ended.outcome("A")["last_success"], created(sandbox.newest("A", "manifest.json")));
}

#[test]
fn the_time_of_all_attempts_is_told() {
    let sandbox = Sandbox::new();
    let train = "train --symbols SLEEPS,DIES --backend faulty --format json --set run.timeout=700ms \
                 --set retries.timed_out=1";
    let ended = finish(&mut faulty(&sandbox, train)).expect(3);
    let seconds = |symbol| ended.outcome(symbol)["attempt_seconds"].as_f64().unwrap();
    assert!((1.4..10.0).contains(&seconds("SLEEPS")), "{:?}", ended.summary());
    assert!(seconds("DIES") > 0.0, "{:?}", ended.summary());
}

#[test]
fn a_hopeless_run_ends_early() {
    let sandbox = Sandbox::new();
    let train = "train --symbols ERROR,A,B --parallel 1 --backend faulty --format json";
    let ended = finish(&mut faulty(&sandbox, &format!("{train} --max-failures 1"))).expect(3);
    assert_eq!(outcomes(&ended.summary(), "skipped"), ["A", "B"]);
    assert_eq!(ended.outcome("A")["reason"], "too_many_failures");
    let ended = finish(&mut faulty(&sandbox, &format!("{train} --keep-going"))).expect(3);
    assert_eq!(outcomes(&ended.summary(), "trained"), ["A", "B"]);
}

#[test]
fn a_second_run_of_the_same_symbols_is_refused_or_waits() {
    let sandbox = Sandbox::new();
    let mut child = start(&sandbox, "train --symbols A,SLEEPS --parallel 2 --backend faulty");
    sandbox.wait_for_event(|e| e["type"] == "attempt_started" && e["symbol"] == "SLEEPS");
    let second = "train --symbols SLEEPS,A";
    let busy = sandbox.run(second).expect(5);
    assert!(busy.stderr.contains(&child.id().to_string()), "{}", busy.stderr);
    assert!(busy.stderr.contains("--wait"), "{}", busy.stderr);
    sandbox.run("train --symbols A").expect(0);
    let mut waiting = sandbox.start(&format!("{second} --wait"));
    std::thread::sleep(Duration::from_millis(300));
    kill_child(&child, Signal::KILL);
    child.code();
    assert_eq!(waiting.code(), Some(0));
}

#[test]
fn a_run_says_what_it_is_doing_when_asked_and_sleeps_when_told() {
    let sandbox = Sandbox::new();
    let args = "train --symbols SLEEPS --backend faulty --set run.timeout=2s";
    let mut child = start(&sandbox, args);
    sandbox.wait_for_event(|e| e["type"] == "attempt_started");
    kill_child(&child, Signal::USR1);
    let status = sandbox.wait_for_event(|e| e["type"] == "status");
    assert_eq!(status["running"][0]["symbol"], "SLEEPS");
    assert_eq!((&status["running"][0]["attempt"], &status["waiting"]), (&1.into(), &0.into()));
    kill_child(&child, Signal::TSTP);
    sandbox.wait_for_event(|e| e["type"] == "suspended");
    // Longer than the attempt may take.
    std::thread::sleep(Duration::from_millis(2500));
    let worker = status["running"][0]["pid"].as_u64().unwrap();
    let state = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap();
    assert!(state.contains(") T "), "{state}");
    kill_child(&child, Signal::CONT);
    let resumed = sandbox.wait_for_event(|e| e["type"] == "resumed");
    assert!(resumed["seconds"].as_f64().unwrap() >= 2.4, "{resumed}");
    let events = sandbox.events();
    assert!(!events.iter().any(|e| e["type"] == "worker_lost"), "{events:?}");
    assert_eq!(child.code(), Some(3));
    let events = sandbox.events();
    assert_eq!(events.last().unwrap()["summary"]["symbols"][0]["kind"], "timed_out");
    assert_clean(&sandbox);
}

#[test]
fn a_hangup_lets_what_runs_finish_without_a_limit() {
    let sandbox = Sandbox::new();
    let args = "train --symbols A,B --parallel 1 --set run.grace=1ms --epochs 40 \
                --set train.patience=40";
    let mut child = start(&sandbox, args);
    sandbox.wait_for_event(|e| e["type"] == "progress");
    kill_child(&child, Signal::HUP);
    assert_eq!(child.code(), Some(129));
    let summary = sandbox.events().last().unwrap()["summary"].clone();
    assert_eq!(outcomes(&summary, "trained"), ["A"]);
    assert_eq!(outcomes(&summary, "interrupted"), ["B"]);
}

#[test]
fn workers_are_replaced_after_their_jobs() {
    let sandbox = Sandbox::new();
    let train = "train --symbols A,B,C --parallel 1 --set run.jobs_per_worker=1 --format json";
    let ended = sandbox.run(train).expect(0);
    let started = ended.lines().into_iter().filter(|event| event["type"] == "worker_started");
    assert_eq!(started.count(), 3);
}
