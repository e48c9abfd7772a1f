#[path = "../../../../tests/support/mlflow.rs"]
mod server;

use std::path::Path;
use std::time::Duration;

use mambafleet_orchestrator::{Reporter, RunPolicy};
use mambafleet_protocol::{EpochReport, FailureKind, Headline, RunId, SkipReason};
use serde_json::{Value, json};

use super::*;
use crate::{Settings, Trackers};
use server::{FakeMlflow, Reply};

const RUN: &str = "20260301-041500-123-3f9a";

fn run_id() -> RunId {
    RUN.parse().unwrap()
}

fn plan(symbols: &[&str]) -> RunPlan {
    let job = |symbol: &&str| JobSpec::usual(run_id(), symbol.parse().unwrap(), "/store".into());
    let jobs = symbols.iter().map(job).collect();
    RunPlan::new(run_id(), "1.2.3".into(), "/store".into(), RunPolicy::plain(1), jobs)
}

fn run_started() -> RunEvent {
    RunEvent::RunStarted {
        run: run_id(),
        store: "/store".into(),
        record: "/record".into(),
        symbols: 1,
        workers: 1,
        threads: 1,
        synthetic: true,
        deadline: None,
    }
}

fn started(symbol: &str, attempt: u32) -> RunEvent {
    RunEvent::AttemptStarted { symbol: symbol.parse().unwrap(), attempt, worker: 1, pid: 1 }
}

fn epoch(symbol: &str, epoch: usize) -> RunEvent {
    RunEvent::Progress(EpochReport {
        symbol: symbol.parse().unwrap(),
        epoch,
        epochs: 9,
        train_loss: 1.0 / epoch as f64,
        validation_loss: 2.0 / epoch as f64,
        samples_per_second: 100.0,
    })
}

fn finished(symbol: &str, outcome: Outcome) -> RunEvent {
    RunEvent::SymbolFinished { symbol: symbol.parse().unwrap(), outcome }
}

fn trained() -> Outcome {
    let headline = Headline {
        epochs: 2,
        first_validation_loss: 1.0,
        best_validation_loss: 0.5,
        test_loss: 0.75,
        baseline_loss: 1.0,
    };
    Outcome::Trained { generation: 7, attempts: 1, seconds: 1.0, headline }
}

fn failed(attempts: u32) -> Outcome {
    let (kind, cause) = (FailureKind::Data, "no such file".to_owned());
    Outcome::Failed { kind, cause, hint: None, attempts, log: "/record/logs/B.log".into() }
}

fn attempt_failed(symbol: &str, attempt: u32, retry_in: Option<f64>) -> RunEvent {
    RunEvent::AttemptFailed {
        symbol: symbol.parse().unwrap(),
        attempt,
        kind: FailureKind::Crashed,
        cause: "killed by signal 9".into(),
        retry_in,
    }
}

fn run_finished(outcomes: &[(&str, Outcome)]) -> RunEvent {
    let symbols = outcomes.iter().map(|(symbol, outcome)| mambafleet_orchestrator::SymbolSummary {
        symbol: symbol.parse().unwrap(),
        last_success: None,
        attempt_seconds: 0.0,
        outcome: outcome.clone(),
    });
    let (time, began) = (Default::default(), Timestamp::now());
    let summary = RunSummary::new(run_id(), began, 1.5, None, time, symbols.collect());
    RunEvent::RunFinished { summary }
}

/// A run of one symbol with two epochs.
fn usual() -> Vec<RunEvent> {
    vec![
        run_started(),
        started("A", 1),
        epoch("A", 1),
        epoch("A", 2),
        finished("A", trained()),
        run_finished(&[("A", trained())]),
    ]
}

/// Tells the server at this URL of a run with these events; what is missing in the end.
fn tell(url: &str, patience: Duration, events: Vec<RunEvent>) -> Option<String> {
    let mlflow = MlflowSettings { url: url.parse().unwrap(), experiment: "an é".into(), patience };
    let settings = Settings { tensorboard: None, mlflow: Some(mlflow) };
    let plan = plan(&["A", "B"]);
    let (mut feed, trackers) = Trackers::start(settings, &plan, Path::new("/record"));
    for event in events {
        feed.on_event(&StampedEvent::now(event));
    }
    drop(feed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let missing = trackers.lanes[0].shared().tally.clone();
    runtime.block_on(trackers.finish(std::future::pending()));
    missing.missing()
}

const LONG: Duration = Duration::from_secs(60);

fn tags(body: &Value) -> HashMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let tags = body["tags"].as_array().unwrap().iter();
    tags.map(|tag| (text(&tag["key"]), text(&tag["value"]))).collect()
}

/// Everything of one kind that was logged for a run.
fn logged(server: &FakeMlflow, run: &str, kind: &str) -> Vec<Value> {
    let bodies = server.bodies("runs/log-batch").into_iter();
    let own = bodies.filter(|body| body["run_id"] == run);
    own.flat_map(|body| body[kind].as_array().unwrap().clone()).collect()
}

