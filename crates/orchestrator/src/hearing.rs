//! What the dispatcher makes of what its workers say, and of their ends.

use std::time::Instant;

use mambafleet_protocol::{FailureKind, JobResult, PROTOCOL_VERSION, WorkerEvent, cause_chain};
use tracing::Span;

use crate::dispatcher::Dispatcher;
use crate::process::{Death, FromWorker};
use crate::scheduler::Input;
use crate::watch::{Running, in_words};
use crate::{RunEvent, RunRecord, memory};

/// Stray output is shown up to this many characters.
const STRAY_SHOWN: usize = 300;

impl Dispatcher<'_> {
    /// Takes in what a worker sent, or that it is gone.
    pub(crate) fn on_worker(&mut self, id: u64, message: FromWorker) {
        let _of_attempt = self.span(id).entered();
        match message {
            FromWorker::Event(event) => self.on_event(id, event),
            FromWorker::Stray(text) => {
                let running = self.workers.get_mut(&id).and_then(|worker| worker.running.as_mut());
                if let Some(fault) = running.and_then(Running::stray) {
                    return self.condemn(id, FailureKind::Protocol, fault);
                }
                let text = text.chars().take(STRAY_SHOWN).collect();
                self.emit(RunEvent::Stray { worker: id, text });
            }
            FromWorker::Version(version) => {
                self.condemn(id, FailureKind::Protocol, foreign(version));
            }
            FromWorker::Gone(death) => self.on_gone(id, death),
        }
    }

    /// What log lines about a worker belong to: the attempt that it was handed, if there is one.
    fn span(&self, id: u64) -> Span {
        let running = self.workers.get(&id).and_then(|worker| worker.running.as_ref());
        running.map_or_else(
            || tracing::info_span!("worker", worker = id),
            |Running { job, attempt, .. }| {
                let symbol = &self.plan.jobs[*job].symbol;
                tracing::info_span!("attempt", %symbol, attempt, worker = id)
            },
        )
    }

    /// Kills a worker that went too far; the news of its death settles the rest.
    pub(crate) fn condemn(&mut self, id: u64, kind: FailureKind, cause: String) {
        if let Some(worker) = self.workers.get_mut(&id)
            && worker.verdict.is_none()
        {
            worker.verdict = Some((kind, format!("worker {id} {cause}")));
            worker.deadline = None;
            worker.process.kill();
        }
    }

    fn on_gone(&mut self, id: u64, death: Death) {
        let Some(worker) = self.workers.remove(&id) else { return };
        let (kind, cause) = worker.verdict.unwrap_or_else(|| {
            let cause = format!("worker {id} {}", death.cause);
            // The counter is the machine's: only a worker that was killed at all can be meant.
            if death.killed && memory::out_of_memory_kills() > worker.oom_kills {
                let why = "the system kills processes for want of memory";
                return (FailureKind::OutOfMemory, format!("{cause}, and {why}"));
            }
            (FailureKind::Crashed, cause)
        });
        if let Some(Running { job, attempt, started, .. }) = worker.running {
            self.spent[job] += started.elapsed();
            let log = self.log_of(&self.plan.jobs[job].symbol, attempt);
            RunRecord::note(&log, &format!("attempt {attempt}: {cause}"));
        }
        if !worker.leaving {
            let pid = worker.process.pid;
            self.emit(RunEvent::WorkerLost { worker: id, pid, cause: cause.clone() });
        }
        self.feed(Input::WorkerGone { slot: worker.slot, kind, cause });
    }

    fn on_event(&mut self, id: u64, event: WorkerEvent) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if let WorkerEvent::Hello { protocol, pid, cpu_seconds, .. } = event {
            if protocol != PROTOCOL_VERSION {
                return self.condemn(id, FailureKind::Protocol, foreign(protocol));
            }
            worker.deadline = None;
            self.times.other.cpu_seconds += cpu_seconds;
            let slot = worker.slot;
            self.emit(RunEvent::WorkerStarted { worker: id, pid });
            return self.feed(Input::WorkerUp { slot });
        }
        let fault = |this: &mut Self, what: String| this.condemn(id, FailureKind::Protocol, what);
        let Some(running) = &mut worker.running else {
            return fault(self, "reported on a job it does not have".to_owned());
        };
        let (job, attempt) = (running.job, running.attempt);
        if event.symbol() != Some(&self.plan.jobs[job].symbol) {
            return fault(self, "reported on another symbol than its own".to_owned());
        }
        running.heard(Instant::now(), in_words(&event));
        match event {
            WorkerEvent::Hello { .. } | WorkerEvent::Started { .. } | WorkerEvent::Alive { .. } => {
            }
            WorkerEvent::Loaded(counts) => self.emit(RunEvent::Loaded(counts)),
            WorkerEvent::Progress(report) => self.emit(RunEvent::Progress(report)),
            WorkerEvent::Stored(report) => {
                self.locks.add(&report);
                self.emit(RunEvent::Stored(report));
            }
            WorkerEvent::Finished { attempt: ended, seconds, times, result, .. } => {
                if ended != attempt {
                    return fault(self, format!("ended attempt {ended} instead of {attempt}"));
                }
                self.spent[job] += running.started.elapsed();
                worker.running = None;
                self.times += times;
                let memory = worker.process.pid.and_then(memory::peak);
                self.worker_memory = self.worker_memory.max(memory);
                let slot = worker.slot;
                let symbol = self.plan.jobs[job].symbol.clone();
                self.emit(RunEvent::AttemptEnded {
                    symbol,
                    attempt,
                    worker: id,
                    seconds,
                    times,
                    memory,
                });
                let result = self.judge(job, attempt, result);
                self.feed(Input::AttemptEnded { slot, seconds, result });
            }
        }
    }

    /// What an attempt really came to: a commit counts only if it can be read back.
    fn judge(&mut self, job: usize, attempt: u32, result: JobResult) -> JobResult {
        let JobResult::Committed { generation, .. } = result else { return result };
        match self.store.symbol(&self.plan.jobs[job].symbol).verify(generation) {
            Ok(manifest) => {
                self.committed[job] = Some(manifest.created_at);
                result
            }
            Err(error) => {
                let cause = cause_chain(&error);
                let cause = format!("generation {generation} cannot be read back: {cause}");
                RunRecord::note(&self.log_of(&self.plan.jobs[job].symbol, attempt), &cause);
                JobResult::Failed { kind: FailureKind::Store, cause, hint: None }
            }
        }
    }
}

/// What is wrong with a worker of another protocol version.
fn foreign(version: u32) -> String {
    format!("speaks protocol {version}, not {PROTOCOL_VERSION}")
}
