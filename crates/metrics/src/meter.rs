//! Counting what happens in a run.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use mambafleet_orchestrator::{RunEvent, RunSummary, StampedEvent, Status};
use mambafleet_protocol::{CommitReport, EpochReport, FailureKind, Outcome, StageTimes, Symbol};

use crate::samples::Samples;
use crate::slots::Slots;
use crate::table::{
    ATTEMPT_SECONDS, ATTEMPTS, BUILD, BUSY, COMMIT_BYTES, COMMIT_SECONDS, DURATION, ENDED, EPOCHS,
    FAILURES, IDLE, IN_PROGRESS, Kind, LAST_SUCCESS, LOCK_TIMEOUTS, LOCK_WAIT, LOST, MEMORY,
    MEMORY_PEAK, ORCHESTRATOR, OUTCOMES, PLANNED, QUEUE, RATE, RETRIES, RUN, RUNS, SLOW, SPAWNED,
    STAGES, STAGES_CPU, STARTED, SUCCESS, SYMBOL_SUCCESS, SYMBOLS, TRAINED, UNREADABLE, WORKERS,
};
use crate::verification::seconds;
use crate::{Earlier, text};

/// How a symbol or an attempt can end.
const OUTCOME_NAMES: [&str; 6] =
    ["trained", "up_to_date", "kept", "failed", "skipped", "interrupted"];

/// How a run can end.
const RESULTS: [&str; 4] = ["success", "failed", "interrupted", "not_begun"];

/// Counts what happens in a run. It can be asked from any thread while events go on coming.
#[derive(Debug)]
pub struct Meter {
    fleet: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    samples: Samples,
    started: Option<Timestamp>,
    /// Seconds of pauses so far.
    paused: f64,
    planned: usize,
    finished: usize,
    /// The attempts that run, or have ended and whose result is not known yet.
    attempts: BTreeMap<Symbol, Attempt>,
    slots: Slots,
}

#[derive(Debug)]
struct Attempt {
    worker: u64,
    slot: usize,
    /// Training samples of an epoch.
    samples: usize,
    /// Samples per second in the newest epoch.
    rate: f64,
    /// A commit of it was acknowledged.
    stored: bool,
    /// What it took, if it ended by itself.
    seconds: Option<f64>,
}

impl Meter {
    /// Counts for a fleet, with everything at zero that can be counted. `version` is the program's.
    #[must_use]
    pub fn new(fleet: impl Into<String>, version: &str) -> Self {
        let mut samples = Samples::default();
        samples.set(&BUILD, &[version], 1.0);
        let plain = RUN.iter().filter(|family| family.labels.is_empty());
        plain
            .filter(|family| family.kind != Kind::Gauge)
            .for_each(|family| samples.zero(family, &[]));
        for name in OUTCOME_NAMES {
            samples.set(&OUTCOMES, &[name], 0.0);
            [SYMBOLS, ATTEMPTS, ATTEMPT_SECONDS].iter().for_each(|f| samples.zero(f, &[name]));
        }
        RESULTS.iter().for_each(|result| samples.zero(&RUNS, &[result]));
        for kind in FailureKind::ALL {
            [FAILURES, RETRIES].iter().for_each(|family| samples.zero(family, &[cause(kind)]));
        }
        for (stage, _) in StageTimes::default().named() {
            [STAGES, STAGES_CPU].iter().for_each(|family| samples.zero(family, &[stage]));
        }
        for gauge in [IN_PROGRESS, PLANNED, QUEUE, WORKERS, BUSY, RATE] {
            samples.set(&gauge, &[], 0.0);
        }
        Self { fleet: fleet.into(), state: Mutex::new(State { samples, ..State::default() }) }
    }

    /// Takes in an event. It waits for nothing but another thread's copy of the numbers.
    pub fn on_event(&self, event: &StampedEvent) {
        self.state().on_event(event);
    }

    /// No run could begin.
    pub fn not_begun(&self, at: Timestamp) {
        let mut state = self.state();
        state.samples.set(&ENDED, &[], seconds(at));
        state.samples.set(&SUCCESS, &[], 0.0);
        state.samples.add(&RUNS, &["not_begun"], 1.0);
    }

    /// What there is by now, of this run alone.
    #[must_use]
    pub fn render(&self) -> String {
        let samples = self.state().samples.clone();
        text::render(RUN, samples, &self.fleet)
    }

