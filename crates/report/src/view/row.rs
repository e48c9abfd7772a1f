//! What events make of a symbol's row.

use mambafleet_protocol::{Outcome, Symbol};

use super::Known;
use crate::Num;
use crate::model::{Row, State};

/// Validation losses that a row shows at most.
pub const SPARK: usize = 40;

/// A symbol and what its row does not show.
#[derive(Debug, Clone)]
pub(super) struct Tracked {
    pub(super) symbol: Symbol,
    pub(super) row: Row,
    /// Validation losses of the newest training.
    pub(super) losses: Vec<f64>,
    /// Seconds of the attempts that ended.
    pub(super) seconds: f64,
    pub(super) version: u64,
}

impl Tracked {
    /// Adds the time of an attempt that has not told its own.
    pub(super) fn add(&mut self, spent: Option<f64>) {
        if let Some(seconds) = spent {
            self.seconds += seconds;
            self.row.seconds = Some(Num(self.seconds));
        }
    }
}

impl Row {
    /// What an outcome says.
    pub(super) fn settle(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Trained { generation, attempts, headline, .. } => {
                self.begin(State::Trained, *attempts);
                self.generation = Some(*generation);
                self.epoch = self.epoch.or(Some(headline.epochs));
                self.first = Some(Num(headline.first_validation_loss));
                self.best = Some(Num(headline.best_validation_loss));
                self.test = Some(Num(headline.test_loss));
                self.base = Some(Num(headline.baseline_loss));
            }
            Outcome::UpToDate { generation } => {
                self.begin(State::UpToDate, 0);
                self.generation = Some(*generation);
            }
            Outcome::Kept { attempts, comparison, .. } => {
                self.begin(State::Kept, *attempts);
                self.generation = Some(comparison.generation);
                self.cause = Some(format!(
                    "the new model's loss is {:.4}, that of generation {} is {:.4}, on {} samples",
                    comparison.new_loss,
                    comparison.generation,
                    comparison.old_loss,
                    comparison.samples
                ));
            }
            Outcome::Failed { kind, cause, hint, attempts, log } => {
                self.begin(State::Failed, *attempts);
                (self.kind, self.cause) = (Some(*kind), Some(cause.clone()));
                self.hint.clone_from(hint);
                self.log = Some(log.display().to_string());
            }
            Outcome::Skipped { why, attempts, .. } => {
                self.begin(State::Skipped, *attempts);
                self.cause = Some(why.clone());
            }
            // What an earlier attempt failed of is still the last that is known.
            Outcome::Interrupted { .. } => self.state = State::Interrupted,
        }
    }

    /// What the store says.
    pub(super) fn know(&mut self, known: &Known) {
        self.generation = self.generation.or(known.generation);
        if let Some(headline) = &known.headline {
            (self.test, self.base) =
                (Some(Num(headline.test_loss)), Some(Num(headline.baseline_loss)));
            // What was not trained in the end is shown as far as it came.
            if self.state.is_good() {
                self.first = Some(Num(headline.first_validation_loss));
                self.best = Some(Num(headline.best_validation_loss));
            }
        }
        if self.state.is_good() && !known.curve.is_empty() {
            self.spark = spark(&known.curve);
        }
        self.bytes = self.bytes.or(known.bytes);
        self.prev = known.prev;
        self.last_success = self.last_success.or(known.last_success);
        self.notes = known.notes;
    }

    /// Forgets what earlier attempts failed of.
    fn begin(&mut self, state: State, attempts: u32) {
        self.state = state;
        self.attempts = self.attempts.max(attempts);
        (self.kind, self.cause, self.hint, self.log) = (None, None, None, None);
    }
}

/// So many of the losses that a row can show them: the first, the last, and some between.
pub(super) fn spark(losses: &[f64]) -> Vec<Num> {
    if losses.len() <= SPARK {
        return losses.iter().copied().map(Num).collect();
    }
    let last = losses.len() - 1;
    (0..SPARK).map(|at| Num(losses[at * last / (SPARK - 1)])).collect()
}
