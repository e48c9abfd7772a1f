//! The rules for training as a whole.

use std::cell::{Cell, OnceCell};

use mambafleet_protocol::{RunId, Symbol, TaskSpec, TrainSpec};

use super::toy::{self, Counted, Watcher};
use super::{Rule, Trouble, ensure, stepping};
use crate::samples::InMemory;
use crate::{Backend, BackendError, Batch, Fitted, Job, Model, ModelConfig, NamedTensors};
use crate::{OptimizerConfig, Samples};

/// Samples to train on.
const TRAINING: usize = 256;

/// Samples to judge by.
const VALIDATION: usize = 64;

/// Largest fraction of the loss of knowing nothing that counts as having learned.
const LEARNED: f64 = 0.6;

/// Largest relative difference between a loss that was reported and one that was measured.
const CLOSE: f64 = 1e-4;

/// A backend that is to learn.
pub(super) struct Lesson<'a> {
    pub(super) backend: &'a dyn Backend,
    pub(super) config: ModelConfig,
    task: TaskSpec,
    training: Batch,
    validation: Batch,
    /// The weights and the epochs of the first training.
    learned: OnceCell<Result<Learned, String>>,
}

/// What is kept of a training.
struct Learned {
    tensors: NamedTensors,
    /// The validation loss that was reported of the weights that were kept.
    reported: Option<f64>,
    /// Forecasts for the validation samples.
    predictions: Vec<f32>,
}

impl<'a> Lesson<'a> {
    pub(super) fn new(backend: &'a dyn Backend) -> Self {
        Self {
            backend,
            config: toy::config(),
            task: toy::task().into(),
            training: toy::samples(TRAINING, 1),
            validation: toy::samples(VALIDATION, 2),
            learned: OnceCell::new(),
        }
    }

    pub(super) fn examine(&self, rule: Rule) -> Result<(), Trouble> {
        match rule {
            Rule::Shapes => self.shapes(),
            Rule::Determinism => self.determinism(),
            Rule::Learning => self.learning(),
            Rule::RoundTrip => self.round_trip(),
            Rule::Prediction => self.prediction(),
            Rule::Cancellation => self.cancellation(),
            Rule::NotANumber => self.not_a_number(),
            Rule::Accumulation => stepping::accumulation(self),
        }
    }

    fn fit(
        &self,
        training: &dyn Samples,
        train: &TrainSpec,
        threads: usize,
        watcher: &mut Watcher<'_>,
    ) -> Result<Fitted, BackendError> {
        let named = |error: &dyn std::fmt::Display| BackendError::Failed(error.to_string());
        let symbol = Symbol::new("TOY").map_err(|error| named(&error))?;
        let run: RunId = "conformance".parse().map_err(|error| named(&error))?;
        let optimizer = OptimizerConfig::from(train);
        let job = Job {
            symbol: &symbol,
            run: &run,
            attempt: 1,
            task: &self.task,
            config: &self.config,
            train,
            optimizer: &optimizer,
            init: None,
            threads,
        };
        let validation = InMemory(self.validation.clone());
        self.backend.fit(&job, training, &validation, watcher)
    }

    fn train(&self, threads: usize) -> Result<Learned, Trouble> {
        let none = Cell::new(0);
        let training = InMemory(self.training.clone());
        let mut watcher = Watcher::new(usize::MAX, &none);
        let mut fitted = self.fit(&training, &toy::settings(), threads, &mut watcher)?;
        let reported = fitted.epochs.get(fitted.best).map(|epoch| epoch.validation_loss);
        let predictions = fitted.model.predict(&self.validation.inputs)?;
        Ok(Learned { tensors: fitted.model.tensors()?, reported, predictions })
    }

    /// The first training; all rules look at the same one.
    fn first_training(&self) -> Result<&Learned, &str> {
        let train = || {
            self.train(1).map_err(|trouble| match trouble {
                Trouble::Broken(why) | Trouble::Skipped(why) => why,
            })
        };
        self.learned.get_or_init(train).as_ref().map_err(String::as_str)
    }

    /// The same for the rules about what it came to.
    fn learned(&self) -> Result<&Learned, Trouble> {
        self.first_training().map_err(|_| Trouble::Skipped("it does not train".to_owned()))
    }

    fn loaded(&self) -> Result<Box<dyn Model>, Trouble> {
        Ok(self.backend.load(&self.config, &self.learned()?.tensors, 1)?)
    }