    /// What there is by now, for a file that held `earlier` before: counters and histograms go on from there, and
    /// what went well earlier stays known as long as nothing newer did.
    #[must_use]
    pub fn render_onto(&self, earlier: &Earlier) -> String {
        let mut samples = self.state().samples.clone();
        for family in RUN.iter().filter(|family| family.kind != Kind::Gauge) {
            samples.go_on_from(family, &earlier.samples);
        }
        for family in [LAST_SUCCESS, SYMBOL_SUCCESS] {
            samples.keep_from(&family, &earlier.samples);
        }
        text::render(RUN, samples, &self.fleet)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn on_event(&mut self, StampedEvent { at, event, .. }: &StampedEvent) {
        match event {
            RunEvent::RunStarted { symbols, workers, .. } => self.begin(*at, *symbols, *workers),
            RunEvent::WorkerStarted { .. } => self.samples.add(&SPAWNED, &[], 1.0),
            RunEvent::WorkerLost { worker, .. } => {
                self.samples.add(&LOST, &[], 1.0);
                self.slots.forget(*worker);
            }
            RunEvent::AttemptStarted { symbol, worker, .. } => self.open(symbol, *worker),
            RunEvent::Loaded(counts) => {
                if let Some(attempt) = self.attempts.get_mut(&counts.symbol) {
                    attempt.samples = counts.train;
                }
            }
            RunEvent::Progress(report) => self.epoch(report),
            RunEvent::Stored(report) => self.stored(report),
            RunEvent::AttemptEnded { symbol, seconds, times, memory, .. } => {
                self.ended(symbol, *seconds, *times, *memory);
            }
            RunEvent::AttemptFailed { symbol, kind, retry_in, .. } => {
                if retry_in.is_some() {
                    self.samples.add(&RETRIES, &[cause(*kind)], 1.0);
                }
                self.close(symbol, "failed", Some(*kind));
            }
            RunEvent::SymbolFinished { symbol, outcome } => self.settle(*at, symbol, outcome),
            RunEvent::Slow { .. } => self.samples.add(&SLOW, &[], 1.0),
            RunEvent::Pulse(status) => self.pulse(status),
            RunEvent::Resumed { seconds } => self.paused += seconds,
            RunEvent::RunFinished { summary } => return self.finish(summary),
            RunEvent::Stray { .. }
            | RunEvent::Status(_)
            | RunEvent::Suspended
            | RunEvent::Draining { .. }
            | RunEvent::Killing { .. }
            | RunEvent::Notified(_) => {}
        }
        if let Some(started) = self.started {
            let duration = seconds(*at) - seconds(started) - self.paused;
            self.samples.set(&DURATION, &[], duration.max(0.0));
        }
        self.count_running();
    }

    fn begin(&mut self, at: Timestamp, symbols: usize, workers: usize) {
        self.started = Some(at);
        self.planned = symbols;
        self.samples.set(&STARTED, &[], seconds(at));
        self.samples.set(&IN_PROGRESS, &[], 1.0);
        self.samples.set(&PLANNED, &[], symbols as f64);
        self.samples.set(&WORKERS, &[], workers as f64);
    }

    fn open(&mut self, symbol: &Symbol, worker: u64) {
        let slot = self.slots.take(worker);
        let (samples, rate, stored, seconds) = (0, 0.0, false, None);
        let attempt = Attempt { worker, slot, samples, rate, stored, seconds };
        self.attempts.insert(symbol.clone(), attempt);
    }

    fn epoch(&mut self, report: &EpochReport) {
        self.samples.add(&EPOCHS, &[], 1.0);
        if let Some(attempt) = self.attempts.get_mut(&report.symbol) {
            if report.samples_per_second.is_finite() {
                attempt.rate = report.samples_per_second.max(0.0);
            }
            self.samples.add(&TRAINED, &[], attempt.samples as f64);
        }
    }

    fn stored(&mut self, report: &CommitReport) {
        if let Some(attempt) = self.attempts.get_mut(&report.symbol) {
            attempt.stored = true;
        }
        self.samples.observe(&COMMIT_SECONDS, &[], report.seconds);
        self.samples.observe(&LOCK_WAIT, &[], report.lock_wait_seconds);
        self.samples.add(&COMMIT_BYTES, &[], report.bytes as f64);
    }

    /// An attempt ended by itself; its result comes next.
    fn ended(&mut self, symbol: &Symbol, took: f64, times: StageTimes, memory: Option<u64>) {
        if let Some(attempt) = self.attempts.get_mut(symbol) {
            (attempt.seconds, attempt.rate) = (Some(took), 0.0);
        }
        for (stage, spent) in times.named() {
            self.samples.add(&STAGES, &[stage], spent.seconds);
            self.samples.add(&STAGES_CPU, &[stage], spent.cpu_seconds);
        }
        self.saw(memory);
    }

    /// An attempt has its result.
    fn close(&mut self, symbol: &Symbol, result: &'static str, kind: Option<FailureKind>) {
        let Some(attempt) = self.attempts.remove(symbol) else { return };
        self.slots.free(attempt.slot);
        self.samples.add(&ATTEMPTS, &[result], 1.0);
        if let Some(took) = attempt.seconds {
            self.samples.observe(&ATTEMPT_SECONDS, &[result], took);
        }
        let Some(kind) = kind else { return };
        self.samples.add(&FAILURES, &[cause(kind)], 1.0);
        if kind == FailureKind::LockBusy {
            self.samples.add(&LOCK_TIMEOUTS, &[], 1.0);
        }
        if kind == FailureKind::Store && attempt.stored {
            self.samples.add(&UNREADABLE, &[], 1.0);
        }
    }

    /// A symbol is done, and the attempt at it, if one runs.
    fn settle(&mut self, at: Timestamp, symbol: &Symbol, outcome: &Outcome) {
        let kind = match outcome {
            Outcome::Failed { kind, .. } => Some(*kind),
            _ => None,
        };
        let name = name(outcome);
        self.close(symbol, name, kind);
        self.finished += 1;
        self.samples.add(&SYMBOLS, &[name], 1.0);
        self.samples.add(&OUTCOMES, &[name], 1.0);
        if let Outcome::Trained { .. } = outcome {
            self.samples.set(&SYMBOL_SUCCESS, &[symbol.as_str()], seconds(at));
        }
    }

    fn pulse(&mut self, status: &Status) {
        self.samples.clear(&MEMORY);
        for now in &status.running {
            if let Some(attempt) = self.attempts.get(&now.symbol)
                && attempt.worker == now.worker
                && let Some(bytes) = now.memory
            {
                let slot = attempt.slot.to_string();
                self.samples.set(&MEMORY, &[&slot], bytes as f64);
            }
            self.saw(now.memory);
        }
    }

    /// A worker was seen to have so much memory, in bytes.
    fn saw(&mut self, memory: Option<u64>) {
        if let Some(memory) = memory {
            let before = self.samples.number(&MEMORY_PEAK, &[]).unwrap_or(0.0);
            self.samples.set(&MEMORY_PEAK, &[], before.max(memory as f64));
        }
    }

    fn count_running(&mut self) {
        let running = self.attempts.len();
        let waiting = self.planned.saturating_sub(self.finished + running);
        let rate: f64 = self.attempts.values().map(|attempt| attempt.rate).sum();
        self.samples.set(&BUSY, &[], running as f64);
        self.samples.set(&QUEUE, &[], waiting as f64);
        self.samples.set(&RATE, &[], rate);
    }

    fn finish(&mut self, summary: &RunSummary) {
        self.attempts.clear();
        self.count_running();
        self.samples.clear(&MEMORY);
        let good = summary.all_good();
        let result = match summary.signal {
            _ if good => "success",
            Some(_) => "interrupted",
            None => "failed",
        };
        self.samples.add(&RUNS, &[result], 1.0);
        self.samples.set(&IN_PROGRESS, &[], 0.0);
        self.samples.set(&ENDED, &[], seconds(summary.finished_at));
        self.samples.set(&DURATION, &[], summary.seconds);
        self.samples.set(&SUCCESS, &[], f64::from(u8::from(good)));
        self.samples.add(&IDLE, &[], summary.time.idle_seconds);
        self.samples.add(&ORCHESTRATOR, &[], summary.time.orchestrator_cpu_seconds);
        self.saw(summary.time.worker_memory);
        if let Some(last) = &summary.last_successful_run {
            self.samples.set(&LAST_SUCCESS, &[], seconds(last.finished_at));
        }
        for symbol in &summary.symbols {
            if let Some(last) = symbol.last_success {
                self.samples.set(&SYMBOL_SUCCESS, &[symbol.symbol.as_str()], seconds(last));
            }
        }
    }
}

/// The word for an outcome.
fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Trained { .. } => "trained",
        Outcome::UpToDate { .. } => "up_to_date",
        Outcome::Kept { .. } => "kept",
        Outcome::Failed { .. } => "failed",
        Outcome::Skipped { .. } => "skipped",
        Outcome::Interrupted { .. } => "interrupted",
    }
}

/// The word for a cause of failure, as it stands in events.
fn cause(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Data => "data",
        FailureKind::Diverged => "diverged",
        FailureKind::Implausible => "implausible",
        FailureKind::Backend => "backend",
        FailureKind::LockBusy => "lock_busy",
        FailureKind::Store => "store",
        FailureKind::Crashed => "crashed",
        FailureKind::OutOfMemory => "out_of_memory",
        FailureKind::TimedOut => "timed_out",
        FailureKind::Stalled => "stalled",
        FailureKind::Protocol => "protocol",
        FailureKind::Internal => "internal",
    }
}
