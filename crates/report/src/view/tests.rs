//! A run as hand-made events tell it.

use std::path::{Path, PathBuf};

use mambafleet_orchestrator::{RUN_SCHEMA, RunPolicy, RunTime, RunningNow, Status, SymbolSummary};
use mambafleet_protocol::{Comparison, Headline, SkipReason, Spent};
use proptest::prelude::*;

use super::*;
use crate::model::{RunLine, Span, SpanState};

fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

fn run_id() -> RunId {
    "20260301-041500-123-3f9a".parse().unwrap()
}

/// A second of the run.
fn at(second: i64) -> Timestamp {
    Timestamp::from_millisecond(1_772_338_500_000 + second * 1000).unwrap()
}

fn plan(names: &[&str]) -> RunPlan {
    let store = PathBuf::from("/store");
    let job = |name: &&str| JobSpec::usual(run_id(), symbol(name), store.clone());
    let jobs = names.iter().map(job).collect();
    let program = "mambafleet 0.1.0".to_owned();
    let mut plan = RunPlan::new(run_id(), program, store.clone(), RunPolicy::plain(2), jobs);
    plan.created_at = at(0);
    plan
}

/// A view of a run of these symbols.
fn view(names: &[&str]) -> RunView {
    RunView::new(&run_id(), Some(&plan(names)), Path::new("/store"), Path::new("/record"))
}

/// Feeds events, each with its second.
fn feed(view: &mut RunView, events: impl IntoIterator<Item = (i64, RunEvent)>) {
    for (second, event) in events {
        view.apply(&StampedEvent { schema: RUN_SCHEMA, at: at(second), event });
    }
}

fn worker(worker: u64) -> RunEvent {
    RunEvent::WorkerStarted { worker, pid: 100 + worker as u32 }
}

fn begin(name: &str, attempt: u32, worker: u64) -> RunEvent {
    let pid = 100 + worker as u32;
    RunEvent::AttemptStarted { symbol: symbol(name), attempt, worker, pid }
}

fn epoch(name: &str, epoch: usize, loss: f64) -> RunEvent {
    RunEvent::Progress(EpochReport {
        symbol: symbol(name),
        epoch,
        epochs: 9,
        train_loss: loss + 0.1,
        validation_loss: loss,
        samples_per_second: 1234.0,
    })
}

fn stored(name: &str, generation: u64) -> RunEvent {
    let (symbol, bytes) = (symbol(name), 5000);
    let (seconds, lock_wait_seconds) = (0.5, 0.25);
    RunEvent::Stored(CommitReport { symbol, generation, bytes, seconds, lock_wait_seconds })
}

fn ended(name: &str, attempt: u32, worker: u64, seconds: f64) -> RunEvent {
    let train = Spent { seconds, cpu_seconds: 2.0 * seconds };
    let times = StageTimes { train, ..StageTimes::default() };
    let memory = Some(1 << 20);
    RunEvent::AttemptEnded { symbol: symbol(name), attempt, worker, seconds, times, memory }
}

fn failed(name: &str, attempt: u32, retry_in: Option<f64>) -> RunEvent {
    let (kind, cause) = (FailureKind::Crashed, "killed by SIGKILL".to_owned());
    RunEvent::AttemptFailed { symbol: symbol(name), attempt, kind, cause, retry_in }
}

fn finished(name: &str, outcome: Outcome) -> RunEvent {
    RunEvent::SymbolFinished { symbol: symbol(name), outcome }
}

fn trained(generation: u64, attempts: u32) -> Outcome {
    let headline = Headline {
        epochs: 9,
        first_validation_loss: 0.9,
        best_validation_loss: 0.5,
        test_loss: 0.6,
        baseline_loss: 0.7,
    };
    Outcome::Trained { generation, attempts, seconds: 3.0, headline }
}

fn broken(attempts: u32) -> Outcome {
    let (kind, cause) = (FailureKind::Data, "no bars".to_owned());
    let (hint, log) = (Some("look".to_owned()), PathBuf::from("/record/logs/A.1.log"));
    Outcome::Failed { kind, cause, hint, attempts, log }
}

