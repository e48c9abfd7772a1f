//! Training as a whole: epochs, learning rate, validation, early stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use mambafleet_protocol::{RunId, Spent, Stopwatch, Symbol, TaskSpec, TrainSpec};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::samples::{Samples, predict_all, targets_of};
use crate::schedule::Schedule;
use crate::{Backend, BackendError, Batch, Model, ModelConfig, NamedTensors};
use crate::{OptimizerConfig, Trainer};

/// What is to be trained, fully resolved.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The symbol.
    pub symbol: &'a Symbol,
    /// The run that it is trained in.
    pub run: &'a RunId,
    /// The attempt within the run, from 1.
    pub attempt: u32,
    /// The forecasting task.
    pub task: &'a TaskSpec,
    /// The model.
    pub config: &'a ModelConfig,
    /// Training settings, the seed among them.
    pub train: &'a TrainSpec,
    /// Optimiser settings.
    pub optimizer: &'a OptimizerConfig,
    /// Weights to start from, instead of random ones.
    pub init: Option<&'a NamedTensors>,
    /// Threads that may be used, at least 1.
    pub threads: usize,
}

/// Who watches a model being trained.
pub trait Observer {
    /// An epoch ended.
    fn epoch(&mut self, metrics: &EpochMetrics);

    /// Whether nobody waits for the result any more. It is asked at least once per batch, or
    /// several times per second by backends that know no batches.
    fn is_cancelled(&self) -> bool;

    /// The same for a model that outlives the observer.
    fn cancellation(&self) -> Cancellation {
        Cancellation::default()
    }
}

/// Whether nobody waits for a result any more. Clones are one and the same.
#[derive(Debug, Clone, Default)]
pub struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// From now on nobody does.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether nobody does.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

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
    /// Wall time in seconds. Not among the metrics that are stored, which are the same for the same
    /// training.
    #[serde(skip)]
    pub seconds: f64,
    /// Training samples per second, validation left out.
    #[serde(skip)]
    pub samples_per_second: f64,
}

/// What training came to.
pub struct Fitted {
    /// The model, with the best weights.
    pub model: Box<dyn Model>,
    /// Every epoch.
    pub epochs: Vec<EpochMetrics>,
    /// Index into `epochs` of the one whose weights were kept; 0 if there is none.
    pub best: usize,
    /// What validation took, as far as it can be told from training.
    pub validation: Spent,
    /// What an outside program says of itself. `epochs` is then its word too, and whoever judges
    /// the model measures its validation loss again.
    pub reported: Option<Reported>,
}

/// What an outside program says of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its final metrics, as it wrote them.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub metrics: serde_json::Map<String, serde_json::Value>,
}

/// Trains step by step from the best constant forecast, until the epochs are used up or `patience` epochs brought no better
/// validation loss, and then puts the best weights back. What [`Backend::fit`] does where a backend
/// has nothing better.
///
/// # Errors
/// As [`Backend::fit`].
pub fn fit_by_steps<B: Backend + ?Sized>(
    backend: &B,
    job: &Job<'_>,
    train: &dyn Samples,
    validation: &dyn Samples,
    observer: &mut dyn Observer,
) -> Result<Fitted, BackendError> {
    let mut trainer = backend.create(job.config, job.optimizer, job.train.seed, job.threads)?;
    if let Some(tensors) = job.init {
        trainer.restore(tensors)?;
    } else if let Some(outputs) = job.config.objective.constant(&targets_of(train)) {
        trainer.start_from(&outputs);
    }
    let TrainSpec { batch_size, accumulate, .. } = *job.train;
    let per_step = batch_size.max(1).saturating_mul(accumulate.max(1));
    let steps_per_epoch = train.len().div_ceil(per_step);
    let schedule = Schedule::new(job.train, steps_per_epoch);
    let mut order: Vec<usize> = (0..train.len()).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(job.train.seed);
    let mut epochs: Vec<EpochMetrics> = Vec::with_capacity(job.train.epochs.min(1 << 12));
    let mut best: Option<(usize, NamedTensors)> = None;
    let validation_targets = targets_of(validation);
    let mut spent = Spent::default();
    for epoch in 1..=job.train.epochs {
        let started = Instant::now();
        order.shuffle(&mut rng);
        let first_step = (epoch - 1) * steps_per_epoch;
        let pass = Pass { train, order: &order, batch_size, per_step, first_step };
        let train_loss = pass.run(trainer.as_mut(), &schedule, observer)?;
        let train_seconds = started.elapsed().as_secs_f64();
        let watch = Stopwatch::start();
        let predictions = predict_all(validation, trainer.as_mut())?;
        let validation_loss = job.config.objective.loss(&predictions, &validation_targets)?;
        spent += watch.spent();
        let metrics = EpochMetrics {
            epoch,
            train_loss,
            validation_loss,
            learning_rate: schedule.rate((epoch * steps_per_epoch).saturating_sub(1)),
            seconds: started.elapsed().as_secs_f64(),
            samples_per_second: order.len() as f64 / train_seconds.max(1e-9),
        };
        observer.epoch(&metrics);
        epochs.push(metrics);
        let better =
            best.as_ref().is_none_or(|(b, _)| validation_loss < epochs[*b].validation_loss);
        if better {
            best = Some((epoch - 1, trainer.tensors()?));
        } else if best.as_ref().is_some_and(|(b, _)| epoch - 1 - b >= job.train.patience) {
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
    Ok(Fitted { model: trainer, epochs, best, validation: spent, reported: None })
}

/// One pass over the samples in a given order.
struct Pass<'a> {
    train: &'a dyn Samples,
    order: &'a [usize],
    batch_size: usize,
    /// Samples per step.
    per_step: usize,
    /// Steps taken before it.
    first_step: usize,
}

impl Pass<'_> {
    /// Takes its steps, and returns the mean loss.
    fn run(
        &self,
        trainer: &mut dyn Trainer,
        schedule: &Schedule,
        observer: &dyn Observer,
    ) -> Result<f64, BackendError> {
        let mut batch = Batch::default();
        let mut sum = 0.0;
        for (index, of_step) in self.order.chunks(self.per_step).enumerate() {
            for samples in of_step.chunks(self.batch_size.max(1)) {
                if observer.is_cancelled() {
                    return Err(BackendError::Cancelled);
                }
                self.train.gather(samples, &mut batch);
                sum += trainer.accumulate(&batch)? * samples.len() as f64;
            }
            trainer.step(schedule.rate(self.first_step + index))?;
        }
        Ok(sum / self.order.len().max(1) as f64)
    }
}
