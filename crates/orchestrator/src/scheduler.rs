//! Who does what next: a state machine without clock, processes or files.
//!
//! The dispatcher feeds it [`Input`]s together with the time since the run began, and carries
//! out the [`Action`]s that come back. Everything that decides about retries, replacement of
//! workers and the end of the run is here, where tests can reach every state.

use std::collections::VecDeque;
use std::time::Duration;

use mambafleet_protocol::{FailureKind, JobResult, SkipReason, mix64};

use crate::RetryPolicy;

/// Workers that may die without a job before the run gives up, beyond one for each slot. Any
/// attempt that ends starts the count anew.
const SPARE_DEATHS: u32 = 4;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The run begins, or time has passed.
    Tick,
    /// The worker in this slot said hello.
    WorkerUp {
        /// Its slot.
        slot: usize,
    },
    /// The worker process in this slot is gone, whatever it was doing.
    WorkerGone {
        /// Its slot.
        slot: usize,
        /// What its attempt, if it had one, failed of.
        kind: FailureKind,
        /// The cause of its death.
        cause: String,
    },
    /// The attempt in this slot ended; the worker lives.
    AttemptEnded {
        /// Its slot.
        slot: usize,
        /// Its wall time in seconds.
        seconds: f64,
        /// How it ended.
        result: JobResult,
    },
    /// Start nothing new; let what runs finish.
    Drain,
    /// The remaining workers are being killed: what they ran counts as interrupted.
    Kill,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Start a worker process in this slot.
    Spawn {
        /// The slot.
        slot: usize,
    },
    /// Hand a job to the worker in this slot.
    Assign {
        /// The slot.
        slot: usize,
        /// Index of the job in the plan.
        job: usize,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// Let the worker in this slot find out whether a job needs to be done, for which there is no time.
    Check {
        /// The slot.
        slot: usize,
        /// Index of the job in the plan.
        job: usize,
        /// Which attempt it would be.
        attempt: u32,
    },
    /// Ask the worker in this slot to end.
    Stop {
        /// The slot.
        slot: usize,
    },
    /// Tell the user about a failed attempt that will be repeated.
    Retry {
        /// Index of the job.
        job: usize,
        /// The attempt that failed.
        attempt: u32,
        /// The kind of failure.
        kind: FailureKind,
        /// What went wrong.
        cause: String,
        /// Wait before the next attempt.
        delay: Duration,
    },
    /// A job is done. Exactly one per job.
    Settle {
        /// Index of the job.
        job: usize,
        /// Attempts made.
        attempts: u32,
        /// How it ended.
        end: Settled,
    },
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// As its last attempt did.
    Attempt {
        /// How that ended.
        result: JobResult,
        /// Its wall time in seconds.
        seconds: f64,
    },
    /// The run ended first.
    Interrupted {
        /// Whether an attempt was running.
        started: bool,
    },
    /// It was not to be started, or not again.
    Skipped {
        /// Why.
        reason: SkipReason,
    },
}

/// What is known of the run before it begins.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// When failed attempts are repeated.
    pub retry: RetryPolicy,
    /// Mixed into the jitter of retries, so that runs differ from each other.
    pub seed: u64,
    /// Jobs that a worker does before another one takes its place.
    pub jobs_per_worker: Option<u32>,
    /// Nothing is trained that cannot be done by this time since the run began.
    pub deadline: Option<Duration>,
    /// What each job will take, where that is known.
    pub expected: Vec<Option<Duration>>,
    /// After so many failed jobs nothing new is started.
    pub max_failures: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// No process.
    Empty,
    /// A process that has not said hello yet.
    Starting,
    /// A worker without a job.
    Idle,
    /// A worker with a job.
    Busy(usize),
    /// A worker that was asked to end.
    Leaving,
}

/// The state of a run.
#[derive(Debug)]
pub struct Scheduler {
    rules: Rules,
    /// Attempts made, by job.
    attempts: Vec<u32>,
    /// What jobs took that were done, or are known to take: the sum, and how many they are.
    taken: (Duration, u32),
    /// Jobs that ran out of memory: they run when nothing else does.
    alone: Vec<bool>,
    /// Jobs settled as failed.
    failed: u32,
    ready: VecDeque<usize>,
    /// Jobs that wait for their next attempt, with its time.
    delayed: Vec<(Duration, usize)>,
    slots: Vec<Slot>,
    /// Jobs that the worker in each slot has done.
    done: Vec<u32>,
    unsettled: usize,
    /// Workers that died without a job since an attempt last ended.
    idle_deaths: u32,
    /// No worker is started before this time.
    spawn_after: Duration,
    draining: bool,
    killing: bool,
}