fn summary(signal: Option<i32>, symbols: Vec<(&str, Outcome)>) -> RunSummary {
    let of = |(name, outcome)| SymbolSummary {
        symbol: symbol(name),
        last_success: Some(at(5)),
        attempt_seconds: 7.0,
        outcome,
    };
    let symbols = symbols.into_iter().map(of).collect();
    let time = RunTime { workers: 2, idle_seconds: 1.5, ..RunTime::default() };
    let mut summary = RunSummary::new(run_id(), at(0), 20.0, signal, time, symbols);
    summary.finished_at = at(20);
    summary
}

fn spans(view: &RunView) -> Vec<Span> {
    view.timeline().lanes.into_iter().flat_map(|lane| lane.spans).collect()
}

#[test]
fn a_symbol_waits_runs_and_is_trained() {
    let mut view = view(&["A", "B"]);
    assert_eq!((view.counts().waiting, view.counts().all()), (2, 2));
    feed(&mut view, [(1, worker(1)), (2, begin("A", 1, 1)), (3, epoch("A", 1, 0.8))]);
    feed(&mut view, [(4, epoch("A", 2, 0.6)), (5, epoch("A", 3, 0.7))]);
    let row = view.row(0).unwrap();
    assert_eq!((row.state, row.attempts, row.worker), (State::Running, 1, Some(1)));
    assert_eq!((row.epoch, row.epochs, row.rate), (Some(3), Some(9), Some(Num(1234.0))));
    assert_eq!(row.spark, [0.8, 0.6, 0.7].map(Num));
    assert_eq!((row.first, row.best, row.val), (Some(Num(0.8)), Some(Num(0.6)), Some(Num(0.7))));
    assert_eq!(view.timeline().end, None);
    feed(&mut view, [(6, stored("A", 4)), (7, ended("A", 1, 1, 4.5))]);
    feed(&mut view, [(7, finished("A", trained(4, 1)))]);
    let row = view.row(0).unwrap();
    assert_eq!((row.state, row.generation, row.bytes), (State::Trained, Some(4), Some(5000)));
    assert_eq!((row.test, row.base, row.lock), (Some(Num(0.6)), Some(Num(0.7)), Some(Num(0.25))));
    assert_eq!((row.seconds, row.memory), (Some(Num(4.5)), Some(1 << 20)));
    let [span] = &spans(&view)[..] else { panic!() };
    assert_eq!((span.state, span.lock, span.attempt), (SpanState::Ok, Num(0.25), 1));
    assert_eq!(span.to.unwrap() - span.from, 5000);
    let counts = view.counts();
    assert_eq!((counts.trained, counts.waiting), (1, 1));
    let time = view.page(at(8)).time.unwrap();
    assert_eq!(time.stages[1], ("train".to_owned(), Num(4.5), Num(9.0)));
    assert_eq!((time.idle, time.worker_memory), (None, Some(1 << 20)));
}

#[test]
fn a_worker_dies_and_the_symbol_is_tried_again() {
    let mut view = view(&["A"]);
    let cause = "killed by SIGKILL".to_owned();
    let lost = RunEvent::WorkerLost { worker: 1, pid: Some(101), cause: cause.clone() };
    feed(&mut view, [(1, worker(1)), (2, begin("A", 1, 1)), (3, epoch("A", 1, 0.8))]);
    feed(&mut view, [(5, lost), (5, failed("A", 1, Some(4.0)))]);
    let row = view.row(0).unwrap();
    assert_eq!((row.state, row.kind), (State::Retrying, Some(FailureKind::Crashed)));
    assert_eq!((&row.cause, row.seconds), (&Some(cause.clone()), Some(Num(3.0))));
    assert_eq!(view.counts().waiting, 1);
    let timeline = view.timeline();
    let retry = timeline.retries[0];
    assert_eq!((retry.i, retry.attempt, retry.until - retry.at), (0, 2, 4000));
    assert_eq!(timeline.lanes[0].lost, Some(cause));
    assert_eq!(timeline.lanes[0].spans[0].state, SpanState::Lost);
    feed(&mut view, [(6, worker(2)), (9, begin("A", 2, 2))]);
    let row = view.row(0).unwrap();
    assert_eq!((row.state, row.attempts, row.epoch), (State::Running, 2, None));
    assert!(row.spark.is_empty());
    feed(&mut view, [(12, ended("A", 2, 2, 2.5)), (12, finished("A", trained(1, 2)))]);
    let row = view.row(0).unwrap();
    assert_eq!((row.state, row.kind, row.cause), (State::Trained, None, None));
    assert_eq!(row.seconds, Some(Num(5.5)));
    let attempts = view.lanes().attempts(0);
    let told = attempts.iter().map(|(worker, span)| (*worker, span.attempt, span.kind));
    assert_eq!(told.collect::<Vec<_>>(), [(1, 1, Some(FailureKind::Crashed)), (2, 2, None)]);
}

