//! The one loop of a run: it feeds the scheduler with what happens and carries out what it says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mambafleet_artifacts::Store;
use mambafleet_protocol::{
    FailureKind, JobResult, JobSpec, Outcome, SkipReason, Spent, StageTimes, Stopwatch, Symbol,
    WorkerRequest, cause_chain,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::notify::{NOTIFY_LOG, deliver};
use crate::plan::expected;
pub use crate::process::WorkerCommand;
use crate::process::{Process, Tagged};
use crate::scheduler::{Action, Input, Scheduler, Settled};
use crate::signals::{Interrupt, Signals, Wish};
use crate::watch::Running;
use crate::{
    CompleteRun, LockWaits, Notify, RecordError, Reporter, RunEvent, RunPlan, RunRecord,
    RunSummary, RunTime, StampedEvent, SymbolSummary, history, memory, trail,
};

/// How long a worker may take to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a worker may take to end when it was told to.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Signals this close to the first one are the same wish: `timeout` and some service managers
/// signal both a process and its group.
const SAME_INTERRUPT: Duration = Duration::from_millis(100);

/// A run that could not be carried out. What single symbols fail of is no such error: it is in
/// the [`RunSummary`].
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run's record cannot be made.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The process cannot listen for signals or start its event loop.
    #[error("cannot {what}: {source}")]
    System {
        /// What was attempted.
        what: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// Carries out `plan` and returns when every symbol is settled and every worker process gone.
///
/// SIGINT and SIGTERM are handled from here on: the first one drains the run (nothing new is
/// started, what runs may finish within the plan's grace period), the second one kills what is
/// left. With `notify`, somebody is told how it ended; a signal that comes then ends only that.
///
/// # Errors
/// [`RunError`] when the run's record cannot be made, or the system refuses signal handlers. A
/// record that cannot be completed later is logged: the summary comes back all the same.
pub fn run(
    plan: &RunPlan,
    store: &Store,
    command: WorkerCommand,
    notify: Option<&Notify<'_>>,
    reporter: &mut dyn Reporter,
) -> Result<RunSummary, RunError> {
    let system = |what| move |source| RunError::System { what, source };
    // One thread does all of it: every line that is logged meanwhile belongs to the run.
    let _of_run = tracing::info_span!("run", run = %plan.run).entered();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("start the event loop"))?;
    runtime.block_on(async {
        let mut signals = Signals::listen().map_err(system("listen for signals"))?;
        let record = RunRecord::create(&store.runs_dir(), plan)?;
        let mut dispatcher = Dispatcher::new(plan, store, command, record, reporter);
        dispatcher.run(&mut signals).await;
        let summary = dispatcher.summarise();
        if let Some(notify) = notify {
            dispatcher.notify(notify, &summary, &mut signals).await;
        }
        dispatcher.emit(RunEvent::RunFinished { summary: summary.clone() });
        Ok(summary)
    })
}

/// A worker process and what is known of it.
pub(crate) struct Worker {
    pub(crate) slot: usize,
    pub(crate) process: Process,
    /// When it is killed unless it has said hello, or ended, by then; and what that is called.
    pub(crate) deadline: Option<(Instant, &'static str)>,
    /// The attempt it was handed.
    pub(crate) running: Option<Running>,
    /// Processes that the system had killed for want of memory when it was started.
    pub(crate) oom_kills: Option<u64>,
    /// It was asked to end, so its end is no news.
    pub(crate) leaving: bool,
    /// Why it is being killed, if the dispatcher does so.
    pub(crate) verdict: Option<(FailureKind, String)>,
}

pub(crate) struct Dispatcher<'a> {
    pub(crate) plan: &'a RunPlan,
    pub(crate) store: &'a Store,
    command: WorkerCommand,
    record: RunRecord,
    reporter: &'a mut dyn Reporter,
    pub(crate) scheduler: Scheduler,
    pub(crate) started: Instant,
    /// Runs as long: `cargo run` becomes this very process, and its processor time is not the run's.
    watch: Stopwatch,
    pub(crate) workers: BTreeMap<u64, Worker>,
    next_worker: u64,
    sink: UnboundedSender<Tagged>,
    inbox: UnboundedReceiver<Tagged>,
    outcomes: Vec<Option<Outcome>>,
    /// When the generations were committed that this run has read back, by job.
    pub(crate) committed: Vec<Option<Timestamp>>,
    /// What the attempts at each job took.
    pub(crate) spent: Vec<Duration>,
    /// What all attempts took that ended.
    pub(crate) times: StageTimes,
    /// The most memory of a worker, in bytes.
    pub(crate) worker_memory: Option<u64>,
    /// What commits waited for locks.
    pub(crate) locks: LockWaits,
    /// How often each job has diverged.
    diverged: Vec<i32>,
    /// When the workers' memory is looked at again.
    pub(crate) next_sample: Instant,
    /// When the reporter is told again what is running; none if it does not want to know.
    pub(crate) next_pulse: Option<Instant>,
    /// The signal that asked the run to end, and when it came.
    interrupt: Option<(Interrupt, Instant)>,
    /// When draining ends and killing begins.
    pub(crate) kill_at: Option<Instant>,
}

impl<'a> Dispatcher<'a> {
    fn new(
        plan: &'a RunPlan,
        store: &'a Store,
        command: WorkerCommand,
        record: RunRecord,
        reporter: &'a mut dyn Reporter,
    ) -> Self {
        let (sink, inbox) = unbounded_channel();
        let workers = plan.workers();
        let next_pulse = reporter.wants_pulse().then(Instant::now);
        Self {
            plan,
            store,
            command,
            record,
            reporter,
            scheduler: Scheduler::new(plan.jobs.len(), workers, plan.rules()),
            started: Instant::now(),
            watch: Stopwatch::start(),
            workers: BTreeMap::new(),
            next_worker: 1,
            sink,
            inbox,
            outcomes: vec![None; plan.jobs.len()],
            committed: vec![None; plan.jobs.len()],
            spent: vec![Duration::ZERO; plan.jobs.len()],
            times: StageTimes::default(),
            worker_memory: None,
            locks: LockWaits::default(),
            diverged: vec![0; plan.jobs.len()],
            next_sample: Instant::now(),
            next_pulse,
            interrupt: None,
            kill_at: None,
        }
    }

    async fn run(&mut self, signals: &mut Signals) {
        self.announce();
        self.feed(Input::Tick);
        while !self.scheduler.is_done() {
            let wake = self.next_wake();
            tokio::select! {
                Some((id, message)) = self.inbox.recv() => self.on_worker(id, message),
                wish = signals.next() => match wish {
                    Wish::End(interrupt) => self.on_interrupt(interrupt),
                    Wish::Status => self.tell_status(),
                    Wish::Suspend => self.suspend(),
                },
                () = sleep_until(wake) => self.on_timer(),
            }
        }
    }

    /// Sums the run up, also in its record.
    fn summarise(&mut self) -> RunSummary {
        let outcomes = std::mem::take(&mut self.outcomes);
        let last_success = |job: usize, symbol, outcome: &Outcome| {
            let up_to_date = match outcome {
                Outcome::UpToDate { generation } => Some(*generation),
                Outcome::Kept { comparison, .. } => Some(comparison.generation),
                _ => None,
            };
            let before = || history::last_success(&self.store.symbol(symbol), up_to_date);
            self.committed[job].or_else(before)
        };
        let all = self.plan.jobs.iter().zip(outcomes).enumerate();
        let symbols = all.map(|(job, (JobSpec { symbol, .. }, outcome))| {
            let outcome = outcome.unwrap_or(Outcome::Interrupted { started: false });
            SymbolSummary {
                symbol: symbol.clone(),
                last_success: last_success(job, symbol, &outcome),
                attempt_seconds: self.spent[job].as_secs_f64(),
                outcome,
            }
        });
        let seconds = self.started.elapsed().as_secs_f64();
        // Pauses are in no clock of the run, so not among what idles either.
        let spent = Spent { seconds, ..self.watch.spent() };
        let mut summary = RunSummary::new(
            self.plan.run.clone(),
            self.plan.created_at,
            seconds,
            self.interrupt.map(|(interrupt, _)| interrupt.number()),
            RunTime::new(self.plan.workers(), spent, self.times, self.worker_memory, self.locks),
            symbols.collect(),
        );
        summary.last_successful_run = summary.complete().or_else(|| self.last_complete_run());
        // What was committed must be told all the same.
        if let Err(error) = self.record.finish(&summary) {
            tracing::error!(error = cause_chain(&error), "the summary is not in the run's record");
        }
        summary
    }

    /// The newest earlier run of the same symbols in which all went well.
    fn last_complete_run(&self) -> Option<CompleteRun> {
        let symbols = self.plan.jobs.iter().map(|job| &job.symbol).collect();
        let found = history::last_complete_run(&self.store.runs_dir(), &symbols, None);
        found.unwrap_or_else(|error| {
            let error = cause_chain(&error);
            tracing::warn!(error, "cannot tell when all went well the last time");
            None
        })
    }

    /// Tells somebody how the run ended, if there is something to tell.
    async fn notify(&mut self, notify: &Notify<'_>, summary: &RunSummary, signals: &mut Signals) {
        let Some(message) = (notify.compose)(summary) else { return };
        let log = self.record.dir().join("logs").join(NOTIFY_LOG);
        let enough = impatience(signals, self.interrupt.map(|(_, at)| at));
        let told = deliver(&notify.notification, &message, Some(&log), enough).await;
        for told in told {
            self.emit(RunEvent::Notified(told));
        }
    }

    fn announce(&mut self) {
        let first = self.plan.jobs.first();
        self.emit(RunEvent::RunStarted {
            run: self.plan.run.clone(),
            store: self.plan.store.clone(),
            record: self.record.dir().to_owned(),
            symbols: self.plan.jobs.len(),
            workers: self.plan.workers(),
            threads: first.map_or(1, |job| job.threads),
            synthetic: first.is_some_and(JobSpec::is_synthetic),
            deadline: self.plan.policy.deadline,
        });
    }

    pub(crate) fn emit(&mut self, event: RunEvent) {
        trail::log(&event);
        let event = StampedEvent::now(event);
        self.record.append(&event);
        self.reporter.on_event(&event);
    }

    /// Reports an event that is not worth a place in the record.
    pub(crate) fn show(&mut self, event: RunEvent) {
        self.reporter.on_event(&StampedEvent::now(event));
    }

    pub(crate) fn feed(&mut self, input: Input) {
        for action in self.scheduler.on(self.started.elapsed(), input) {
            self.act(action);
        }
    }

    /// The next moment at which something is due without any message.
    fn next_wake(&self) -> Option<Instant> {
        let retry = self.scheduler.next_wake().map(|at| self.started + at);
        let overdue = self.workers.values().filter_map(|w| w.deadline).map(|(at, _)| at).min();
        let limits = &self.plan.policy.limits;
        // One that is being killed is waited for, not looked at again.
        let watched = self.workers.values().filter(|worker| worker.verdict.is_none());
        let watched = watched.filter_map(|worker| worker.running.as_ref()?.due(limits)).min();
        let sample = limits.memory.filter(|_| self.scheduler.running() > 0);
        let sample = sample.map(|_| self.next_sample);
        let pulse = self.next_pulse.filter(|_| self.scheduler.running() > 0);
        [retry, overdue, watched, sample, pulse, self.kill_at].into_iter().flatten().min()
    }

    fn on_timer(&mut self) {
        let now = Instant::now();
        if self.kill_at.is_some_and(|at| at <= now) {
            let grace = self.plan.policy.grace.as_secs_f64();
            self.kill_all(format!("the grace period of {grace} s is over"));
        }
        let overdue = |worker: &Worker| worker.deadline.filter(|(at, _)| *at <= now);
        let overdue: Vec<_> =
            self.workers.iter().filter_map(|(id, w)| Some((*id, overdue(w)?.1))).collect();
        for (id, fault) in overdue {
            self.condemn(id, FailureKind::Protocol, fault.to_owned());
        }
        self.watch(now);
        self.pulse(now);
        self.feed(Input::Tick);
    }

    fn on_interrupt(&mut self, interrupt: Interrupt) {
        let first = self.interrupt.map(|(_, at)| at.elapsed());
        if first.is_some_and(|age| age < SAME_INTERRUPT) {
            return;
        }
        if first.is_some() {
            self.kill_all(format!("a second signal came ({})", interrupt.name()));
            return;
        }
        self.interrupt = Some((interrupt, Instant::now()));
        let grace = Some(self.plan.policy.grace).filter(|_| interrupt != Interrupt::Hangup);
        self.kill_at = grace.map(|grace| Instant::now() + grace);
        self.emit(RunEvent::Draining {
            signal: interrupt.name().to_owned(),
            running: self.scheduler.running(),
            grace: grace.map(|grace| grace.as_secs_f64()),
        });
        self.feed(Input::Drain);
    }

    fn kill_all(&mut self, reason: String) {
        self.kill_at = None;
        self.emit(RunEvent::Killing { reason });
        self.feed(Input::Kill);
        for worker in self.workers.values_mut() {
            worker.leaving = true;
            worker.deadline = None;
            worker.process.kill();
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Spawn { slot } => self.spawn(slot),
            Action::Assign { slot, job, attempt } => self.assign(slot, job, attempt, false),
            Action::Check { slot, job, attempt } => self.assign(slot, job, attempt, true),
            Action::Stop { slot } => {
                if let Some((_, worker)) = self.in_slot(slot) {
                    worker.leaving = true;
                    worker.deadline =
                        Some((Instant::now() + STOP_TIMEOUT, "did not end when told to"));
                    worker.process.send(WorkerRequest::Stop);
                }
            }
            Action::Retry { job, attempt, kind, cause, delay } => {
                if kind == FailureKind::Diverged {
                    self.diverged[job] += 1;
                }
                let retry_in = Some(delay.as_secs_f64());
                let symbol = self.plan.jobs[job].symbol.clone();
                self.emit(RunEvent::AttemptFailed { symbol, attempt, kind, cause, retry_in });
            }
            Action::Settle { job, attempts, end } => self.settle(job, attempts, end),
        }
    }

    /// The worker in a slot, with its number.
    fn in_slot(&mut self, slot: usize) -> Option<(u64, &mut Worker)> {
        let mut workers = self.workers.iter_mut().map(|(id, worker)| (*id, worker));
        workers.find(|(_, worker)| worker.slot == slot)
    }

    fn spawn(&mut self, slot: usize) {
        let id = self.next_worker;
        self.next_worker += 1;
        let log = self.record.dir().join("logs").join(format!("worker-{id}.log"));
        match Process::spawn(id, &self.command, &log, self.sink.clone()) {
            Ok(process) => {
                let worker = Worker {
                    slot,
                    process,
                    deadline: Some((Instant::now() + HELLO_TIMEOUT, "did not say hello in time")),
                    running: None,
                    oom_kills: memory::out_of_memory_kills(),
                    leaving: false,
                    verdict: None,
                };
                self.workers.insert(id, worker);
            }
            Err(error) => {
                let program = self.command.program.display();
                let cause = format!("cannot start {program}: {error}");
                self.emit(RunEvent::WorkerLost { worker: id, pid: None, cause: cause.clone() });
                self.feed(Input::WorkerGone { slot, kind: FailureKind::Crashed, cause });
            }
        }
    }

    fn assign(&mut self, slot: usize, job: usize, attempt: u32, check_only: bool) {
        let mut spec = self.plan.jobs[job].clone();
        (spec.attempt, spec.check_only) = (attempt, check_only);
        let scale = self.plan.policy.diverged_learning_rate;
        spec.learning_rate_scale *= scale.powi(self.diverged[job]);
        spec.log = self.log_of(&spec.symbol, attempt);
        let symbol = spec.symbol.clone();
        let running = Running::new(job, attempt, Instant::now(), expected(&spec));
        let Some((id, worker)) = self.in_slot(slot) else { return };
        worker.running = Some(running);
        let pid = worker.process.pid.unwrap_or_default();
        worker.process.send(WorkerRequest::Run { job: Box::new(spec) });
        self.emit(RunEvent::AttemptStarted { symbol, attempt, worker: id, pid });
    }

    pub(crate) fn log_of(&self, symbol: &Symbol, attempt: u32) -> PathBuf {
        let logs = self.record.dir().join("logs");
        if attempt == 0 {
            // There was none; what the workers left is in the same place.
            return logs;
        }
        logs.join(format!("{}.{attempt}.log", symbol.dir_name()))
    }

    fn settle(&mut self, job: usize, attempts: u32, end: Settled) {
        let symbol = self.plan.jobs[job].symbol.clone();
        let skipped = |reason| {
            let why = self.why_skipped(job, reason);
            Outcome::Skipped { reason, attempts, why }
        };
        let outcome = match end {
            Settled::Interrupted { started } => Outcome::Interrupted { started },
            Settled::Skipped { reason } => skipped(reason),
            Settled::Attempt { result, seconds } => match result {
                JobResult::UpToDate { generation } => Outcome::UpToDate { generation },
                JobResult::Kept { comparison } => Outcome::Kept { attempts, seconds, comparison },
                JobResult::TooLate => skipped(SkipReason::Deadline),
                JobResult::Committed { generation, headline } => {
                    Outcome::Trained { generation, attempts, seconds, headline }
                }
                JobResult::Failed { kind, cause, hint } => {
                    let log = self.log_of(&symbol, attempts);
                    Outcome::Failed { kind, cause, hint, attempts, log }
                }
            },
        };
        self.outcomes[job] = Some(outcome.clone());
        self.emit(RunEvent::SymbolFinished { symbol, outcome });
    }
}

/// Waits for a signal that asks to end at once. `interrupted` is when the run was asked to end.
async fn impatience(signals: &mut Signals, interrupted: Option<Instant>) {
    loop {
        let repeated = || interrupted.is_some_and(|at| at.elapsed() < SAME_INTERRUPT);
        match signals.next().await {
            // What runs may finish.
            Wish::End(Interrupt::Hangup) | Wish::Status | Wish::Suspend => {}
            Wish::End(_) if repeated() => {}
            Wish::End(_) => return,
        }
    }
}

/// Sleeps until `wake`, or for ever if there is nothing to wake for.
async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
