//! MLflow: a run for the whole, and nested in it a run for each symbol's attempt.

mod batch;
mod client;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use mambafleet_orchestrator::{RunEvent, RunPlan, RunSummary, StampedEvent};
use mambafleet_protocol::{CommitReport, JobSpec, Outcome, SampleCounts, Symbol};

use crate::MlflowSettings;
use crate::lane::{Shared, Track};
use crate::names::{facts, of_epoch, of_outcome};
use crate::settings::{of_job, of_run};
use crate::tally::Counts;
use batch::{Batch, NOTE_TAG};
use client::{Client, Lost, NewRun};

/// Status of a run that did what it should.
const FINISHED: &str = "FINISHED";
/// Status of a run that failed.
const FAILED: &str = "FAILED";
/// Status of a run that was stopped.
const KILLED: &str = "KILLED";

/// Tells an MLflow server of a run.
pub(crate) struct Mlflow {
    client: Client,
    shared: Shared,
    plan: Arc<RunPlan>,
    record: PathBuf,
    experiment_name: String,
    experiment: String,
    /// The run of the whole; `None` before it is there, and after its end.
    parent: Option<Run>,
    /// Attempts that run, and those that may be followed by the symbol's end.
    symbols: HashMap<Symbol, Run>,
    skills: Vec<f64>,
}

/// A run of MLflow.
struct Run {
    id: String,
    /// Not logged yet.
    pending: Batch,
    /// It has its end; nothing but tags comes after it.
    ended: bool,
    /// The last step.
    step: usize,
}

impl Run {
    fn new(id: String) -> Self {
        Self { id, pending: Batch::default(), ended: false, step: 0 }
    }
}

impl Mlflow {
    /// Tells the server of these settings.
    pub(crate) fn new(
        settings: MlflowSettings,
        plan: Arc<RunPlan>,
        record: PathBuf,
        shared: Shared,
    ) -> Self {
        Self {
            client: Client::new(settings.url, shared.clone()),
            shared,
            plan,
            record,
            experiment_name: settings.experiment,
            experiment: String::new(),
            parent: None,
            symbols: HashMap::new(),
            skills: Vec::new(),
        }
    }

    fn take(&mut self, event: &StampedEvent, counts: Counts) -> Result<(), Lost> {
        let at = event.at;
        match &event.event {
            RunEvent::RunStarted { .. } => self.begin(at, counts),
            RunEvent::AttemptStarted { symbol, attempt, .. } => {
                self.attempt(symbol, *attempt, at, counts)
            }
            RunEvent::Loaded(counted) => {
                self.note(&counted.symbol, counts, |run| loaded(run, counted))
            }
            RunEvent::Progress(report) => self.note(&report.symbol, counts, |run| {
                run.step = report.epoch;
                run.pending.metrics(&of_epoch(report), at.as_millisecond(), report.epoch);
            }),
            RunEvent::Stored(report) => {
                self.note(&report.symbol, counts, |run| stored(run, report, at))
            }
            RunEvent::AttemptEnded { symbol, seconds, memory, .. } => {
                self.note(symbol, counts, |run| {
                    let memory = memory.map(|bytes| ("memory_bytes", bytes as f64));
                    let metrics: Vec<_> =
                        [("seconds", *seconds)].into_iter().chain(memory).collect();
                    run.pending.metrics(&metrics, at.as_millisecond(), run.step);
                })
            }
            RunEvent::AttemptFailed { symbol, kind, cause, .. } => {
                self.note(symbol, counts, |run| {
                    run.pending.tag("failure", &kind.to_string());
                    run.pending.tag("cause", cause);
                })?;
                self.end(symbol, FAILED, at)
            }
            RunEvent::SymbolFinished { symbol, outcome } => {
                self.finished(symbol, outcome, at, counts)
            }
            RunEvent::RunFinished { summary } => self.finish(summary, at, counts),
            _ => Ok(()),
        }
    }

