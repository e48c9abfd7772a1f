//! Who did what when.

use mambafleet_protocol::FailureKind;
use serde::Serialize;

use super::Millis;
use crate::Num;

/// Who did what when.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Timeline {
    /// When the run began.
    pub start: Millis,
    /// When it ended, or was last heard of; none while it runs.
    pub end: Option<Millis>,
    /// A lane per worker process, in the order of their numbers.
    pub lanes: Vec<Lane>,
    /// Waits for the next attempt.
    pub retries: Vec<Retry>,
    /// Pauses of the whole run, from and to; the last may go on.
    pub pauses: Vec<(Millis, Option<Millis>)>,
}

/// A worker process.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Lane {
    /// Its number within the run, from 1.
    pub worker: u64,
    /// Its process id.
    pub pid: Option<u32>,
    /// When it said hello.
    pub started: Millis,
    /// When it was found gone, or was last at work before another took its place; none if it stayed to the
    /// end, or still runs.
    pub ended: Option<Millis>,
    /// What it died of.
    pub lost: Option<String>,
    /// Its attempts.
    pub spans: Vec<Span>,
}

/// An attempt.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Span {
    /// Place of the symbol.
    pub i: usize,
    /// Which attempt at it, from 1.
    pub attempt: u32,
    /// When it began.
    pub from: Millis,
    /// When it ended.
    pub to: Option<Millis>,
    /// What came of it.
    pub state: SpanState,
    /// What went wrong.
    pub cause: Option<String>,
    /// Wait for the symbol's lock.
    pub lock: Num,
    /// What kind of failure it met.
    #[serde(skip)]
    pub kind: Option<FailureKind>,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanState {
    /// It runs.
    #[default]
    Running,
    /// A generation, or the finding that the old one is better.
    Ok,
    /// It failed.
    Failed,
    /// Its worker died, or was killed.
    Lost,
    /// There was no time to train.
    Skipped,
    /// There was nothing to do.
    UpToDate,
}

/// A wait for the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Retry {
    /// Place of the symbol.
    pub i: usize,
    /// The attempt that is waited for.
    pub attempt: u32,
    /// When the one before failed.
    pub at: Millis,
    /// When it is due.
    pub until: Millis,
}
