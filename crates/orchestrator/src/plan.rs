//! What a run is going to do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use mambafleet_protocol::{FailureKind, InvalidRunId, JobSpec, RunId};
use serde::{Deserialize, Serialize};

use crate::RUN_SCHEMA;
use crate::scheduler::Rules;

/// What a run is going to do, fully resolved. It is written to `plan.json` before anything
/// starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunPlan {
    /// [`RUN_SCHEMA`].
    pub schema: u32,
    /// The run's identifier.
    pub run: RunId,
    /// When the plan was made (UTC).
    pub created_at: Timestamp,
    /// Version of the program.
    pub program: String,
    /// Root of the artifact store; the run's record goes to `runs/` in it.
    pub store: PathBuf,
    /// The run that this one goes on with.
    #[serde(default)]
    pub resumes: Option<RunId>,
    /// How it is carried out.
    #[serde(flatten)]
    pub policy: RunPolicy,
    /// The jobs, in the order in which they are to be started.
    pub jobs: Vec<JobSpec>,
}

/// How a run is carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunPolicy {
    /// Worker processes at most.
    pub parallel: usize,
    /// When failed attempts are repeated.
    pub retry: RetryPolicy,
    /// What attempts and workers may take.
    pub limits: Limits,
    /// Time that running workers get to finish after the first interrupt.
    pub grace: Duration,
    /// What the learning rate is multiplied with for each time that a symbol has diverged.
    pub diverged_learning_rate: f64,
    /// Nothing is started that cannot be done by then, as far as is known.
    pub deadline: Option<Timestamp>,
    /// After so many failed symbols nothing new is started.
    pub max_failures: Option<u32>,
}

impl RunPolicy {
    /// So many workers; every symbol is tried once, and nothing is limited.
    #[must_use]
    pub fn plain(parallel: usize) -> Self {
        Self {
            parallel,
            retry: RetryPolicy::default(),
            limits: Limits::default(),
            grace: Duration::from_secs(30),
            diverged_learning_rate: 0.5,
            deadline: None,
            max_failures: None,
        }
    }
}

/// What attempts and workers may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest time of an attempt.
    pub timeout: Option<Duration>,
    /// Longest time in which nothing is heard of an attempt.
    pub stall_timeout: Option<Duration>,
    /// Largest resident memory of a worker, in bytes.
    pub memory: Option<u64>,
    /// Jobs that a worker does before another one takes its place.
    pub jobs_per_worker: Option<u32>,
}

/// When failed attempts are repeated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts after the first one, for failures that may pass.
    pub retries: u32,
    /// The same for certain kinds of failures.
    #[serde(default)]
    pub by_kind: BTreeMap<FailureKind, u32>,
    /// Wait before the first repetition; doubled for each further one.
    pub backoff: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
}

impl RunPlan {
    /// Workers that the run will start: no more than there are jobs.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.policy.parallel.min(self.jobs.len())
    }

    /// A plan of the current schema, made now.
    #[must_use]
    pub fn new(
        run: RunId,
        program: String,
        store: PathBuf,
        policy: RunPolicy,
        jobs: Vec<JobSpec>,
    ) -> Self {
        let created_at = Timestamp::now();
        let (schema, resumes) = (RUN_SCHEMA, None);
        Self { schema, run, created_at, program, store, resumes, policy, jobs }
    }

    /// What the scheduler has to know, at the beginning of the run.
    pub(crate) fn rules(&self) -> Rules {
        let policy = &self.policy;
        let left = policy.deadline.map(|deadline| deadline.duration_since(Timestamp::now()));
        Rules {
            retry: policy.retry.clone(),
            seed: rand::random(),
            jobs_per_worker: policy.limits.jobs_per_worker,
            // Zero if it has passed.
            deadline: left.map(|left| Duration::try_from(left).unwrap_or_default()),
            expected: self.jobs.iter().map(expected).collect(),
            max_failures: policy.max_failures,
        }
    }
}

/// What a job will take, if that is known.
pub(crate) fn expected(job: &JobSpec) -> Option<Duration> {
    Duration::try_from_secs_f64(job.expected_seconds?).ok()
}

/// A new run identifier: the UTC time to the millisecond and 16 random bits.
///
/// # Errors
/// [`InvalidRunId`] when the clock stands at a date that cannot be written that way.
pub fn new_run_id() -> Result<RunId, InvalidRunId> {
    let time = Timestamp::now().strftime("%Y%m%d-%H%M%S-%3f");
    RunId::new(format!("{time}-{:04x}", rand::random::<u16>()))
}

/// Threads for each of `workers` processes on `cores` cores: an equal share, at least one.
#[must_use]
pub fn threads_per_worker(cores: usize, workers: usize) -> usize {
    (cores / workers.max(1)).max(1)
}

impl RetryPolicy {
    /// Attempts after the first one when that fails of `kind`.
    #[must_use]
    pub fn retries_for(&self, kind: FailureKind) -> u32 {
        let usual = if kind.is_transient() { self.retries } else { 0 };
        self.by_kind.get(&kind).copied().unwrap_or(usual)
    }

    /// The wait before attempt `next` (2 for the first repetition). `jitter` in [0, 1) shortens
    /// it to between half and the whole, so that jobs that failed together do not return
    /// together.
    #[must_use]
    pub fn delay(&self, next: u32, jitter: f64) -> Duration {
        let doublings = next.saturating_sub(2).min(20);
        let full = self.backoff.saturating_mul(1 << doublings).min(self.backoff_max);
        full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_are_valid_and_differ() {
        let (a, b) = (new_run_id().unwrap(), new_run_id().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.as_str().len(), 24);
    }

    #[test]
    fn threads_are_shared_out_and_never_zero() {
        assert_eq!(threads_per_worker(8, 2), 4);
        assert_eq!(threads_per_worker(2, 10), 1);
        assert_eq!(threads_per_worker(2, 0), 2);
    }

    #[test]
    fn waits_double_up_to_the_limit() {
        let second = Duration::from_secs(1);
        let policy = RetryPolicy {
            retries: 9,
            by_kind: BTreeMap::from([(FailureKind::Diverged, 1), (FailureKind::Crashed, 0)]),
            backoff: second,
            backoff_max: Duration::from_secs(5),
        };
        let retries =
            [FailureKind::Stalled, FailureKind::Data].map(|kind| policy.retries_for(kind));
        assert_eq!(retries, [9, 0]);
        let retries = [FailureKind::Crashed, FailureKind::Diverged];
        assert_eq!(retries.map(|kind| policy.retries_for(kind)), [0, 1]);
        let waits: Vec<_> = (2..7).map(|n| policy.delay(n, 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 5, 5]);
        assert_eq!(policy.delay(2, 0.0), second / 2);
        assert_eq!(policy.delay(u32::MAX, 1.0), Duration::from_secs(5));
    }
}