#[test]
fn an_attempt_that_fails_by_itself_is_a_failure() {
    let mut view = view(&["A"]);
    feed(&mut view, [(1, worker(1)), (2, begin("A", 1, 1)), (4, ended("A", 1, 1, 2.0))]);
    feed(&mut view, [(4, finished("A", broken(1)))]);
    let row = view.row(0).unwrap();
    assert_eq!((row.state, row.kind), (State::Failed, Some(FailureKind::Data)));
    assert_eq!(
        (row.hint.as_deref(), row.log.as_deref()),
        (Some("look"), Some("/record/logs/A.1.log"))
    );
    let span = &spans(&view)[0];
    assert_eq!((span.state, span.cause.as_deref()), (SpanState::Failed, Some("no bars")));
    assert_eq!(view.counts().failed, 1);
}

#[test]
fn what_needs_no_training_is_up_to_date_kept_or_skipped() {
    let mut view = view(&["A", "B", "C"]);
    let (new_loss, old_loss) = (0.6, 0.5);
    let comparison = Comparison { generation: 2, samples: 250, new_loss, old_loss, margin: 0.0 };
    let kept = Outcome::Kept { attempts: 1, seconds: 2.0, comparison };
    let (reason, why) = (SkipReason::Deadline, "too late".to_owned());
    for (name, outcome) in [
        ("A", Outcome::UpToDate { generation: 3 }),
        ("B", kept),
        ("C", Outcome::Skipped { reason, attempts: 0, why }),
    ] {
        feed(&mut view, [(1, begin(name, 1, 1)), (2, ended(name, 1, 1, 0.5))]);
        feed(&mut view, [(2, finished(name, outcome))]);
    }
    let rows: Vec<_> = view.rows().collect();
    let states = [State::UpToDate, State::Kept, State::Skipped];
    assert_eq!(rows.iter().map(|row| row.state).collect::<Vec<_>>(), states);
    let generations: Vec<_> = rows.iter().map(|row| row.generation).collect();
    assert_eq!(generations, [Some(3), Some(2), None]);
    let cause = rows[1].cause.as_deref().unwrap();
    assert_eq!(
        cause,
        "the new model's loss is 0.6000, that of generation 2 is 0.5000, on 250 samples"
    );
    assert_eq!(rows[2].cause.as_deref(), Some("too late"));
    let states: Vec<_> = spans(&view).iter().map(|span| span.state).collect();
    assert_eq!(states, [SpanState::UpToDate, SpanState::Ok, SpanState::Skipped]);
}

