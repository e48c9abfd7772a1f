//! The backend called `command`: any program trains and forecasts, and mambafleet does the rest.
//!
//! The program is handed windows as arrays and leaves its weights in a file; requests and answers are
//! JSON lines. `docs/command-backend.md` is the protocol. One process trains; another one, which has
//! nothing but the weights, forecasts.

mod arrays;
mod guard;
mod identity;
mod message;
mod model;
mod process;
#[cfg(test)]
mod schema;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use mambafleet_backend::samples::in_chunks;
use mambafleet_backend::{
    Backend, BackendError, Cancellation, EpochMetrics, Fitted, Job, Model, ModelConfig,
    NamedTensors, Observer, OptimizerConfig, Reported, Samples, Trainer,
};
use mambafleet_protocol::{ProgramSpec, Spent};
use tempfile::TempDir;

pub use crate::guard::{Guard, Orders};
use crate::message::{Answer, Request};
use crate::model::ProgramModel;
use crate::process::Process;

/// The backend called `command`. By itself it is only a name: it works once it has its program.
#[derive(Debug, Clone)]
pub struct CommandBackend {
    guard: Guard,
    program: Option<ProgramSpec>,
}

impl CommandBackend {
    /// The name users write in `train.backend`.
    pub const NAME: &'static str = "command";

    /// The backend, whose programs run under such guards.
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        Self { guard, program: None }
    }

    fn program(&self) -> Result<&ProgramSpec, BackendError> {
        self.program.as_ref().ok_or_else(|| {
            BackendError::Config("the command backend has no program: set train.command".to_owned())
        })
    }

    fn model(
        &self,
        config: &ModelConfig,
        tensors: NamedTensors,
        threads: usize,
        cancellation: Cancellation,
    ) -> Result<Box<dyn Model>, BackendError> {
        let (guard, program) = (self.guard.clone(), self.program()?.clone());
        let config = config.clone();
        let model = ProgramModel::new(guard, program, config, tensors, threads, cancellation);
        Ok(Box::new(model))
    }
}

impl Backend for CommandBackend {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn description(&self) -> &'static str {
        "any program that speaks a small protocol, see docs/command-backend.md"
    }

    fn version(&self) -> &'static str {
        "command-1"
    }

    fn identity(&self) -> Result<String, BackendError> {
        Ok(format!("{} {}", self.version(), identity::of(self.program()?)?))
    }

    fn with_program(&self, program: &ProgramSpec) -> Option<Arc<dyn Backend>> {
        let (guard, program) = (self.guard.clone(), Some(program.clone()));
        Some(Arc::new(Self { guard, program }))
    }

    fn create(
        &self,
        _config: &ModelConfig,
        _optimizer: &OptimizerConfig,
        _seed: u64,
        _threads: usize,
    ) -> Result<Box<dyn Trainer>, BackendError> {
        Err(BackendError::Unsupported { what: "single training steps" })
    }

    fn fit(
        &self,
        job: &Job<'_>,
        train: &dyn Samples,
        validation: &dyn Samples,
        observer: &mut dyn Observer,
    ) -> Result<Fitted, BackendError> {
        let program = self.program()?;
        let staging = staging()?;
        let (windows, weights) = (
            staging.path().join("windows.safetensors"),
            staging.path().join("weights.safetensors"),
        );
        write_windows(&windows, job.config, train, validation)?;
        let init = staging.path().join("init.safetensors");
        if let Some(tensors) = job.init {
            arrays::write(&init, tensors).map_err(cannot_write(&init))?;
        }
        let place = staging.path().to_owned();
        let is_cancelled = || observer.is_cancelled();
        let mut process =
            Process::start(&self.guard, program, staging, job.threads, &is_cancelled)?;
        process.ask(&Request::Train {
            windows: &windows,
            weights: &weights,
            staging: &place,
            init: job.init.map(|_| &*init),
            job: message::Job {
                symbol: job.symbol,
                run: job.run,
                attempt: job.attempt,
                threads: job.threads,
                task: job.task,
                model: job.config,
                train: job.train,
                optimizer: job.optimizer,
            },
        })?;
        let (epochs, best, reported) = follow(&mut process, job, train.len(), observer)?;
        let tensors = arrays::read(&weights, "weights that the program left")?;
        drop(process);
        if tensors.is_empty() {
            let what = "weights that the program left: no tensor is among them";
            return Err(BackendError::Failed(what.to_owned()));
        }
        let model = self.model(job.config, tensors, job.threads, observer.cancellation())?;
        let validation = Spent::default();
        Ok(Fitted { model, epochs, best, validation, reported: Some(reported) })
    }

    fn load(
        &self,
        config: &ModelConfig,
        tensors: &NamedTensors,
        threads: usize,
    ) -> Result<Box<dyn Model>, BackendError> {
        self.model(config, tensors.clone(), threads, Cancellation::default())
    }
}

