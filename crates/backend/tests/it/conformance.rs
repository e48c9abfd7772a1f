//! The conformance suite: a backend that keeps every rule, and one for each way to break one.

use mambafleet_backend::conformance::{Rule, Verdict, examine};
use mambafleet_backend::{
    Backend, BackendError, Batch, Fitted, Job, Model, ModelConfig, NamedTensors, Objective,
    Observer, OptimizerConfig, Samples, Tensor, Trainer,
};

/// What a backend does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    None,
    /// One output too few for seven windows.
    DropsOutputs,
    AcceptsPartsOfWindows,
    Crosses,
    AcceptsShortBatches,
    /// Its start depends on the number of threads.
    DependsOnThreads,
    /// A step goes uphill.
    Unlearns,
    /// Loads all weights but one.
    ForgetsWhenLoading,
    RestoresNothing,
    /// Predictions depend on the other windows.
    LooksAround,
    /// Reports twice the loss.
    ReportsWrongly,
    IgnoresCancellation,
    RefusesToTrain,
    AcceptsNan,
    /// The weights move although the loss is not a number.
    MovesOnNan,
    /// A step follows the last batch only.
    ForgetsBatches,
    /// What was added up stays for the next step.
    KeepsBatches,
}

/// Every output is a linear function of a window, trained by plain gradient descent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linear(pub(crate) Fault);

struct LinearModel {
    fault: Fault,
    config: ModelConfig,
    /// (outputs, values of a window and a constant).
    weights: Vec<f32>,
    waiting: Batch,
}

impl LinearModel {
    fn window(&self) -> usize {
        self.config.seq_len * self.config.n_features
    }

    /// The levels of the quantiles; the middle for plain outputs.
    fn levels(&self) -> Vec<f64> {
        match &self.config.objective {
            Objective::Mse { .. } => vec![0.5],
            Objective::Pinball { levels, .. } => levels.clone(),
        }
    }

    fn raw(&self, window: &[f32]) -> Vec<f32> {
        let rows = self.weights.chunks(window.len() + 1);
        rows.map(|row| row[0] + row[1..].iter().zip(window).map(|(w, x)| w * x).sum::<f32>())
            .collect()
    }

    fn check(&self, batch: &Batch) -> Result<(), BackendError> {
        let (expected, found) = (batch.samples * self.config.n_targets(), batch.targets.len());
        if expected == found || self.fault == Fault::AcceptsShortBatches {
            return Ok(());
        }
        Err(BackendError::Shape { what: "targets", expected, found })
    }
}

impl Model for LinearModel {
    fn predict(&mut self, inputs: &[f32]) -> Result<Vec<f32>, BackendError> {
        let (window, found) = (self.window(), inputs.len());
        if found % window != 0 && self.fault != Fault::AcceptsPartsOfWindows {
            return Err(BackendError::Shape { what: "inputs", expected: window, found });
        }
        let mut outputs: Vec<f32> =
            inputs.chunks_exact(window).flat_map(|window| self.raw(window)).collect();
        if self.fault != Fault::Crosses {
            outputs.chunks_mut(self.levels().len()).for_each(|q| q.sort_by(f32::total_cmp));
        }
        if self.fault == Fault::LooksAround {
            let bias = outputs.len() as f32 * 1e-3;
            outputs.iter_mut().for_each(|output| *output += bias);
        }
        if self.fault == Fault::DropsOutputs && found == 7 * window {
            outputs.pop();
        }
        Ok(outputs)
    }

    fn tensors(&self) -> Result<NamedTensors, BackendError> {
        let shape = vec![self.config.n_outputs(), self.window() + 1];
        let mut tensors = NamedTensors::default();
        tensors.insert("weights", Tensor { shape, data: self.weights.clone() });
        Ok(tensors)
    }
}

impl Trainer for LinearModel {
    fn accumulate(&mut self, batch: &Batch) -> Result<f64, BackendError> {
        self.check(batch)?;
        let predictions = self.predict(&batch.inputs)?;
        let loss = match self.fault {
            Fault::AcceptsShortBatches => 0.0,
            _ => self.config.objective.loss(&predictions, &batch.targets)?,
        };
        if self.fault == Fault::ForgetsBatches {
            self.waiting = Batch::default();
        }
        self.waiting.inputs.extend(&batch.inputs);
        self.waiting.targets.extend(&batch.targets);
        self.waiting.samples += batch.samples;
        let broken = !loss.is_finite() || batch.inputs.iter().any(|x| !x.is_finite());
        if broken && self.fault != Fault::AcceptsNan {
            if self.fault == Fault::MovesOnNan {
                self.weights[0] += 1.0;
            }
            self.waiting = Batch::default();
            return Err(BackendError::Diverged { what: "the loss", value: loss, step: 0 });
        }
        Ok(loss)
    }

