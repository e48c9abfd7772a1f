//! The Python example, if Python has what it needs.

use std::path::Path;
use std::process::Command;

use crate::support::{Sandbox, finish};

/// A Python with numpy and safetensors: the one that `MAMBAFLEET_TEST_PYTHON` names, or the
/// system's.
fn python() -> Option<String> {
    let python = std::env::var("MAMBAFLEET_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let modules = ["-c", "import numpy, safetensors"];
    let fits = Command::new(&python).args(modules).output().is_ok_and(|out| out.status.success());
    if !fits {
        println!("skipped: {python} lacks numpy or safetensors; `just python` brings both");
    }
    fits.then_some(python)
}

#[test]
fn the_python_example_forecasts_what_predict_does() {
    let Some(python) = python() else { return };
    let sandbox = Sandbox::new();
    sandbox.run("data synth prices --symbols AAPL").expect(0);
    sandbox.run("train --symbols AAPL --data prices").expect(0);
    let ours = sandbox.run("predict --symbols AAPL --format json").expect(0).json();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/python/forecast.py");
    let mut command = Command::new(python);
    let args = ["--format", "json", "mambafleet-store", "AAPL", "prices/AAPL.csv"];
    let theirs = finish(command.arg(script).args(args).current_dir(sandbox.path("")));
    let theirs = theirs.expect(0).json();
    let ours = &ours["forecasts"][0];
    assert_eq!(ours["generation"], theirs["generation"]);
    for (a, b) in
        ours["horizons"].as_array().unwrap().iter().zip(theirs["horizons"].as_array().unwrap())
    {
        for (x, y) in
            a["log_returns"].as_array().unwrap().iter().zip(b["log_returns"].as_array().unwrap())
        {
            let difference = (x.as_f64().unwrap() - y.as_f64().unwrap()).abs();
            assert!(difference < 1e-5, "{x} and {y}");
        }
    }
}
