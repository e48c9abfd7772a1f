//! A run as its events tell it.

mod row;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use mambafleet_orchestrator::{RunEvent, RunPlan, RunSummary, StampedEvent};
use mambafleet_protocol::{
    CommitReport, EpochReport, FailureKind, Headline, JobSpec, Outcome, RunId, StageTimes, Symbol,
    signal_name,
};

pub use row::SPARK;
use row::{Tracked, spark};

use crate::Num;
use crate::lanes::{End, Lanes};
use crate::model::{
    Before, Changes, Counts, Millis, PAGE_SCHEMA, Page, Row, Run, RunState, State, Time, Timeline,
};

/// A run as its events tell it: what a page about it shows, kept up to date one event at a time.
///
/// Events may be missing, repeated or of another order than they happened in: what is known is then
/// less, and every symbol is counted once all the same.
#[derive(Debug, Clone)]
pub struct RunView {
    program: String,
    synthetic: bool,
    run: Run,
    symbols: Vec<Tracked>,
    places: BTreeMap<Symbol, usize>,
    lanes: Lanes,
    stages: StageTimes,
    time: Option<Time>,
    /// When something was last heard.
    last: Millis,
    /// Pauses that are over, in milliseconds.
    paused: Millis,
    /// Whether the summary is known.
    ended: bool,
    version: u64,
    /// The versions in which the parts last changed.
    changed: Parts,
}

/// The versions in which the parts of a page last changed.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    timeline: u64,
    time: u64,
}

/// What the store knows of a symbol in a run, and events do not tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// The generation that the row is about.
    pub generation: Option<u64>,
    /// Its headline.
    pub headline: Option<Headline>,
    /// Its validation losses by epoch.
    pub curve: Vec<f64>,
    /// Length of its files.
    pub bytes: Option<u64>,
    /// The generation before.
    pub prev: Option<Before>,
    /// When the newest intact generation was trained.
    pub last_success: Option<Millis>,
    /// Notes on the quality of its data.
    pub notes: usize,
}

impl RunView {
    /// The run before its first event. Without a plan, symbols are known once an event names them.
    #[must_use]
    pub fn new(run: &RunId, plan: Option<&RunPlan>, store: &Path, record: &Path) -> Self {
        let first = plan.and_then(|plan| plan.jobs.first());
        let started_at = plan.map(|plan| plan.created_at.as_millisecond()).unwrap_or_default();
        let own = || format!("mambafleet {}", env!("CARGO_PKG_VERSION"));
        let mut view = Self {
            program: plan.map_or_else(own, |plan| plan.program.clone()),
            synthetic: first.is_some_and(JobSpec::is_synthetic),
            run: Run {
                id: run.to_string(),
                started_at,
                workers: plan.map(RunPlan::workers).unwrap_or_default(),
                threads: first.map_or(1, |job| job.threads),
                deadline: plan.and_then(|plan| plan.policy.deadline).map(millis),
                resumes: plan.and_then(|plan| Some(plan.resumes.as_ref()?.to_string())),
                store: store.display().to_string(),
                record: record.display().to_string(),
                ..Run::default()
            },
            symbols: Vec::new(),
            places: BTreeMap::new(),
            lanes: Lanes::default(),
            stages: StageTimes::default(),
            time: None,
            last: started_at,
            paused: 0,
            ended: false,
            version: 1,
            changed: Parts::default(),
        };
        for job in plan.iter().flat_map(|plan| &plan.jobs) {
            view.place(&job.symbol);
        }
        view
    }

    /// The version: it grows with every change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The symbols, in the order of the rows.
    pub fn symbols(&self) -> impl Iterator<Item = &Symbol> {
        self.symbols.iter().map(|tracked| &tracked.symbol)
    }

    /// The place of a symbol among the rows.
    #[must_use]
    pub fn place_of(&self, symbol: &Symbol) -> Option<usize> {
        self.places.get(symbol).copied()
    }

