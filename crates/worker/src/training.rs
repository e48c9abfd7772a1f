//! The dataset as a backend sees it, and the orchestrator's side of training.

use std::cell::Cell;
use std::time::{Duration, Instant};

use mambafleet_backend::{Batch, Cancellation, EpochMetrics, Observer, Samples};
use mambafleet_dataset::Dataset;
use mambafleet_protocol::{EpochReport, JobSpec, WorkerEvent};

use crate::Emitter;

/// The samples of one part of the data.
pub(crate) struct Part<'a> {
    pub(crate) data: &'a Dataset,
    pub(crate) anchors: &'a [usize],
}

/// Every `stride`-th of these, the last among them, in their order.
pub(crate) fn thinned(anchors: &[usize], stride: usize) -> Vec<usize> {
    let mut kept: Vec<usize> = anchors.iter().rev().step_by(stride.max(1)).copied().collect();
    kept.reverse();
    kept
}

impl Samples for Part<'_> {
    fn len(&self) -> usize {
        self.anchors.len()
    }

    fn gather(&self, indices: &[usize], batch: &mut Batch) {
        batch.inputs.clear();
        batch.targets.clear();
        batch.samples = indices.len();
        for anchor in indices.iter().map(|&index| self.anchors[index]) {
            batch.inputs.extend_from_slice(self.data.window(anchor));
            batch.targets.extend(self.data.targets(anchor).map(|target| target as f32));
        }
    }
}

/// Nothing is heard of a training for so long at most, as long as it takes batch after batch.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// Passes on what happens while a model is trained.
pub(crate) struct Reporting<'a> {
    job: &'a JobSpec,
    emitter: &'a Emitter,
    /// When something was last passed on.
    last: Cell<Instant>,
}

impl<'a> Reporting<'a> {
    pub(crate) fn new(job: &'a JobSpec, emitter: &'a Emitter) -> Self {
        Self { job, emitter, last: Cell::new(Instant::now()) }
    }
}

impl Observer for Reporting<'_> {
    fn epoch(&mut self, metrics: &EpochMetrics) {
        let EpochMetrics { epoch, train_loss, validation_loss, samples_per_second, .. } = *metrics;
        self.last.set(Instant::now());
        tracing::info!(epoch, train_loss, validation_loss, "epoch done");
        self.emitter.emit(&WorkerEvent::Progress(EpochReport {
            symbol: self.job.symbol.clone(),
            epoch,
            epochs: self.job.train.epochs,
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

#[cfg(test)]
mod tests {
    use super::thinned;

    #[test]
    fn the_newest_of_thinned_samples_stays() {
        assert_eq!(thinned(&[3, 4, 5, 6, 7], 2), [3, 5, 7]);
        assert_eq!(thinned(&[3, 4, 5, 6], 3), [3, 6]);
        assert_eq!(thinned(&[3, 4, 5], 1), [3, 4, 5]);
        assert_eq!(thinned(&[3, 4], 9), [4]);
        assert!(thinned(&[], 2).is_empty());
    }
}
