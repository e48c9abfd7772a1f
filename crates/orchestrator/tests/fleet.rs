//! Whole runs with workers that are shell scripts: what the orchestrator believes, and what not.
#![cfg(unix)]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test ends by panicking")]

use std::path::Path;
use std::time::Duration;

use mambafleet_artifacts::{Store, Wait};
use mambafleet_orchestrator::{
    Reporter, RetryPolicy, RunEvent, RunPlan, RunPolicy, RunSummary, StampedEvent, WorkerCommand,
    new_run_id,
};
use mambafleet_protocol::{FailureKind, JobSpec, Outcome, Symbol};
use tempfile::TempDir;

/// Shell functions for a worker: `hello`, and `say TYPE FIELDS` for any other message.
const PRELUDE: &str = r#"
message() { printf '{"mambafleet":1,"message":{%s}}\n' "$1"; }
hello() { message "\"type\":\"hello\",\"protocol\":1,\"pid\":$$,\"version\":\"test\""; }
symbol_of() { printf '%s' "$1" | sed 's/.*"symbol":"\([^"]*\)".*/\1/'; }
attempt_of() { printf '%s' "$1" | sed 's/.*"attempt":\([0-9]*\).*/\1/'; }
job() { read -r line && case "$line" in *'"type":"stop"'*) return 1;; esac; }
finish() { message "\"type\":\"finished\",\"symbol\":\"$(symbol_of "$1")\",\"attempt\":$(attempt_of "$1"),\"seconds\":0.5,\"result\":$2"; }
up_to_date='{"result":"up_to_date","generation":1}'
committed='{"result":"committed","generation":1,"headline":{"epochs":1,"first_validation_loss":1.0,"best_validation_loss":1.0,"test_loss":1.0,"baseline_loss":1.0}}'
"#;

#[derive(Default)]
struct Events(Vec<RunEvent>);

impl Reporter for Events {
    fn on_event(&mut self, event: &StampedEvent) {
        self.0.push(event.event.clone());
    }
}

struct Fleet {
    dir: TempDir,
    store: Store,
}

impl Fleet {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(dir.path().join("store")).unwrap();
        Self { dir, store }
    }

    fn job(plan: &RunPlan, symbol: &str) -> JobSpec {
        let (symbol, store) = (Symbol::new(symbol).unwrap(), plan.store.clone());
        JobSpec { lock_timeout_ms: Some(1000), ..JobSpec::usual(plan.run.clone(), symbol, store) }
    }

    /// Runs these symbols on workers that execute `script` after the prelude.
    fn run(&self, symbols: &[&str], parallel: usize, script: &str) -> (RunSummary, Vec<RunEvent>) {
        let policy = RunPolicy {
            retry: RetryPolicy {
                retries: 1,
                backoff: Duration::from_millis(5),
                backoff_max: Duration::from_millis(5),
                ..RetryPolicy::default()
            },
            grace: Duration::from_secs(1),
            ..RunPolicy::plain(parallel)
        };
        let (run, store) = (new_run_id().unwrap(), self.store.root().to_owned());
        let mut plan = RunPlan::new(run, "test".into(), store, policy, Vec::new());
        plan.jobs = symbols.iter().map(|symbol| Self::job(&plan, symbol)).collect();
        let script = format!("cd {}\n{PRELUDE}\n{script}", self.dir.path().display());
        let command =
            WorkerCommand { program: "/bin/sh".into(), args: vec!["-c".into(), script.into()] };
        let mut events = Events::default();
        let summary =
            mambafleet_orchestrator::run(&plan, &self.store, command, None, &mut events).unwrap();
        (summary, events.0)
    }
}