    /// The rows as they are to be shown.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        self.symbols.iter().map(|tracked| self.shown(tracked))
    }

    /// The row in a place.
    #[must_use]
    pub fn row(&self, place: usize) -> Option<Row> {
        self.symbols.get(place).map(|tracked| self.shown(tracked))
    }

    /// How far the run has come.
    #[must_use]
    pub fn state(&self) -> RunState {
        self.run.state
    }

    /// Whether the run has left its summary.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The lanes of the workers.
    #[must_use]
    pub(crate) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Takes in the next event.
    pub fn apply(&mut self, event: &StampedEvent) {
        self.version += 1;
        let at = millis(event.at);
        self.last = self.last.max(at);
        if self.run.started_at == 0 {
            self.run.started_at = at;
        }
        match &event.event {
            RunEvent::RunStarted { .. } => self.on_start(&event.event),
            RunEvent::WorkerStarted { worker, pid } => {
                self.lanes.start(*worker, Some(*pid), at, self.run.workers);
                self.changed.timeline = self.version;
            }
            RunEvent::WorkerLost { worker, pid, cause } => {
                self.lanes.lose(*worker, *pid, at, cause);
                self.changed.timeline = self.version;
            }
            RunEvent::AttemptStarted { symbol, attempt, worker, pid } => {
                self.on_attempt(at, symbol, *attempt, *worker, *pid);
            }
            RunEvent::Progress(report) => self.on_progress(report),
            RunEvent::Stored(report) => self.on_stored(report),
            RunEvent::AttemptEnded { symbol, seconds, times, memory, .. } => {
                self.on_attempt_ended(at, symbol, *seconds, times, *memory);
            }
            RunEvent::AttemptFailed { symbol, attempt, kind, cause, retry_in } => {
                self.on_failure(at, symbol, *attempt, (*kind, cause), *retry_in);
            }
            RunEvent::SymbolFinished { symbol, outcome } => self.settle(at, symbol, outcome),
            RunEvent::Status(status) | RunEvent::Pulse(status) => {
                for running in &status.running {
                    let memory = running.memory;
                    self.touch(&running.symbol).row.memory = memory;
                }
            }
            RunEvent::Suspended => self.lanes.pause(at),
            RunEvent::Resumed { seconds } => self.on_resumed(at, *seconds),
            RunEvent::Draining { signal, .. } => self.run.signal = Some(signal.clone()),
            RunEvent::Killing { reason } => self.lanes.killing = Some(reason.clone()),
            RunEvent::RunFinished { summary } => self.finish(summary),
            RunEvent::Loaded(_)
            | RunEvent::Stray { .. }
            | RunEvent::Slow { .. }
            | RunEvent::Notified(_) => {}
        }
        if matches!(event.event, RunEvent::Suspended | RunEvent::Resumed { .. }) {
            self.changed.timeline = self.version;
        }
    }

    fn on_start(&mut self, event: &RunEvent) {
        let RunEvent::RunStarted { store, record, workers, threads, synthetic, deadline, .. } =
            event
        else {
            return;
        };
        self.synthetic |= *synthetic;
        (self.run.workers, self.run.threads) = (*workers, *threads);
        self.run.deadline = deadline.map(millis);
        self.run.store = store.display().to_string();
        self.run.record = record.display().to_string();
    }

    fn on_attempt(&mut self, at: Millis, symbol: &Symbol, attempt: u32, worker: u64, pid: u32) {
        let tracked = self.touch(symbol);
        tracked.losses.clear();
        let row = &mut tracked.row;
        row.state = State::Running;
        row.attempts = row.attempts.max(attempt);
        row.worker = Some(worker);
        (row.epoch, row.epochs, row.train, row.val) = (None, None, None, None);
        (row.first, row.best, row.rate) = (None, None, None);
        row.spark.clear();
        let place = self.place(symbol);
        self.lanes.begin(worker, pid, place, attempt, at);
        self.changed.timeline = self.version;
    }

    fn on_progress(&mut self, report: &EpochReport) {
        let tracked = self.touch(&report.symbol);
        // A search trains one model after another.
        if tracked.row.epoch.is_some_and(|epoch| report.epoch <= epoch) {
            tracked.losses.clear();
        }
        tracked.losses.push(report.validation_loss);
        let first = tracked.losses.first().copied();
        let best = tracked.losses.iter().copied().reduce(f64::min);
        let row = &mut tracked.row;
        (row.epoch, row.epochs) = (Some(report.epoch), Some(report.epochs));
        row.train = Some(Num(report.train_loss));
        row.val = Some(Num(report.validation_loss));
        (row.first, row.best) = (first.map(Num), best.map(Num));
        row.rate = Some(Num(report.samples_per_second));
        row.spark = spark(&tracked.losses);
    }

    fn on_stored(&mut self, report: &CommitReport) {
        let place = self.place(&report.symbol);
        let row = &mut self.touch(&report.symbol).row;
        row.generation = Some(report.generation);
        row.bytes = Some(report.bytes);
        row.lock = Some(Num(report.lock_wait_seconds));
        self.lanes.waited(place, report.lock_wait_seconds);
        self.changed.timeline = self.version;
    }

    fn on_attempt_ended(
        &mut self,
        at: Millis,
        symbol: &Symbol,
        seconds: f64,
        times: &StageTimes,
        memory: Option<u64>,
    ) {
        let place = self.place(symbol);
        self.lanes.end(place, at);
        let tracked = self.touch(symbol);
        tracked.seconds += seconds.max(0.0);
        tracked.row.seconds = Some(Num(tracked.seconds));
        tracked.row.memory = memory.or(tracked.row.memory);
        self.stages += *times;
        let before = self.time.as_ref().and_then(|time| time.worker_memory);
        if !self.ended {
            self.time = Some(Time::of(&self.stages, None, None, before.max(memory)));
        }
        (self.changed.timeline, self.changed.time) = (self.version, self.version);
    }

    fn on_failure(
        &mut self,
        at: Millis,
        symbol: &Symbol,
        attempt: u32,
        (kind, cause): (FailureKind, &str),
        retry_in: Option<f64>,
    ) {
        let place = self.place(symbol);
        let spent = self.lanes.settle(place, at, End::Failed { kind, cause });
        let tracked = self.touch(symbol);
        tracked.add(spent);
        let row = &mut tracked.row;
        (row.kind, row.cause) = (Some(kind), Some(cause.to_owned()));
        if let Some(wait) = retry_in {
            row.state = State::Retrying;
            self.lanes.retry(place, attempt.saturating_add(1), at, wait);
        }
        self.changed.timeline = self.version;
    }

    fn settle(&mut self, at: Millis, symbol: &Symbol, outcome: &Outcome) {
        let place = self.place(symbol);
        let spent = self.lanes.settle(place, at, End::of(outcome));
        self.changed.timeline = self.version;
        let tracked = self.touch(symbol);
        tracked.add(spent);
        tracked.row.settle(outcome);
    }

    fn on_resumed(&mut self, at: Millis, seconds: f64) {
        self.paused = self.paused.saturating_add(self.lanes.resume(at, seconds));
    }

    /// Takes in the summary, which knows better than the events what came of each symbol.
    pub fn finish(&mut self, summary: &RunSummary) {
        self.version += 1;
        self.ended = true;
        let ended_at = millis(summary.finished_at);
        for of in &summary.symbols {
            self.settle(ended_at, &of.symbol, &of.outcome);
            let row = &mut self.touch(&of.symbol).row;
            row.last_success = of.last_success.map(millis).or(row.last_success);
            if of.attempt_seconds > 0.0 {
                row.seconds = Some(Num(of.attempt_seconds));
            }
        }
        self.last = self.last.max(ended_at);
        let run = &mut self.run;
        run.started_at = millis(summary.started_at);
        run.finished_at = Some(ended_at);
        run.seconds = Num(summary.seconds);
        run.workers = summary.time.workers.max(run.workers);
        run.signal = summary.signal.map(|number| {
            signal_name(number).map_or_else(|| format!("signal {number}"), str::to_owned)
        });
        run.state = RunState::of(Some(summary), false);
        let of = summary.time;
        let (idle, own) = (of.idle_seconds, of.orchestrator_cpu_seconds);
        self.time = Some(Time::of(&of.stages, Some(idle), Some(own), of.worker_memory));
        (self.changed.timeline, self.changed.time) = (self.version, self.version);
    }

    /// Says whether a process carries the run out, which only the lock of its record tells.
    pub fn set_alive(&mut self, alive: bool) {
        let state = match (self.ended, alive) {
            (true, _) => return,
            (false, true) => RunState::Running,
            (false, false) => RunState::Died,
        };
        if state == self.run.state {
            return;
        }
        self.version += 1;
        self.run.state = state;
        let version = self.version;
        self.changed.timeline = version;
        self.symbols.iter_mut().for_each(|tracked| tracked.version = version);
    }

    /// Adds what the store knows of a symbol.
    pub fn know(&mut self, place: usize, known: &Known) {
        self.version += 1;
        let version = self.version;
        let Some(tracked) = self.symbols.get_mut(place) else { return };
        tracked.version = version;
        tracked.row.know(known);
    }

    /// The page, without what only the store and other runs tell.
    #[must_use]
    pub fn page(&self, now: Timestamp) -> Page {
        Page {
            schema: PAGE_SCHEMA,
            generated_at: millis(now),
            program: self.program.clone(),
            synthetic: self.synthetic,
            run: self.run(),
            counts: self.counts(),
            time: self.time.clone(),
            symbols: self.rows().collect(),
            timeline: self.timeline(),
            ..Page::default()
        }
    }

    /// What has changed since a version of the page; everything since version 0.
    #[must_use]
    pub fn changed_since(&self, version: u64) -> Changes<'_> {
        let rows = self.symbols.iter().enumerate();
        let rows = rows.filter(|(_, tracked)| tracked.version > version);
        let timeline = (self.changed.timeline > version).then(|| self.timeline());
        Changes {
            v: self.version,
            run: self.run(),
            counts: self.counts(),
            rows: rows.map(|(place, tracked)| (place, self.shown(tracked))).collect(),
            timeline,
            time: self.time.as_ref().filter(|_| self.changed.time > version),
        }
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> Run {
        let mut run = self.run.clone();
        if !self.ended {
            let so_far = self.last.saturating_sub(run.started_at).saturating_sub(self.paused);
            run.seconds = Num(so_far.max(0) as f64 / 1000.0);
        }
        run
    }

    /// Symbols by state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(self.symbols.iter().map(|tracked| self.state_of(&tracked.row)))
    }

    /// The timeline as it is to be shown.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        let end = match self.run.state {
            RunState::Running => None,
            RunState::Died => Some(self.last),
            RunState::Finished | RunState::Interrupted => self.run.finished_at,
        };
        self.lanes.timeline(self.run.started_at, end)
    }

    /// In a run that died, nothing runs or waits any more.
    fn state_of(&self, row: &Row) -> State {
        match self.run.state {
            RunState::Running => row.state,
            _ if row.state.is_settled() => row.state,
            _ => State::Interrupted,
        }
    }

    fn shown(&self, tracked: &Tracked) -> Row {
        Row { state: self.state_of(&tracked.row), ..tracked.row.clone() }
    }

    /// The place of a symbol; the next one, if it is new.
    fn place(&mut self, symbol: &Symbol) -> usize {
        if let Some(place) = self.places.get(symbol) {
            return *place;
        }
        let place = self.symbols.len();
        self.places.insert(symbol.clone(), place);
        self.symbols.push(Tracked {
            symbol: symbol.clone(),
            row: Row { s: symbol.to_string(), ..Row::default() },
            losses: Vec::new(),
            seconds: 0.0,
            version: self.version,
        });
        place
    }

    /// A symbol that changes.
    fn touch(&mut self, symbol: &Symbol) -> &mut Tracked {
        let place = self.place(symbol);
        let tracked = &mut self.symbols[place];
        tracked.version = self.version;
        tracked
    }
}

/// A moment in milliseconds.
pub(crate) fn millis(moment: Timestamp) -> Millis {
    moment.as_millisecond()
}
