//! The `command` backend: programs that train, and programs that do not.

mod failures;
#[cfg(unix)]
mod guard;

use std::process::Command;

use crate::support::Sandbox;

const LINEAR: &str = include_str!("../../examples/command/linear.py");

#[cfg(unix)]
const MINIMAL: &str = include_str!("../../examples/command/minimal.sh");

/// A small program in Python: what it does when it is asked, in place of training and forecasting.
struct Script<'a> {
    train: &'a str,
    predict: &'a str,
}

/// What its lines can use: `ask` is the request.
const PRELUDE: &str = r#"
import json, os, struct, sys, time

def say(what, **more):
    print(json.dumps({"mambafleet": 1, "type": what, **more}), flush=True)

def write(path, name, shape, values, dtype):
    header = {name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 4 * len(values)]}}
    text = json.dumps(header if shape != [0] else {}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + struct.pack(f"<{len(values)}f", *values))

def leave(*values, dtype="F32"):
    write(ask["weights"], "w", [len(values)], values, dtype)

def forecast(row):
    rows = ask["samples"] * ask["outputs"] // 5
    shape = [ask["samples"], len(row) * ask["outputs"] // 5]
    write(ask["predictions"], "predictions", shape, row * rows, "F32")
    say("predicted")

say("hello", name="script")
for line in sys.stdin:
    ask = json.loads(line)
"#;

impl Script<'_> {
    fn text(&self) -> String {
        let indented = |text: &str| text.replace('\n', "\n        ");
        let (train, predict) = (indented(self.train), indented(self.predict));
        format!(
            "{PRELUDE}    if ask[\"type\"] == \"train\":\n        pass\n        {train}\n    else:\n        \
             pass\n        {predict}\n"
        )
    }
}

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

#[cfg(unix)]
#[test]
fn the_minimal_program_trains_and_forecasts() {
    let sandbox = Sandbox::new();
    let config = std::fs::read_to_string(sandbox.path("mambafleet.toml")).unwrap();
    let more = "backend = \"command\"\ncommand = [\"sh\", \"minimal.sh\"]\n";
    sandbox.write("mambafleet.toml", config + more);
    sandbox.write("minimal.sh", MINIMAL);
    let train = "train --symbols AAPL,MSFT --format json";
    assert_eq!(sandbox.run(train).expect(0).outcome("AAPL")["outcome"], "trained");
    assert_eq!(sandbox.run(train).expect(0).outcome("AAPL")["outcome"], "up_to_date");
    sandbox.run("verify --all").expect(0);
    let weights = sandbox.newest("AAPL", "weights.safetensors");
    let quantiles = [-1.5_f32, -0.5, 0.0, 0.5, 1.5].map(f32::to_le_bytes).concat();
    assert!(weights.ends_with(&quantiles));
    let forecast = sandbox.run("predict --symbols AAPL --format json").expect(0).json();
    let forecast = &forecast["forecasts"][0];
    // What the program says, as far as validation has believed it.
    let metadata = sandbox.newest("AAPL", "metadata.json");
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    for (horizon, bars) in [(0, 1.0_f64), (1, 3.0)] {
        let unit = forecast["volatility"].as_f64().unwrap() * bars.sqrt();
        let found = &forecast["horizons"][horizon]["log_returns"];
        let shrinkage = &metadata["shrinkage"][horizon];
        let spread = shrinkage["spread"].as_f64().unwrap();
        for (at, quantile) in [-1.5, -0.5, 0.0, 0.5, 1.5].into_iter().enumerate() {
            let baseline = shrinkage["baseline"][at].as_f64().unwrap();
            let mixed = (1.0 - spread) * baseline + spread * quantile;
            assert!((found[at].as_f64().unwrap() - mixed * unit).abs() < 1e-7, "{found}");
        }
    }
}

#[test]
fn a_program_is_held_to_what_every_backend_must_do() {
    let Some(sandbox) = sandbox(LINEAR) else { return };
    let conform = "backends conform --format json";
    let examined = sandbox.run(conform).expect(0).json();
    assert_eq!((&examined["backend"], &examined["passed"]), (&"command".into(), &true.into()));
    let result = |examined: &serde_json::Value, rule: &str| {
        let findings = examined["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["rule"] == rule).unwrap()["result"].clone()
    };
    assert_eq!(result(&examined, "learning"), "kept");
    assert_eq!(result(&examined, "cancellation"), "kept");
    assert_eq!(result(&examined, "accumulation"), "skipped");
    // Its numbers are other ones each time.
    sandbox.write("train.py", LINEAR.replace("random.Random(job[\"train\"][\"seed\"])", "random"));
    let examined = sandbox.run(conform).expect(1).json();
    assert_eq!(result(&examined, "determinism"), "broken");
    let native = sandbox.run("backends conform --backend native").expect(0);
    assert!(native.stdout.ends_with("every rule is kept that applies to it\n"), "{native:?}");
}