    /// Makes the run of the whole.
    fn begin(&mut self, at: Timestamp, counts: Counts) -> Result<(), Lost> {
        self.experiment = self.client.experiment(&self.experiment_name)?;
        let run = self.plan.run.as_str();
        let mut tags = self.usual_tags(run);
        let synthetic = self.plan.jobs.iter().any(JobSpec::is_synthetic);
        let resumes = self.plan.resumes.as_ref().map(ToString::to_string);
        let record = self.record.display();
        let own = [
            (NOTE_TAG, Some(format!("record: `{record}`"))),
            ("mambafleet.record", Some(record.to_string())),
            ("mambafleet.store", Some(self.plan.store.display().to_string())),
            ("mambafleet.synthetic_data", Some(synthetic.to_string())),
            ("mambafleet.resumes", resumes),
        ];
        tags.extend(own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        let id = self.client.create(&NewRun {
            experiment: &self.experiment,
            name: run,
            began: at.as_millisecond(),
            key: run,
            tags,
        })?;
        let mut parent = Run::new(id);
        of_run(&self.plan).iter().for_each(|(name, value)| parent.pending.param(name, value));
        parent.pending.counts += counts;
        self.parent = Some(parent);
        Ok(())
    }

    /// The tags that all runs have.
    fn usual_tags(&self, name: &str) -> Vec<(String, String)> {
        let user =
            ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
        let tags = [
            ("mlflow.runName", Some(name.to_owned())),
            ("mlflow.source.name", Some("mambafleet train".to_owned())),
            ("mlflow.source.type", Some("LOCAL".to_owned())),
            ("mlflow.user", user),
            ("mambafleet.run", Some(self.plan.run.to_string())),
            ("mambafleet.version", Some(self.plan.program.clone())),
        ];
        tags.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// Makes the run of a symbol's attempt.
    fn attempt(
        &mut self,
        symbol: &Symbol,
        attempt: u32,
        at: Timestamp,
        counts: Counts,
    ) -> Result<(), Lost> {
        let parent = self.parent.as_ref().ok_or(Lost)?;
        let name = match attempt {
            1 => symbol.to_string(),
            number => format!("{symbol} (attempt {number})"),
        };
        let mut tags = self.usual_tags(&name);
        tags.push(("mlflow.parentRunId".to_owned(), parent.id.clone()));
        tags.push(("mambafleet.symbol".to_owned(), symbol.to_string()));
        tags.push(("mambafleet.attempt".to_owned(), attempt.to_string()));
        // Nothing in it means anything to the language of searches.
        let key = format!("{}/{}/{attempt}", self.plan.run, symbol.dir_name());
        // An earlier attempt's end was told already.
        self.symbols.remove(symbol);
        let id = self.client.create(&NewRun {
            experiment: &self.experiment,
            name: &name,
            began: at.as_millisecond(),
            key: &key,
            tags,
        })?;
        let mut run = Run::new(id);
        let job = self.plan.jobs.iter().find(|job| job.symbol == *symbol);
        for (name, value) in job.map(of_job).unwrap_or_default() {
            run.pending.param(name, &value);
        }
        run.pending.counts += counts;
        self.symbols.insert(symbol.clone(), run);
        Ok(())
    }

    /// Adds something to what is logged next for a symbol.
    fn note(
        &mut self,
        symbol: &Symbol,
        counts: Counts,
        add: impl FnOnce(&mut Run),
    ) -> Result<(), Lost> {
        let run = self.symbols.get_mut(symbol).ok_or(Lost)?;
        add(run);
        run.pending.counts += counts;
        if run.pending.is_full() { flush(&self.client, &self.shared, run) } else { Ok(()) }
    }

    /// A symbol is done.
    fn finished(
        &mut self,
        symbol: &Symbol,
        outcome: &Outcome,
        at: Timestamp,
        counts: Counts,
    ) -> Result<(), Lost> {
        if let Some((_, skill)) = of_outcome(outcome).iter().find(|(name, _)| *name == "skill") {
            self.skills.push(*skill);
        }
        let status = match outcome {
            Outcome::Trained { .. } | Outcome::UpToDate { .. } | Outcome::Kept { .. } => FINISHED,
            Outcome::Failed { .. } => FAILED,
            Outcome::Skipped { .. } | Outcome::Interrupted { .. } => KILLED,
        };
        let facts = facts(outcome);
        let generation = facts.iter().find(|(name, _)| *name == "generation");
        let generation = generation.and_then(|(_, number)| number.parse().ok());
        let dir = generation.map(|number| self.generation_dir(symbol, number));
        if !self.symbols.contains_key(symbol) && self.parent.is_some() && never_tried(outcome) {
            // There is no run that could have an end; the whole says how many these are.
            self.shared.tally.arrived(counts);
            return Ok(());
        }
        self.note(symbol, counts, |run| {
            facts.iter().for_each(|(name, value)| run.pending.tag(name, value));
            if let Some(dir) = dir {
                let dir = dir.display();
                run.pending.tag("generation_dir", &dir.to_string());
                run.pending.describe(&format!("{}: `{dir}`", outcome.label()));
            }
            run.pending.metrics(&of_outcome(outcome), at.as_millisecond(), run.step);
        })?;
        let ended = self.end(symbol, status, at);
        self.symbols.remove(symbol);
        ended
    }

    /// Where a generation lies in the store.
    fn generation_dir(&self, symbol: &Symbol, generation: u64) -> PathBuf {
        self.plan.store.join("symbols").join(symbol.dir_name()).join(format!("{generation:06}"))
    }

    /// Logs what is left for a symbol's run, and ends it, if it has no end yet.
    fn end(&mut self, symbol: &Symbol, status: &str, at: Timestamp) -> Result<(), Lost> {
        let run = self.symbols.get_mut(symbol).ok_or(Lost)?;
        end(&self.client, &self.shared, run, status, at)
    }

    /// The run has ended.
    fn finish(&mut self, summary: &RunSummary, at: Timestamp, counts: Counts) -> Result<(), Lost> {
        let parent = self.parent.as_mut().ok_or(Lost)?;
        let number = |label| summary.count(label) as f64;
        let mut metrics = vec![
            ("symbols/trained", number("trained")),
            ("symbols/up_to_date", number("up to date")),
            ("symbols/kept", number("kept")),
            ("symbols/failed", number("failed")),
            ("symbols/skipped", number("skipped")),
            ("symbols/interrupted", number("interrupted")),
            ("seconds", summary.seconds),
        ];
        if !self.skills.is_empty() {
            let mean = self.skills.iter().sum::<f64>() / self.skills.len() as f64;
            metrics.push(("skill/mean", mean));
        }
        parent.pending.metrics(&metrics, at.as_millisecond(), 0);
        let status = match summary.signal {
            _ if summary.all_good() => FINISHED,
            Some(signal) => {
                parent.pending.tag("signal", &signal.to_string());
                KILLED
            }
            None => FAILED,
        };
        parent.pending.counts += counts;
        end(&self.client, &self.shared, parent, status, at)
    }
}

/// Whether a symbol can have ended like this without an attempt.
fn never_tried(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Skipped { attempts: 0, .. } | Outcome::Interrupted { started: false }
    )
}

fn loaded(run: &mut Run, counted: &SampleCounts) {
    let SampleCounts { bars, train, validation, test, .. } = counted;
    let samples = [("train", train), ("validation", validation), ("test", test)];
    run.pending.param("bars", &bars.to_string());
    for (part, number) in samples {
        run.pending.param(format!("samples.{part}"), &number.to_string());
    }
}

fn stored(run: &mut Run, report: &CommitReport, at: Timestamp) {
    let metrics = [
        ("commit/bytes", report.bytes as f64),
        ("commit/seconds", report.seconds),
        ("commit/lock_wait_seconds", report.lock_wait_seconds),
    ];
    run.pending.metrics(&metrics, at.as_millisecond(), run.step);
}

/// Logs what is pending for a run.
fn flush(client: &Client, shared: &Shared, run: &mut Run) -> Result<(), Lost> {
    let batch = std::mem::take(&mut run.pending);
    client.log(&run.id, &batch)?;
    shared.tally.arrived(batch.counts);
    Ok(())
}

/// Logs what is pending for a run, and ends it; what was pending has arrived only then.
fn end(
    client: &Client,
    shared: &Shared,
    run: &mut Run,
    status: &str,
    at: Timestamp,
) -> Result<(), Lost> {
    if run.ended {
        return flush(client, shared, run);
    }
    let batch = std::mem::take(&mut run.pending);
    let logged = client.log(&run.id, &batch);
    client.end(&run.id, status, at.as_millisecond())?;
    run.ended = true;
    logged?;
    shared.tally.arrived(batch.counts);
    Ok(())
}

impl Track for Mlflow {
    fn on_event(&mut self, event: &StampedEvent, counts: Counts) {
        // What was lost is known from the tally.
        let _ = self.take(event, counts);
    }

    fn on_idle(&mut self) {
        for run in self.symbols.values_mut().chain(&mut self.parent) {
            if !run.pending.is_empty() {
                let _ = flush(&self.client, &self.shared, run);
            }
        }
    }

    /// Runs that have no end by now will never get another.
    fn on_end(&mut self) {
        for run in self.symbols.values_mut().chain(&mut self.parent) {
            if !run.ended {
                run.pending.tag("cause", "the run broke off");
                let _ = end(&self.client, &self.shared, run, FAILED, Timestamp::now());
            }
        }
    }
}
