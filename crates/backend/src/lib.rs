//! The seam between training and the code that computes.
//!
//! A backend is a crate that implements [`Backend`]: it makes models of a [`ModelConfig`], takes
//! [`Batch`]es in and gives [`NamedTensors`] and predictions out. Nothing in the traits says
//! where the numbers live, so that a model may sit on another device or in another process.
//!
//! - [`Backend`] fits a [`Model`] to [`Samples`], or loads one from tensors;
//! - a [`Model`] predicts and hands out its tensors;
//! - a [`Trainer`] is a model that also takes optimiser steps. A backend that has one need not
//!   care about epochs: [`Backend::fit`] drives it.
//!
//! [`conformance`] holds any backend to what these traits promise, [`parity`] to what a reference
//! implementation has computed.

mod config;
pub mod conformance;
mod fit;
pub mod parity;
mod registry;
pub mod samples;
mod schedule;
mod tensor;

use std::sync::Arc;

use mambafleet_protocol::ProgramSpec;
use serde::{Deserialize, Serialize};

pub use config::{Decay, ModelConfig, Objective, OptimizerConfig};
pub use fit::{Cancellation, EpochMetrics, Fitted, Job, Observer, Reported, fit_by_steps};
pub use registry::{Registry, UnknownBackend};
pub use samples::Samples;
pub use tensor::{NamedTensors, Tensor};

/// Creates models. One value serves any number of them.
pub trait Backend: Send + Sync {
    /// The name users write in `train.backend`.
    fn name(&self) -> &'static str;

    /// What it is, in one line for people.
    fn description(&self) -> &'static str;

    /// Version of the arithmetic. It is part of a generation's fingerprint, so it must change
    /// when the same inputs would give other weights.
    fn version(&self) -> &'static str;

    /// Everything of the backend that weights depend on; what stands in the fingerprint. It is
    /// the [`version`](Self::version) where there is nothing else.
    ///
    /// # Errors
    /// [`BackendError::Failed`] when something that belongs to it cannot be read.
    fn identity(&self) -> Result<String, BackendError> {
        Ok(self.version().to_owned())
    }

    /// This backend with the program that is to do the work; `None` from a backend that does the
    /// work itself.
    fn with_program(&self, _program: &ProgramSpec) -> Option<Arc<dyn Backend>> {
        None
    }

    /// A freshly initialised model that can be trained. Same configuration, seed and batches
    /// give the same weights bit for bit, whatever `threads` is.
    ///
    /// # Errors
    /// [`BackendError::Config`] when the configuration is not supported,
    /// [`BackendError::Unsupported`] when the backend does not train step by step.
    fn create(
        &self,
        config: &ModelConfig,
        optimizer: &OptimizerConfig,
        seed: u64,
        threads: usize,
    ) -> Result<Box<dyn Trainer>, BackendError>;

    /// Trains a model from the start to the end. Same job and samples give the same weights bit
    /// for bit, whatever the number of threads.
    ///
    /// # Errors
    /// [`BackendError::Cancelled`] soon after the observer said so; otherwise as
    /// [`create`](Self::create) and [`Trainer::train_step`].
    fn fit(
        &self,
        job: &Job<'_>,
        train: &dyn Samples,
        validation: &dyn Samples,
        observer: &mut dyn Observer,
    ) -> Result<Fitted, BackendError> {
        fit_by_steps(self, job, train, validation, observer)
    }

    /// A model for prediction only, with the given weights.
    ///
    /// # Errors
    /// [`BackendError::Tensor`] when a tensor is missing, unknown or of another shape.
    fn load(
        &self,
        config: &ModelConfig,
        tensors: &NamedTensors,
        threads: usize,
    ) -> Result<Box<dyn Model>, BackendError>;
}

/// A model that predicts.
pub trait Model: Send {
    /// Forecasts for `inputs` of shape (samples, `seq_len`, `n_features`), row-major. Returns
    /// (samples, `n_outputs`), row-major; under [`Objective::Pinball`] the outputs of a sample
    /// are (horizons, levels), ascending within each horizon.
    ///
    /// # Errors
    /// [`BackendError::Shape`] when the length of `inputs` is no multiple of a window.
    fn predict(&mut self, inputs: &[f32]) -> Result<Vec<f32>, BackendError>;

