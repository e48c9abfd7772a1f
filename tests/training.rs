//! What `train` does when nothing goes wrong.

use std::path::Path;

use crate::support::{Sandbox, real_prices};

#[test]
fn demo_symbols_are_trained_and_committed_and_then_up_to_date() {
    let sandbox = Sandbox::new();
    let first = sandbox.run("train --symbols AAPL,MSFT --parallel 10").expect(0);
    assert!(first.stdout.contains("2 trained"), "{}", first.stdout);
    assert!(first.stdout.contains("synthetic demo data"), "{}", first.stdout);
    assert!(first.stderr.contains("AAPL: epoch 1/2"), "{}", first.stderr);
    for symbol in ["AAPL", "MSFT"] {
        let weights = sandbox.newest(symbol, "weights.safetensors");
        assert!(weights.len() > 1000, "{}", weights.len());
    }
    let listed = sandbox.run("ls --format json").expect(0).json();
    assert_eq!(listed["symbols"][0]["symbol"], "AAPL");
    assert_eq!(listed["symbols"][1]["generation"], 1);
    assert_eq!(listed["symbols"][1]["synthetic"], true);
    let again = sandbox.run("train --symbols AAPL,MSFT --format json").expect(0);
    assert_eq!(again.outcome("AAPL")["outcome"], "up_to_date");
    assert_eq!(again.outcome("MSFT")["generation"], 1);
    let forced = sandbox.run("train --symbols AAPL --force --format json").expect(0);
    assert_eq!(forced.outcome("AAPL")["generation"], 2);
    sandbox.run("verify --all").expect(0);
}

#[test]
fn the_record_of_a_run_is_complete() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run("train --symbols AAPL,MSFT,^GSPC --format json").expect(0);
    let run = sandbox.runs().pop().unwrap();
    let read = |name: &str| std::fs::read_to_string(run.join(name)).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&read("summary.json")).unwrap();
    assert_eq!(summary, ended.summary());
    let plan: serde_json::Value = serde_json::from_str(&read("plan.json")).unwrap();
    assert_eq!(plan["jobs"].as_array().unwrap().len(), 3);
    let spent = |stage: &str| summary["time"]["stages"][stage]["seconds"].as_f64().unwrap();
    assert!(spent("train") > spent("validate") && spent("validate") > 0.0, "{summary}");
    if cfg!(target_os = "linux") {
        // A process that holds a model is larger than one that does nothing.
        assert!(summary["time"]["worker_memory"].as_u64().unwrap() > 4 << 20, "{summary}");
    }
    // What was shown is what was written, line by line; and what the forecasts are worth.
    let (events, others): (Vec<_>, Vec<_>) =
        ended.lines().into_iter().partition(|line| line["at"].is_string());
    assert_eq!(events, sandbox.events());
    assert_eq!((others.len(), &others[0]["type"]), (1, &"evaluation".into()));
    assert!(ended.lines().iter().all(|event| event["schema"] == 1));
    assert!(read("logs/AAPL.1.log").contains("committed"));
    assert!(read("logs/%5EGSPC.1.log").contains("symbol=^GSPC"));
}

#[test]
fn weights_depend_on_seed_and_data_and_not_on_the_fleet() {
    let weights = |args: &str, symbol: &str| {
        let sandbox = Sandbox::new();
        sandbox.run(args).expect(0);
        let metrics = sandbox.newest(symbol, "metrics.json");
        let metrics: serde_json::Value = serde_json::from_slice(&metrics).unwrap();
        (sandbox.newest(symbol, "weights.safetensors"), metrics["test"].clone())
    };
    let alone = weights("train --symbols AAPL --parallel 1", "AAPL");
    let among = weights("train --symbols MSFT,TSLA,AAPL,IBM --parallel 3", "AAPL");
    assert_eq!(alone, among);
    assert_ne!(alone, weights("train --symbols AAPL --seed 1", "AAPL"));
    assert_ne!(alone, weights("train --symbols MSFT", "MSFT"));
}

#[test]
fn only_what_changed_is_trained_again() {
    let sandbox = Sandbox::new();
    sandbox.run("data synth prices --symbols AAPL,MSFT,IBM").expect(0);
    let train = "train --symbols AAPL,MSFT,IBM --data prices --format json";
    let first = sandbox.run(train).expect(0);
    assert_eq!(first.summary()["symbols"][2]["outcome"], "trained");
    let csv = std::fs::read_to_string(sandbox.path("prices/MSFT.csv")).unwrap();
    // Other line endings are the same data; one line less is not.
    sandbox.write("prices/IBM.csv", {
        let text = std::fs::read_to_string(sandbox.path("prices/IBM.csv")).unwrap();
        text.replace('\n', "\r\n")
    });
    let shorter = csv.trim_end().rsplit_once('\n').unwrap().0;
    sandbox.write("prices/MSFT.csv", shorter);
    let second = sandbox.run(train).expect(0);
    assert_eq!(second.outcome("AAPL")["outcome"], "up_to_date");
    assert_eq!(second.outcome("IBM")["outcome"], "up_to_date");
    assert_eq!(second.outcome("MSFT")["outcome"], "trained");
    assert_eq!(second.outcome("MSFT")["generation"], 2);
    // A changed setting concerns all.
    let third = sandbox.run(&format!("{train} --epochs 1")).expect(0);
    assert_eq!(third.outcome("AAPL")["generation"], 2);
}

