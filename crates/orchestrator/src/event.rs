//! What happens in a run, as reporters and the event log see it.

use std::path::PathBuf;

use jiff::Timestamp;
use mambafleet_protocol::{
    CommitReport, EpochReport, FailureKind, Outcome, RunId, SampleCounts, StageTimes, Symbol,
};
use serde::{Deserialize, Serialize};

use crate::{RUN_SCHEMA, RunSummary, Told};

/// An event with its time; one line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StampedEvent {
    /// [`RUN_SCHEMA`].
    pub schema: u32,
    /// When it happened (UTC).
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: RunEvent,
}

impl StampedEvent {
    /// An event that happens now.
    #[must_use]
    pub fn now(event: RunEvent) -> Self {
        Self { schema: RUN_SCHEMA, at: Timestamp::now(), event }
    }
}

/// What can happen in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RunEvent {
    /// The run begins.
    RunStarted {
        /// Its identifier.
        run: RunId,
        /// Root of the store.
        store: PathBuf,
        /// Directory of the run's record.
        record: PathBuf,
        /// Symbols to train.
        symbols: usize,
        /// Worker processes.
        workers: usize,
        /// Threads of each.
        threads: usize,
        /// Whether the data is the built-in generator's.
        synthetic: bool,
        /// When it is to be done (UTC), if that was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// A worker process is up and said hello.
    WorkerStarted {
        /// Its number within the run, from 1; never used twice.
        worker: u64,
        /// Its process id.
        pid: u32,
    },
    /// A worker process ended although it had not been told to.
    WorkerLost {
        /// Its number.
        worker: u64,
        /// Its process id, if it got that far.
        pid: Option<u32>,
        /// The cause of its death.
        cause: String,
    },
    /// A worker wrote something to its standard output that is no message.
    Stray {
        /// Its number.
        worker: u64,
        /// The text, cut off after some hundred characters.
        text: String,
    },
    /// An attempt at a symbol begins.
    AttemptStarted {
        /// The symbol.
        symbol: Symbol,
        /// Which attempt, from 1.
        attempt: u32,
        /// The worker's number.
        worker: u64,
        /// The worker's process id.
        pid: u32,
    },
    /// The data of a symbol was read and split.
    Loaded(SampleCounts),
    /// An epoch of a symbol ended.
    Progress(EpochReport),
    /// A generation of a symbol was committed.
    Stored(CommitReport),
    /// An attempt ended by itself, whatever came of it; what ends with its worker has no such event.
    AttemptEnded {
        /// The symbol.
        symbol: Symbol,
        /// Which attempt, from 1.
        attempt: u32,
        /// The worker's number.
        worker: u64,
        /// Wall time in seconds, as the worker measured it.
        seconds: f64,
        /// What it went into.
        times: StageTimes,
        /// The most resident memory that the worker has had so far, in bytes, where the system says.
        memory: Option<u64>,
    },
    /// An attempt failed.
    AttemptFailed {
        /// The symbol.
        symbol: Symbol,
        /// Which attempt, from 1.
        attempt: u32,
        /// The kind of failure.
        kind: FailureKind,
        /// What went wrong.
        cause: String,
        /// Seconds until the next attempt; `None` when there will be none.
        retry_in: Option<f64>,
    },
    /// A symbol is done, one way or another. Exactly one per symbol.
    SymbolFinished {
        /// The symbol.
        symbol: Symbol,
        /// How it ended.
        outcome: Outcome,
    },
    /// An attempt takes long for its symbol.
    Slow {
        /// The symbol.
        symbol: Symbol,
        /// Which attempt, from 1.
        attempt: u32,
        /// Seconds so far.
        seconds: f64,
        /// Seconds that the symbol's newest generation took.
        expected: f64,
    },
    /// Somebody asked what is running.
    Status(Status),
    /// What is running, once a second, for reporters that [want it](crate::Reporter::wants_pulse).
    /// It is not part of the run's record.
    Pulse(Status),
    /// The run and its workers were stopped, as by Ctrl-Z. No clock runs until they go on.
    Suspended,
    /// They go on.
    Resumed {
        /// Seconds of the pause.
        seconds: f64,
    },
    /// The run was asked to end: nothing new is started.
    Draining {
        /// The signal that asked for it.
        signal: String,
        /// Attempts still running.
        running: usize,
        /// Seconds they get to finish; none: as long as they need.
        grace: Option<f64>,
    },
    /// The grace period is over or a second signal came: running workers are killed.
    Killing {
        /// Why.
        reason: String,
    },
    /// Somebody was told how the run ended, or could not be. The summary is in the record by then.
    Notified(Told),
    /// The run ended.
    RunFinished {
        /// Everything about it.
        summary: RunSummary,
    },
}

/// What is going on at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The attempts that run.
    pub running: Vec<RunningNow>,
    /// Symbols that wait for an attempt.
    pub waiting: usize,
}

/// An attempt that runs at the moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningNow {
    /// The symbol.
    pub symbol: Symbol,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The worker's number.
    pub worker: u64,
    /// The worker's process id.
    pub pid: Option<u32>,
    /// Seconds since it began.
    pub seconds: f64,
    /// Seconds since something was heard of it.
    pub silent_seconds: f64,
    /// What was last heard of it.
    pub last: String,
    /// Resident memory of the worker and its children in bytes, where the system says.
    pub memory: Option<u64>,
}
