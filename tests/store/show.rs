//! `show`.

use serde_json::{Value, json};

use super::Shelf;
use crate::support::Sandbox;

#[test]
fn everything_about_a_generation_is_shown() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL").expect(0);
    sandbox.run("train --symbols AAPL --force").expect(0);
    sandbox.run("rollback AAPL --to 1").expect(0);
    let json = sandbox.run("show AAPL --format json").expect(0).json();
    assert_eq!((&json["schema"], &json["type"]), (&1.into(), &"generation".into()));
    let manifest = &json["manifest"];
    assert_eq!(
        (&manifest["generation"], &manifest["parent"]["generation"]),
        (&3.into(), &2.into())
    );
    assert_eq!(manifest["restored_from"]["generation"], 1);
    for (file, name) in [("metadata.json", "metadata"), ("metrics.json", "metrics")] {
        let on_disk: Value = serde_json::from_slice(&sandbox.newest("AAPL", file)).unwrap();
        assert_eq!(json[name], on_disk);
    }
    let on_disk: Value = serde_json::from_slice(&sandbox.newest("AAPL", "manifest.json")).unwrap();
    assert_eq!(*manifest, on_disk);
    let text = sandbox.run("show AAPL").expect(0).stdout;
    let mut parts = vec![
        "AAPL, generation 3\n".to_owned(),
        "  parent       generation 2\n".to_owned(),
        "  content of   generation 1\n".to_owned(),
        format!(
            "{}, pid {}",
            manifest["writer"]["host"].as_str().unwrap(),
            manifest["writer"]["pid"]
        ),
        format!("  token        {}\n", manifest["fencing_token"]),
        "validation loss ".to_owned(),
        "  seed         ".to_owned(),
        "content of 1\n".to_owned(),
    ];
    let files = manifest["files"].as_array().unwrap();
    assert_eq!(files.len(), 4);
    parts.extend(files.iter().map(|file| file["blake3"].as_str().unwrap().to_owned()));
    for part in parts {
        assert!(text.contains(&part), "{part} is missing:\n{text}");
    }
}

#[test]
fn the_history_tells_where_everything_came_from() {
    let shelf = Shelf::with_generations(11);
    shelf.sandbox.run("rollback AAPL --to 4").expect(0);
    shelf.damage(2, "manifest.json");
    let json = shelf.sandbox.run("show AAPL@5 --format json").expect(0).json();
    let history = json["history"].as_array().unwrap();
    assert_eq!(history.len(), 12);
    let restored = &history[11];
    assert_eq!((&restored["generation"], &restored["parent"]), (&12.into(), &11.into()));
    assert_eq!((&restored["restored_from"], &restored["bytes"]), (&4.into(), &16.into()));
    assert!(restored["created_at"].is_string() && restored["problem"].is_null(), "{restored}");
    let damaged = &history[1];
    assert_eq!((&damaged["generation"], &damaged["bytes"]), (&2.into(), &Value::Null));
    assert!(damaged["problem"]["kind"].is_string(), "{damaged}");
    let text = shelf.sandbox.run("show AAPL@5").expect(0).stdout;
    let newest_first = text.find("\n     12 ").unwrap() < text.find("\n     11 ").unwrap();
    assert!(newest_first && text.ends_with("and 2 older\n"), "{text}");
}

#[test]
fn what_another_program_saved_is_shown_as_far_as_it_is_known() {
    let shelf = Shelf::new();
    shelf.commit("AAPL", &[("metrics.json", json!({ "rmse": 1 })), ("vocabulary.json", json!([]))]);
    let json = shelf.sandbox.run("show AAPL --format json").expect(0).json();
    assert_eq!((&json["metadata"], &json["metrics"]), (&Value::Null, &json!({ "rmse": 1 })));
    assert_eq!(json["skipped"], json!([]));
    let text = shelf.sandbox.run("show AAPL").expect(0).stdout;
    assert!(text.contains("vocabulary.json") && text.contains("none: the first"), "{text}");
    shelf.commit("AAPL", &[("metrics.json", json!({ "rmse": 2 }))]);
    shelf.damage(2, "metrics.json");
    let json = shelf.sandbox.run("show AAPL --format json").expect(6).json();
    assert_eq!(
        (&json["manifest"]["generation"], &json["skipped"][0]["generation"]),
        (&1.into(), &2.into())
    );
}
