//! The training loop: epochs, learning rate, validation, early stopping.

use std::time::Instant;

use mambafleet_backend::{Batch, Model, ModelConfig, NamedTensors, Trainer};
use mambafleet_dataset::Dataset;
use mambafleet_protocol::{EpochReport, JobSpec, WorkerEvent};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{AttemptError, Emitter};

/// Windows that are predicted in one call.
const PREDICT_CHUNK: usize = 256;

/// What one epoch came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the training batches, each before its step.
    pub train_loss: f64,
    /// Loss on the validation part after the epoch.
    pub validation_loss: f64,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// What training came to. The trainer holds the best weights.
pub(crate) struct Trained {
    pub(crate) epochs: Vec<EpochMetrics>,
    /// Index into `epochs`.
    pub(crate) best: usize,
}

/// Trains until the epochs are used up or `patience` epochs brought no better validation loss,
/// then puts the best weights back.
pub(crate) fn fit(
    job: &JobSpec,
    config: &ModelConfig,
    data: &Dataset,
    trainer: &mut dyn Trainer,
    emitter: &Emitter,
) -> Result<Trained, AttemptError> {
    let steps_per_epoch = data.train().len().div_ceil(job.train.batch_size);
    let schedule = Schedule::new(job, steps_per_epoch);
    let mut order = data.train().to_vec();
    let mut rng = ChaCha8Rng::seed_from_u64(job.train.seed);
    let mut epochs: Vec<EpochMetrics> = Vec::with_capacity(job.train.epochs);
    let mut best: Option<(usize, NamedTensors)> = None;
    let validation_targets = targets(data, data.validation());
    for epoch in 1..=job.train.epochs {
        let started = Instant::now();
        order.shuffle(&mut rng);
        let first_step = (epoch - 1) * steps_per_epoch;
        let train_loss = run_epoch(job, data, &order, trainer, &schedule, first_step, emitter)?;
        let train_seconds = started.elapsed().as_secs_f64();
        let predictions = predict(data, data.validation(), trainer)?;
        let validation_loss = config.objective.loss(&predictions, &validation_targets)?;
        epochs.push(EpochMetrics {
            epoch,
            train_loss,
            validation_loss,
            learning_rate: schedule.rate(epoch * steps_per_epoch - 1),
            seconds: started.elapsed().as_secs_f64(),
        });
        tracing::info!(epoch, train_loss, validation_loss, "epoch done");
        emitter.emit(&WorkerEvent::Progress(EpochReport {
            symbol: job.symbol.clone(),
            epoch,
            epochs: job.train.epochs,
            train_loss,
            validation_loss,
            samples_per_second: order.len() as f64 / train_seconds.max(1e-9),
        }));
        let better =
            best.as_ref().is_none_or(|(b, _)| validation_loss < epochs[*b].validation_loss);
        if better {
            best = Some((epoch - 1, trainer.tensors()?));
        } else if best.as_ref().is_some_and(|(b, _)| epoch - 1 - b >= job.train.patience) {
            tracing::info!(epoch, "stopping early: no better validation loss");
            break;
        }
    }
    let best = match best {
        Some((best, tensors)) => {
            trainer.restore(&tensors)?;
            best
        }
        None => 0,
    };
    Ok(Trained { epochs, best })
}

/// One pass over the samples in the given order. Returns the mean loss.
fn run_epoch(
    job: &JobSpec,
    data: &Dataset,
    order: &[usize],
    trainer: &mut dyn Trainer,
    schedule: &Schedule,
    first_step: usize,
    emitter: &Emitter,
) -> Result<f64, AttemptError> {
    let mut batch = Batch::default();
    let mut sum = 0.0;
    for (index, anchors) in order.chunks(job.train.batch_size).enumerate() {
        if emitter.is_deserted() {
            return Err(AttemptError::Deserted);
        }
        data.gather(anchors, &mut batch.inputs, &mut batch.targets);
        batch.samples = anchors.len();
        let loss = trainer.train_step(&batch, schedule.rate(first_step + index))?;
        sum += loss * anchors.len() as f64;
    }
    Ok(sum / order.len().max(1) as f64)
}

/// Forecasts for the windows that end at `anchors`.
pub(crate) fn predict<M: Model + ?Sized>(
    data: &Dataset,
    anchors: &[usize],
    model: &mut M,
) -> Result<Vec<f32>, AttemptError> {
    let (mut inputs, mut predictions) = (Vec::new(), Vec::new());
    for chunk in anchors.chunks(PREDICT_CHUNK) {
        inputs.clear();
        inputs.extend(chunk.iter().flat_map(|&anchor| data.window(anchor)));
        predictions.extend(model.predict(&inputs)?);
    }
    Ok(predictions)
}

/// The targets that belong to `anchors`.
pub(crate) fn targets(data: &Dataset, anchors: &[usize]) -> Vec<f32> {
    anchors.iter().flat_map(|&anchor| data.targets(anchor)).map(|target| target as f32).collect()
}

/// Linear warm-up, then half a cosine down to a tenth of the peak (Loshchilov & Hutter 2017,
/// arXiv:1608.03983, without restarts).
struct Schedule {
    peak: f64,
    warmup: usize,
    total: usize,
}

impl Schedule {
    const FLOOR: f64 = 0.1;

    fn new(job: &JobSpec, steps_per_epoch: usize) -> Self {
        let total = job.train.epochs.saturating_mul(steps_per_epoch);
        let warmup = (job.train.warmup * total as f64) as usize;
        Self { peak: job.train.learning_rate, warmup, total }
    }

    /// The learning rate of a step, counted from 0.
    fn rate(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / (self.warmup + 1) as f64;
        }
        let left = (self.total - self.warmup).max(1);
        let done = (step - self.warmup) as f64 / left as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos());
        self.peak * (Self::FLOOR + (1.0 - Self::FLOOR) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_then_falls_to_a_tenth() {
        let schedule = Schedule { peak: 1.0, warmup: 10, total: 100 };
        let rates: Vec<f64> = (0..100).map(|step| schedule.rate(step)).collect();
        assert!(rates[..11].is_sorted() && rates[10..].is_sorted_by(|a, b| a >= b));
        assert!(rates[0] > 0.0 && (rates[10] - 1.0).abs() < 1e-12);
        assert!(rates[99] > 0.1 && rates[99] < 0.11);
        assert!((Schedule { peak: 1.0, warmup: 0, total: 1 }.rate(0) - 1.0).abs() < 1e-12);
    }
}
