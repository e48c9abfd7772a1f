//! The orchestrator's side of training.

use std::cell::Cell;
use std::time::{Duration, Instant};

use mambafleet_backend::{Cancellation, EpochMetrics, Observer};
use mambafleet_protocol::{EpochReport, JobSpec, WorkerEvent};

use crate::Emitter;

/// Nothing is heard of a training for so long at most, as long as it takes batch after batch.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// Passes on what happens while a model is trained.
pub(crate) struct Reporting<'a> {
    job: &'a JobSpec,
    emitter: &'a Emitter,
    /// Models trained so far in this attempt, the present one included.
    models: usize,
    /// Epochs that they had at most, without the present one's.
    epochs_before: usize,
    /// Epochs that the present one has at most.
    epochs: usize,
    /// When something was last passed on.
    last: Cell<Instant>,
}

impl<'a> Reporting<'a> {
    pub(crate) fn new(job: &'a JobSpec, emitter: &'a Emitter) -> Self {
        let last = Cell::new(Instant::now());
        Self { job, emitter, models: 0, epochs_before: 0, epochs: 0, last }
    }

    /// The next model of the attempt is trained, for so many epochs at most.
    pub(crate) fn next_model(&mut self, epochs: usize) {
        self.models += 1;
        self.epochs_before += self.epochs;
        self.epochs = epochs;
    }

    /// Epochs of all models of the attempt at most.
    fn epochs_in_all(&self) -> usize {
        let trials = self.job.search.iter().map(|trial| trial.train.epochs).sum::<usize>();
        let folds = self.job.evaluate.folds * self.job.train.epochs;
        (trials + folds).max(self.epochs_before + self.epochs)
    }
}

impl Observer for Reporting<'_> {
    fn epoch(&mut self, metrics: &EpochMetrics) {
        let EpochMetrics { epoch, train_loss, validation_loss, samples_per_second, .. } = *metrics;
        self.last.set(Instant::now());
        let model = self.models;
        tracing::info!(model, epoch, train_loss, validation_loss, "epoch done");
        self.emitter.emit(&WorkerEvent::Progress(EpochReport {
            symbol: self.job.symbol.clone(),
            epoch: self.epochs_before + epoch,
            epochs: self.epochs_in_all(),
            train_loss,
            validation_loss,
            samples_per_second,
        }));
    }

    fn is_cancelled(&self) -> bool {
        if self.last.get().elapsed() >= SIGN_OF_LIFE {
            self.last.set(Instant::now());
            self.emitter.emit(&WorkerEvent::Alive { symbol: self.job.symbol.clone() });
        }
        self.emitter.is_deserted()
    }

    fn cancellation(&self) -> Cancellation {
        self.emitter.desertion()
    }
}