impl Scheduler {
    /// A run of `jobs` jobs on at most `slots` workers, in the order of their indices.
    #[must_use]
    pub fn new(jobs: usize, slots: usize, rules: Rules) -> Self {
        let known = rules.expected.iter().flatten();
        let taken = known.fold((Duration::ZERO, 0), |(sum, count), one| (sum + *one, count + 1));
        Self {
            rules,
            attempts: vec![0; jobs],
            taken,
            alone: vec![false; jobs],
            failed: 0,
            ready: (0..jobs).collect(),
            delayed: Vec::new(),
            slots: vec![Slot::Empty; slots.max(1)],
            done: vec![0; slots.max(1)],
            unsettled: jobs,
            idle_deaths: 0,
            spawn_after: Duration::ZERO,
            draining: false,
            killing: false,
        }
    }

    /// Takes one input at time `now` (since the run began) and says what is to be done.
    pub fn on(&mut self, now: Duration, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Tick => {}
            Input::WorkerUp { slot } => {
                if self.slots[slot] == Slot::Starting {
                    self.slots[slot] = Slot::Idle;
                    self.done[slot] = 0;
                }
            }
            Input::WorkerGone { slot, kind, cause } => {
                self.worker_gone(now, slot, kind, cause, &mut actions);
            }
            Input::AttemptEnded { slot, seconds, result } => {
                if let Slot::Busy(job) = self.slots[slot] {
                    self.slots[slot] = Slot::Idle;
                    self.done[slot] += 1;
                    self.idle_deaths = 0;
                    if matches!(result, JobResult::Committed { .. })
                        && let Ok(seconds) = Duration::try_from_secs_f64(seconds)
                    {
                        self.taken = (self.taken.0 + seconds, self.taken.1 + 1);
                    }
                    self.attempt_ended(
                        now,
                        job,
                        Settled::Attempt { result, seconds },
                        &mut actions,
                    );
                }
            }
            Input::Drain => self.drain(&mut actions),
            Input::Kill => {
                self.drain(&mut actions);
                self.killing = true;
            }
        }
        self.advance(now, &mut actions);
        actions
    }

    /// When the next [`Input::Tick`] is due, if time alone will change anything.
    #[must_use]
    pub fn next_wake(&self) -> Option<Duration> {
        let retry = self.delayed.iter().map(|(due, _)| *due).min();
        let spawn = (self.missing() > 0).then_some(self.spawn_after);
        let waiting = !self.ready.is_empty() || !self.delayed.is_empty();
        let deadline = self.rules.deadline.filter(|_| waiting);
        retry.into_iter().chain(spawn).chain(deadline).min()
    }

    /// Whether every job is settled and every worker gone.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.unsettled == 0 && self.slots.iter().all(|slot| *slot == Slot::Empty)
    }

    /// Time has passed that the run's clock does not count. The deadline does not wait.
    pub fn slept(&mut self, pause: Duration) {
        self.rules.deadline = self.rules.deadline.map(|at| at.saturating_sub(pause));
    }

    /// Jobs that wait for an attempt.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.ready.len() + self.delayed.len()
    }

    /// Attempts that run now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.slots.iter().filter(|slot| matches!(slot, Slot::Busy(_))).count()
    }

    fn worker_gone(
        &mut self,
        now: Duration,
        slot: usize,
        kind: FailureKind,
        cause: String,
        actions: &mut Vec<Action>,
    ) {
        match std::mem::replace(&mut self.slots[slot], Slot::Empty) {
            Slot::Busy(job) if self.killing => {
                self.settle(job, Settled::Interrupted { started: true }, actions);
            }
            Slot::Busy(job) => {
                let result = JobResult::Failed { kind, cause, hint: None };
                let end = Settled::Attempt { result, seconds: 0.0 };
                self.attempt_ended(now, job, end, actions);
            }
            Slot::Starting | Slot::Idle => {
                self.idle_deaths += 1;
                let jitter = self.jitter(slot, self.idle_deaths);
                self.spawn_after = now + self.rules.retry.delay(self.idle_deaths + 1, jitter);
                if self.idle_deaths > SPARE_DEATHS + self.slots.len() as u32 {
                    self.give_up(&cause, actions);
                }
            }
            Slot::Empty | Slot::Leaving => {}
        }
    }

    fn attempt_ended(
        &mut self,
        now: Duration,
        job: usize,
        end: Settled,
        actions: &mut Vec<Action>,
    ) {
        let attempt = self.attempts[job];
        match end {
            Settled::Attempt { result: JobResult::Failed { kind, cause, .. }, .. }
                if !self.draining && self.may_retry(job, kind) =>
            {
                let delay = self.rules.retry.delay(attempt + 1, self.jitter(job, attempt));
                self.delayed.push((now + delay, job));
                actions.push(Action::Retry { job, attempt, kind, cause, delay });
            }
            Settled::Attempt { result: JobResult::TooLate, .. } => {
                self.attempts[job] -= 1;
                self.settle(job, Settled::Skipped { reason: SkipReason::Deadline }, actions);
            }
            end => self.settle(job, end, actions),
        }
    }

    /// Whether another attempt is due after one that failed of `kind`.
    fn may_retry(&mut self, job: usize, kind: FailureKind) -> bool {
        self.alone[job] |= kind == FailureKind::OutOfMemory;
        self.attempts[job] <= self.rules.retry.retries_for(kind)
    }

    fn settle(&mut self, job: usize, end: Settled, actions: &mut Vec<Action>) {
        self.unsettled -= 1;
        if let Settled::Attempt { result: JobResult::Failed { .. }, .. } = end {
            self.failed += 1;
        }
        actions.push(Action::Settle { job, attempts: self.attempts[job], end });
        if self.rules.max_failures.is_some_and(|limit| self.failed >= limit) {
            for job in self.take_waiting() {
                self.settle(job, Settled::Skipped { reason: SkipReason::TooManyFailures }, actions);
            }
        }
    }

    /// Settles what waits at the deadline.
    fn skip_late(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.rules.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        for job in self.take_waiting() {
            self.settle(job, Settled::Skipped { reason: SkipReason::Deadline }, actions);
        }
    }

    /// Whether a job can no longer be done by the deadline, as far as can be told.
    fn is_late(&self, now: Duration, job: usize) -> bool {
        let Some(deadline) = self.rules.deadline else { return false };
        let expected = self.rules.expected.get(job).copied().flatten();
        // A job of which nothing is known takes as long as the others.
        let expected = expected.or(self.taken.0.checked_div(self.taken.1)).unwrap_or_default();
        expected > deadline.saturating_sub(now)
    }

    /// The next job that may start now: none while one runs that must be alone, and one that must
    /// be alone only when nothing else runs.
    fn next_ready(&mut self) -> Option<usize> {
        let running = |slot: &Slot| match slot {
            Slot::Busy(job) => Some(*job),
            _ => None,
        };
        let mut busy = self.slots.iter().filter_map(running).peekable();
        let idle = busy.peek().is_none();
        if busy.any(|job| self.alone[job]) {
            return None;
        }
        let next = self.ready.iter().position(|job| idle || !self.alone[*job])?;
        self.ready.remove(next)
    }

    /// Jobs that wait, ready or delayed, taken out of their queues.
    fn take_waiting(&mut self) -> Vec<usize> {
        let delayed = self.delayed.drain(..).map(|(_, job)| job);
        let mut waiting: Vec<usize> = self.ready.drain(..).chain(delayed).collect();
        waiting.sort_unstable();
        waiting
    }

    fn drain(&mut self, actions: &mut Vec<Action>) {
        self.draining = true;
        for job in self.take_waiting() {
            self.settle(job, Settled::Interrupted { started: false }, actions);
        }
    }

    /// Settles what waits because no worker can be started.
    fn give_up(&mut self, cause: &str, actions: &mut Vec<Action>) {
        for job in self.take_waiting() {
            let result = JobResult::Failed {
                kind: FailureKind::Internal,
                cause: format!("no worker process could be started: {cause}"),
                hint: Some("see the worker logs in the run's directory".to_owned()),
            };
            self.settle(job, Settled::Attempt { result, seconds: 0.0 }, actions);
        }
    }

    /// Moves everything that can move: due retries, assignments, new workers, farewells.
    fn advance(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.delayed.sort_unstable();
        while self.delayed.first().is_some_and(|(due, _)| *due <= now) {
            let (_, job) = self.delayed.remove(0);
            self.ready.push_back(job);
        }
        self.skip_late(now, actions);
        for slot in 0..self.slots.len() {
            if self.slots[slot] != Slot::Idle {
                continue;
            }
            let tired = self.rules.jobs_per_worker.is_some_and(|limit| self.done[slot] >= limit);
            if !tired && let Some(job) = self.next_ready() {
                self.slots[slot] = Slot::Busy(job);
                self.attempts[job] += 1;
                let attempt = self.attempts[job];
                actions.push(if self.is_late(now, job) {
                    Action::Check { slot, job, attempt }
                } else {
                    Action::Assign { slot, job, attempt }
                });
            } else if tired || self.unsettled == 0 || self.draining {
                self.slots[slot] = Slot::Leaving;
                actions.push(Action::Stop { slot });
            }
        }
        if now >= self.spawn_after {
            self.spawn(actions);
        }
    }

    /// Workers to be started, so that there is one for every job that is not settled.
    fn missing(&self) -> usize {
        let empty = self.slots.iter().filter(|slot| **slot == Slot::Empty).count();
        let leaving = self.slots.iter().filter(|slot| **slot == Slot::Leaving).count();
        let alive = self.slots.len() - empty - leaving;
        let wanted = if self.draining { 0 } else { self.unsettled };
        wanted.saturating_sub(alive).min(empty)
    }

    fn spawn(&mut self, actions: &mut Vec<Action>) {
        let mut missing = self.missing();
        for slot in 0..self.slots.len() {
            if missing > 0 && self.slots[slot] == Slot::Empty {
                self.slots[slot] = Slot::Starting;
                actions.push(Action::Spawn { slot });
                missing -= 1;
            }
        }
    }

    /// A number in [0, 1) that depends on run, job and attempt only.
    fn jitter(&self, job: usize, attempt: u32) -> f64 {
        let bits = mix64(self.rules.seed ^ ((job as u64) << 32) ^ u64::from(attempt));
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
