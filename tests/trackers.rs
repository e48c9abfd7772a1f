//! What experiment trackers are told, and that nothing about them can cost a run anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::mlflow::{FakeMlflow, Reply};
use crate::support::tfevents::found;
use crate::support::{Ended, Sandbox};

fn observe(sandbox: &Sandbox, settings: &str) {
    sandbox.configure(&format!("[observe]\n{settings}\n"));
}

fn mlflow(sandbox: &Sandbox, url: &str, timeout: &str) {
    observe(sandbox, &format!("mlflow = \"{url}\"\nmlflow_timeout = \"{timeout}\""));
}

/// What a run warned of.
fn warnings(ended: &Ended) -> Vec<&str> {
    ended.stderr.lines().filter(|line| line.contains("WARN") || line.contains("warning")).collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

fn metrics(sandbox: &Sandbox, symbol: &str) -> Value {
    serde_json::from_slice(&sandbox.newest(symbol, "metrics.json")).unwrap()
}

#[test]
fn tensorboard_has_every_epoch_of_every_symbol() {
    let sandbox = Sandbox::new();
    observe(&sandbox, "tensorboard = true");
    let ended = sandbox.run("train --symbols A,^B").expect(0);
    let dir = sandbox.runs().pop().unwrap().join("tensorboard");
    let shown = format!("tensorboard: {}", dir.canonicalize().unwrap().display());
    assert!(ended.stdout.lines().any(|line| line == shown), "{}", ended.stdout);
    assert_eq!(files(&dir), [dir.join("%5EB"), dir.join("A")]);
    for symbol in ["%5EB", "A"] {
        let files = files(&dir.join(symbol));
        assert_eq!(files.len(), 1);
        let (scalars, texts) = found(&files[0]);
        let metrics = metrics(&sandbox, symbol);
        let epochs = metrics["epochs"].as_array().unwrap();
        for (tag, field) in [("loss/train", "train_loss"), ("loss/validation", "validation_loss")] {
            let own = scalars.iter().filter(|(_, name, _)| name == tag);
            let own: Vec<_> = own.map(|(step, _, value)| (*step, *value)).collect();
            let wanted = epochs.iter().map(|epoch| {
                (epoch["epoch"].as_u64().unwrap(), epoch[field].as_f64().unwrap() as f32)
            });
            assert_eq!(own, wanted.collect::<Vec<_>>(), "{symbol} {tag}");
        }
        let test = metrics["headline"]["test_loss"].as_f64().unwrap() as f32;
        assert!(scalars.contains(&(2, "loss/test".to_owned(), test)), "{scalars:?}");
        let tags: Vec<_> = texts.iter().map(|(_, tag, _)| tag.as_str()).collect();
        assert_eq!(tags, ["settings", "outcome"]);
        assert!(texts[0].2.contains("| model.d_state | 4 |"), "{texts:?}");
        assert!(texts[1].2.contains("| outcome | trained |"), "{texts:?}");
    }
    // Where nothing is trained there is nothing to see.
    let ended = sandbox.run("train --symbols A,^B").expect(0);
    assert!(!ended.stdout.contains("tensorboard"), "{}", ended.stdout);
    assert!(!sandbox.runs().pop().unwrap().join("tensorboard").exists());
}

#[test]
fn nothing_is_tracked_unless_that_is_wanted() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run("train --symbols A").expect(0);
    assert!(!sandbox.runs().pop().unwrap().join("tensorboard").exists());
    assert!(!ended.stdout.contains("tensorboard"), "{}", ended.stdout);
}

/// The last status of every run by its name.
fn statuses(server: &FakeMlflow) -> BTreeMap<String, String> {
    let made = server.bodies("runs/create");
    let names: Vec<_> = made.iter().map(|body| body["run_name"].as_str().unwrap()).collect();
    let ends = server.bodies("runs/update").into_iter().map(|body| {
        let number: usize = body["run_id"].as_str().unwrap()["run-".len()..].parse().unwrap();
        (names[number - 1].to_owned(), body["status"].as_str().unwrap().to_owned())
    });
    ends.collect()
}

fn owned<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, text)| (name.to_owned(), text.to_owned())).into()
}

