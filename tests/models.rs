//! Which model is kept: searches, warm starts, promotion, folds; and what is not believed.

use serde_json::Value;

use crate::support::{Sandbox, finish};

/// A JSON file of a symbol's newest generation.
fn newest(sandbox: &Sandbox, symbol: &str, file: &str) -> Value {
    serde_json::from_slice(&sandbox.newest(symbol, file)).unwrap()
}

#[test]
fn a_search_keeps_what_validates_best_and_records_every_trial() {
    let sandbox = Sandbox::new();
    sandbox.configure(
        "[search]\ntrials = 4\nmethod = \"grid\"\n\
         values = [\"train.learning_rate = 0.00001, 0.01\", \"model.d_model = 4, 8\"]\n",
    );
    let ended = sandbox.run("train --symbols AAPL,MSFT --format json").expect(0);
    // Four trials and the model itself, of two epochs each, stand in the progress.
    assert!(ended.stdout.contains("\"epochs\":10"), "{}", ended.stdout);
    for symbol in ["AAPL", "MSFT"] {
        let metrics = newest(&sandbox, symbol, "metrics.json");
        let trials = metrics["search"].as_array().unwrap();
        assert_eq!(trials.len(), 4);
        let loss = |trial: &Value| trial["validation_loss"].as_f64().unwrap();
        let best = trials.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap();
        let metadata = newest(&sandbox, symbol, "metadata.json");
        let spec = &metadata["model"]["spec"];
        assert_eq!(best["values"]["model.d_model"], spec["d_model"].to_string(), "{metrics}");
        let rate = metadata["train"]["learning_rate"].as_f64().unwrap();
        let tried: f64 = best["values"]["train.learning_rate"].as_str().unwrap().parse().unwrap();
        assert_eq!(rate, tried);
        assert_eq!(metrics["headline"]["best_validation_loss"], best["validation_loss"]);
    }
    let again = sandbox.run("train --symbols AAPL --format json").expect(0);
    assert_eq!(again.outcome("AAPL")["outcome"], "up_to_date");
    sandbox.run("predict --symbols AAPL").expect(0);
}

#[test]
fn a_search_draws_different_combinations_and_names_what_it_cannot_do() {
    let sandbox = Sandbox::new();
    let values = "--set search.values=[\"train.learning_rate=0.001,0.002,0.003\",\
                  \"model.d_state=2,4,8\"]";
    sandbox.run(&format!("train --symbols AAPL --set search.trials=4 {values}")).expect(0);
    let metrics = newest(&sandbox, "AAPL", "metrics.json");
    let trials = metrics["search"].as_array().unwrap();
    assert_eq!(trials.len(), 4);
    for (index, trial) in trials.iter().enumerate() {
        assert!(trials[..index].iter().all(|earlier| earlier["values"] != trial["values"]));
    }
    let grid =
        format!("train --symbols AAPL --set search.method=grid --set search.trials=4 {values}");
    let refused = sandbox.run(&grid).expect(2);
    assert!(refused.stderr.contains("there are 9 combinations"), "{}", refused.stderr);
    let wrong =
        "train --symbols AAPL --set search.trials=4 --set search.values=[\"task.lookback=4\"]";
    let refused = sandbox.run(wrong).expect(2);
    assert!(refused.stderr.contains("task.lookback cannot be searched"), "{}", refused.stderr);
    let refused = sandbox.run("train --symbols AAPL --set search.trials=4").expect(2);
    assert!(refused.stderr.contains("search.values: is empty"), "{}", refused.stderr);
}

#[test]
fn training_goes_on_from_the_newest_generation_where_that_is_honest() {
    let sandbox = Sandbox::new();
    let train = |more: &str| {
        sandbox.run(format!("train --symbols AAPL --force {more}").trim()).expect(0);
        newest(&sandbox, "AAPL", "metadata.json")["provenance"]["warm_start"].clone()
    };
    assert_eq!(train(""), Value::Null);
    let first = newest(&sandbox, "AAPL", "metadata.json");
    let cold = newest(&sandbox, "AAPL", "metrics.json")["epochs"][0]["train_loss"].as_f64();
    let warm = train("--set train.init=latest");
    assert_eq!(warm["generation"], 1);
    assert_eq!(warm["fingerprint"], first["fingerprint"]);
    let went_on = newest(&sandbox, "AAPL", "metrics.json")["epochs"][0]["train_loss"].as_f64();
    assert!(went_on < cold, "{went_on:?} {cold:?}");
    let shown = sandbox.run("show AAPL").expect(0).stdout;
    assert!(shown.contains("started from generation 1"), "{shown}");
    let refused = |more: &str, why: &str| {
        let record = train(&format!("--set train.init=latest {more}"));
        assert_eq!(record["generation"], Value::Null);
        assert!(record["why_not"].as_str().unwrap().contains(why), "{record}");
    };
    refused("--set model.d_model=4", "is another one");
    train("");
    // What is tested now, the newest generation has been trained on.
    refused("--set task.split.train=0.5", "it was trained up to");
    train("--set task.split.train=0.5 --set task.split.validation=0.4");
    refused("", "it was chosen on days up to");
}