#[test]
fn a_killed_run_is_interrupted_and_its_attempts_lost() {
    let mut view = view(&["A", "B"]);
    let signal = "SIGINT".to_owned();
    feed(&mut view, [(1, worker(1)), (2, begin("A", 1, 1))]);
    feed(
        &mut view,
        [
            (3, RunEvent::Draining { signal, running: 1, grace: Some(1.0) }),
            (4, RunEvent::Killing { reason: "the grace period is over".to_owned() }),
            (5, finished("A", Outcome::Interrupted { started: true })),
            (5, finished("B", Outcome::Interrupted { started: false })),
        ],
    );
    assert_eq!(view.run().signal.as_deref(), Some("SIGINT"));
    let stopped = |started| Outcome::Interrupted { started };
    view.finish(&summary(Some(2), vec![("A", stopped(true)), ("B", stopped(false))]));
    let run = view.run();
    assert_eq!((run.state, run.signal.as_deref()), (RunState::Interrupted, Some("SIGINT")));
    assert_eq!(run.seconds, Num(20.0));
    assert_eq!(view.counts().interrupted, 2);
    let span = &spans(&view)[0];
    assert_eq!(span.state, SpanState::Lost);
    assert_eq!(span.cause.as_deref(), Some("the grace period is over"));
}

#[test]
fn a_pause_is_in_the_timeline_and_not_in_the_time() {
    let mut view = view(&["A"]);
    feed(&mut view, [(1, worker(1)), (2, RunEvent::Suspended)]);
    assert_eq!(view.timeline().pauses[0].1, None);
    feed(&mut view, [(12, RunEvent::Resumed { seconds: 10.0 }), (14, begin("A", 1, 1))]);
    let (from, to) = view.timeline().pauses[0];
    assert_eq!(to.unwrap() - from, 10_000);
    assert_eq!(view.run().seconds, Num(4.0));
    // Its beginning may be lost.
    feed(&mut view, [(20, RunEvent::Resumed { seconds: 3.0 })]);
    let (from, to) = view.timeline().pauses[1];
    assert_eq!((to.unwrap() - from, to), (3000, Some(millis(at(20)))));
}

#[test]
fn a_run_that_died_has_nothing_that_runs_or_waits() {
    let mut view = view(&["A", "B", "C"]);
    feed(&mut view, [(1, worker(1)), (2, begin("A", 1, 1)), (4, ended("A", 1, 1, 2.0))]);
    feed(&mut view, [(4, finished("A", trained(1, 1))), (5, begin("B", 1, 1))]);
    let seen = view.version();
    view.set_alive(true);
    assert_eq!(view.version(), seen);
    view.set_alive(false);
    assert_eq!(view.state(), RunState::Died);
    let states: Vec<_> = view.rows().map(|row| row.state).collect();
    assert_eq!(states, [State::Trained, State::Interrupted, State::Interrupted]);
    let timeline = view.timeline();
    assert_eq!(timeline.end, Some(millis(at(5))));
    assert_eq!(timeline.lanes[0].spans[1].state, SpanState::Lost);
    assert_eq!(view.changed_since(seen).rows.len(), 3);
    // A summary that turns up all the same knows better.
    let both = vec![("A", trained(1, 1)), ("B", trained(2, 1)), ("C", broken(1))];
    view.finish(&summary(None, both));
    assert_eq!((view.state(), view.counts().trained), (RunState::Finished, 2));
    view.set_alive(false);
    assert_eq!(view.state(), RunState::Finished);
}

#[test]
fn the_summary_tells_what_a_torn_log_does_not() {
    // The plan is gone too, and the log ends in the middle.
    let mut view = RunView::new(&run_id(), None, Path::new("/store"), Path::new("/record"));
    feed(&mut view, [(2, begin("B", 2, 7))]);
    assert_eq!((view.counts().running, view.run().started_at), (1, millis(at(2))));
    view.finish(&summary(None, vec![("A", trained(4, 1)), ("B", broken(3))]));
    let rows: Vec<_> = view.rows().collect();
    assert_eq!((rows[0].s.as_str(), rows[0].state), ("B", State::Failed));
    assert_eq!((rows[1].s.as_str(), rows[1].state), ("A", State::Trained));
    assert_eq!((rows[0].seconds, rows[0].last_success), (Some(Num(7.0)), Some(millis(at(5)))));
    let page = view.page(at(30));
    assert_eq!(page.time.unwrap().idle, Some(Num(1.5)));
    assert_eq!(page.run.finished_at, Some(millis(at(20))));
    // Taken in twice, it says the same.
    let again = page.symbols;
    view.finish(&summary(None, vec![("A", trained(4, 1)), ("B", broken(3))]));
    assert_eq!(view.rows().collect::<Vec<_>>(), again);
}

