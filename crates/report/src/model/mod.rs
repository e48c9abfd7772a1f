//! What the page gets: the JSON of a report, static or live.
//!
//! Moments are milliseconds since 1970-01-01 (UTC), durations seconds, sizes bytes. What is not known is
//! `null`.

mod detail;
mod timeline;

use std::fmt;

use mambafleet_orchestrator::RunSummary;
use mambafleet_protocol::{FailureKind, Spent, StageTimes};
use serde::Serialize;
use serde_json::Value;

use crate::Num;

pub use detail::{AttemptLine, Calibration, Curves, Detail, Fan, LogTail, MetricsRow, Past};
pub use timeline::{Lane, Retry, Span, SpanState, Timeline};

/// Version of this layout.
pub const PAGE_SCHEMA: u32 = 1;

/// A moment, in milliseconds since 1970-01-01 (UTC).
pub type Millis = i64;

/// Everything about a run but the details of its symbols.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Page {
    /// [`PAGE_SCHEMA`].
    pub schema: u32,
    /// When the page was made.
    pub generated_at: Millis,
    /// The program that carried the run out, and its version.
    pub program: String,
    /// Whether the data is the built-in generator's.
    pub synthetic: bool,
    /// Whether the page goes on changing.
    pub live: bool,
    /// The run.
    pub run: Run,
    /// Symbols by state.
    pub counts: Counts,
    /// Where the workers' time went; none before an attempt has ended.
    pub time: Option<Time>,
    /// The newest run of exactly these symbols in which all went well.
    pub last_success: Option<LastSuccess>,
    /// A row per symbol, in the plan's order. Elsewhere symbols are named by their place here.
    pub symbols: Vec<Row>,
    /// Who did what when.
    pub timeline: Timeline,
    /// An earlier run beside this one.
    pub compare: Option<Compare>,
    /// What the forecasts are worth together: `evaluation.json` of the run's record, as it is.
    pub evaluation: Option<Value>,
    /// The runs of the store, newest first.
    pub runs: Vec<RunLine>,
}

/// The run of a page.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Run {
    /// Its identifier.
    pub id: String,
    /// How far it has come.
    pub state: RunState,
    /// When it began.
    pub started_at: Millis,
    /// When it ended.
    pub finished_at: Option<Millis>,
    /// Its wall time, pauses left out; so far, while it runs.
    pub seconds: Num,
    /// Worker processes at most.
    pub workers: usize,
    /// Threads of each.
    pub threads: usize,
    /// When it was to be done.
    pub deadline: Option<Millis>,
    /// The signal that ended it early, such as `SIGINT`.
    pub signal: Option<String>,
    /// The run that it goes on with.
    pub resumes: Option<String>,
    /// Root of the store.
    pub store: String,
    /// Directory of the run's record.
    pub record: String,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Somebody carries it out.
    #[default]
    Running,
    /// It came to its end.
    Finished,
    /// A signal ended it early.
    Interrupted,
    /// Nobody carries it out, and it has left no summary.
    Died,
}

impl RunState {
    /// The state of a run that has left this summary; without one, whether somebody carries it out decides.
    #[must_use]
    pub fn of(summary: Option<&RunSummary>, running: bool) -> Self {
        match summary {
            Some(summary) if summary.is_cut_short() => Self::Interrupted,
            Some(_) => Self::Finished,
            None if running => Self::Running,
            None => Self::Died,
        }
    }

    /// As people and programs are told.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Died => "died",
        }
    }
}

/// Symbols by state; together they are all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// A new generation was committed.
    pub trained: usize,
    /// The newest generation was current already.
    pub up_to_date: usize,
    /// The newest generation stays, for the new model is worse.
    pub kept: usize,
    /// No generation was committed.
    pub failed: usize,
    /// Not tried.
    pub skipped: usize,
    /// The run ended first.
    pub interrupted: usize,
    /// An attempt runs.
    pub running: usize,
    /// Those that wait for their first or their next attempt.
    pub waiting: usize,
}

impl Counts {
    /// Counts states.
    pub fn of(states: impl Iterator<Item = State>) -> Self {
        let mut counts = Self::default();
        for state in states {
            let count = match state {
                State::Waiting | State::Retrying => &mut counts.waiting,
                State::Running => &mut counts.running,
                State::Trained => &mut counts.trained,
                State::UpToDate => &mut counts.up_to_date,
                State::Kept => &mut counts.kept,
                State::Failed => &mut counts.failed,
                State::Skipped => &mut counts.skipped,
                State::Interrupted => &mut counts.interrupted,
            };
            *count += 1;
        }
        counts
    }

    /// All symbols.
    #[must_use]
    pub fn all(&self) -> usize {
        let Self { trained, up_to_date, kept, failed, skipped, interrupted, running, waiting } =
            self;
        trained + up_to_date + kept + failed + skipped + interrupted + running + waiting
    }
}

/// Where the time of a run went.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Time {
    /// What attempts took that ended by themselves: the stage, wall time, processor time; of all workers
    /// together.
    pub stages: Vec<(String, Num, Num)>,
    /// Wall time of all workers that went into no attempt; known when the run has ended.
    pub idle: Option<Num>,
    /// Processor time of the orchestrator; known when the run has ended.
    pub orchestrator_cpu: Option<Num>,
    /// The most memory of a worker.
    pub worker_memory: Option<u64>,
}

impl Time {
    pub(crate) fn of(
        stages: &StageTimes,
        idle: Option<f64>,
        own: Option<f64>,
        worker_memory: Option<u64>,
    ) -> Self {
        let stage = |(name, Spent { seconds, cpu_seconds }): (&str, Spent)| {
            (name.to_owned(), Num(seconds), Num(cpu_seconds))
        };
        let stages = stages.named().into_iter().map(stage).collect();
        let (idle, orchestrator_cpu) = (idle.map(Num), own.map(Num));
        Self { stages, idle, orchestrator_cpu, worker_memory }
    }
}

