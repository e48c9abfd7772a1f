//! `export`.

use serde_json::Value;

use super::Shelf;

/// The loss in an exported generation.
fn loss(shelf: &Shelf, dir: &str) -> Value {
    let bytes = std::fs::read(shelf.sandbox.path(dir).join("metrics.json")).unwrap();
    serde_json::from_slice::<Value>(&bytes).unwrap()["loss"].clone()
}

#[test]
fn a_generation_is_copied_byte_for_byte() {
    let shelf = Shelf::with_generations(3);
    let newest = shelf.sandbox.run("export AAPL newest --format json").expect(0).json();
    assert_eq!((&newest["type"], &newest["generation"]), (&"exported".into(), &3.into()));
    assert_eq!((&newest["symbol"], &newest["files"]), (&"AAPL".into(), &2.into()));
    assert_eq!(newest["skipped"].as_array().unwrap().len(), 0);
    let path = std::path::PathBuf::from(newest["path"].as_str().unwrap());
    assert!(path.is_absolute());
    for file in ["metrics.json", "manifest.json"] {
        let original = shelf.sandbox.store().join("symbols/AAPL/000003").join(file);
        assert_eq!(std::fs::read(original).unwrap(), std::fs::read(path.join(file)).unwrap());
    }
    let human = shelf.sandbox.run("export AAPL@1 first").expect(0).stdout;
    assert!(human.contains("AAPL: generation 1 copied to "), "{human}");
    assert_eq!(loss(&shelf, "first"), 1);
}

#[test]
fn nothing_that_exists_is_touched() {
    let shelf = Shelf::with_generations(1);
    shelf.sandbox.write("there/precious.txt", "mine");
    for (args, said) in [
        ("export AAPL there", "exists already"),
        ("export AAPL mambafleet.toml", "exists already"),
        ("export AAPL absent/there", "absent is not a directory"),
        ("export AAPL@x there", "no generation number"),
        ("export AAPL mambafleet-store/symbols/AAPL/000002", "lies inside the store"),
    ] {
        let ended = shelf.sandbox.run(args).expect(2);
        assert!(ended.stderr.contains(said), "{args}: {}", ended.stderr);
        assert!(ended.stderr.contains("hint: "), "{args}: {}", ended.stderr);
    }
    assert_eq!(std::fs::read_dir(shelf.sandbox.path("there")).unwrap().count(), 1);
    shelf.sandbox.run("export AAPL@2 there2").expect(4);
    let unknown = shelf.sandbox.run("export MSFT there2").expect(4);
    assert!(unknown.stderr.contains("MSFT has no generation\n"), "{}", unknown.stderr);
    assert!(!shelf.sandbox.path("there2").exists());
}

#[test]
fn a_damaged_newest_generation_is_passed_over_loudly() {
    let shelf = Shelf::with_generations(2);
    shelf.damage(2, "metrics.json");
    let ended = shelf.sandbox.run("export AAPL copy").expect(6);
    assert!(ended.stdout.contains("generation 2: metrics.json: expected BLAKE3"), "{ended:?}");
    assert_eq!(loss(&shelf, "copy"), 1);
    let json = shelf.sandbox.run("export AAPL again --format json").expect(6).json();
    assert_eq!((&json["generation"], &json["skipped"][0]["generation"]), (&1.into(), &2.into()));
    // Named, it is refused.
    let named = shelf.sandbox.run("export AAPL@2 named").expect(6);
    assert!(named.stderr.contains("generation 2 of AAPL is damaged"), "{}", named.stderr);
    shelf.damage(1, "manifest.json");
    shelf.sandbox.run("export AAPL none").expect(6);
    assert!(!shelf.sandbox.path("named").exists() && !shelf.sandbox.path("none").exists());
    let left = std::fs::read_dir(shelf.sandbox.path("")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_place_that_cannot_be_written_is_a_mistake_of_the_call() {
    let shelf = Shelf::with_generations(1);
    // Nothing can be made there, not even by root.
    let ended = shelf.sandbox.run("export AAPL /proc/nowhere").expect(2);
    assert!(ended.stderr.contains("name a place that can be written"), "{}", ended.stderr);
}