#[test]
fn an_attempt_without_an_end_ends_when_the_next_begins() {
    let mut view = view(&["A", "B"]);
    feed(&mut view, [(1, begin("A", 1, 1)), (4, begin("B", 1, 1))]);
    let spans = spans(&view);
    assert_eq!((spans[0].state, spans[0].to), (SpanState::Lost, Some(millis(at(4)))));
    assert_eq!(spans[1].state, SpanState::Running);
}

#[test]
fn a_worker_whose_place_is_taken_has_ended() {
    // Two workers at most, of which the first has done its share.
    let mut view = view(&["A", "B", "C"]);
    feed(&mut view, [(1, worker(1)), (1, worker(2)), (2, begin("A", 1, 1)), (2, begin("B", 1, 2))]);
    feed(&mut view, [(4, ended("A", 1, 1, 2.0)), (4, finished("A", trained(1, 1)))]);
    assert!(view.timeline().lanes.iter().all(|lane| lane.ended.is_none()));
    feed(&mut view, [(6, worker(3)), (7, begin("C", 1, 3)), (8, worker(3))]);
    let ends: Vec<_> = view.timeline().lanes.iter().map(|lane| lane.ended).collect();
    assert_eq!(ends, [Some(millis(at(4))), None, None]);
}

#[test]
fn only_what_changed_is_sent() {
    let mut view = view(&["A", "B", "C"]);
    let whole = view.changed_since(0);
    assert_eq!(whole.rows.len(), 3);
    let seen = view.version();
    assert!(view.changed_since(seen).rows.is_empty());
    feed(&mut view, [(1, worker(1)), (2, begin("B", 1, 1))]);
    let changes = view.changed_since(seen);
    assert_eq!(changes.rows.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1]);
    assert!(changes.timeline.is_some() && changes.time.is_none());
    let seen = changes.v;
    feed(&mut view, [(3, epoch("B", 1, 0.5))]);
    let json = serde_json::to_value(view.changed_since(seen)).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["counts", "rows", "run", "v"]);
    assert_eq!(json["rows"][0][0], 1);
    assert_eq!(json["rows"][0][1]["val"], 0.5);
    // Memory is told by the pulse.
    let seen = view.version();
    let running = vec![RunningNow {
        symbol: symbol("B"),
        attempt: 1,
        worker: 1,
        pid: None,
        seconds: 1.0,
        silent_seconds: 0.0,
        last: String::new(),
        memory: Some(77),
    }];
    feed(&mut view, [(4, RunEvent::Pulse(Status { running, waiting: 2 }))]);
    assert_eq!(view.changed_since(seen).rows[0].1.memory, Some(77));
}

#[test]
fn the_store_adds_what_events_do_not_tell() {
    let mut view = view(&["A"]);
    feed(&mut view, [(1, begin("A", 1, 1)), (2, ended("A", 1, 1, 0.5))]);
    feed(&mut view, [(2, finished("A", Outcome::UpToDate { generation: 3 }))]);
    let curve: Vec<f64> = (0..100).map(f64::from).collect();
    let prev = Some(Before { generation: 2, ..Before::default() });
    let Outcome::Trained { headline, .. } = trained(3, 1) else { panic!() };
    let headline = Some(headline);
    view.know(0, &Known { headline, curve, prev, notes: 2, ..Known::default() });
    let row = view.row(0).unwrap();
    assert_eq!((row.test, row.notes, row.prev), (Some(Num(0.6)), 2, prev));
    assert_eq!((row.spark.len(), row.spark[0], row.spark[39]), (40, Num(0.0), Num(99.0)));
    view.know(9, &Known::default());
    // A symbol that failed shows its own losses, and what is still in use.
    feed(
        &mut view,
        [(3, begin("B", 1, 1)), (4, epoch("B", 1, 0.8)), (5, finished("B", broken(1)))],
    );
    view.know(1, &Known { generation: Some(7), headline, ..Known::default() });
    let row = view.row(1).unwrap();
    assert_eq!((row.generation, row.test, row.best), (Some(7), Some(Num(0.6)), Some(Num(0.8))));
}

