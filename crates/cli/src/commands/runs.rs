//! `mambafleet runs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use mambafleet_artifacts::Store;
use mambafleet_orchestrator::{
    EventLog, RecordError, RunEvent, RunPlan, RunRecord, RunSummary, StampedEvent,
};
use mambafleet_protocol::{JobSpec, Outcome, RunId, Symbol, cause_chain};
use mambafleet_report::model::RunState;
use serde::Serialize;

use super::open_store;
use super::report::{page_of, where_it_lies};
use super::run_name::find_run;
use crate::args::{Common, RunsArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::reporters::{Closing, count, finished, summary_table};
use crate::since::{Change, changes};
use crate::style::Page;
use crate::table::{Column, Table, local, seconds};

/// Outcomes in the order of the columns.
const LABELS: [&str; 6] = ["trained", "up to date", "kept", "failed", "skipped", "interrupted"];

/// A run in the list.
#[derive(Debug, Serialize)]
struct Row {
    run: RunId,
    state: RunState,
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
    /// Wall time so far, or until its last event if it died.
    seconds: f64,
    signal: Option<i32>,
    deadline: Option<Timestamp>,
    resumes: Option<RunId>,
    workers: usize,
    symbols: usize,
    counts: BTreeMap<&'static str, usize>,
    synthetic: bool,
}

/// A record that cannot be read.
#[derive(Debug, Serialize)]
struct Unreadable {
    run: RunId,
    cause: String,
}

#[derive(Serialize)]
struct Listing {
    runs: Vec<Row>,
    unreadable: Vec<Unreadable>,
    /// Runs that are not listed.
    older: usize,
}

/// What is known of a run that has not ended.
#[derive(Debug, Default, Serialize)]
struct SoFar {
    outcomes: BTreeMap<Symbol, Outcome>,
    /// Symbols in training.
    running: BTreeSet<Symbol>,
    #[serde(skip)]
    last: Option<Timestamp>,
}

/// A record with all that it says.
struct Record {
    row: Row,
    summary: Option<RunSummary>,
    so_far: SoFar,
}

#[derive(Serialize)]
struct Shown<'a> {
    run: &'a Row,
    summary: Option<&'a RunSummary>,
    #[serde(flatten)]
    so_far: &'a SoFar,
    changes: &'a [Change],
}

/// Lists the runs of the store, or shows one.
pub(crate) fn run(common: &Common, args: &RunsArgs, output: Output) -> Result<Exit, CliError> {
    let store = open_store(common)?;
    match &args.run {
        Some(name) => show(&store, name, args.all, output),
        None => list(&store.runs_dir(), args.limit.get(), output),
    }
}

fn list(runs: &Path, limit: usize, output: Output) -> Result<Exit, CliError> {
    let mut listing = Listing { runs: Vec::new(), unreadable: Vec::new(), older: 0 };
    let all = RunRecord::newest_first(runs)?;
    listing.older = all.len().saturating_sub(limit);
    for run in all.into_iter().take(limit) {
        match read(runs, &run) {
            Ok(record) => listing.runs.push(record.row),
            Err(cause) => listing.unreadable.push(Unreadable { run, cause }),
        }
    }
    for Unreadable { run, cause } in &listing.unreadable {
        output.say(&format!("{run}: {cause}"));
    }
    output.result("runs", &listing, || text(&listing))?;
    Ok(if listing.unreadable.is_empty() { Exit::Success } else { Exit::SomeFailed })
}

fn show(store: &Store, name: &str, all: bool, output: Output) -> Result<Exit, CliError> {
    let runs = store.runs_dir();
    let run = find_run(&runs, name)?;
    let Record { row, summary, so_far } = read(&runs, &run).map_err(|cause| {
        CliError::new(Exit::SomeFailed, format!("the record of {run} cannot be read: {cause}"))
    })?;
    let changes = summary.as_ref().map_or_else(Vec::new, |summary| changes(store, summary));
    let shown = Shown { run: &row, summary: summary.as_ref(), so_far: &so_far, changes: &changes };
    output.result("run", &shown, || {
        let page = Page::stdout();
        let head = page.wrap(&heading(&row), 2);
        let rest = match &summary {
            Some(summary) => {
                let (record, synthetic) = (RunRecord::dir_of(&runs, &run), row.synthetic);
                let (record, changes) = (&*record, &*changes);
                let closing = Closing { summary, record, synthetic, changes, whole: all };
                let page_of_it = page_of(store, &run).map(|path| where_it_lies(&path));
                [summary_table(&closing, page)]
                    .into_iter()
                    .chain(page_of_it)
                    .collect::<Vec<_>>()
                    .join("\n")
            }
            None => page.wrap(&unfinished(&row, &so_far), 2),
        };
        format!("{head}\n\n{rest}")
    })?;
    Ok(Exit::Success)
}

/// Reads a record; the cause if that is not possible.
fn read(runs: &Path, run: &RunId) -> Result<Record, String> {
    let unreadable = |error: RecordError| cause_chain(&error);
    let plan = RunRecord::plan(runs, run).map_err(unreadable)?;
    let plan = plan.ok_or_else(|| "it has no plan.json".to_owned())?;
    // In this order: a run that ends in between has a summary.
    let running = RunRecord::is_running(runs, run).map_err(unreadable)?;
    let summary = RunRecord::summary(runs, run).map_err(unreadable)?;
    let so_far = match summary {
        Some(_) => SoFar::default(),
        None => SoFar::of(EventLog::of(runs, run).read_all().map_err(unreadable)?),
    };
    let row = Row::new(plan, summary.as_ref(), &so_far, running);
    Ok(Record { row, summary, so_far })
}