#[test]
fn a_damaged_newest_generation_is_trained_again() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL").expect(0);
    let weights = sandbox.store().join("symbols/AAPL/000001/weights.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    bytes[700] ^= 1;
    sandbox.write("mambafleet-store/symbols/AAPL/000001/weights.safetensors", bytes);
    let again = sandbox.run("train --symbols AAPL --format json").expect(0);
    assert_eq!(again.outcome("AAPL")["generation"], 2);
}

#[test]
fn validation_loss_falls_on_real_prices() {
    let Some(prices) = real_prices() else { return };
    let sandbox = Sandbox::new();
    let data = prices.display();
    let ended =
        sandbox.run(&format!("train --symbols AAPL --data {data} --epochs 4 --format json"));
    let aapl = ended.expect(0).outcome("AAPL");
    let headline = &aapl["headline"];
    let best = headline["best_validation_loss"].as_f64().unwrap();
    assert!(best < headline["first_validation_loss"].as_f64().unwrap(), "{aapl}");
    let shown = sandbox.run("show AAPL").expect(0).stdout;
    for part in ["4103 bars, 2005-01-03 to 2021-04-21", "fingerprint", "skill vs zero", "hash"] {
        assert!(shown.to_lowercase().contains(part), "{part} is missing:\n{shown}");
    }
    let forecast = sandbox.run("predict --symbols AAPL --format json").expect(0).json();
    let forecast = &forecast["forecasts"][0];
    assert_eq!((&forecast["as_of"], &forecast["synthetic"]), (&"2021-04-21".into(), &false.into()));
    for horizon in forecast["horizons"].as_array().unwrap() {
        let prices: Vec<f64> =
            horizon["prices"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect();
        assert!(prices.is_sorted() && prices[0] > 100.0 && prices[4] < 180.0, "{prices:?}");
    }
}

#[test]
fn a_dry_run_leaves_no_trace() {
    let sandbox = Sandbox::new();
    let shown = sandbox.run("train --symbols AAPL,BTC/USD --parallel 7 --dry-run").expect(0);
    assert!(shown.stdout.contains("BTC/USD") && shown.stdout.contains("2 workers"), "{shown:?}");
    let plan = sandbox.run("train --symbols AAPL --dry-run --format json").expect(0).json();
    assert_eq!(plan["plan"]["jobs"][0]["symbol"], "AAPL");
    assert!(plan["plan"]["jobs"][0]["lock_timeout_ms"].is_null(), "it is no longer auto");
    let args = "train --symbols AAPL --lock-timeout 90s --dry-run --format json";
    assert_eq!(sandbox.run(args).expect(0).json()["plan"]["jobs"][0]["lock_timeout_ms"], 90_000);
    assert!(!sandbox.store().exists());
}

#[test]
fn symbols_come_from_flags_files_and_groups_each_once() {
    let sandbox = Sandbox::new();
    sandbox.write("list.txt", "# tier 1\nAAPL  # the first\n\n@demo\nBRK.B\n#US30\n");
    let names = |args: &str| {
        let ended = sandbox.run(&format!("train --dry-run --format json {args}")).expect(0);
        let jobs = ended.json()["plan"]["jobs"].as_array().unwrap().clone();
        jobs.iter().map(|job| job["symbol"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("--symbols-file list.txt"), ["AAPL", "MSFT", "BRK.B"]);
    assert_eq!(names("--symbols AAPL,AAPL,@demo,MSFT"), ["AAPL", "MSFT"]);
    assert_eq!(names("--symbols ^GSPC"), ["^GSPC"]);
}

#[test]
fn the_shipped_configurations_are_valid() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let sandbox = Sandbox::new();
    let plan = |file: &str| {
        let path = configs.join(file);
        let args = format!("train --dry-run --format json --config {}", path.display());
        sandbox.run(&args).expect(0).json()["plan"].clone()
    };
    assert_eq!(plan("nightly-tier1.toml")["jobs"].as_array().unwrap().len(), 50);
    assert!(plan("batch.toml")["jobs"].as_array().unwrap().len() > 1);
    assert_eq!(plan("default.toml")["jobs"].as_array().unwrap().len(), 2);
}
