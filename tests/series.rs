//! Tables of numbers from end to end.

use std::fmt::Write;

use serde_json::Value;

use crate::support::Sandbox;

const SERIES: &str = r#"
[task]
kind = "series"
lookback = 24
[task.series]
horizon = 6
patch = 4
season = 12
"#;

/// Hourly rows of two columns: a wave of twelve steps, and another one with noise.
fn table(rows: usize) -> String {
    let mut text = "when,wave,other\n".to_owned();
    let mut noise = 1_u32;
    for row in 0..rows {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(noise >> 8) / f64::from(1 << 24);
        let phase = row as f64 / 12.0 * std::f64::consts::TAU;
        let _ = writeln!(text, "t{row},{},{}", 20.0 + 5.0 * phase.sin(), phase.cos() + noise);
    }
    text
}

fn sandbox(more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "series.toml",
        format!(
            "{SERIES}{more}\n[model]\nd_model = 8\nn_layers = 1\nd_state = 4\n[train]\nepochs = 2\n"
        ),
    );
    std::fs::create_dir(sandbox.path("tables")).unwrap();
    sandbox.write("tables/WAVE.csv", table(400));
    sandbox
}

const TRAIN: &str = "train --config series.toml --data tables --symbols WAVE";

fn metrics(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&sandbox.newest("WAVE", "metrics.json")).unwrap()
}

/// The tensors of a safetensors file: shape and values by name.
fn tensor(bytes: &[u8], name: &str) -> (Vec<usize>, Vec<f32>) {
    let tensors = safetensors::SafeTensors::deserialize(bytes).unwrap();
    let view = tensors.tensor(name).unwrap();
    let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
    (view.shape().to_vec(), values.collect())
}

#[test]
fn a_series_is_trained_and_judged_beside_naive_forecasts_and_then_up_to_date() {
    let sandbox = sandbox("");
    let first = sandbox.run(TRAIN).expect(0);
    assert!(first.stdout.contains("1 trained"), "{}", first.stdout);
    assert!(!first.stderr.contains("WARN"), "{}", first.stderr);
    let metrics = metrics(&sandbox);
    let mse = |name: &str| metrics["test"][name]["mse"].as_f64().unwrap();
    for name in ["forecast", "model", "linear", "repeat_last", "repeat_season"] {
        assert!(mse(name).is_finite() && metrics["test"][name]["mae"].as_f64().unwrap() > 0.0);
    }
    assert!(mse("linear") < 0.5 * mse("repeat_last"), "{metrics}");
    assert!(mse("forecast") <= 1.05 * mse("linear"), "{metrics}");
    assert_eq!(metrics["headline"]["baseline_loss"].as_f64().unwrap(), mse("linear"));
    assert_eq!(metrics["columns"][1]["column"], "other");
    let shown = sandbox.run("show WAVE").expect(0).stdout;
    assert!(shown.contains("400 rows, t0 to t399") && shown.contains("repeat season"), "{shown}");
    let listed = sandbox.run("ls --format json").expect(0).json();
    assert_eq!(listed["symbols"][0]["headline"], metrics["headline"]);
    let again = sandbox.run(&format!("{TRAIN} --format json")).expect(0);
    assert_eq!(again.outcome("WAVE")["outcome"], "up_to_date");
    sandbox.run("verify --all").expect(0);
}