fn failure(summary: &RunSummary, index: usize) -> (FailureKind, String, u32, &Path) {
    match &summary.symbols[index].outcome {
        Outcome::Failed { kind, cause, attempts, log, .. } => {
            (*kind, cause.clone(), *attempts, log.as_path())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_commit_that_cannot_be_read_back_is_not_believed() {
    let fleet = Fleet::new();
    let liar = r#"hello; while job; do finish "$line" "$committed"; done"#;
    let (summary, _) = fleet.run(&["AAPL"], 1, liar);
    let (kind, cause, attempts, log) = failure(&summary, 0);
    assert_eq!((kind, attempts), (FailureKind::Store, 2));
    assert!(cause.contains("generation 1 cannot be read back"), "{cause}");
    assert!(log.is_file());
    // The same words are believed once the generation is there.
    let symbol = fleet.store.symbol(&Symbol::new("AAPL").unwrap());
    let mut transaction = symbol.begin().unwrap();
    transaction.put_bytes("weights", b"...").unwrap();
    transaction.commit(&symbol.lock(Wait::Fail).unwrap()).unwrap();
    let (summary, _) = fleet.run(&["AAPL"], 1, liar);
    assert!(summary.all_good(), "{summary:?}");
}

#[test]
fn rubbish_on_standard_output_is_shown_and_costs_nothing() {
    let fleet = Fleet::new();
    let (summary, events) = fleet.run(
        &["AAPL", "BRK.B"],
        1,
        r#"echo loading; hello
           while job; do printf 'no newline'; finish "$line" "$up_to_date"; done"#,
    );
    assert!(summary.all_good(), "{summary:?}");
    let strays: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            RunEvent::Stray { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(strays, ["loading", "no newline", "no newline"]);
}

#[test]
fn workers_that_break_the_protocol_are_killed_and_named() {
    let fleet = Fleet::new();
    for (script, expected) in [
        (
            r#"hello; job; finish '"symbol":"MSFT","attempt":1' "$up_to_date"; sleep 60"#,
            "another symbol",
        ),
        (
            r#"hello; job; finish '"symbol":"AAPL","attempt":9' "$up_to_date"; sleep 60"#,
            "attempt 9",
        ),
        (r#"hello; job; printf '{"mambafleet":7,"message":{}}\n'; sleep 60"#, "protocol 7"),
    ] {
        let (summary, _) = fleet.run(&["AAPL"], 1, script);
        let (kind, cause, attempts, _) = failure(&summary, 0);
        assert_eq!((kind, attempts), (FailureKind::Protocol, 2));
        assert!(cause.contains(expected), "{cause}");
    }
}

#[test]
fn every_way_to_die_is_named() {
    let fleet = Fleet::new();
    for (death, expected) in [
        ("exit 3", "exited with code 3"),
        ("kill -9 $$", "killed by signal 9 (SIGKILL)"),
        ("kill -6 $$", "killed by signal 6 (SIGABRT)"),
    ] {
        let (summary, _) = fleet.run(&["AAPL"], 1, &format!("hello; job; {death}"));
        let (kind, cause, _, log) = failure(&summary, 0);
        assert_eq!(kind, FailureKind::Crashed);
        assert!(cause.contains(expected), "{cause}");
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("attempt 2: worker") && log.contains(expected), "{log}");
    }
}

#[test]
fn one_dead_worker_costs_the_others_nothing() {
    let fleet = Fleet::new();
    let symbols: Vec<String> = (0..20).map(|n| format!("S{n}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    // Whoever gets S7 dies of it, each time.
    let (summary, events) = fleet.run(
        &symbols,
        4,
        r#"hello
           while job; do
             if [ "$(symbol_of "$line")" = S7 ]; then kill -9 $$; fi
             finish "$line" "$up_to_date"
           done"#,
    );
    let good = summary.symbols.iter().filter(|s| s.outcome.is_good()).count();
    assert_eq!(good, 19);
    assert_eq!(failure(&summary, 7).2, 2);
    let lost = events.iter().filter(|e| matches!(e, RunEvent::WorkerLost { .. })).count();
    assert_eq!(lost, 2);
}

#[test]
fn a_worker_that_does_not_end_when_told_to_is_killed() {
    let fleet = Fleet::new();
    let deaf = r#"hello; job; finish "$line" "$up_to_date"; sleep 600"#;
    let (summary, _) = fleet.run(&["AAPL"], 1, deaf);
    assert!(summary.all_good() && summary.seconds < 60.0, "{summary:?}");
}

#[test]
fn workers_that_cannot_start_end_the_run_with_the_reason() {
    let fleet = Fleet::new();
    let (summary, _) = fleet.run(&["AAPL", "MSFT"], 2, "echo broken >&2; exit 9");
    for index in 0..2 {
        let (kind, cause, attempts, _) = failure(&summary, index);
        assert_eq!((kind, attempts), (FailureKind::Internal, 0));
        assert!(cause.contains("exited with code 9"), "{cause}");
    }
}