    fn shapes(&self) -> Result<(), Trouble> {
        let learned = self.learned()?;
        ensure(!learned.tensors.is_empty(), || "it has no tensors".to_owned())?;
        for (name, tensor) in learned.tensors.iter() {
            let (shape, found) = (&tensor.shape, tensor.data.len());
            ensure(shape.iter().product::<usize>() == found, || {
                format!("tensor {name} of shape {shape:?} has {found} values")
            })?;
        }
        let mut model = self.loaded()?;
        let window = self.config.seq_len * self.config.n_features;
        for samples in [1, 2, 7, 0] {
            let found = model.predict(&self.validation.inputs[..samples * window])?.len();
            let expected = samples * self.config.n_outputs();
            ensure(found == expected, || {
                format!("{samples} windows give {found} predictions, not {expected}")
            })?;
        }
        match model.predict(&self.validation.inputs[..window + 1]) {
            Err(BackendError::Shape { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Err(Trouble::Broken("it takes part of a window".to_owned())),
        }
        let levels = toy::task().quantiles.len();
        let ascend = self.loaded()?.predict(&self.validation.inputs)?;
        let ascend = ascend.chunks(levels).all(<[f32]>::is_sorted);
        ensure(ascend, || "its quantiles cross".to_owned())?;
        stepping::shapes(self)
    }

    fn determinism(&self) -> Result<(), Trouble> {
        let first = self.learned()?;
        for threads in [1, 2] {
            let again = self.train(threads)?;
            ensure(again.tensors == first.tensors, || {
                format!("trained again, on {threads} threads, it has other weights")
            })?;
            ensure(again.predictions == first.predictions, || {
                format!("trained again, on {threads} threads, it has other predictions")
            })?;
        }
        Ok(())
    }

    fn learning(&self) -> Result<(), Trouble> {
        let targets = &self.validation.targets;
        let learned = self.first_training().map_err(|why| Trouble::Broken(why.to_owned()))?;
        let loss = self.config.objective.loss(&learned.predictions, targets)?;
        let nothing = vec![0.0; learned.predictions.len()];
        let nothing = self.config.objective.loss(&nothing, targets)?;
        ensure(loss < LEARNED * nothing, || {
            format!("its loss is {loss:.4}, and that of forecasting nothing is {nothing:.4}")
        })
    }

    fn round_trip(&self) -> Result<(), Trouble> {
        let learned = self.learned()?;
        let mut model = self.loaded()?;
        ensure(model.predict(&self.validation.inputs)? == learned.predictions, || {
            "a model loaded from its tensors predicts something else".to_owned()
        })?;
        ensure(model.tensors()? == learned.tensors, || {
            "a model loaded from its tensors has other ones".to_owned()
        })?;
        stepping::restoring(self)
    }

    fn prediction(&self) -> Result<(), Trouble> {
        let learned = self.learned()?;
        let loss = self.config.objective.loss(&learned.predictions, &self.validation.targets)?;
        if let Some(reported) = learned.reported {
            ensure((reported - loss).abs() <= CLOSE * loss.abs(), || {
                format!(
                    "it reported a validation loss of {reported}, and its forecasts give {loss}"
                )
            })?;
        }
        let mut model = self.loaded()?;
        let window = self.config.seq_len * self.config.n_features;
        let outputs = self.config.n_outputs();
        let alone = self.validation.inputs.chunks(window).zip(learned.predictions.chunks(outputs));
        for (index, (window, among)) in alone.enumerate().take(3) {
            let alone = model.predict(window)?;
            let close = alone.iter().zip(among).all(|(a, b)| (a - b).abs() <= 1e-5);
            ensure(close, || {
                format!("window {index} alone gives {alone:?}, and {among:?} among others")
            })?;
        }
        stepping::prediction(self)
    }

    fn cancellation(&self) -> Result<(), Trouble> {
        let gathered = Cell::new(0);
        let training = Counted { samples: InMemory(self.training.clone()), gathered: &gathered };
        // Long enough to be missed, and short enough to come to its end.
        let endless = TrainSpec { epochs: 3000, patience: 3000, ..toy::settings() };
        let mut watcher = Watcher::new(3, &gathered);
        match self.fit(&training, &endless, 1, &mut watcher) {
            Err(BackendError::Cancelled) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Err(Trouble::Broken("it trained on to the end".to_owned())),
        }
        let more = gathered.get() - watcher.at_leaving.get();
        ensure(more <= 1, || format!("it took {more} more batches"))
    }

    fn not_a_number(&self) -> Result<(), Trouble> {
        let broken: [fn(&mut Batch); 2] =
            [|batch| batch.targets[100] = f32::NAN, |batch| batch.inputs[1000] = f32::INFINITY];
        for change in broken {
            let none = Cell::new(0);
            let mut training = self.training.clone();
            change(&mut training);
            let mut watcher = Watcher::new(usize::MAX, &none);
            if self.fit(&InMemory(training), &toy::settings(), 1, &mut watcher).is_ok() {
                let why = "it makes a model of samples that are not numbers";
                return Err(Trouble::Broken(why.to_owned()));
            }
        }
        stepping::not_a_number(self)
    }
}
