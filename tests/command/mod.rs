//! The `command` backend: programs that train, and programs that do not.

#[cfg(unix)]
mod guard;

use std::process::Command;

use crate::support::Sandbox;

const LINEAR: &str = include_str!("../../examples/command/linear.py");

/// A directory whose configuration trains by this script, or a line that says why not.
fn sandbox(script: &str) -> Option<Sandbox> {
    if !Command::new("python3").arg("--version").output().is_ok_and(|out| out.status.success()) {
        println!("skipped: no python3 on this machine");
        return None;
    }
    let sandbox = Sandbox::new();
    let config = std::fs::read_to_string(sandbox.path("mambafleet.toml")).unwrap();
    let more = "backend = \"command\"\ncommand = [\"python3\", \"train.py\"]\n";
    sandbox.write("mambafleet.toml", config + more);
    sandbox.write("train.py", script);
    Some(sandbox)
}

#[test]
fn a_program_trains_forecasts_and_is_retrained_when_it_changes() {
    let Some(sandbox) = sandbox(LINEAR) else { return };
    let train = "train --symbols AAPL,MSFT --format json";
    let first = sandbox.run(train).expect(0);
    assert_eq!(first.outcome("AAPL")["headline"]["epochs"], 2);
    let metrics: serde_json::Value =
        serde_json::from_slice(&sandbox.newest("AAPL", "metrics.json")).unwrap();
    assert_eq!(metrics["reported"]["name"], "linear.py");
    let theirs = metrics["reported"]["metrics"]["validation_loss"].as_f64().unwrap();
    let ours = metrics["headline"]["best_validation_loss"].as_f64().unwrap();
    assert!((theirs - ours).abs() < 1e-5, "{theirs} {ours}");
    sandbox.run("verify --all").expect(0);
    let forecast = sandbox.run("predict --symbols AAPL --format json").expect(0).json();
    assert_eq!(forecast["forecasts"][0]["horizons"].as_array().unwrap().len(), 2);
    let again = sandbox.run(train).expect(0);
    assert_eq!(again.outcome("MSFT")["outcome"], "up_to_date");
    sandbox.write("train.py", format!("{LINEAR}# edited\n"));
    assert_eq!(sandbox.run(train).expect(0).outcome("AAPL")["generation"], 2);
    // A store names no program that is run.
    let ended = sandbox
        .run("predict --symbols AAPL --set train.backend=native --set train.command=[]")
        .expect(3);
    assert!(ended.stderr.contains("trained by a program (python3 train.py)"), "{}", ended.stderr);
}

#[test]
fn each_way_to_fail_has_its_name() {
    let hello =
        "import os, sys, time\nprint('{\"mambafleet\":1,\"type\":\"hello\"}', flush=True)\n";
    let done = "print('{\"mambafleet\":1,\"type\":\"done\"}', flush=True)\n";
    for (script, kind, cause) in [
        ("print('rubbish')\n".to_owned(), "backend", "exited with code 0 before its answer"),
        (format!("{hello}sys.exit(3)\n"), "backend", "exited with code 3"),
        (format!("{hello}os.kill(os.getpid(), 9)\n"), "crashed", "killed by signal 9"),
        (format!("{hello}time.sleep(600)\n"), "crashed", "train.command_timeout"),
        (format!("{hello}{done}"), "backend", "weights that the program left: not there"),
        (format!("{hello}print('{{\"mambafleet\":1,\"x\":NaN}}')\n"), "backend", "not JSON"),
        (
            LINEAR
                .replace("sorted(outputs[h", "list(outputs[h")
                .replace("for level in levels:", "for level in reversed(levels):"),
            "backend",
            "cross",
        ),
        (LINEAR.replace("made = [", "made = [0.0] + ["), "backend", "forecasts"),
        (LINEAR.replace("flat = [w ", "flat = [float('nan') "), "diverged", "weights"),
    ] {
        let Some(sandbox) = sandbox(&script) else { return };
        let args = "train --symbols AAPL --set run.retries=0 --set train.command_timeout=2s";
        let aapl = sandbox.run(&format!("{args} --format json")).expect(3).outcome("AAPL");
        assert_eq!(aapl["kind"], kind, "{aapl}");
        assert!(aapl["cause"].as_str().unwrap().contains(cause), "{cause}: {aapl}");
        assert!(std::path::Path::new(aapl["log"].as_str().unwrap()).is_file(), "{aapl}");
    }
}
