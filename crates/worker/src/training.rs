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
    /// Models that were trained before this one in the same attempt.
    trained: usize,
    /// When something was last passed on.
    last: Cell<Instant>,
}

impl<'a> Reporting<'a> {
    pub(crate) fn new(job: &'a JobSpec, emitter: &'a Emitter) -> Self {
        Self { job, emitter, trained: 0, last: Cell::new(Instant::now()) }
    }

    /// The next model of the attempt is trained.
    pub(crate) fn next_model(&mut self) {
        self.trained += 1;
    }
}

impl Observer for Reporting<'_> {
    fn epoch(&mut self, metrics: &EpochMetrics) {
        let EpochMetrics { epoch, train_loss, validation_loss, samples_per_second, .. } = *metrics;
        self.last.set(Instant::now());
        let model = self.trained + 1;
        tracing::info!(model, epoch, train_loss, validation_loss, "epoch done");
        let epochs = self.job.train.epochs;
        self.emitter.emit(&WorkerEvent::Progress(EpochReport {
            symbol: self.job.symbol.clone(),
            epoch: self.trained * epochs + epoch,
            epochs: self.job.evaluate.folds * epochs,
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