    /// All weights by name, copied out.
    ///
    /// # Errors
    /// [`BackendError::Failed`] when they cannot be fetched from where they live.
    fn tensors(&self) -> Result<NamedTensors, BackendError>;
}

/// A model that learns.
pub trait Trainer: Model {
    /// Before the first step: makes `outputs`, those of one sample, the model's forecast for every
    /// window, give or take what its small initial weights add. Training is then spent on what
    /// distinguishes windows. A backend may leave it out.
    fn start_from(&mut self, _outputs: &[f32]) {}

    /// Adds a batch to those whose mean gradient, over all their samples, the next
    /// [`step`](Self::step) follows. Returns the batch's mean loss.
    ///
    /// # Errors
    /// [`BackendError::Diverged`] when the loss is not finite, [`BackendError::Shape`] when the
    /// batch does not fit the model. No batch waits for a step after an error.
    fn accumulate(&mut self, batch: &Batch) -> Result<f64, BackendError>;

    /// One optimiser step at the given learning rate, with the batches added since the last one.
    /// Without any it does nothing.
    ///
    /// # Errors
    /// [`BackendError::Diverged`] when the gradient is not finite, [`BackendError::Config`] for a
    /// learning rate that is negative or not finite. The weights are then as before, and no batch
    /// waits any more.
    fn step(&mut self, learning_rate: f64) -> Result<(), BackendError>;

    /// One optimiser step on one batch alone. Returns the batch's mean loss before the step.
    ///
    /// # Errors
    /// Those of [`accumulate`](Self::accumulate) and [`step`](Self::step).
    fn train_step(&mut self, batch: &Batch, learning_rate: f64) -> Result<f64, BackendError> {
        let loss = self.accumulate(batch)?;
        self.step(learning_rate)?;
        Ok(loss)
    }

    /// The batch's mean loss and its gradient by every tensor, before any clipping. Nothing is
    /// changed. For checks alone: a backend may leave it out.
    ///
    /// # Errors
    /// [`BackendError::Unsupported`] where it is left out, [`BackendError::Shape`] when the batch
    /// does not fit the model.
    fn gradients(&mut self, _batch: &Batch) -> Result<(f64, NamedTensors), BackendError> {
        Err(BackendError::Unsupported { what: "gradients" })
    }

    /// Replaces all weights, as after early stopping. The optimiser's state is kept.
    ///
    /// # Errors
    /// [`BackendError::Tensor`] when a tensor is missing, unknown or of another shape.
    fn restore(&mut self, tensors: &NamedTensors) -> Result<(), BackendError>;
}

/// Training samples, row-major.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Windows: (samples, `seq_len`, `n_features`).
    pub inputs: Vec<f32>,
    /// Targets: (samples, [`ModelConfig::n_targets`]).
    pub targets: Vec<f32>,
    /// Number of samples.
    pub samples: usize,
}

/// What a backend can refuse or fail at.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The configuration is not supported.
    #[error("model configuration: {0}")]
    Config(String),
    /// Data of another shape than the model's.
    #[error("{what}: expected {expected} values, got {found}")]
    Shape {
        /// What was handed in.
        what: &'static str,
        /// The number of values that fits.
        expected: usize,
        /// The number of values found.
        found: usize,
    },
    /// A tensor is missing, unknown or of another shape.
    #[error("tensor {name}: {problem}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The loss or a gradient is no longer a finite number.
    #[error("training diverged: {what} is {value} at optimiser step {step}")]
    Diverged {
        /// The quantity at fault.
        what: &'static str,
        /// Its value: infinite or not a number.
        value: f64,
        /// The step, from 1.
        step: u64,
    },
    /// The backend does not do this.
    #[error("this backend gives no {what}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
    /// An outside program gave up and said why.
    #[error("{program}: {message}")]
    Reported {
        /// The program.
        program: String,
        /// What kind of reason it is.
        kind: ReportedKind,
        /// Its own words.
        message: String,
    },
    /// The process or device that computes is gone. Another attempt may succeed.
    #[error("{0}")]
    Lost(String),
    /// Nobody waits for the result any more.
    #[error("cancelled")]
    Cancelled,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Why an outside program gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportedKind {
    /// The samples cannot be used.
    Data,
    /// The loss became infinite or not a number.
    Diverged,
    /// Anything else.
    Other,
}