/// Any event, of few symbols and workers, so that they meet.
fn any_event() -> impl Strategy<Value = RunEvent> {
    let name = || prop::sample::select(vec!["A", "B", "C", "D"]);
    let (attempt, of) = (1_u32..4, 1_u64..4);
    prop_oneof![
        of.clone().prop_map(worker),
        of.clone().prop_map(|worker| RunEvent::WorkerLost {
            worker,
            pid: None,
            cause: "gone".to_owned()
        }),
        (name(), attempt.clone(), of.clone()).prop_map(|(name, n, of)| begin(name, n, of)),
        (name(), 0_usize..12, any::<f64>()).prop_map(|(name, n, loss)| epoch(name, n, loss)),
        (name(), any::<u64>()).prop_map(|(name, generation)| stored(name, generation)),
        (name(), attempt.clone(), of, any::<f64>())
            .prop_map(|(name, n, of, seconds)| ended(name, n, of, seconds)),
        (name(), attempt.clone(), any::<Option<f64>>())
            .prop_map(|(name, n, wait)| failed(name, n, wait)),
        (name(), any::<u64>()).prop_map(|(name, n)| finished(name, trained(n, 1))),
        (name(), attempt).prop_map(|(name, n)| finished(name, broken(n))),
        (name(), any::<bool>())
            .prop_map(|(name, started)| finished(name, Outcome::Interrupted { started })),
        Just(RunEvent::Suspended),
        any::<f64>().prop_map(|seconds| RunEvent::Resumed { seconds }),
        Just(RunEvent::Killing { reason: "now".to_owned() }),
        Just(RunEvent::RunFinished { summary: summary(None, vec![("A", broken(1))]) }),
    ]
}

proptest! {
    #[test]
    fn any_order_of_events_counts_every_symbol_once(
        events in prop::collection::vec((0_i64..1000, any_event()), 0..60),
        alive in any::<bool>(),
        planned in any::<bool>(),
    ) {
        let of_plan = planned.then(|| plan(&["A", "B"]));
        let mut view = RunView::new(&run_id(), of_plan.as_ref(), Path::new("/s"), Path::new("/r"));
        for (second, event) in events {
            let seen = view.version();
            feed(&mut view, [(second, event)]);
            prop_assert!(view.version() > seen);
            prop_assert_eq!(view.counts().all(), view.symbols().count());
        }
        view.set_alive(alive);
        let page = view.page(at(2000));
        prop_assert_eq!(page.counts.all(), page.symbols.len());
        let counted = Counts::of(page.symbols.iter().map(|row| row.state));
        prop_assert_eq!(counted, page.counts);
        for span in page.timeline.lanes.iter().flat_map(|lane| &lane.spans) {
            prop_assert!(span.i < page.symbols.len());
            prop_assert_eq!(span.to.is_none(), span.state == SpanState::Running);
        }
        let json = serde_json::to_string(&page).unwrap();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        prop_assert!(page.symbols.iter().all(|row| row.spark.len() <= SPARK));
        prop_assert_eq!(view.changed_since(0).rows.len(), page.symbols.len());
    }
}

#[test]
fn a_signal_that_left_nothing_undone_cut_nothing_short() {
    let ended = |signal, outcome| {
        let of_a = SymbolSummary {
            symbol: symbol("A"),
            last_success: None,
            attempt_seconds: 0.0,
            outcome,
        };
        let time = RunTime::default();
        RunLine::from(&RunSummary::new(run_id(), at(0), 1.0, signal, time, vec![of_a]))
    };
    let done = || Outcome::UpToDate { generation: 1 };
    let undone = || Outcome::Interrupted { started: true };
    assert_eq!(ended(Some(2), done()).state, RunState::Finished);
    assert_eq!(ended(None, done()).state, RunState::Finished);
    let line = ended(Some(2), undone());
    assert_eq!((line.state, line.good, line.failed), (RunState::Interrupted, 0, 0));
}