impl SoFar {
    fn of(events: Vec<StampedEvent>) -> Self {
        let mut so_far = Self::default();
        for StampedEvent { at, event, .. } in events {
            so_far.last = Some(at);
            match event {
                RunEvent::AttemptStarted { symbol, .. } => {
                    so_far.running.insert(symbol);
                }
                RunEvent::AttemptFailed { symbol, .. } => {
                    so_far.running.remove(&symbol);
                }
                RunEvent::SymbolFinished { symbol, outcome } => {
                    so_far.running.remove(&symbol);
                    so_far.outcomes.insert(symbol, outcome);
                }
                _ => {}
            }
        }
        so_far
    }
}

impl Row {
    fn new(plan: RunPlan, summary: Option<&RunSummary>, so_far: &SoFar, running: bool) -> Self {
        let started_at = plan.created_at;
        let state = RunState::of(summary, running);
        let until = if running { Timestamp::now() } else { so_far.last.unwrap_or(started_at) };
        let so_far_seconds = until.duration_since(started_at).as_secs_f64().max(0.0);
        let count = |label: &str| match summary {
            Some(summary) => summary.count(label),
            None => so_far.outcomes.values().filter(|outcome| outcome.label() == label).count(),
        };
        Self {
            state,
            started_at,
            finished_at: summary.map(|summary| summary.finished_at),
            seconds: summary.map_or(so_far_seconds, |summary| summary.seconds),
            signal: summary.and_then(|summary| summary.signal),
            deadline: plan.policy.deadline,
            workers: plan.workers(),
            symbols: plan.jobs.len(),
            counts: LABELS.into_iter().map(|label| (label, count(label))).collect(),
            synthetic: plan.jobs.iter().any(JobSpec::is_synthetic),
            resumes: plan.resumes,
            run: plan.run,
        }
    }

    fn count(&self, label: &str) -> usize {
        self.counts.get(label).copied().unwrap_or_default()
    }
}

fn text(Listing { runs, unreadable, older }: &Listing) -> String {
    if runs.is_empty() {
        let why =
            if unreadable.is_empty() { "there is no run yet" } else { "no record can be read" };
        return why.to_owned();
    }
    let page = Page::stdout();
    let mut columns: Vec<Column<'_>> = vec![
        ("run", false),
        ("when", false),
        ("time", true),
        ("state", false),
        ("symbols", true),
        ("trained", true),
        ("up to date", true),
        ("failed", true),
        ("other", true),
        ("deadline", false),
        ("resumes", false),
    ];
    let mut rows: Vec<_> = runs.iter().map(cells).collect();
    // What hardly any run has needs no column where none has it.
    for title in ["other", "deadline", "resumes"] {
        let Some(index) = columns.iter().position(|(one, _)| *one == title) else { continue };
        if rows.iter().all(|row| row[index].is_empty()) {
            columns.remove(index);
            rows.iter_mut().for_each(|row| drop(row.remove(index)));
        }
    }
    let spare =
        ["resumes", "deadline", "other", "when", "up to date", "symbols", "time", "trained"];
    let mut text = Table::new(&columns, rows).spare(&spare).lay_out(page);
    if *older > 0 {
        let more =
            format!("\nand {older} older: --limit {}", older + runs.len() + unreadable.len());
        text += &page.wrap(&more, 2);
    }
    text
}

fn cells(row: &Row) -> Vec<String> {
    let shown = |count: usize| if count == 0 { String::new() } else { count.to_string() };
    let other = ["kept", "skipped", "interrupted"].map(|label| row.count(label));
    vec![
        row.run.to_string(),
        local(row.started_at),
        seconds(row.seconds),
        row.state.word().to_owned(),
        row.symbols.to_string(),
        shown(row.count("trained")),
        shown(row.count("up to date")),
        shown(row.count("failed")),
        shown(other.iter().sum()),
        row.deadline.map(local).unwrap_or_default(),
        row.resumes.as_ref().map(ToString::to_string).unwrap_or_default(),
    ]
}

/// A run in a sentence.
fn heading(row: &Row) -> String {
    let state = Page::stdout().look.word(row.state.word());
    let mut text = format!(
        "run {}: {state}, {} on {}, begun {}",
        row.run,
        count(row.symbols, "symbol"),
        count(row.workers, "worker"),
        local(row.started_at)
    );
    if let Some(deadline) = row.deadline {
        text += &format!(", until {}", local(deadline));
    }
    if let Some(resumes) = &row.resumes {
        text += &format!(", going on with {resumes}");
    }
    text
}

/// How far a run has come that has not ended.
fn unfinished(row: &Row, so_far: &SoFar) -> String {
    let mut lines: Vec<_> =
        so_far.outcomes.iter().map(|(symbol, outcome)| finished(symbol, outcome)).collect();
    let done =
        format!("{} of {} done after {}", so_far.outcomes.len(), row.symbols, seconds(row.seconds));
    let names: Vec<_> = so_far.running.iter().map(Symbol::as_str).collect();
    let open = match (names.is_empty(), row.state) {
        (true, _) => String::new(),
        (false, RunState::Running) => format!("; in training: {}", names.join(", ")),
        (false, _) => format!("; it died in the middle of {}", names.join(", ")),
    };
    lines.push(done + &open);
    if row.state == RunState::Died {
        lines.push(format!("mambafleet train --resume {} goes on with it", row.run));
    }
    lines.join("\n")
}
