//! What forecasts are worth: measured beside baselines, shrunk to what validation supports, summed up
//! over symbols, and refused when they are too good.

use serde_json::Value;

use crate::support::Sandbox;

const SIX: &str = "train --symbols A,B,C,D,E,F --parallel 2";

#[test]
fn a_run_says_what_its_forecasts_are_worth_and_keeps_it() {
    let sandbox = Sandbox::new();
    let shown = sandbox.run(SIX).expect(0).stdout;
    assert!(shown.contains("out-of-sample forecasts over 6 symbols"), "{shown}");
    let run = sandbox.runs().pop().unwrap();
    let kept = std::fs::read(run.join("evaluation.json")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    assert_eq!(kept["symbols"].as_array().unwrap().len(), 6);
    let bars: Vec<_> = kept["horizons"].as_array().unwrap().iter().map(|h| &h["horizon"]).collect();
    assert_eq!(bars, [1, 3]);

    // What is up to date counts as well, and programs are told the same.
    let again = sandbox.run(&format!("{SIX} --format json")).expect(0);
    let lines = again.lines();
    let mut said = lines.iter().find(|line| line["type"] == "evaluation").unwrap().clone();
    said.as_object_mut().unwrap().remove("type");
    assert_eq!(said, kept);

    // The mean over symbols is that of the metrics beside the weights.
    let of = |symbol: &str| {
        let metrics = metrics(&sandbox, symbol);
        metrics["test"]["horizons"][1]["pinball"].as_f64().unwrap()
    };
    let mean = ["A", "B", "C", "D", "E", "F"].map(of).iter().sum::<f64>() / 6.0;
    let forecasts = &kept["horizons"][1]["forecasts"][0];
    assert_eq!(forecasts["of"], "model");
    assert!((forecasts["pinball"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12, "{forecasts}");
    assert!(kept["horizons"][0]["cross_section"]["days"].as_u64().unwrap() > 10, "{kept}");
}

/// The newest metrics of a symbol.
fn metrics(sandbox: &Sandbox, symbol: &str) -> Value {
    serde_json::from_slice(&sandbox.newest(symbol, "metrics.json")).unwrap()
}

#[test]
fn every_forecast_is_measured_beside_the_same_baselines() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL").expect(0);
    let metrics = metrics(&sandbox, "AAPL");
    for horizon in metrics["test"]["horizons"].as_array().unwrap() {
        let forecasts = horizon["forecasts"].as_array().unwrap();
        let of: Vec<_> = forecasts.iter().map(|one| one["of"].as_str().unwrap()).collect();
        let all = ["model", "raw", "zero", "train_mean", "ridge", "ewma_quantiles"];
        assert_eq!(of, all);
        assert_eq!(forecasts[2]["point"]["skill_against_zero"], 0.0);
        assert_eq!(forecasts[0]["quantiles"]["pinball"], horizon["pinball"]);
        assert_eq!(forecasts[5]["quantiles"]["pinball"], horizon["baseline_pinball"]);
        // Two forecasts against four baselines, and once more against the quantiles.
        assert_eq!(horizon["comparisons"].as_array().unwrap().len(), 2 * (4 + 1));
    }
}

#[cfg(debug_assertions)]
#[test]
fn a_feature_that_peeks_trips_the_alarm() {
    let sandbox = Sandbox::new();
    let train = "train --symbols AAPL --format json --set data.synthetic.bars=900 --epochs 20 \
                 --set train.learning_rate=0.01 --set task.features=log_return,test_peek";
    let run = |args: &str| {
        let mut command = sandbox.command(args);
        crate::support::finish(command.env("MAMBAFLEET_TEST_FEATURES", "1"))
    };
    let outcome = run(train).expect(3).outcome("AAPL");
    assert_eq!((&outcome["kind"], &outcome["attempts"]), (&"implausible".into(), &1.into()));
    let (cause, hint) = (outcome["cause"].as_str().unwrap(), outcome["hint"].as_str().unwrap());
    assert!(cause.contains("too good to be true") && cause.contains("at horizon 1"), "{cause}");
    let suspected = "The features that go best with the next outcome are test_peek (+1.00)";
    assert!(hint.contains(suspected), "{hint}");
    assert!(hint.contains("evaluate.alarms.point_skill"), "{hint}");
    assert!(sandbox.run("show AAPL").code != Some(0), "nothing is committed");

    // Whoever insists is believed.
    let limits =
        ["point_skill", "directional_accuracy", "information_coefficient", "pinball_skill"];
    let raised: String =
        limits.iter().map(|limit| format!(" --set evaluate.alarms.{limit}=1")).collect();
    let insisted = run(&format!("{train}{raised}")).expect(0).outcome("AAPL");
    assert_eq!(insisted["outcome"], "trained");
}
