//! `verify`.

use serde_json::json;

use super::Shelf;

/// AAPL with three generations and MSFT with one.
fn shelf() -> Shelf {
    let shelf = Shelf::with_generations(3);
    shelf.commit("MSFT", &[("metrics.json", json!({ "loss": 1 }))]);
    shelf
}

#[test]
fn a_sound_store_is_said_to_be_one() {
    let shelf = shelf();
    let ended = shelf.sandbox.run("verify --all").expect(0);
    assert_eq!(ended.stdout, "4 generations of 2 symbols, 64 B: every byte as committed\n");
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    let one = shelf.sandbox.run("verify AAPL --format json").expect(0).json();
    assert_eq!((&one["type"], &one["symbols"]), (&"verified".into(), &1.into()));
    assert_eq!((&one["generations"], &one["bytes"]), (&3.into(), &48.into()));
    assert_eq!((&one["faults"], &one["failures"]), (&json!([]), &json!([])));
}

#[test]
fn every_damage_is_listed_with_what_was_expected_and_found() {
    let shelf = shelf();
    let generation = "mambafleet-store/symbols/AAPL/000001";
    shelf.damage(2, "metrics.json");
    shelf.sandbox.write(&format!("{generation}/metrics.json"), "{}");
    shelf.sandbox.write(&format!("{generation}/stray.txt"), "");
    let file = shelf.sandbox.path("mambafleet-store/symbols/MSFT/000001/metrics.json");
    std::fs::remove_file(file).unwrap();
    let ended = shelf.sandbox.run("verify --all").expect(6);
    for part in [
        "AAPL: generation 1: metrics.json: expected 16 bytes, found 2\n",
        "AAPL: generation 1: stray.txt: not listed in the manifest\n",
        "AAPL: generation 2: metrics.json: expected BLAKE3 ",
        "MSFT: generation 1: metrics.json: missing\n",
        "4 generations of 2 symbols, 64 B: 4 faults\n",
    ] {
        assert!(ended.stdout.contains(part), "{part} is missing: {}", ended.stdout);
    }
    let json = shelf.sandbox.run("verify --all --format json").expect(6).json();
    let length = json!({
        "symbol": "AAPL",
        "generation": 1,
        "file": "metrics.json",
        "problem": { "kind": "length", "expected": 16, "found": 2 },
    });
    assert_eq!(json["faults"][0], length);
    let hash = &json["faults"][2]["problem"];
    assert_eq!(hash["kind"], "hash");
    assert!(hash["expected"].is_string() && hash["found"] != hash["expected"], "{hash}");
    // Others are not to blame.
    shelf.sandbox.run("verify MSFT").expect(6);
    assert_eq!(
        shelf.sandbox.run("verify AAPL --format json").json()["faults"].as_array().unwrap().len(),
        3
    );
}

/// The link that names the newest generation tells.
#[cfg(unix)]
#[test]
fn a_symbol_that_lost_everything_is_missed() {
    let shelf = shelf();
    std::fs::remove_dir_all(shelf.sandbox.path("mambafleet-store/symbols/MSFT/000001")).unwrap();
    let ended = shelf.sandbox.run("verify --all").expect(6);
    assert!(ended.stdout.contains("MSFT: generation 1: manifest.json: missing"), "{ended:?}");
    // A directory in which nothing ever was is no symbol yet.
    std::fs::create_dir(shelf.sandbox.path("mambafleet-store/symbols/IBM")).unwrap();
    shelf.sandbox.run("verify IBM").expect(4);
    std::fs::remove_dir_all(shelf.sandbox.path("mambafleet-store/symbols/MSFT")).unwrap();
    let all = shelf.sandbox.run("verify --all --format json").expect(0).json();
    assert_eq!(all["symbols"], 1);
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_hides_no_damage() {
    let shelf = shelf();
    shelf.commit_many_files("IBM");
    let ended = shelf.short_of_files("verify --all").expect(3);
    assert!(ended.stdout.contains(": as committed; 1 symbol not read"), "{ended:?}");
    assert!(ended.stderr.contains("IBM: cannot read"), "{ended:?}");
    assert!(ended.stderr.contains("hint: raise the limit of open files"), "{ended:?}");
    shelf.damage(2, "metrics.json");
    let json = shelf.short_of_files("verify --all --format json").expect(6).json();
    assert_eq!(json["faults"][0]["symbol"], "AAPL");
    assert_eq!(json["failures"][0]["symbol"], "IBM");
}

#[cfg(unix)]
#[test]
fn a_bar_is_drawn_on_a_terminal_and_only_there() {
    let shelf = shelf();
    assert!(shelf.sandbox.run("verify --all").expect(0).stderr.is_empty());
    if !std::path::Path::new("/usr/bin/script").is_file() {
        println!("skipped: no `script` to make a terminal with");
        return;
    }
    let on_terminal = |args: &str| {
        let program = env!("CARGO_BIN_EXE_mambafleet");
        let line = format!("script -qec '{program} {args}' /dev/null");
        crate::support::finish(shelf.sandbox.shell(&line).env("TERM", "xterm")).expect(0).stdout
    };
    let drawn = on_terminal("verify --all");
    assert!(drawn.contains("verifying ") && drawn.contains("/4 generations"), "{drawn:?}");
    for args in ["verify --all --quiet", "verify --all --format json"] {
        let shown = on_terminal(args);
        assert!(!shown.contains("verifying ") && !shown.contains('\u{1b}'), "{args}: {shown:?}");
    }
}