#[test]
fn a_worse_model_is_not_promoted_unless_it_is_forced() {
    let sandbox = Sandbox::new();
    sandbox.configure("[promote]\nwhen = \"not_worse\"\nwindow = 40\n");
    let good = "train --symbols AAPL --format json --epochs 8";
    let first = sandbox.run(good).expect(0);
    assert_eq!(first.outcome("AAPL")["outcome"], "trained");
    let promotion = newest(&sandbox, "AAPL", "metadata.json")["promotion"].clone();
    assert_eq!(promotion["why_not_compared"], "there is no earlier generation");

    // The last trial of a model: quantiles far too wide, from a huge step.
    let bad = "train --symbols AAPL --format json --epochs 1 --set train.learning_rate=0.5 \
               --set train.warmup=0 --set train.grad_clip=1000 --set task.volatility_halflife=60";
    let kept = sandbox.run(bad).expect(0).outcome("AAPL");
    assert_eq!(kept["outcome"], "kept", "{kept}");
    let comparison = &kept["comparison"];
    let loss = |key: &str| comparison[key].as_f64().unwrap();
    assert!(loss("new_loss") > loss("old_loss"), "{kept}");
    assert_eq!((&comparison["generation"], &comparison["samples"]), (&1.into(), &40.into()));
    assert_eq!(sandbox.run("ls --format json").expect(0).json()["symbols"][0]["generation"], 1);
    let human = sandbox.run(&bad.replace(" --format json", "")).expect(0);
    assert!(human.stdout.contains("1 kept"), "{}", human.stdout);
    assert!(human.stderr.contains("common samples"), "{}", human.stderr);

    // With room enough it passes; and when it is forced, which is recorded.
    let margin = 1.1 * (loss("new_loss") / loss("old_loss") - 1.0);
    let passed = sandbox.run(&format!("{bad} --set promote.margin={margin}")).expect(0);
    assert_eq!(passed.outcome("AAPL")["generation"], 2);
    sandbox.run("rollback AAPL --to 1").expect(0);
    let forced = sandbox.run(&format!("{bad} --force-promote")).expect(0);
    assert_eq!(forced.outcome("AAPL")["generation"], 4);
    let promotion = newest(&sandbox, "AAPL", "metadata.json")["promotion"].clone();
    assert_eq!(
        (&promotion["forced"], &promotion["comparison"]["generation"]),
        (&true.into(), &3.into())
    );
    let shown = sandbox.run("show AAPL").expect(0).stdout;
    assert!(shown.contains("promoted     by force"), "{shown}");
}

#[test]
fn models_that_share_no_unseen_samples_are_not_compared() {
    let sandbox = Sandbox::new();
    sandbox
        .run("train --symbols AAPL --set task.split.train=0.8 --set task.split.validation=0.16")
        .expect(0);
    let train = "train --symbols AAPL --set promote.when=not_worse";
    sandbox.run(train).expect(0);
    let promotion = newest(&sandbox, "AAPL", "metadata.json")["promotion"].clone();
    let why = promotion["why_not_compared"].as_str().unwrap();
    assert!(why.contains("samples are new to both"), "{why}");
    sandbox.run(&format!("{train} --set task.horizons=[1,2]")).expect(0);
    let promotion = newest(&sandbox, "AAPL", "metadata.json")["promotion"].clone();
    assert_eq!(promotion["why_not_compared"], "its horizons or quantiles are others");
}