fn metric(server: &FakeMlflow, run: &str, name: &str) -> Vec<(i64, f64)> {
    let all = logged(server, run, "metrics").into_iter().filter(|metric| metric["key"] == name);
    all.map(|m| (m["step"].as_i64().unwrap(), m["value"].as_f64().unwrap())).collect()
}

fn value_of(server: &FakeMlflow, run: &str, kind: &str, name: &str) -> Option<String> {
    let all = logged(server, run, kind).into_iter().rev();
    let mut found = all.filter(|one| one["key"] == name);
    Some(found.next()?["value"].as_str().unwrap().to_owned())
}

/// The last status of every run.
fn statuses(server: &FakeMlflow) -> HashMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let updates = server.bodies("runs/update").into_iter();
    updates.map(|body| (text(&body["run_id"]), text(&body["status"]))).collect()
}

fn status_is(server: &FakeMlflow, expected: &[(&str, &str)]) {
    let expected = expected.iter().map(|(run, status)| ((*run).to_owned(), (*status).to_owned()));
    assert_eq!(statuses(server), expected.collect());
}

#[test]
fn a_run_and_its_symbols_are_told_with_everything() {
    let server = FakeMlflow::start();
    assert_eq!(tell(&server.url(), LONG, usual()), None);
    let asked = server.asked();
    assert_eq!(
        asked[0].what,
        "GET /api/2.0/mlflow/experiments/get-by-name?experiment_name=an%20%C3%A9"
    );
    assert_eq!(server.bodies("experiments/create"), [json!({ "name": "an é" })]);
    let made = server.bodies("runs/create");
    assert_eq!(made.len(), 2);
    assert_eq!((&made[0]["experiment_id"], &made[0]["run_name"]), (&"7".into(), &RUN.into()));
    let (parent, child) = (tags(&made[0]), tags(&made[1]));
    assert_eq!(parent["mambafleet.record"], "/record");
    assert_eq!(parent["mambafleet.synthetic_data"], "true");
    assert_eq!(parent["mlflow.source.name"], "mambafleet train");
    assert_eq!(child["mlflow.parentRunId"], "run-1");
    assert_eq!((&*child["mlflow.runName"], &*child["mambafleet.symbol"]), ("A", "A"));

    assert_eq!(metric(&server, "run-2", "loss/train"), [(1, 1.0), (2, 0.5)]);
    assert_eq!(metric(&server, "run-2", "loss/validation"), [(1, 2.0), (2, 1.0)]);
    assert_eq!(metric(&server, "run-2", "loss/test"), [(2, 0.75)]);
    assert_eq!(metric(&server, "run-2", "skill"), [(2, 0.25)]);
    assert_eq!(metric(&server, "run-1", "symbols/trained"), [(0, 1.0)]);
    assert_eq!(metric(&server, "run-1", "skill/mean"), [(0, 0.25)]);
    let rate = value_of(&server, "run-2", "params", "train.learning_rate");
    assert_eq!(rate.as_deref(), Some("0.0003"));
    let dir = value_of(&server, "run-2", "tags", "mambafleet.generation_dir");
    assert_eq!(dir.as_deref(), Some("/store/symbols/A/000007"));
    let note = value_of(&server, "run-2", "tags", "mlflow.note.content").unwrap();
    assert!(note.contains("`/store/symbols/A/000007`"), "{note}");
    status_is(&server, &[("run-1", "FINISHED"), ("run-2", "FINISHED")]);
}

#[test]
fn failures_are_told_with_their_cause_and_each_attempt_has_a_run() {
    let server = FakeMlflow::start();
    let skipped = Outcome::Skipped {
        reason: SkipReason::Deadline,
        attempts: 0,
        why: "no time is left".into(),
    };
    let events = vec![
        run_started(),
        started("B", 1),
        epoch("B", 1),
        attempt_failed("B", 1, Some(0.1)),
        started("B", 2),
        epoch("B", 1),
        attempt_failed("B", 2, None),
        finished("B", failed(2)),
        finished("A", skipped.clone()),
        run_finished(&[("B", failed(2)), ("A", skipped)]),
    ];
    assert_eq!(tell(&server.url(), LONG, events), None);
    let names: Vec<_> =
        server.bodies("runs/create").iter().map(|b| b["run_name"].clone()).collect();
    assert_eq!(names, [RUN, "B", "B (attempt 2)"]);
    status_is(&server, &[("run-1", "FAILED"), ("run-2", "FAILED"), ("run-3", "FAILED")]);
    let tag = |run, name| value_of(&server, run, "tags", name);
    assert_eq!(tag("run-2", "mambafleet.cause").as_deref(), Some("killed by signal 9"));
    assert_eq!(tag("run-2", "mambafleet.outcome"), None);
    assert_eq!(tag("run-3", "mambafleet.cause").as_deref(), Some("no such file"));
    assert_eq!(tag("run-3", "mambafleet.outcome").as_deref(), Some("failed"));
    assert_eq!(metric(&server, "run-1", "symbols/skipped"), [(0, 1.0)]);
}

