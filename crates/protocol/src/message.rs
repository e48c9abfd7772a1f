//! The messages between orchestrator and worker.

use serde::{Deserialize, Serialize};

use crate::{Comparison, FailureKind, Headline, JobSpec, StageTimes, Symbol};

/// Version of the messages. A worker of another version is refused at its [`WorkerEvent::Hello`].
pub const PROTOCOL_VERSION: u32 = 1;

/// What the orchestrator asks of a worker, one line of its standard input each. The end of
/// standard input means that the orchestrator is gone: the worker stops at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WorkerRequest {
    /// Train one symbol.
    Run {
        /// The job, fully resolved.
        job: Box<JobSpec>,
    },
    /// No more jobs will come: exit once the current one is done.
    Stop,
}

/// What a worker reports, one line of its standard output each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WorkerEvent {
    /// First line of every worker.
    Hello {
        /// The worker's [`PROTOCOL_VERSION`].
        protocol: u32,
        /// Its process id.
        pid: u32,
        /// Version of its program.
        version: String,
        /// Processor time that it took to start, in seconds.
        #[serde(default)]
        cpu_seconds: f64,
    },
    /// A job was taken up.
    Started {
        /// Its symbol.
        symbol: Symbol,
        /// Its attempt, from 1.
        attempt: u32,
    },
    /// The data was read and split.
    Loaded(SampleCounts),
    /// An epoch ended.
    Progress(EpochReport),
    /// The attempt is making headway, and there is nothing else to tell for now.
    Alive {
        /// Its symbol.
        symbol: Symbol,
    },
    /// A generation was committed; the attempt ends soon after.
    Stored(CommitReport),
    /// A job ended.
    Finished {
        /// The symbol.
        symbol: Symbol,
        /// The attempt, from 1.
        attempt: u32,
        /// Wall time of the attempt, in seconds.
        seconds: f64,
        /// What it took by stage.
        #[serde(default)]
        times: StageTimes,
        /// How it ended.
        result: JobResult,
    },
}

/// How much data a symbol has, and how it was split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleCounts {
    /// The symbol.
    pub symbol: Symbol,
    /// Bars read.
    pub bars: usize,
    /// Training samples.
    pub train: usize,
    /// Validation samples.
    pub validation: usize,
    /// Test samples.
    pub test: usize,
}

/// What one epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// The symbol.
    pub symbol: Symbol,
    /// Epochs done.
    pub epoch: usize,
    /// Epochs planned at most.
    pub epochs: usize,
    /// Mean training loss of the epoch.
    pub train_loss: f64,
    /// Validation loss after it.
    pub validation_loss: f64,
    /// Training samples per second.
    pub samples_per_second: f64,
}

/// What a commit took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitReport {
    /// The symbol.
    pub symbol: Symbol,
    /// The generation's number.
    pub generation: u64,
    /// Length of its files.
    pub bytes: u64,
    /// Seconds from the first file that was staged to the acknowledgement, the wait for the lock
    /// included.
    pub seconds: f64,
    /// Seconds of it that were spent waiting for the symbol's lock.
    pub lock_wait_seconds: f64,
}

/// How an attempt ended, as its worker saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum JobResult {
    /// A generation was committed and is durable.
    Committed {
        /// Its number.
        generation: u64,
        /// Its headline metrics.
        headline: Headline,
    },
    /// The newest generation already has this job's fingerprint.
    UpToDate {
        /// Its number.
        generation: u64,
    },
    /// A model was trained, and is worse than the newest generation: nothing was committed.
    Kept {
        /// Both on the same samples.
        comparison: Comparison,
    },
    /// There is no such generation, and no time to train one ([`crate::JobSpec::check_only`]).
    TooLate,
    /// Nothing was committed.
    Failed {
        /// The kind of failure.
        kind: FailureKind,
        /// What went wrong, and where.
        cause: String,
        /// What the user can do about it.
        hint: Option<String>,
    },
}

impl WorkerEvent {
    /// The symbol the event is about; `None` for [`WorkerEvent::Hello`].
    #[must_use]
    pub fn symbol(&self) -> Option<&Symbol> {
        match self {
            Self::Hello { .. } => None,
            Self::Started { symbol, .. }
            | Self::Alive { symbol }
            | Self::Finished { symbol, .. } => Some(symbol),
            Self::Loaded(counts) => Some(&counts.symbol),
            Self::Stored(report) => Some(&report.symbol),
            Self::Progress(report) => Some(&report.symbol),
        }
    }
}
