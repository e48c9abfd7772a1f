//! What people read: pinned word for word.

use crate::support::Sandbox;

#[test]
fn help() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!("help", sandbox.run("--help").expect(0).stdout);
    for command in [
        "train", "stress", "ls", "runs", "show", "diff", "verify", "rollback", "gc", "export",
        "lock", "backends",
    ] {
        let help = sandbox.run(&format!("{command} --help")).expect(0).stdout;
        insta::assert_snapshot!(format!("help-{command}"), help);
    }
    let help = sandbox.run("config check --help").expect(0).stdout;
    insta::assert_snapshot!("help-config-check", help);
    let help = sandbox.run("data check --help").expect(0).stdout;
    insta::assert_snapshot!("help-data-check", help);
    let help = sandbox.run("backends check --help").expect(0).stdout;
    insta::assert_snapshot!("help-backends-check", help);
    let help = sandbox.run("backends conform --help").expect(0).stdout;
    insta::assert_snapshot!("help-backends-conform", help);
}

#[test]
fn a_dry_run() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run("train --symbols AAPL,^GSPC --parallel 4096 --dry-run").expect(0);
    insta::assert_snapshot!(plain(&sandbox, &ended.stdout), @"
    SYMBOL  DATA                           EPOCHS
    AAPL    synthetic demo data, 400 bars       2
    ^GSPC   synthetic demo data, 400 bars       2

    dry run: 2 workers of N threads each would commit to DIR/mambafleet-store
    ");
}

#[test]
fn a_missing_store() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run("ls").expect(4);
    insta::assert_snapshot!(plain(&sandbox, &ended.stderr), @"
    error: mambafleet-store is not a store: it has no store.json
    hint: train something first, or name the store with --store
    ");
}

/// The text without what differs between machines: directories and the number of cores.
fn plain(sandbox: &Sandbox, text: &str) -> String {
    let cores = std::thread::available_parallelism().unwrap().get();
    let threads = match (cores / 2).max(1) {
        1 => "1 thread each".to_owned(),
        n => format!("{n} threads each"),
    };
    let text = text.replace(&sandbox.path("").display().to_string(), "DIR/");
    text.replace(&threads, "N threads each")
}
