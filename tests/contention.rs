//! Many processes on one store.

use std::collections::BTreeSet;

use crate::support::Sandbox;

#[test]
fn ten_processes_on_one_symbol_make_ten_whole_generations() {
    let sandbox = Sandbox::new();
    // Runs of exactly the same symbols would not start beside each other.
    let start = |n| sandbox.start(&format!("train --symbols AAPL,S{n} --force"));
    let mut children: Vec<_> = (0..10).map(start).collect();
    for child in &mut children {
        assert_eq!(child.code(), Some(0));
    }
    let verified = sandbox.run("verify --all --format json").expect(0).json();
    assert_eq!(verified["generations"], 20);
    // Each generation is one run's own: its metadata names the run that its weights name.
    let mut runs = BTreeSet::new();
    for generation in 1..=10 {
        let args = format!("show AAPL@{generation} --format json");
        let shown = sandbox.run(&args).expect(0).json();
        let run = shown["metadata"]["provenance"]["run"].as_str().unwrap().to_owned();
        assert!(runs.insert(run), "two generations of one run");
    }
    let entries = std::fs::read_dir(sandbox.store().join("symbols/AAPL")).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = names.filter(|name| name.starts_with(".staging")).collect();
    assert!(left.is_empty(), "{left:?}");
}