#[test]
fn what_has_no_end_when_the_run_breaks_off_has_failed() {
    let server = FakeMlflow::start();
    let events = vec![run_started(), started("A", 1), epoch("A", 1)];
    assert_eq!(tell(&server.url(), LONG, events), None);
    status_is(&server, &[("run-1", "FAILED"), ("run-2", "FAILED")]);
    let cause = value_of(&server, "run-1", "tags", "mambafleet.cause");
    assert_eq!(cause.as_deref(), Some("the run broke off"));
}

#[test]
fn a_prefix_and_credentials_are_used() {
    let server = FakeMlflow::start();
    let url = server.url().replace("http://", "http://me:p%40ss@") + "/tracking/";
    assert_eq!(tell(&url, LONG, usual()), None);
    for asked in server.asked() {
        let (_, path) = asked.what.split_once(' ').unwrap();
        assert!(path.starts_with("/tracking/api/2.0/mlflow/"), "{path}");
        // me:p@ss
        assert_eq!(asked.authorization.as_deref(), Some("Basic bWU6cEBzcw=="));
    }
}

#[test]
fn what_fails_for_a_while_is_repeated_and_no_run_is_made_twice() {
    let mut seen = HashMap::<String, u32>::new();
    let server = FakeMlflow::answering(move |asked, usual| {
        let times = seen.entry(asked.what.clone()).or_default();
        *times += 1;
        match *times {
            // The first time everything is done, and nobody hears of it.
            1 if asked.what.ends_with("runs/create") => Reply::HangsUp,
            1 => Reply::Says(503, "try later".to_owned()),
            2 if asked.what.ends_with("log-batch") => Reply::Says(500, "{}".to_owned()),
            _ => usual,
        }
    });
    assert_eq!(tell(&server.url(), LONG, usual()), None);
    // Of the parent there was one request, whose answer got lost; of the symbol one that went well.
    assert_eq!(server.bodies("runs/create").len(), 2);
    assert!(!server.bodies("runs/search").is_empty());
    status_is(&server, &[("run-1", "FINISHED"), ("run-2", "FINISHED")]);
}

#[test]
fn what_is_refused_is_told_in_the_servers_words_and_all_else_arrives() {
    let server = FakeMlflow::answering(|asked, usual| {
        let metrics = asked.body["metrics"].as_array().is_some_and(|all| !all.is_empty());
        if metrics && asked.body["run_id"] == "run-2" {
            let body = json!({ "error_code": "INVALID_PARAMETER_VALUE", "message": "not\nthis" });
            return Reply::json(400, &body);
        }
        usual
    });
    let missing = tell(&server.url(), LONG, usual()).unwrap();
    assert!(missing.starts_with("2 of 2 epochs and "), "{missing}");
    let why = "are missing: answered runs/log-batch with 400: INVALID_PARAMETER_VALUE: not this";
    assert!(missing.ends_with(why), "{missing}");
    status_is(&server, &[("run-1", "FINISHED"), ("run-2", "FINISHED")]);
}

/// Nothing of a run arrives, for this reason.
fn nothing_arrives(url: &str, patience: Duration, why: &str) {
    let missing = tell(url, patience, usual()).unwrap();
    let expected = format!("2 of 2 epochs and 4 of 4 other events are missing: {why}");
    assert!(missing.starts_with(&expected), "{missing}");
}

#[test]
fn a_server_that_is_none_costs_what_was_for_it() {
    type Answer = fn() -> Reply;
    let cases: [(Answer, &str); 7] = [
        (|| Reply::Says(200, "welcome".into()), "does not answer experiments/get-by-name as"),
        (|| Reply::Says(200, "{}".into()), "answers without /experiment/experiment_id, which"),
        (|| Reply::Says(404, "<html>".into()), "answered experiments/get-by-name with 404"),
        (|| Reply::Says(401, "no".into()), "answered experiments/get-by-name with 401"),
        (|| Reply::Says(308, String::new()), "answered experiments/get-by-name with 308, and"),
        (|| Reply::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec()), "does not speak HTTP"),
        (|| Reply::Says(200, "x".repeat(2 << 20)), "answers with more than 1048576 bytes"),
    ];
    for (answer, why) in cases {
        let server = FakeMlflow::answering(move |_, _| answer());
        nothing_arrives(&server.url(), LONG, why);
        // It was not asked again and again.
        assert_eq!(server.asked().len(), 1, "{why}");
    }
    let deleted = FakeMlflow::answering(|_, _| {
        let experiment = json!({ "experiment_id": "7", "lifecycle_stage": "deleted" });
        Reply::json(200, &json!({ "experiment": experiment }))
    });
    nothing_arrives(&deleted.url(), LONG, "the experiment \"an é\" is deleted; restore it or");
}

#[test]
fn a_server_that_is_away_or_never_answers_is_given_up_in_time() {
    let moment = Duration::from_millis(300);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    nothing_arrives(&format!("http://{nobody}"), moment, "cannot be reached: Connection refused");
    let server = FakeMlflow::answering(|_, _| Reply::Hangs);
    nothing_arrives(&server.url(), moment, "");
    let server = FakeMlflow::answering(|_, _| Reply::HangsUp);
    nothing_arrives(&server.url(), moment, "broke off");
}