#[test]
fn mlflow_has_the_run_and_its_symbols() {
    let sandbox = Sandbox::new();
    let server = FakeMlflow::start();
    mlflow(&sandbox, &server.url().replace("http://", "http://me:secret@"), "60s");
    sandbox.run("data synth prices --symbols GOOD").expect(0);
    let ended = sandbox.run("train --data prices --symbols GOOD,BAD").expect(3);
    assert_eq!(warnings(&ended), [""; 0]);
    // me:secret
    let credentials = Some("Basic bWU6c2VjcmV0".to_owned());
    assert!(server.asked().iter().all(|asked| asked.authorization == credentials));
    let run = sandbox.runs().pop().unwrap();
    let run = run.file_name().unwrap().to_str().unwrap();
    let expected = owned([(run, "FAILED"), ("GOOD", "FINISHED"), ("BAD", "FAILED")]);
    assert_eq!(statuses(&server), expected);
    let logged = server.bodies("runs/log-batch");
    let all = |kind: &str| -> Vec<Value> {
        logged.iter().flat_map(|body| body[kind].as_array().unwrap().clone()).collect()
    };
    let losses: Vec<_> = all("metrics")
        .into_iter()
        .filter(|metric| metric["key"] == "loss/validation")
        .map(|metric| (metric["step"].clone(), metric["value"].clone()))
        .collect();
    let metrics = metrics(&sandbox, "GOOD");
    let epochs = metrics["epochs"].as_array().unwrap().iter();
    let wanted = epochs.map(|epoch| (epoch["epoch"].clone(), epoch["validation_loss"].clone()));
    assert_eq!(losses, wanted.collect::<Vec<_>>());
    let tag = |name: &str| {
        let found = all("tags").into_iter().filter(|tag| tag["key"] == name);
        found.map(|tag| tag["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let generation = sandbox.store().canonicalize().unwrap().join("symbols/GOOD/000001");
    assert_eq!(tag("mambafleet.generation_dir"), [generation.to_str().unwrap()]);
    assert!(tag("mambafleet.cause").iter().all(|cause| cause.contains("BAD")), "{logged:?}");
}

#[test]
fn a_server_that_is_dead_or_dumb_costs_a_warning() {
    let sandbox = Sandbox::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dumb = FakeMlflow::answering(|_, _| Reply::Hangs);
    let odd = FakeMlflow::answering(|_, _| Reply::Says(200, "<html>welcome</html>".to_owned()));
    let foreign = FakeMlflow::answering(|_, _| Reply::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec()));
    let rude = FakeMlflow::answering(|_, _| Reply::HangsUp);
    for (url, why) in [
        (format!("http://me:secret@{nobody}/secret"), "cannot be reached: Connection refused"),
        (dumb.url(), ""),
        (odd.url(), "does not answer experiments/get-by-name as MLflow does"),
        (foreign.url(), "does not speak HTTP"),
        (rude.url(), "broke off"),
    ] {
        mlflow(&sandbox, &url, "300ms");
        let ended = sandbox.run("train --symbols A --force --format json").expect(0);
        assert_eq!(ended.outcome("A")["outcome"], "trained");
        let [warning] = warnings(&ended)[..] else { panic!("{}", ended.stderr) };
        let counts =
            "did not get all of this run: 2 of 2 epochs and 7 of 7 other events are missing";
        assert!(warning.contains(counts) && warning.contains(why), "{warning}");
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    }
}

#[test]
fn where_mlflow_is_must_be_a_url() {
    let sandbox = Sandbox::new();
    for (settings, expected) in [
        ("mlflow = \"https://a\"", "observe.mlflow: https is not spoken here; write one as in"),
        ("mlflow = \"file:///x\"", "observe.mlflow: does not begin with http://; write one as"),
        ("mlflow_experiment = \" \"", "observe.mlflow_experiment: must have a name"),
        ("mlflow_timeout = \"0s\"", "observe.mlflow_timeout: must be above 0"),
    ] {
        observe(&sandbox, settings);
        let ended = sandbox.run("train --symbols A").expect(2);
        assert!(ended.stderr.contains(expected), "{expected} is missing: {}", ended.stderr);
    }
}

#[cfg(unix)]
mod signals {
    use std::process::Stdio;
    use std::time::Duration;

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;
    use crate::support::Running;
    use crate::support::processes::kill_child;

    #[test]
    fn an_interrupted_run_is_killed_in_mlflow_too() {
        let sandbox = Sandbox::new();
        let server = FakeMlflow::start();
        mlflow(&sandbox, &server.url(), "60s");
        let mut command = sandbox.command(
            "train --symbols A,SLEEPS,LAST --parallel 1 --backend faulty --set run.grace=100ms",
        );
        command.env("MAMBAFLEET_TEST_BACKENDS", "1").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child: Running = command.spawn().unwrap().into();
        sandbox.wait_for_event(|e| e["type"] == "attempt_started" && e["symbol"] == "SLEEPS");
        kill_child(&child, Signal::INT);
        assert_eq!(child.code(), Some(130));
        let run = sandbox.runs().pop().unwrap();
        let run = run.file_name().unwrap().to_str().unwrap();
        // There is no run of a symbol that was never begun.
        let expected = owned([(run, "KILLED"), ("A", "FINISHED"), ("SLEEPS", "KILLED")]);
        assert_eq!(statuses(&server), expected);
    }

    #[test]
    fn a_signal_ends_the_waiting() {
        let sandbox = Sandbox::new();
        let server = FakeMlflow::answering(|_, _| Reply::Hangs);
        mlflow(&sandbox, &server.url(), "1h");
        let mut command = sandbox.command("train --symbols A");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        sandbox.wait_for_event(|event| event["type"] == "run_finished");
        let pid = Pid::from_child(&child);
        // One that comes before it is waited for is one for the run, which has ended.
        let code = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status.code();
            }
            kill_process(pid, Signal::INT).unwrap();
            std::thread::sleep(Duration::from_millis(50));
        };
        assert_eq!(code, Some(0));
    }
}
