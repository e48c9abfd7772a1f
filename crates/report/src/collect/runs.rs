//! Runs, as their records tell them.

use std::collections::BTreeSet;
use std::path::Path;

use mambafleet_artifacts::Store;
use mambafleet_orchestrator::{CompleteRun, EventLog, RunRecord, RunSummary, last_complete_run};
use mambafleet_protocol::{RunId, Symbol};

use super::follow::without;
use crate::RunView;
use crate::model::{LastSuccess, RunLine, RunState};
use crate::view::millis;

/// Runs that a page lists.
const LISTED: usize = 50;

/// What the plan of a run says.
pub(super) fn planned(store: &Store, run: &RunId) -> RunView {
    let runs = store.runs_dir();
    let plan = without("a plan", RunRecord::plan(&runs, run));
    RunView::new(run, plan.as_ref(), store.root(), &RunRecord::dir_of(&runs, run))
}

/// Takes in what was added to a run's record.
pub(super) fn read_on(store: &Store, run: &RunId, log: &mut EventLog, view: &mut RunView) {
    if view.has_ended() {
        return;
    }
    let runs = store.runs_dir();
    // In this order: once nobody carries it out, nothing is added any more.
    let alive = RunRecord::is_running(&runs, run).unwrap_or(false);
    let events = without("events", log.read_all().map(Some)).unwrap_or_default();
    events.iter().for_each(|event| view.apply(event));
    if let Some(summary) = summary(&runs, run) {
        view.finish(&summary);
    }
    view.set_alive(alive);
}

pub(super) fn summary(runs: &Path, run: &RunId) -> Option<RunSummary> {
    without("a summary", RunRecord::summary(runs, run))
}

/// What became of the symbols of a run, without what the store knows, or who did it when.
pub(super) fn plain(store: &Store, run: &RunId) -> RunView {
    let mut view = planned(store, run);
    if let Some(summary) = summary(&store.runs_dir(), run) {
        view.finish(&summary);
        return view;
    }
    let mut log = EventLog::of(&store.runs_dir(), run);
    read_on(store, run, &mut log, &mut view);
    view
}

/// All runs, newest first.
pub(super) fn all(store: &Store) -> Vec<RunId> {
    let runs = store.runs_dir();
    without("other runs", RunRecord::newest_first(&runs).map(Some)).unwrap_or_default()
}

/// The newest runs of the store, newest first.
pub(super) fn newest(store: &Store) -> Vec<RunLine> {
    all(store).iter().take(LISTED).map(|run| line(store, run)).collect()
}

fn line(store: &Store, run: &RunId) -> RunLine {
    if let Some(summary) = summary(&store.runs_dir(), run) {
        return RunLine::from(&summary);
    }
    let view = plain(store, run);
    let (of, counts) = (view.run(), view.counts());
    RunLine {
        id: run.to_string(),
        started_at: of.started_at,
        state: of.state,
        symbols: counts.all(),
        good: counts.trained + counts.up_to_date + counts.kept,
        failed: counts.failed,
        seconds: (of.state != RunState::Running).then_some(of.seconds),
    }
}

/// The newest run in which all symbols of this one went well, up to this one.
pub(super) fn last_success(store: &Store, run: &RunId, view: &RunView) -> Option<LastSuccess> {
    let symbols: BTreeSet<&Symbol> = view.symbols().collect();
    let found = last_complete_run(&store.runs_dir(), &symbols, Some(run));
    let CompleteRun { run, finished_at } = without("the last success", found)?;
    Some(LastSuccess { run: run.to_string(), finished_at: millis(finished_at) })
}
