//! A run of the store, as it is now and as it goes on.

use std::path::PathBuf;

use jiff::Timestamp;
use mambafleet_artifacts::Store;
use mambafleet_orchestrator::{EventLog, RunRecord};
use mambafleet_protocol::{RunId, Symbol, cause_chain};
use rayon::prelude::*;
use serde_json::Value;

use super::generation::known;
use super::{compare, detail, runs};
use crate::RunView;
use crate::model::{Detail, LastSuccess, Page, Row};

/// Samples of a fan in a report of a few symbols.
const SAMPLES: usize = 250;

/// Samples of a fan in a report of many.
const SAMPLES_OF_MANY: usize = 120;

/// From more symbols on, there are many.
const MANY: usize = 100;

/// What the forecasts of a run's symbols are worth together, in its record.
pub const EVALUATION_FILE: &str = "evaluation.json";

/// A run of the store: its record is read on whenever [`poll`](Self::poll) is called.
#[derive(Debug)]
pub struct Follower {
    store: Store,
    run: RunId,
    log: EventLog,
    view: RunView,
    /// What of each symbol the store was asked about, if it was.
    asked: Vec<Option<Asked>>,
}

/// What of a row decides about what the store says to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    settled: bool,
    generation: Option<u64>,
}

impl Asked {
    fn of(row: &Row) -> Self {
        Self { settled: row.state.is_settled(), generation: row.generation }
    }
}

impl Follower {
    /// Reads everything there is of a run; `None` if there is no such run.
    #[must_use]
    pub fn open(store: &Store, run: &RunId) -> Option<Self> {
        let runs = store.runs_dir();
        let record = RunRecord::dir_of(&runs, run);
        if !record.is_dir() {
            return None;
        }
        let view = runs::planned(store, run);
        let log = EventLog::of(&runs, run);
        let (store, run) = (store.clone(), run.clone());
        let mut follower = Self { store, run, log, view, asked: Vec::new() };
        follower.poll();
        Some(follower)
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// What is known of it.
    #[must_use]
    pub fn view(&self) -> &RunView {
        &self.view
    }

    /// Reads on; tells whether anything has changed.
    pub fn poll(&mut self) -> bool {
        let before = self.view.version();
        runs::read_on(&self.store, &self.run, &mut self.log, &mut self.view);
        self.ask();
        self.view.version() != before
    }

    /// Asks the store about the symbols of which it can say something new.
    fn ask(&mut self) {
        let rows: Vec<_> = self.view.rows().collect();
        self.asked.resize(rows.len(), None);
        let symbols: Vec<_> = self.view.symbols().cloned().collect();
        let all = rows.iter().zip(symbols).zip(&self.asked).enumerate();
        let news: Vec<_> = all
            .filter_map(|(place, ((row, symbol), asked))| {
                (*asked != Some(Asked::of(row))).then_some((place, row, symbol))
            })
            .collect();
        let store = &self.store;
        let known: Vec<_> = news
            .into_par_iter()
            .map(|(place, row, symbol)| (place, known(&store.symbol(&symbol), row)))
            .collect();
        for (place, known) in known {
            self.view.know(place, &known);
            self.asked[place] = self.view.row(place).as_ref().map(Asked::of);
        }
    }

    /// The page as it is now, compared with `other`, or with the newest run before this one that has half
    /// of its symbols.
    #[must_use]
    pub fn page(&self, other: Option<&RunId>) -> Page {
        let mut page = self.view.page(Timestamp::now());
        page.compare = compare::with(&self.store, &self.run, other, &self.view);
        page.evaluation = self.evaluation();
        page.runs = runs::newest(&self.store);
        page.last_success = self.last_success();
        page
    }

    /// One symbol in detail; `None` if the run does not have it.
    #[must_use]
    pub fn detail(&self, symbol: &Symbol) -> Option<Detail> {
        let place = self.view.place_of(symbol)?;
        Some(detail::of(&self.store.symbol(symbol), &self.record(), &self.view, place, SAMPLES))
    }

    /// All symbols in detail, in the order of the rows.
    #[must_use]
    pub fn details(&self) -> Vec<Detail> {
        let symbols: Vec<_> = self.view.symbols().collect();
        let samples = if symbols.len() > MANY { SAMPLES_OF_MANY } else { SAMPLES };
        let record = self.record();
        let detail = |(place, symbol): (usize, &&Symbol)| {
            detail::of(&self.store.symbol(symbol), &record, &self.view, place, samples)
        };
        symbols.par_iter().enumerate().map(detail).collect()
    }

    fn record(&self) -> PathBuf {
        RunRecord::dir_of(&self.store.runs_dir(), &self.run)
    }

    fn evaluation(&self) -> Option<Value> {
        let bytes = std::fs::read(self.record().join(EVALUATION_FILE)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn last_success(&self) -> Option<LastSuccess> {
        runs::last_success(&self.store, &self.run, &self.view)
    }
}

/// Says in the log what a page has to do without.
pub(super) fn without<T, E: std::error::Error + 'static>(
    what: &str,
    read: Result<Option<T>, E>,
) -> Option<T> {
    read.unwrap_or_else(|error| {
        tracing::warn!(error = cause_chain(&error), "a report does without {what}");
        None
    })
}
