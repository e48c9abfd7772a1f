//! `ls`.

use serde_json::{Value, json};

use super::Shelf;

/// Metrics of which the list shows the headline.
fn metrics() -> Value {
    json!({
        "schema": 1,
        "headline": {
            "epochs": 2,
            "first_validation_loss": 0.3,
            "best_validation_loss": 0.25,
            "test_loss": 0.24,
            "baseline_loss": 0.25,
        },
        "best_epoch": 2,
        "epochs": [],
        "test": { "samples": 1, "loss": 0.24, "baseline_loss": 0.25, "skill": 0.04, "horizons": [] },
    })
}

#[test]
fn every_symbol_stands_with_what_it_has_and_what_it_takes() {
    let shelf = Shelf::with_generations(3);
    shelf.commit("MSFT", &[("metrics.json", metrics())]);
    let ended = shelf.sandbox.run("ls").expect(0).stdout;
    let lines: Vec<Vec<&str>> = ended.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..7], ["SYMBOL", "GEN", "AGE", "SIZE", "KEPT", "ON", "DISK"]);
    let [symbol, generation, _age, size @ ..] = &lines[1][..] else { panic!("{ended}") };
    assert_eq!((*symbol, *generation, size), ("AAPL", "3", &["16", "B", "3", "48", "B"][..]));
    assert!(ended.contains("0.2500     0.2400       +4.0 %"), "{ended}");
    let json = shelf.sandbox.run("ls --format json").expect(0).json();
    assert_eq!((&json["type"], &json["failures"]), (&"symbols".into(), &json!([])));
    let aapl = &json["symbols"][0];
    assert_eq!((&aapl["symbol"], &aapl["generation"]), (&"AAPL".into(), &3.into()));
    assert_eq!((&aapl["bytes"], &aapl["bytes_on_disk"]), (&16.into(), &48.into()));
    assert_eq!((&aapl["generations"], &aapl["headline"]), (&3.into(), &Value::Null));
    assert_eq!((&aapl["damaged"], &aapl["skipped"]), (&false.into(), &json!([])));
    let age = aapl["age_s"].as_f64().unwrap();
    assert!((0.0..600.0).contains(&age) && aapl["created_at"].is_string(), "{aapl}");
    assert_eq!(json["symbols"][1]["headline"]["test_loss"], 0.24);
}

#[test]
fn damage_is_named_and_hides_no_other_symbol() {
    let shelf = Shelf::with_generations(2);
    shelf.commit("MSFT", &[("metrics.json", metrics())]);
    shelf.damage(2, "metrics.json");
    let fallback = shelf.sandbox.run("ls --format json").expect(6).json();
    let aapl = &fallback["symbols"][0];
    assert_eq!((&aapl["generation"], &aapl["damaged"]), (&1.into(), &true.into()));
    assert_eq!(aapl["skipped"][0]["generation"], 2);
    shelf.damage(1, "metrics.json");
    let json = shelf.sandbox.run("ls --format json").expect(6).json();
    assert_eq!(json["symbols"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&json["symbols"][0]["symbol"], &json["failures"][0]["symbol"]),
        (&"MSFT".into(), &"AAPL".into())
    );
    let human = shelf.sandbox.run("ls").expect(6);
    assert!(human.stdout.contains("MSFT") && human.stderr.contains("AAPL: "), "{human:?}");
}

#[test]
fn an_empty_store_is_said_to_be_empty() {
    let shelf = Shelf::new();
    let ended = shelf.sandbox.run("ls").expect(0);
    assert_eq!(ended.stdout, "the store holds no generation yet\n");
}