    fn step(&mut self, learning_rate: f64) -> Result<(), BackendError> {
        let batch = match self.fault {
            Fault::KeepsBatches => self.waiting.clone(),
            _ => std::mem::take(&mut self.waiting),
        };
        let (window, levels) = (self.window(), self.levels());
        let mut rate = 20.0 * learning_rate as f32 / batch.samples.max(1) as f32;
        if self.fault == Fault::Unlearns {
            rate = -rate;
        }
        let targets = batch.targets.chunks(self.config.n_targets());
        let mut moved = self.weights.clone();
        for (inputs, targets) in batch.inputs.chunks(window).zip(targets) {
            let raw = self.raw(inputs);
            for (index, row) in moved.chunks_mut(window + 1).enumerate() {
                let level = levels[index % levels.len()] as f32;
                let target = targets.get(index / levels.len()).copied().unwrap_or_default();
                let error = target - raw[index];
                let slope = rate * if error > 0.0 { level } else { level - 1.0 };
                row[0] += slope;
                row[1..].iter_mut().zip(inputs).for_each(|(w, x)| *w += slope * x);
            }
        }
        self.weights = moved;
        Ok(())
    }

    fn restore(&mut self, tensors: &NamedTensors) -> Result<(), BackendError> {
        let shape = [self.config.n_outputs(), self.window() + 1];
        let tensor = tensors.expect_shape("weights", &shape)?;
        if self.fault != Fault::RestoresNothing {
            self.weights.clone_from(&tensor.data);
        }
        Ok(())
    }
}

impl Linear {
    fn model(self, config: &ModelConfig) -> LinearModel {
        let len = config.n_outputs() * (config.seq_len * config.n_features + 1);
        let waiting = Batch::default();
        LinearModel { fault: self.0, config: config.clone(), weights: vec![0.0; len], waiting }
    }
}

impl Backend for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn description(&self) -> &'static str {
        "a linear function of a window"
    }

    fn version(&self) -> &'static str {
        "linear-1"
    }

    fn create(
        &self,
        config: &ModelConfig,
        _optimizer: &OptimizerConfig,
        _seed: u64,
        threads: usize,
    ) -> Result<Box<dyn Trainer>, BackendError> {
        let mut model = self.model(config);
        if self.0 == Fault::DependsOnThreads {
            model.weights[0] = threads as f32;
        }
        Ok(Box::new(model))
    }

    fn fit(
        &self,
        job: &Job<'_>,
        train: &dyn Samples,
        validation: &dyn Samples,
        observer: &mut dyn Observer,
    ) -> Result<Fitted, BackendError> {
        if self.0 == Fault::RefusesToTrain {
            return Err(BackendError::Failed("today I do not".to_owned()));
        }
        struct Deaf;
        impl Observer for Deaf {
            fn epoch(&mut self, _metrics: &mambafleet_backend::EpochMetrics) {}

            fn is_cancelled(&self) -> bool {
                false
            }
        }
        let observer = match self.0 {
            Fault::IgnoresCancellation => &mut Deaf,
            _ => observer,
        };
        let mut fitted = mambafleet_backend::fit_by_steps(self, job, train, validation, observer)?;
        if self.0 == Fault::ReportsWrongly {
            fitted.epochs.iter_mut().for_each(|epoch| epoch.validation_loss *= 2.0);
        }
        Ok(fitted)
    }

    fn load(
        &self,
        config: &ModelConfig,
        tensors: &NamedTensors,
        _threads: usize,
    ) -> Result<Box<dyn Model>, BackendError> {
        let mut model = self.model(config);
        model.restore(tensors)?;
        if self.0 == Fault::ForgetsWhenLoading {
            model.weights[0] = 0.0;
        }
        Ok(Box::new(model))
    }
}

/// The rules that are not kept.
fn broken(fault: Fault) -> Vec<Rule> {
    let findings = examine(&Linear(fault));
    let broken = findings.iter().filter(|finding| finding.verdict != Verdict::Kept);
    broken.inspect(|finding| println!("{fault:?}: {finding:?}")).map(|f| f.rule).collect()
}

#[test]
fn a_backend_that_does_as_it_should_keeps_every_rule() {
    assert_eq!(broken(Fault::None), []);
}

#[test]
fn each_fault_is_found_by_the_rule_that_forbids_it() {
    for (fault, rule) in [
        (Fault::DropsOutputs, Rule::Shapes),
        (Fault::AcceptsPartsOfWindows, Rule::Shapes),
        (Fault::Crosses, Rule::Shapes),
        (Fault::AcceptsShortBatches, Rule::Shapes),
        (Fault::DependsOnThreads, Rule::Determinism),
        (Fault::Unlearns, Rule::Learning),
        (Fault::RefusesToTrain, Rule::Learning),
        (Fault::ForgetsWhenLoading, Rule::RoundTrip),
        (Fault::RestoresNothing, Rule::RoundTrip),
        (Fault::LooksAround, Rule::Prediction),
        (Fault::ReportsWrongly, Rule::Prediction),
        (Fault::IgnoresCancellation, Rule::Cancellation),
        (Fault::AcceptsNan, Rule::NotANumber),
        (Fault::MovesOnNan, Rule::NotANumber),
        (Fault::ForgetsBatches, Rule::Accumulation),
        (Fault::KeepsBatches, Rule::Accumulation),
    ] {
        assert!(broken(fault).contains(&rule), "{fault:?} is not found by {rule:?}");
    }
}