#[test]
fn the_same_training_gives_the_same_bytes_with_one_worker_and_with_ten() {
    let files = |parallel: u32| {
        let sandbox = Sandbox::new();
        let symbols = "AAPL,MSFT,IBM,TSLA,KO,PEP,GE,BA,T,C";
        let train = format!(
            "train --symbols {symbols} --parallel {parallel} --set evaluate.folds=2 \
             --set search.trials=2 --set search.values=[\"train.learning_rate=0.001,0.003\"]"
        );
        sandbox.run(&train).expect(0);
        let names = ["weights.safetensors", "metrics.json", "forecasts.safetensors"];
        let of = |symbol: &str| names.map(|name| sandbox.newest(symbol, name));
        symbols.split(',').map(of).collect::<Vec<_>>()
    };
    assert!(files(1) == files(10), "files differ");
}

#[test]
fn folds_walk_forward_and_their_forecasts_are_kept() {
    let sandbox = Sandbox::new();
    let ended = sandbox
        .run("train --symbols AAPL --format json --set evaluate.folds=3 --set evaluate.window=rolling")
        .expect(0);
    // Three models of two epochs.
    assert!(ended.stdout.contains("\"epoch\":6,\"epochs\":6"), "{}", ended.stdout);
    let one = sandbox.run("train --symbols MSFT --format json").expect(0);
    assert!(one.stdout.contains("\"epoch\":2,\"epochs\":2"), "{}", one.stdout);
    let samples = |symbol| newest(&sandbox, symbol, "metrics.json")["test"]["samples"].clone();
    assert_eq!(samples("AAPL"), samples("MSFT"));
    // The last fold's test part is the newest third.
    let tested =
        |symbol| newest(&sandbox, symbol, "metadata.json")["data"]["test"]["samples"].as_u64();
    assert_eq!(tested("AAPL").unwrap(), tested("MSFT").unwrap().div_ceil(3));
    let refused = sandbox.run("train --symbols AAPL --set evaluate.folds=0").expect(2);
    assert!(refused.stderr.contains("evaluate.folds"), "{}", refused.stderr);
}

#[cfg(debug_assertions)]
#[test]
fn a_feature_that_peeks_into_tomorrow_trips_the_alarm() {
    let sandbox = Sandbox::new();
    let peek = "train --symbols AAPL --format json --epochs 12 --set data.synthetic.bars=900 \
                --set train.learning_rate=0.01 --set task.features=[\"log_return\",\"test_peek\"]";
    // Without the switch there is no such feature.
    let refused = sandbox.run(peek).expect(2);
    assert!(refused.stderr.contains("test_peek") || refused.stdout.contains("test_peek"));
    let mut command = sandbox.command(peek);
    command.env("MAMBAFLEET_TEST_FEATURES", "1");
    let failed = finish(&mut command).expect(3).outcome("AAPL");
    assert_eq!((&failed["outcome"], &failed["kind"]), (&"failed".into(), &"implausible".into()));
    let hint = failed["hint"].as_str().unwrap();
    assert!(hint.contains("test_peek") && hint.contains("evaluate.alarms."), "{hint}");
    assert_eq!(failed["attempts"], 1, "what is implausible is not tried again");
    assert!(!sandbox.path("mambafleet-store/symbols/AAPL/000001").exists());
}

