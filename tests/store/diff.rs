//! `diff`.

use serde_json::{Value, json};

use super::Shelf;

/// Two generations that differ in everything a comparison can find.
fn shelf() -> Shelf {
    let shelf = Shelf::new();
    let metrics = |loss: f64, epochs: u64| json!({ "loss": loss, "same": 1, "epochs": [{ "epoch": 1, "seconds": epochs }] });
    let metadata = |seed: u64| json!({ "train": { "seed": seed }, "provenance": { "run": seed } });
    shelf.commit(
        "AAPL",
        &[("metrics.json", metrics(0.25, 1)), ("metadata.json", metadata(7)), ("a.json", json!(1))],
    );
    shelf.commit(
        "AAPL",
        &[
            ("metrics.json", metrics(0.2, 2)),
            ("metadata.json", json!({ "train": { "seed": 9, "note": "x" }, "provenance": {} })),
        ],
    );
    shelf
}

#[test]
fn metrics_and_configuration_stand_side_by_side() {
    let shelf = shelf();
    let ended = shelf.sandbox.run("diff AAPL 1 2").expect(0);
    insta::assert_snapshot!(ended.stdout, @"
    FILE           KEY           @1   @2  DIFFERENCE    RATIO
    a.json                        1    -
    metadata.json  train.note     -    x
    metadata.json  train.seed     7    9          +2  1.28571
    metrics.json   loss        0.25  0.2       -0.05      0.8

    2 changed, 1 added, 1 removed
    3 more differences in epochs, provenance and scaler: --all shows them
    ");
    let all = shelf.sandbox.run("diff AAPL 1 2 --all").expect(0).stdout;
    assert!(all.contains("epochs[0].seconds") && !all.contains("--all"), "{all}");
}

#[test]
fn json_tells_the_same_to_programs() {
    let json = shelf().sandbox.run("diff AAPL 1 2 --format json").expect(0).json();
    assert_eq!((&json["schema"], &json["type"]), (&1.into(), &"difference".into()));
    assert_eq!((&json["symbol"], &json["a"], &json["b"]), (&"AAPL".into(), &1.into(), &2.into()));
    assert_eq!(json["identical"], false);
    assert_eq!(
        json["files"][0],
        json!({ "file": "a.json", "change": "removed", "differences": 1 })
    );
    let changes = json["changes"].as_array().unwrap();
    let of = |key: &str| changes.iter().find(|change| change["key"] == key).unwrap();
    let loss = of("loss");
    assert_eq!((&loss["file"], &loss["change"]), (&"metrics.json".into(), &"changed".into()));
    assert_eq!((&loss["a"], &loss["b"]), (&0.25.into(), &0.2.into()));
    assert!((loss["difference"].as_f64().unwrap() + 0.05).abs() < 1e-12, "{loss}");
    assert!((loss["ratio"].as_f64().unwrap() - 0.8).abs() < 1e-12, "{loss}");
    let note = of("train.note");
    assert_eq!(
        (&note["change"], &note["a"], &note["b"]),
        (&"added".into(), &Value::Null, &"x".into())
    );
    assert_eq!((&note["difference"], &note["ratio"]), (&Value::Null, &Value::Null));
    assert!(json["left_out"].as_u64().unwrap() >= 2, "{json}");
}

#[test]
fn it_says_so_when_nothing_differs() {
    let shelf = Shelf::with_generations(2);
    shelf.sandbox.run("rollback AAPL --to 1").expect(0);
    let same = shelf.sandbox.run("diff AAPL 1 3").expect(0).stdout;
    assert_eq!(same, "AAPL: generations 1 and 3 hold the same, byte for byte\n");
    let json = shelf.sandbox.run("diff AAPL 1 3 --format json").expect(0).json();
    assert_eq!((&json["identical"], &json["changes"]), (&true.into(), &json!([])));
}

#[test]
fn weights_that_differ_are_named_where_nothing_else_does() {
    let shelf = Shelf::new();
    let aapl = shelf.store.symbol(&"AAPL".parse().unwrap());
    for weight in [1.0_f32, 2.0] {
        let mut transaction = aapl.begin().unwrap();
        transaction.put_weights([("w", &[1][..], &[weight][..])], Default::default()).unwrap();
        transaction.put_json("metrics.json", &json!({ "epochs": [weight] })).unwrap();
        let lock = aapl.lock(mambafleet_artifacts::Wait::Fail).unwrap();
        transaction.commit(&lock).unwrap();
    }
    let ended = shelf.sandbox.run("diff AAPL 1 2").expect(0);
    insta::assert_snapshot!(ended.stdout, @"
    AAPL: generations 1 and 2 do not differ in metrics and configuration
    weights.safetensors changed
    1 more difference in epochs, provenance and scaler: --all shows them
    ");
}

#[test]
fn generations_that_are_missing_or_damaged_are_not_compared() {
    let shelf = Shelf::with_generations(2);
    let missing = shelf.sandbox.run("diff AAPL 1 3").expect(4);
    assert!(missing.stderr.contains("AAPL has no generation 3"), "{}", missing.stderr);
    shelf.damage(2, "metrics.json");
    shelf.sandbox.run("diff AAPL 1 2").expect(6);
    shelf.sandbox.run("diff AAPL 1").expect(2);
    shelf.sandbox.run("diff AAPL 1 latest").expect(2);
}
