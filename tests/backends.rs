//! `backends check`: a backend against what PyTorch has computed.

use std::fs;
use std::path::PathBuf;

use crate::support::Sandbox;

fn parity(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity");
    root.join(name).with_extension("safetensors").canonicalize().unwrap()
}

#[test]
fn the_native_backend_agrees_with_the_reference() {
    let sandbox = Sandbox::new();
    let [one, wide] = ["one-layer", "wide"].map(|name| parity(name).display().to_string());
    let ended = sandbox.run(&format!("backends check {one} {wide}")).expect(0);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines[0].split_whitespace().next(), Some("FILE"));
    assert!(lines[1].starts_with("one-layer.safetensors") && lines[1].ends_with("ok"));
    assert_eq!(lines[lines.len() - 1], "native (native-5) on 2 files: 64 values within tolerance");
    let json = sandbox.run(&format!("backends check {one} --format json")).expect(0).json();
    assert_eq!((&json["type"], &json["passed"]), (&"backend_check".into(), &true.into()));
    let checks = json["files"][0]["checks"].as_array().unwrap();
    let a_log = checks.iter().find(|c| c["tensor"] == "layers.0.mixer.A_log").unwrap();
    assert_eq!((&a_log["quantity"], &a_log["result"]), (&"gradient".into(), &"ok".into()));
    assert!(a_log["deviation"].as_f64().unwrap() < a_log["tolerance"].as_f64().unwrap());
}

#[test]
fn a_deviation_ends_with_1_and_says_where() {
    let sandbox = Sandbox::new();
    // The last value of the file is one of the target, which the loss and all gradients depend on.
    let mut bytes = fs::read(parity("one-layer")).unwrap();
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&0.25_f32.to_le_bytes());
    sandbox.write("moved.safetensors", &bytes);
    let ended = sandbox.run("backends check moved.safetensors").expect(1);
    let line = |start: &str| ended.stdout.lines().find(|line| line.contains(start)).unwrap();
    assert!(line(" output ").ends_with("ok") && line(" loss ").ends_with("FAIL"));
    let last = ended.stdout.lines().last().unwrap();
    assert!(last.ends_with("of 32 values above tolerance"), "{last}");
    let json = sandbox.run("backends check moved.safetensors --format json").expect(1).json();
    assert_eq!(json["passed"], false);
}

#[test]
fn what_cannot_be_checked_is_named() {
    let sandbox = Sandbox::new();
    let good = parity("one-layer").display().to_string();
    let missing = sandbox.run(&format!("backends check {good} none.safetensors")).expect(2);
    assert!(missing.stderr.contains("cannot read none.safetensors: "), "{}", missing.stderr);
    assert!(missing.stdout.is_empty());
    sandbox.write("notes.txt", b"no tensors");
    let other = sandbox.run("backends check notes.txt").expect(2).stderr;
    assert!(other.contains("notes.txt is no safetensors file: "), "{other}");
    let unknown = sandbox.run(&format!("backends check {good} --backend torch")).expect(2).stderr;
    assert!(unknown.contains("no backend is called \"torch\""), "{unknown}");
    sandbox.run("backends check").expect(2);
}
