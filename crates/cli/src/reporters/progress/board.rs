//! What a live display knows of a run: made of its events, without a terminal.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mambafleet_orchestrator::{RunEvent, RunPlan, RunningNow};
use mambafleet_protocol::{EpochReport, Outcome, Symbol};

use super::eta::{self, Done, Running};
use crate::style::width;

/// A run as it stands.
#[derive(Debug)]
pub(super) struct Board {
    /// Symbols in the order in which they are started, with what they took the last time.
    jobs: Vec<Job>,
    workers: usize,
    begun: Instant,
    /// Attempts by the numbers of their workers.
    running: BTreeMap<u64, Attempt>,
    pub(super) failed: usize,
    pub(super) done: usize,
    known: Done,
    /// The run was asked to end: what waits is not started.
    pub(super) draining: bool,
}

#[derive(Debug)]
struct Job {
    symbol: Symbol,
    expected: Option<f64>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waits,
    Runs,
    Done,
}

/// An attempt that runs.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) symbol: Symbol,
    pub(super) attempt: u32,
    started: Instant,
    /// What goes on while there is no epoch to tell of.
    pub(super) stage: &'static str,
    /// The newest epoch.
    pub(super) epoch: Option<EpochReport>,
    /// Validation losses of all epochs so far.
    pub(super) losses: Vec<f64>,
    /// Bytes.
    pub(super) memory: Option<u64>,
}

impl Board {
    pub(super) fn new(plan: &RunPlan, now: Instant) -> Self {
        let job = |job: &mambafleet_protocol::JobSpec| Job {
            symbol: job.symbol.clone(),
            expected: job.expected_seconds.filter(|seconds| seconds.is_finite()),
            state: State::Waits,
        };
        Self {
            jobs: plan.jobs.iter().map(job).collect(),
            workers: plan.workers(),
            begun: now,
            running: BTreeMap::new(),
            failed: 0,
            done: 0,
            known: Done::default(),
            draining: false,
        }
    }

    /// Takes in what happened.
    pub(super) fn on(&mut self, event: &RunEvent, now: Instant) {
        match event {
            RunEvent::RunStarted { .. } => self.begun = now,
            RunEvent::AttemptStarted { symbol, attempt, worker, .. } => {
                self.begin(symbol, *attempt, *worker, now);
            }
            RunEvent::Loaded(counts) => {
                self.with(&counts.symbol, |attempt| attempt.stage = "epoch 1");
            }
            RunEvent::Progress(report) => self.with(&report.symbol, |one| one.epoch(report)),
            RunEvent::Pulse(status) => status.running.iter().for_each(|now| self.pulse(now)),
            RunEvent::AttemptFailed { symbol, .. } => {
                self.end(symbol, State::Waits);
            }
            RunEvent::SymbolFinished { symbol, outcome } => self.finish(symbol, outcome, now),
            RunEvent::Resumed { seconds } => self.slept(*seconds),
            RunEvent::Draining { .. } => self.draining = true,
            _ => {}
        }
    }

    fn begin(&mut self, symbol: &Symbol, attempt: u32, worker: u64, now: Instant) {
        self.state_of(symbol, State::Runs);
        let attempt = Attempt {
            symbol: symbol.clone(),
            attempt,
            started: now,
            stage: "loading",
            epoch: None,
            losses: Vec::new(),
            memory: None,
        };
        self.running.insert(worker, attempt);
    }

    fn with(&mut self, symbol: &Symbol, change: impl FnOnce(&mut Attempt)) {
        self.running.values_mut().find(|attempt| attempt.symbol == *symbol).map(change);
    }

    fn pulse(&mut self, now: &RunningNow) {
        if let Some(attempt) = self.running.get_mut(&now.worker)
            && attempt.symbol == now.symbol
        {
            attempt.memory = now.memory.or(attempt.memory);
        }
    }

    fn state_of(&mut self, symbol: &Symbol, state: State) -> Option<&Job> {
        let job = self.jobs.iter_mut().find(|job| job.symbol == *symbol)?;
        job.state = state;
        Some(job)
    }

    /// Ends the attempt at a symbol, if one runs.
    fn end(&mut self, symbol: &Symbol, state: State) -> Option<Attempt> {
        self.state_of(symbol, state);
        let worker = self.running.iter().find(|(_, attempt)| attempt.symbol == *symbol);
        let worker = *worker?.0;
        self.running.remove(&worker)
    }

    fn finish(&mut self, symbol: &Symbol, outcome: &Outcome, now: Instant) {
        let attempt = self.end(symbol, State::Done);
        self.done += 1;
        self.failed += usize::from(matches!(outcome, Outcome::Failed { .. }));
        let expected = self.jobs.iter().find(|job| job.symbol == *symbol);
        let expected = expected.and_then(|job| job.expected);
        if let Some(attempt) = attempt.filter(|_| outcome.is_good()) {
            let trained = !matches!(outcome, Outcome::UpToDate { .. });
            self.known.add(trained, attempt.seconds(now), expected);
        }
    }

    /// Takes a pause out of every clock.
    fn slept(&mut self, seconds: f64) {
        let pause = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        self.begun += pause;
        self.running.values_mut().for_each(|attempt| attempt.started += pause);
    }

    pub(super) fn total(&self) -> usize {
        self.jobs.len()
    }

    /// Seconds since the run began, without pauses.
    pub(super) fn seconds(&self, now: Instant) -> f64 {
        now.saturating_duration_since(self.begun).as_secs_f64()
    }

    /// Attempts that run, in the order of their workers.
    pub(super) fn running(&self) -> impl ExactSizeIterator<Item = &Attempt> {
        self.running.values()
    }

    /// Columns that symbols take, up to `most`.
    pub(super) fn symbol_width(&self, most: usize) -> usize {
        let widths = self.jobs.iter().map(|job| width(job.symbol.as_str()));
        widths.max().unwrap_or_default().min(most)
    }

    /// Seconds until the run is done, if that can be told.
    pub(super) fn left(&self, now: Instant) -> Option<f64> {
        let running = self.running.values().map(|attempt| {
            let job = self.jobs.iter().find(|job| job.symbol == attempt.symbol);
            Running {
                expected: job.and_then(|job| job.expected),
                elapsed: attempt.seconds(now),
                share: attempt.share(),
            }
        });
        let running: Vec<_> = running.collect();
        let waiting = self.jobs.iter().filter(|job| job.state == State::Waits && !self.draining);
        let waiting: Vec<_> = waiting.map(|job| job.expected).collect();
        if running.is_empty() && waiting.is_empty() {
            return None;
        }
        eta::left(&running, &waiting, &self.known, self.workers)
    }
}

impl Attempt {
    fn epoch(&mut self, report: &EpochReport) {
        // Another fold or trial begins again.
        if self.epoch.as_ref().is_some_and(|before| report.epoch <= before.epoch) {
            self.losses.clear();
        }
        self.losses.push(report.validation_loss);
        self.epoch = Some(report.clone());
    }

    /// Seconds since it began, without pauses.
    pub(super) fn seconds(&self, now: Instant) -> f64 {
        now.saturating_duration_since(self.started).as_secs_f64()
    }

    /// The share of epochs that is done.
    pub(super) fn share(&self) -> f64 {
        self.epoch.as_ref().map_or(0.0, |report| report.epoch as f64 / report.epochs.max(1) as f64)
    }
}
