//! What remains of a run.

use jiff::Timestamp;
use mambafleet_protocol::{CommitReport, Outcome, RunId, Spent, StageTimes, Symbol};
use serde::{Deserialize, Serialize};

use crate::RUN_SCHEMA;

/// What remains of a run; the content of `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// [`RUN_SCHEMA`].
    pub schema: u32,
    /// The run's identifier.
    pub run: RunId,
    /// When it began (UTC).
    pub started_at: Timestamp,
    /// When it ended (UTC).
    pub finished_at: Timestamp,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Number of the signal that ended it early, if one did.
    pub signal: Option<i32>,
    /// Where the time went.
    #[serde(default)]
    pub time: RunTime,
    /// The newest run in which all of these symbols went well: this one, or an earlier one.
    /// `None` if there never was one.
    #[serde(default)]
    pub last_successful_run: Option<CompleteRun>,
    /// Every symbol of the plan, in the plan's order.
    pub symbols: Vec<SymbolSummary>,
}

/// A run in which all went well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompleteRun {
    /// Its identifier.
    pub run: RunId,
    /// When it ended (UTC).
    pub finished_at: Timestamp,
}

/// Where the time of a run went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RunTime {
    /// Workers that ran side by side at most; with the wall time of the run, what there was to
    /// spend.
    pub workers: usize,
    /// What attempts took, of all workers together. An attempt whose worker died is not in it.
    pub stages: StageTimes,
    /// Wall time of all workers together that went into no attempt that ended, in seconds.
    pub idle_seconds: f64,
    /// Processor time of the orchestrator, in seconds.
    pub orchestrator_cpu_seconds: f64,
    /// The most memory that a worker has had at the end of an attempt or before, in bytes; `None` where
    /// the system does not say (it does on Linux) or no attempt ended.
    #[serde(default)]
    pub worker_memory: Option<u64>,
    /// What commits waited for locks.
    #[serde(default)]
    pub locks: LockWaits,
}

/// What the commits of a run waited for the locks of their symbols. A wait that was given up is in
/// none of it: it ends as a failure of the kind "lock busy".
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LockWaits {
    /// Commits.
    pub commits: usize,
    /// Those that waited [`LockWaits::NOTABLE`] or longer.
    pub waited: usize,
    /// What all commits waited together, in seconds.
    pub seconds: f64,
    /// The longest wait, in seconds.
    pub longest_seconds: f64,
}

impl LockWaits {
    /// Seconds from which on a commit counts as one that waited: to take a free lock takes less.
    pub const NOTABLE: f64 = 0.01;

    /// Counts a commit.
    pub(crate) fn add(&mut self, commit: &CommitReport) {
        let waited = commit.lock_wait_seconds;
        self.commits += 1;
        self.waited += usize::from(waited >= Self::NOTABLE);
        self.seconds += waited;
        self.longest_seconds = self.longest_seconds.max(waited);
    }
}

impl RunTime {
    /// The account of a run; `spent` is its wall time and what the orchestrator itself needed.
    pub(crate) fn new(
        workers: usize,
        spent: Spent,
        stages: StageTimes,
        worker_memory: Option<u64>,
        locks: LockWaits,
    ) -> Self {
        let idle_seconds = (workers as f64 * spent.seconds - stages.total().seconds).max(0.0);
        let orchestrator_cpu_seconds = spent.cpu_seconds;
        Self { workers, stages, idle_seconds, orchestrator_cpu_seconds, worker_memory, locks }
    }

    /// Processor time of all workers and the orchestrator, in seconds.
    #[must_use]
    pub fn cpu_seconds(&self) -> f64 {
        self.stages.total().cpu_seconds + self.orchestrator_cpu_seconds
    }
}

/// One symbol of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SymbolSummary {
    /// The symbol.
    pub symbol: Symbol,
    /// When its newest intact generation was trained (UTC), in this run or before it; `None` if there
    /// is none.
    #[serde(default)]
    pub last_success: Option<Timestamp>,
    /// Wall time of all its attempts in this run, in seconds.
    #[serde(default)]
    pub attempt_seconds: f64,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl RunSummary {
    /// A summary of the current schema for a run that ends now.
    #[must_use]
    pub fn new(
        run: RunId,
        started_at: Timestamp,
        seconds: f64,
        signal: Option<i32>,
        time: RunTime,
        symbols: Vec<SymbolSummary>,
    ) -> Self {
        Self {
            schema: RUN_SCHEMA,
            run,
            started_at,
            finished_at: Timestamp::now(),
            seconds,
            signal,
            time,
            last_successful_run: None,
            symbols,
        }
    }

    /// This run, if all went well in it.
    pub(crate) fn complete(&self) -> Option<CompleteRun> {
        let (run, finished_at) = (self.run.clone(), self.finished_at);
        self.all_good().then_some(CompleteRun { run, finished_at })
    }

    /// Number of symbols whose outcome has this label.
    #[must_use]
    pub fn count(&self, label: &str) -> usize {
        self.symbols.iter().filter(|s| s.outcome.label() == label).count()
    }

    /// Whether a signal ended it before everything was done.
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        self.signal.is_some() && !self.all_good()
    }

    /// Whether every symbol has a generation that is current for this run.
    #[must_use]
    pub fn all_good(&self) -> bool {
        self.symbols.iter().all(|s| s.outcome.is_good())
    }
}

#[cfg(test)]
mod tests {
    use mambafleet_protocol::Symbol;

    use super::*;

    #[test]
    fn waits_for_locks_are_added_up_and_those_that_can_be_felt_are_counted() {
        let mut locks = LockWaits::default();
        for lock_wait_seconds in [0.0001, 2.5, 0.5] {
            let symbol = Symbol::new("A").unwrap();
            let (generation, bytes, seconds) = (1, 10, 3.0);
            locks.add(&CommitReport { symbol, generation, bytes, seconds, lock_wait_seconds });
        }
        assert_eq!((locks.commits, locks.waited, locks.longest_seconds), (3, 2, 2.5));
        assert!((locks.seconds - 3.0001).abs() < 1e-9);
    }

    #[test]
    fn an_account_of_an_older_version_is_read() {
        let mut value = serde_json::to_value(RunTime::default()).unwrap();
        value.as_object_mut().unwrap().remove("locks").unwrap();
        assert_eq!(serde_json::from_value::<RunTime>(value).unwrap(), RunTime::default());
    }
}