#[test]
fn a_forecast_is_what_evaluation_made_for_the_same_window() {
    let more = [
        "",
        "channels = \"mixed\"\nnormalization = \"none\"",
        "loss = \"mae\"\ntargets = [\"other\"]",
    ];
    for more in more {
        let sandbox = sandbox(more);
        sandbox.run(TRAIN).expect(0);
        let file = sandbox.newest("WAVE", "forecasts.safetensors");
        let (_, rows) = tensor(&file, "row");
        let (shape, judged) = tensor(&file, "forecasts");
        let (windows, targets, horizon) = (shape[0], shape[1], shape[2]);
        assert_eq!((windows, horizon), (rows.len(), 6));
        assert_eq!(*rows.last().unwrap(), 394.0, "the newest window is among them");
        for (row, judged) in [(0, 0), (windows - 1, windows - 1)].map(|(at, row)| {
            (rows[at] as usize, &judged[row * targets * horizon..][..targets * horizon])
        }) {
            std::fs::create_dir_all(sandbox.path("cut")).unwrap();
            sandbox.write("cut/WAVE.csv", table(row));
            let told =
                sandbox.run("predict --symbols WAVE --data cut --format json").expect(0).json();
            let series = &told["series"][0];
            assert_eq!(series["as_of"], format!("t{}", row - 1));
            let values = series["targets"].as_array().unwrap().iter();
            let values = values.flat_map(|target| target["values"].as_array().unwrap());
            let values: Vec<f32> = values.map(|value| value.as_f64().unwrap() as f32).collect();
            assert_eq!(values, judged, "{more}");
        }
        let told = sandbox.run("predict --symbols WAVE").expect(0).stdout;
        assert!(told.contains("t399") && told.contains("+6"), "{told}");
    }
}

#[test]
fn weights_and_metrics_are_the_same_with_any_number_of_workers() {
    let trained = |parallel: usize, symbols: &str| {
        let sandbox = sandbox("");
        sandbox.write("tables/OTHER.csv", table(300));
        let train = "train --config series.toml --data tables --symbols";
        sandbox.run(&format!("{train} {symbols} --parallel {parallel}")).expect(0);
        let file = |name| sandbox.newest("WAVE", name);
        let metrics = metrics(&sandbox);
        let judged = ["validation", "test", "columns", "weight"].map(|key| metrics[key].clone());
        (file("weights.safetensors"), file("linear.safetensors"), judged)
    };
    assert_eq!(trained(1, "WAVE"), trained(4, "OTHER,WAVE"));
}

#[test]
fn faults_of_a_table_are_named_and_cost_no_other_symbol() {
    let sandbox = sandbox("");
    sandbox.write("tables/BAD.csv", table(400).replacen("t7,", "t7,x", 1));
    sandbox.write("tables/SHORT.csv", table(20));
    let ended = sandbox.run(
        "train --config series.toml --data tables --symbols WAVE,BAD,SHORT,GONE --format json",
    );
    let ended = ended.expect(3);
    assert_eq!(ended.outcome("WAVE")["outcome"], "trained");
    for (symbol, words) in
        [("BAD", "line 9, column wave"), ("SHORT", "SHORT.csv"), ("GONE", "no data for GONE")]
    {
        let outcome = ended.outcome(symbol);
        assert_eq!(outcome["kind"], "data", "{outcome}");
        assert!(outcome["cause"].as_str().unwrap().contains(words), "{outcome}");
    }
    let synthetic =
        sandbox.run("train --config series.toml --symbols WAVE --format json").expect(3);
    assert!(synthetic.outcome("WAVE")["cause"].as_str().unwrap().contains("needs a file"));
    assert!(!sandbox.path("mambafleet-store/symbols/BAD/000001").exists());
}

#[test]
fn the_report_of_a_series_has_errors_where_others_have_a_fan() {
    let sandbox = sandbox("");
    sandbox.run(TRAIN).expect(0);
    let detail = crate::report::newest(&sandbox).detail("WAVE");
    assert!(detail["fan"].is_null() && detail["metrics"].as_array().unwrap().is_empty());
    let series = detail["series"].as_array().unwrap();
    let value = |name: &str| series.iter().find(|row| row[0] == name).unwrap()[1].as_f64().unwrap();
    let exact = metrics(&sandbox)["test"]["forecast"]["mse"].as_f64().unwrap();
    assert!((value("forecast: MSE") - exact).abs() < 1e-4 * exact, "{series:?}");
    assert!(value("last value repeated: MAE") > 0.0 && value("column other: MSE") > 0.0);
    assert_eq!(detail["curves"]["val"].as_array().unwrap().len(), 2);
}