/// A directory that is removed when it is dropped.
fn staging() -> Result<TempDir, BackendError> {
    tempfile::Builder::new().prefix("mambafleet-").tempdir().map_err(|error| {
        BackendError::Failed(format!("cannot make a temporary directory: {error}"))
    })
}

fn cannot_write(path: &Path) -> impl Fn(std::io::Error) -> BackendError {
    move |error| BackendError::Failed(format!("cannot write {}: {error}", path.display()))
}

/// Writes the samples as arrays.
fn write_windows(
    path: &Path,
    config: &ModelConfig,
    train: &dyn Samples,
    validation: &dyn Samples,
) -> Result<(), BackendError> {
    let window = |samples: &dyn Samples| [samples.len(), config.seq_len, config.n_features];
    let target = |samples: &dyn Samples| [samples.len(), config.n_targets()];
    let arrays = [
        ("train.inputs", &window(train)[..]),
        ("train.targets", &target(train)),
        ("validation.inputs", &window(validation)),
        ("validation.targets", &target(validation)),
    ];
    let mut writer = arrays::Writer::create(path, &arrays).map_err(cannot_write(path))?;
    for part in [train, validation] {
        in_chunks(part, |batch| {
            if let Some(value) = batch.inputs.iter().chain(&batch.targets).find(|v| !v.is_finite())
            {
                let value = f64::from(*value);
                return Err(BackendError::Diverged { what: "a sample", value, step: 0 });
            }
            writer.put(&batch.inputs).map_err(cannot_write(path))
        })?;
        in_chunks(part, |batch| writer.put(&batch.targets).map_err(cannot_write(path)))?;
    }
    writer.finish().map_err(cannot_write(path))
}

/// Listens to a program that trains until it is done.
fn follow(
    process: &mut Process,
    job: &Job<'_>,
    samples: usize,
    observer: &mut dyn Observer,
) -> Result<(Vec<EpochMetrics>, usize, Reported), BackendError> {
    let mut epochs: Vec<EpochMetrics> = Vec::new();
    let mut started = Instant::now();
    loop {
        match process.answer(&|| observer.is_cancelled())? {
            Answer::Progress { epoch, train_loss, validation_loss, learning_rate } => {
                let last = epochs.last().map_or(0, |epoch| epoch.epoch);
                if epoch <= last || epoch > job.train.epochs {
                    let what = format!(
                        "reported epoch {epoch} after epoch {last} of {}",
                        job.train.epochs
                    );
                    return Err(process.fault(&what));
                }
                let seconds = started.elapsed().as_secs_f64();
                started = Instant::now();
                let samples_per_second = samples as f64 / seconds.max(1e-9);
                let metrics = EpochMetrics {
                    epoch,
                    train_loss,
                    validation_loss,
                    learning_rate,
                    seconds,
                    samples_per_second,
                };
                observer.epoch(&metrics);
                epochs.push(metrics);
            }
            Answer::Done { best_epoch, metrics } => {
                let best = best_epoch.and_then(|best| epochs.iter().position(|e| e.epoch == best));
                let best = best.unwrap_or(epochs.len().saturating_sub(1));
                let (name, version) = (process.name.clone(), process.version.clone());
                return Ok((epochs, best, Reported { name, version, metrics }));
            }
            other => return Err(process.out_of_turn(&other)),
        }
    }
}
