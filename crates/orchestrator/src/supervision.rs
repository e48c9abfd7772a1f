//! The dispatcher's watch over its workers: limits, pauses, and what it tells those who ask.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use mambafleet_protocol::{FailureKind, SkipReason};

use crate::dispatcher::{Dispatcher, Worker};
use crate::event::{RunningNow, Status};
use crate::plan::expected;
use crate::{RunEvent, memory};

/// How often the workers' memory is looked at, when it is limited.
const SAMPLE: Duration = Duration::from_secs(1);

/// How often reporters that want it are told what is running.
const PULSE: Duration = Duration::from_secs(1);

impl Dispatcher<'_> {
    /// Looks at every attempt: whether it has gone beyond a limit, or is slow.
    pub(crate) fn watch(&mut self, now: Instant) {
        let limits = self.plan.policy.limits;
        let mut faults = Vec::new();
        let mut slow = Vec::new();
        let sound = self.workers.iter_mut().filter(|(_, worker)| worker.verdict.is_none());
        for (id, worker) in sound {
            let Some(running) = &mut worker.running else { continue };
            if let Some((kind, cause)) = running.fault(now, &limits) {
                faults.push((*id, kind, cause));
            } else if let Some(so_far) = running.is_slow(now) {
                slow.push((running.job, running.attempt, so_far.as_secs_f64()));
            }
        }
        if let Some(limit) = limits.memory
            && self.next_sample <= now
        {
            self.next_sample = now + SAMPLE;
            let memory = self.memory();
            self.worker_memory =
                self.worker_memory.max(memory.iter().map(|(_, bytes)| *bytes).max());
            let too_large = memory.into_iter().filter(|(_, bytes)| *bytes > limit);
            faults.extend(too_large.map(|(id, bytes)| {
                let (found, limit) = (mebibytes(bytes), mebibytes(limit));
                let cause =
                    format!("took {found} of memory, and may take {limit} (run.memory_limit)");
                (id, FailureKind::OutOfMemory, cause)
            }));
        }
        for (job, attempt, seconds) in slow {
            let job = &self.plan.jobs[job];
            let (symbol, expected) = (job.symbol.clone(), job.expected_seconds.unwrap_or_default());
            self.emit(RunEvent::Slow { symbol, attempt, seconds, expected });
        }
        for (id, kind, cause) in faults {
            self.condemn(id, kind, cause);
        }
    }

    /// Resident memory of the workers that have a job, in bytes.
    fn memory(&self) -> Vec<(u64, u64)> {
        let busy = self.workers.iter().filter(|(_, worker)| worker.running.is_some());
        let pids: Vec<_> =
            busy.filter_map(|(id, worker)| Some((*id, worker.process.pid?))).collect();
        let all: Vec<_> = pids.iter().map(|(_, pid)| *pid).collect();
        let resident = memory::resident(&all);
        pids.into_iter().filter_map(|(id, pid)| Some((id, *resident.get(&pid)?))).collect()
    }

    /// Tells those who asked what is running now.
    pub(crate) fn tell_status(&mut self) {
        let status = self.status();
        self.emit(RunEvent::Status(status));
    }

    /// Tells reporters that want it what is running now, once a second.
    pub(crate) fn pulse(&mut self, now: Instant) {
        if self.next_pulse.is_some_and(|at| at <= now) {
            self.next_pulse = Some(now + PULSE);
            let status = self.status();
            self.show(RunEvent::Pulse(status));
        }
    }

    fn status(&self) -> Status {
        let now = Instant::now();
        let memory = self.memory();
        let describe = |(id, worker): (&u64, &Worker)| {
            let running = worker.running.as_ref()?;
            Some(RunningNow {
                symbol: self.plan.jobs[running.job].symbol.clone(),
                attempt: running.attempt,
                worker: *id,
                pid: worker.process.pid,
                seconds: now.saturating_duration_since(running.started).as_secs_f64(),
                silent_seconds: now.saturating_duration_since(running.heard).as_secs_f64(),
                last: running.last.clone(),
                memory: memory.iter().find(|(of, _)| of == id).map(|(_, bytes)| *bytes),
            })
        };
        let running = self.workers.iter().filter_map(describe).collect();
        Status { running, waiting: self.scheduler.waiting() }
    }

    /// Stops the workers and this process, as somebody asked, until it is told to go on. The pause
    /// counts for no limit.
    pub(crate) fn suspend(&mut self) {
        self.emit(RunEvent::Suspended);
        let began = Instant::now();
        self.workers.values().for_each(|worker| worker.process.pause(true));
        stop_myself();
        self.workers.values().for_each(|worker| worker.process.pause(false));
        let pause = began.elapsed();
        self.started += pause;
        self.scheduler.slept(pause);
        self.kill_at = self.kill_at.map(|at| at + pause);
        for worker in self.workers.values_mut() {
            worker.deadline = worker.deadline.map(|(at, what)| (at + pause, what));
            if let Some(running) = &mut worker.running {
                running.shift(pause);
            }
        }
        self.emit(RunEvent::Resumed { seconds: pause.as_secs_f64() });
    }

    /// Why a symbol was skipped, in words.
    pub(crate) fn why_skipped(&self, job: usize, reason: SkipReason) -> String {
        let policy = &self.plan.policy;
        match (reason, policy.deadline) {
            (SkipReason::TooManyFailures, _) => {
                let limit = policy.max_failures.unwrap_or_default();
                format!("{limit} other symbols had failed (run.max_failures)")
            }
            (SkipReason::Deadline, deadline) => {
                let left = deadline.map(|at| at.duration_since(Timestamp::now()));
                match (expected(&self.plan.jobs[job]), left) {
                    (Some(expected), Some(left)) if left > SignedDuration::ZERO => format!(
                        "it took {:.0} s the last time, and the deadline was {:.0} s away",
                        expected.as_secs_f64(),
                        left.as_secs_f64()
                    ),
                    _ => "the deadline came first".to_owned(),
                }
            }
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Stops this process; returns when it goes on.
#[cfg(unix)]
fn stop_myself() {
    use rustix::process::{Signal, getpid, kill_process};
    if let Err(error) = kill_process(getpid(), Signal::STOP) {
        tracing::warn!(%error, "this process cannot be stopped");
    }
}

#[cfg(not(unix))]
fn stop_myself() {}
