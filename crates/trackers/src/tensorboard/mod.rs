//! TensorBoard: one of its runs per symbol, an event file per attempt.

mod event;
mod file;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use mambafleet_orchestrator::{RunEvent, RunPlan, StampedEvent};
use mambafleet_protocol::{EpochReport, Outcome, Symbol, cause_chain};

use crate::lane::Track;
use crate::names::{facts, of_epoch, of_outcome};
use crate::settings::of_job;
use crate::tally::{Counts, Tally};
use event::What;
use file::{EventFile, FileError};

/// Writes event files, until one cannot be written.
pub(crate) struct TensorBoard {
    dir: PathBuf,
    plan: Arc<RunPlan>,
    tally: Arc<Tally>,
    running: HashMap<Symbol, Attempt>,
    broken: bool,
}

/// An attempt that runs.
struct Attempt {
    number: u32,
    /// Made at the first epoch: a symbol that turns out to be up to date leaves none.
    file: Option<EventFile>,
    /// Epochs done.
    epochs: usize,
}

impl TensorBoard {
    /// Writes below `dir`.
    pub(crate) fn new(dir: PathBuf, plan: Arc<RunPlan>, tally: Arc<Tally>) -> Self {
        Self { dir, plan, tally, running: HashMap::new(), broken: false }
    }

    fn take(&mut self, event: &StampedEvent) -> Result<(), FileError> {
        let at = event.at.as_duration().as_secs_f64();
        match &event.event {
            RunEvent::AttemptStarted { symbol, attempt, .. } => {
                let attempt = Attempt { number: *attempt, file: None, epochs: 0 };
                self.running.insert(symbol.clone(), attempt);
                Ok(())
            }
            RunEvent::Progress(report) => self.epoch(report, at),
            RunEvent::AttemptFailed { symbol, kind, cause, .. } => {
                let facts = [("failure", kind.to_string()), ("cause", cause.clone())];
                self.end(symbol, &[], &facts, at)
            }
            RunEvent::SymbolFinished { symbol, outcome } => self.finished(symbol, outcome, at),
            _ => Ok(()),
        }
    }

    fn epoch(&mut self, report: &EpochReport, at: f64) -> Result<(), FileError> {
        let Some(attempt) = self.running.get_mut(&report.symbol) else { return Ok(()) };
        let file = match &mut attempt.file {
            Some(file) => file,
            none => {
                // The run's own time and the number of the attempt: names in the order of attempts.
                let began = self.plan.created_at.as_second();
                let name = format!("events.out.tfevents.{began:010}.{:04}", attempt.number);
                let dir = self.dir.join(report.symbol.dir_name());
                let mut file = EventFile::create(&dir, &name, at)?;
                let job = self.plan.jobs.iter().find(|job| job.symbol == report.symbol);
                let settings = job.map(of_job).unwrap_or_default();
                file.write(at, 0, What::Text("settings", &table(&settings)))?;
                none.insert(file)
            }
        };
        attempt.epochs = report.epoch;
        file.write(at, report.epoch, What::Scalars(&of_epoch(report)))
    }

    fn finished(&mut self, symbol: &Symbol, outcome: &Outcome, at: f64) -> Result<(), FileError> {
        self.end(symbol, &of_outcome(outcome), &facts(outcome), at)
    }

    /// Ends the file of a symbol's attempt, if there is one.
    fn end(
        &mut self,
        symbol: &Symbol,
        scalars: &[(&str, f64)],
        facts: &[(&'static str, String)],
        at: f64,
    ) -> Result<(), FileError> {
        let Some(Attempt { file: Some(mut file), epochs, .. }) = self.running.remove(symbol) else {
            return Ok(());
        };
        if !scalars.is_empty() {
            file.write(at, epochs, What::Scalars(scalars))?;
        }
        let facts = facts.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
        file.write(at, epochs, What::Text("outcome", &table(&facts)))
    }
}

impl Track for TensorBoard {
    fn on_event(&mut self, event: &StampedEvent, counts: Counts) {
        if self.broken {
            return;
        }
        match self.take(event) {
            Ok(()) => self.tally.arrived(counts),
            // What follows a torn record cannot be read, so it is of no use to go on.
            Err(error) => {
                self.broken = true;
                self.running.clear();
                self.tally.trouble(cause_chain(&error));
            }
        }
    }
}

/// A table in Markdown.
fn table(rows: &BTreeMap<String, String>) -> String {
    let mut text = "| name | value |\n| --- | --- |\n".to_owned();
    for (name, value) in rows {
        let value = value.replace('|', "\\|").replace(['\r', '\n'], " ");
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text
}