#[test]
fn a_backtest_is_what_was_forecast_and_what_happened() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL --set evaluate.folds=2").expect(0);
    let kept = sandbox.run("backtest AAPL --format json").expect(0).json();
    let rows = kept["rows"].as_array().unwrap();
    let metrics = newest(&sandbox, "AAPL", "metrics.json");
    let samples = metrics["test"]["samples"].as_u64().unwrap() as usize;
    // Two horizons, 1 and 3.
    assert_eq!((rows.len(), &kept["levels"].as_array().unwrap().len()), (2 * samples, &5));
    let number = |row: &Value, key: &str| row[key].as_f64().unwrap();
    let close = |index: usize| number(&rows[2 * index], "close");
    for index in 0..samples - 3 {
        let (day, later) = (&rows[2 * index], &rows[2 * index + 1]);
        assert_eq!((&day["horizon"], &later["horizon"]), (&1.into(), &3.into()));
        for (row, ahead) in [(day, 1), (later, 3)] {
            let happened = (close(index + ahead) / close(index)).ln();
            assert!((number(row, "outcome") - happened).abs() < 1e-5, "{row}");
        }
    }
    let folds: Vec<_> = rows.iter().map(|row| row["fold"].as_u64().unwrap()).collect();
    assert!(folds.is_sorted() && folds[0] == 0 && folds[2 * samples - 1] == 1);

    // The last fold's model is the one that is kept, so forecasts as of its days are the same.
    for row in [&rows[2 * samples - 20], &rows[2 * samples - 1]] {
        let as_of = row["as_of"].as_str().unwrap();
        let predicted =
            sandbox.run(&format!("predict --symbols AAPL --as-of {as_of} --format json"));
        let predicted = predicted.expect(0).json();
        let horizons = predicted["forecasts"][0]["horizons"].as_array().unwrap();
        let one = horizons.iter().find(|one| one["horizon"] == row["horizon"]).unwrap();
        let pairs = row["log_returns"]
            .as_array()
            .unwrap()
            .iter()
            .zip(one["log_returns"].as_array().unwrap());
        for (kept, predicted) in pairs {
            let (kept, predicted) = (kept.as_f64().unwrap(), predicted.as_f64().unwrap());
            assert!((kept - predicted).abs() <= 1e-6 * predicted.abs(), "{kept} {predicted}");
        }
        assert!((number(row, "point") - number(one, "point")).abs() < 1e-9);
    }
    let csv = sandbox.run("backtest AAPL@1 --format csv").expect(0).stdout;
    let lines: Vec<_> = csv.lines().collect();
    assert!(lines[0].ends_with(",point,q0.05,q0.25,q0.5,q0.75,q0.95,outcome"), "{}", lines[0]);
    assert_eq!(lines.len(), 1 + 2 * samples);
    let human = sandbox.run("backtest AAPL").expect(0).stdout;
    assert!(human.contains("out-of-sample days") && human.contains("synthetic"), "{human}");
}

#[test]
fn columns_of_a_file_can_be_features() {
    let sandbox = Sandbox::new();
    sandbox.run("data synth prices --symbols AAPL").expect(0);
    let text = std::fs::read_to_string(sandbox.path("prices/AAPL.csv")).unwrap();
    let lines = text.lines().enumerate().map(|(at, line)| match at {
        0 => format!("{line},mood"),
        at => format!("{line},{}", at % 7),
    });
    sandbox.write("prices/AAPL.csv", lines.collect::<Vec<_>>().join("\n") + "\n");
    let features = "--set task.features=[\"log_return\",\"column:mood\"]";
    sandbox.run(&format!("train --symbols AAPL --data prices {features}")).expect(0);
    let scaler = newest(&sandbox, "AAPL", "metadata.json")["scaler"].clone();
    assert_eq!(scaler["features"][1], "column:mood");
    assert!((scaler["mean"][1].as_f64().unwrap() - 3.0).abs() < 0.1, "{scaler}");
    sandbox.run("predict --symbols AAPL").expect(0);
    let checked = sandbox.run("data check prices --set task.features=[\"column:Mood\"]").expect(3);
    assert!(checked.stdout.contains("no one column \"Mood\""), "{}", checked.stdout);
    let failed = sandbox
        .run("train --symbols AAPL --data prices --format json --set task.features=[\"column:Mood\"]")
        .expect(3);
    let failed = failed.outcome("AAPL");
    assert_eq!(failed["kind"], "data");
    assert!(
        failed["cause"].as_str().unwrap().contains("AAPL.csv: there is no one column \"Mood\"")
    );
    let text = std::fs::read_to_string(sandbox.path("prices/AAPL.csv")).unwrap();
    sandbox.write("prices/AAPL.csv", text.replacen(",3\n", ",1e300\n", 1));
    let failed =
        sandbox.run(&format!("train --symbols AAPL --data prices --format json {features}"));
    let failed = failed.expect(3).outcome("AAPL");
    assert!(failed["cause"].as_str().unwrap().contains("implausibly large"), "{failed}");
}

#[test]
fn a_damaged_newest_generation_is_replaced_whatever_promotion_says() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL").expect(0);
    sandbox.run("train --symbols AAPL --seed 1").expect(0);
    let weights = sandbox.store().join("symbols/AAPL/000002/weights.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    bytes.push(0);
    sandbox.write(weights.to_str().unwrap(), bytes);
    let train = "train --symbols AAPL --seed 2 --format json --set promote.when=not_worse";
    assert_eq!(sandbox.run(train).expect(0).outcome("AAPL")["generation"], 3);
    let promotion = newest(&sandbox, "AAPL", "metadata.json")["promotion"].clone();
    assert_eq!(promotion["why_not_compared"], "the newest generation is damaged");
    sandbox.run("predict --symbols AAPL").expect(0);
}
