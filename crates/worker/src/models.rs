//! The models of an attempt: those of trials, those of folds, and the one that is kept.

use mambafleet_backend::{
    Backend, BackendError, Fitted, Job, Model, ModelConfig, NamedTensors, OptimizerConfig,
};
use mambafleet_protocol::{JobSpec, ModelSpec, TrainSpec, cause_chain};

use crate::clock::Clock;
use crate::emitter::Emitter;
use crate::evaluation::Trial;
use crate::failure::AttemptError;
use crate::metadata::WarmStart;
use crate::start::Start;
use crate::study::{Conclusion, Fold, Study};
use crate::training::Reporting;

/// What a model is made with.
pub(crate) struct Settings {
    pub(crate) config: ModelConfig,
    pub(crate) optimizer: OptimizerConfig,
    pub(crate) train: TrainSpec,
}

/// The model that is kept, and what is known of it.
pub(crate) struct Trained {
    pub(crate) model: Box<dyn Model>,
    pub(crate) settings: Settings,
    pub(crate) conclusion: Conclusion,
    /// What its training started from, where that was not to be random weights.
    pub(crate) warm_start: Option<WarmStart>,
    /// Wall time of its epochs.
    pub(crate) epoch_seconds: Vec<f64>,
}

/// Makes them.
pub(crate) struct Models<'a, S> {
    job: &'a JobSpec,
    backend: &'a dyn Backend,
    study: &'a S,
    /// What the training of the model that is kept may start from.
    start: Option<&'a Start>,
    observer: Reporting<'a>,
    clock: &'a mut Clock,
}

impl<'a, S: Study> Models<'a, S> {
    pub(crate) fn new(
        job: &'a JobSpec,
        backend: &'a dyn Backend,
        emitter: &'a Emitter,
        study: &'a S,
        start: Option<&'a Start>,
        clock: &'a mut Clock,
    ) -> Self {
        let observer = Reporting::new(job, emitter);
        Self { job, backend, study, start, observer, clock }
    }

    /// Chooses settings, trains and judges a model for every fold, and keeps the one of the `last`.
    pub(crate) fn train(mut self, last: &S::Fold) -> Result<Trained, AttemptError> {
        let job = self.job;
        let folds = job.evaluate.folds;
        let mut first = (folds > 1).then(|| self.study.fold(0)).transpose()?;
        let (settings, mut won, trials) = if job.search.is_empty() {
            (self.settings(last, job.model, &job.train), None, Vec::new())
        } else {
            self.search(first.as_ref().unwrap_or(last))?
        };
        let mut judged = Vec::new();
        for index in 0..folds - 1 {
            let fold = match first.take() {
                Some(first) => first,
                None => self.study.fold(index)?,
            };
            let mut fitted = match won.take() {
                Some(fitted) => fitted,
                None => self.fit(&fold, &settings, None)?,
            };
            judged.push(self.study.judge(&fold, &mut fitted)?);
            self.clock.end(|times| &mut times.evaluate);
        }
        let start = self.start.map(|start| start.check(last, &settings.config));
        let mut fitted = match won {
            Some(fitted) => fitted,
            None => self.fit(last, &settings, start.as_ref())?,
        };
        judged.push(self.study.judge(last, &mut fitted)?);
        let mut conclusion = self.study.conclude(last, &fitted, judged)?;
        conclusion.metrics.set_search(trials);
        self.clock.end(|times| &mut times.evaluate);
        let epoch_seconds = fitted.epochs.iter().map(|epoch| epoch.seconds).collect();
        let warm_start = start.map(|(_, record)| record);
        Ok(Trained { model: fitted.model, settings, conclusion, warm_start, epoch_seconds })
    }

    fn settings(&self, fold: &S::Fold, model: ModelSpec, train: &TrainSpec) -> Settings {
        let learning_rate = train.learning_rate * self.job.learning_rate_scale;
        Settings {
            config: fold.config(model),
            optimizer: OptimizerConfig::from(train),
            train: TrainSpec { learning_rate, ..train.clone() },
        }
    }

    /// Tries settings on the first fold, whose validation part lies before everything that is tested,
    /// and gives the best, their model if it can be used, and a record of all.
    fn search(
        &mut self,
        fold: &S::Fold,
    ) -> Result<(Settings, Option<Fitted>, Vec<Trial>), AttemptError> {
        let mut best: Option<(f64, Settings, Fitted)> = None;
        let mut trials = Vec::new();
        let mut failure = None;
        for trial in &self.job.search {
            let settings = self.settings(fold, trial.model, &trial.train);
            let values = trial.values.clone();
            match self.fit(fold, &settings, None) {
                Ok(fitted) => {
                    let loss = fitted.epochs.get(fitted.best).map(|epoch| epoch.validation_loss);
                    let epochs = fitted.epochs.len();
                    tracing::info!(?values, loss, epochs, "trial done");
                    trials.push(Trial { values, validation_loss: loss, epochs, error: None });
                    let loss = loss.unwrap_or(f64::INFINITY);
                    if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
                        best = Some((loss, settings, fitted));
                    }
                }
                Err(AttemptError::Backend(diverged @ BackendError::Diverged { .. })) => {
                    let why = cause_chain(&diverged);
                    tracing::warn!(?values, why, "trial failed");
                    let error = Some(why);
                    trials.push(Trial { values, validation_loss: None, epochs: 0, error });
                    failure = Some(diverged);
                }
                Err(error) => return Err(error),
            }
        }
        match (best, failure) {
            // A model that would have started from other weights cannot be used.
            (Some((_, settings, fitted)), _) => {
                let usable = self.start.is_none().then_some(fitted);
                Ok((settings, usable, trials))
            }
            (None, Some(failure)) => Err(failure.into()),
            (None, None) => Err(BackendError::Config("there is nothing to try".to_owned()).into()),
        }
    }

    fn fit(
        &mut self,
        fold: &S::Fold,
        settings: &Settings,
        start: Option<&(Option<&NamedTensors>, WarmStart)>,
    ) -> Result<Fitted, AttemptError> {
        let job = self.job;
        self.observer.next_model(settings.train.epochs);
        let told = Job {
            symbol: &job.symbol,
            run: &job.run,
            attempt: job.attempt,
            task: &job.task,
            config: &settings.config,
            train: &settings.train,
            optimizer: &settings.optimizer,
            init: start.and_then(|(tensors, _)| *tensors),
            threads: job.threads,
        };
        let backend = self.backend;
        let fitted = backend.fit(&told, fold.train(), fold.validation(), &mut self.observer)?;
        self.clock.end(|times| &mut times.train);
        self.clock.times.train = self.clock.times.train - fitted.validation;
        self.clock.times.validate += fitted.validation;
        Ok(fitted)
    }
}
