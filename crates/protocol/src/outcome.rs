//! How a symbol can end.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Comparison;

/// The kind of a failure. It decides whether an attempt is repeated and what the user can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The symbol's data is missing or malformed.
    Data,
    /// The loss became infinite or not a number.
    Diverged,
    /// The forecasts are too good to be true: most likely something has seen the future.
    Implausible,
    /// The backend refused the job or failed in it.
    Backend,
    /// The symbol's lock was not free in time.
    LockBusy,
    /// The store could not be read or written.
    Store,
    /// The worker process died.
    Crashed,
    /// The worker took more memory than it may, or the system killed it for want of memory.
    OutOfMemory,
    /// The attempt took longer than it may.
    TimedOut,
    /// Nothing was heard of the attempt for too long.
    Stalled,
    /// The worker broke the protocol, or its result could not be read back.
    Protocol,
    /// A fault in mambafleet itself.
    Internal,
}

impl FailureKind {
    /// All kinds, in the order in which they are documented.
    pub const ALL: [Self; 12] = [
        Self::Data,
        Self::Diverged,
        Self::Implausible,
        Self::Backend,
        Self::LockBusy,
        Self::Store,
        Self::Crashed,
        Self::OutOfMemory,
        Self::TimedOut,
        Self::Stalled,
        Self::Protocol,
        Self::Internal,
    ];

    /// Whether another attempt is worth its time unless the configuration says otherwise. Bad data
    /// stays bad, a seeded divergence repeats itself bit for bit, and so does a leak; a busy lock was waited for
    /// already, and a time-out was set by someone who knows how long it takes; a crash, a stall or a
    /// store error may pass, and an attempt that ran out of memory may fit when it runs alone.
    #[must_use]
    pub fn is_transient(self) -> bool {
        match self {
            Self::Store | Self::Crashed | Self::OutOfMemory | Self::Stalled | Self::Protocol => {
                true
            }
            Self::Data
            | Self::Diverged
            | Self::Implausible
            | Self::Backend
            | Self::LockBusy
            | Self::TimedOut
            | Self::Internal => false,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Data => "data",
            Self::Diverged => "diverged",
            Self::Implausible => "implausible",
            Self::Backend => "backend",
            Self::LockBusy => "lock busy",
            Self::Store => "store",
            Self::Crashed => "crashed",
            Self::OutOfMemory => "out of memory",
            Self::TimedOut => "timed out",
            Self::Stalled => "stalled",
            Self::Protocol => "protocol",
            Self::Internal => "internal",
        })
    }
}

/// The few numbers of a trained model that tables show; `metrics.json` has them all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Headline {
    /// Epochs run.
    pub epochs: usize,
    /// Validation loss after the first epoch.
    pub first_validation_loss: f64,
    /// Best validation loss: the one of the weights that were kept.
    pub best_validation_loss: f64,
    /// Loss on the test part, the most recent rows, of the weights that were kept.
    pub test_loss: f64,
    /// Loss of the naive baseline on the same test part.
    pub baseline_loss: f64,
}

/// Why a symbol was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// It could not have been done by the run's deadline.
    Deadline,
    /// Too many other symbols had failed.
    TooManyFailures,
}

/// How one symbol ended in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// A new generation was committed and read back.
    Trained {
        /// Its number.
        generation: u64,
        /// Attempts it took, from 1.
        attempts: u32,
        /// Wall time of the last attempt, in seconds.
        seconds: f64,
        /// Its headline metrics.
        headline: Headline,
    },
    /// The newest generation already has this job's fingerprint.
    UpToDate {
        /// Its number.
        generation: u64,
    },
    /// A model was trained, and the newest generation stays, for the new one is worse.
    Kept {
        /// Attempts it took, from 1.
        attempts: u32,
        /// Wall time of the last attempt, in seconds.
        seconds: f64,
        /// Both on the same samples.
        comparison: Comparison,
    },
    /// No generation was committed.
    Failed {
        /// What kind of failure the last attempt met.
        kind: FailureKind,
        /// What went wrong, and where.
        cause: String,
        /// What the user can do about it.
        hint: Option<String>,
        /// Attempts made.
        attempts: u32,
        /// Log of the last attempt.
        log: PathBuf,
    },
    /// No attempt was made, or none more, for a reason that lies outside the symbol.
    Skipped {
        /// The reason.
        reason: SkipReason,
        /// Attempts made.
        attempts: u32,
        /// The reason in words.
        why: String,
    },
    /// The run was interrupted before this symbol was done.
    Interrupted {
        /// Whether an attempt was running when the run ended.
        started: bool,
    },
}

impl Outcome {
    /// One word for tables and counts: `trained`, `up to date`, `kept`, `failed`, `skipped`,
    /// `interrupted`.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Trained { .. } => "trained",
            Self::UpToDate { .. } => "up to date",
            Self::Kept { .. } => "kept",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Interrupted { .. } => "interrupted",
        }
    }

    /// Whether the symbol has a generation that is current for this run.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Trained { .. } | Self::UpToDate { .. } | Self::Kept { .. })
    }
}