/// A run in which all went well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastSuccess {
    /// Its identifier.
    pub run: String,
    /// When it ended.
    pub finished_at: Millis,
}

/// How far a symbol has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// For its first attempt.
    #[default]
    Waiting,
    /// An attempt runs.
    Running,
    /// It waits for the next attempt.
    Retrying,
    /// A new generation was committed and read back.
    Trained,
    /// The newest generation was current already.
    UpToDate,
    /// The newest generation stays, for the new model is worse.
    Kept,
    /// No generation was committed.
    Failed,
    /// Not tried, or not again.
    Skipped,
    /// The run ended first.
    Interrupted,
}

impl State {
    /// Whether nothing more is to come of it.
    #[must_use]
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running | Self::Retrying)
    }

    /// Whether there is a generation that is current for the run.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(self, Self::Trained | Self::UpToDate | Self::Kept)
    }
}

/// One symbol of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Row {
    /// The symbol.
    pub s: String,
    /// How far it has come.
    pub state: State,
    /// The generation that was committed, found current or kept; the newest, where the run has made none.
    #[serde(rename = "gen")]
    pub generation: Option<u64>,
    /// Attempts that were begun.
    pub attempts: u32,
    /// The worker of the newest attempt.
    pub worker: Option<u64>,
    /// Wall time of all its attempts that ended.
    pub seconds: Option<Num>,
    /// Epochs that the newest attempt has done.
    pub epoch: Option<usize>,
    /// Epochs that it will do at most.
    pub epochs: Option<usize>,
    /// Its newest training loss.
    pub train: Option<Num>,
    /// Its newest validation loss.
    pub val: Option<Num>,
    /// Validation loss after the first epoch.
    pub first: Option<Num>,
    /// The best validation loss.
    pub best: Option<Num>,
    /// Loss on the test part.
    pub test: Option<Num>,
    /// The baseline's loss there.
    pub base: Option<Num>,
    /// The generation before that; the newest, while the run may yet make one.
    pub prev: Option<Before>,
    /// Validation losses by epoch, thinned to [`SPARK`](crate::SPARK).
    pub spark: Vec<Num>,
    /// Training samples per second in the newest epoch.
    pub rate: Option<Num>,
    /// Memory of its worker: the most at the end of an attempt, or that of the moment.
    pub memory: Option<u64>,
    /// Wait for the symbol's lock at the commit.
    pub lock: Option<Num>,
    /// Length of the generation's files.
    pub bytes: Option<u64>,
    /// What kind of failure the newest failed attempt met.
    pub kind: Option<FailureKind>,
    /// What went wrong, or why it is as it is.
    pub cause: Option<String>,
    /// What can be done about it.
    pub hint: Option<String>,
    /// Log of the attempt that failed.
    pub log: Option<String>,
    /// When the newest intact generation was trained.
    pub last_success: Option<Millis>,
    /// Notes on the quality of its data.
    pub notes: usize,
}

/// The headline of an earlier generation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Before {
    /// Its number.
    #[serde(rename = "gen")]
    pub generation: u64,
    /// Its loss on its test part.
    pub test: Option<Num>,
    /// The baseline's loss there.
    pub base: Option<Num>,
}

/// An earlier run beside this one.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Compare {
    /// The earlier run.
    pub run: String,
    /// When it began.
    pub started_at: Millis,
    /// Its symbols that this run does not have.
    pub missing: Vec<String>,
    /// Symbols of this run that it did not have.
    pub added: Vec<String>,
    /// What it made of the symbols of this run.
    pub rows: Vec<ComparedRow>,
}

/// What an earlier run made of a symbol.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ComparedRow {
    /// Place of the symbol.
    pub i: usize,
    /// How it ended.
    pub outcome: State,
    /// The generation.
    #[serde(rename = "gen")]
    pub generation: Option<u64>,
    /// Its loss on its test part.
    pub test: Option<Num>,
    /// `1 - test / baseline`.
    pub skill: Option<Num>,
    /// Wall time of all attempts.
    pub seconds: Option<Num>,
}

/// A run of the store.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RunLine {
    /// Its identifier.
    pub id: String,
    /// When it began.
    pub started_at: Millis,
    /// How far it has come.
    pub state: RunState,
    /// Its symbols.
    pub symbols: usize,
    /// Those with a current generation.
    pub good: usize,
    /// Those that failed.
    pub failed: usize,
    /// Its wall time, if it has ended.
    pub seconds: Option<Num>,
}

impl From<&RunSummary> for RunLine {
    fn from(summary: &RunSummary) -> Self {
        let outcomes = || summary.symbols.iter().map(|symbol| &symbol.outcome);
        Self {
            id: summary.run.to_string(),
            started_at: summary.started_at.as_millisecond(),
            state: RunState::of(Some(summary), false),
            symbols: summary.symbols.len(),
            good: outcomes().filter(|outcome| outcome.is_good()).count(),
            failed: summary.count("failed"),
            seconds: Some(Num(summary.seconds)),
        }
    }
}

/// What has changed of a page since a version of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changes<'a> {
    /// The version that the page has now.
    pub v: u64,
    /// The run.
    pub run: Run,
    /// Symbols by state.
    pub counts: Counts,
    /// Rows that have changed, with their places.
    pub rows: Vec<(usize, Row)>,
    /// The timeline, if it has changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// Where the time went, if that has changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<&'a Time>,
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Died => "died",
        })
    }
}
