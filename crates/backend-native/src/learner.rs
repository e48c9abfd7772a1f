//! Training by AdamW.

use mambafleet_backend::{BackendError, Batch, Decay, Model, NamedTensors};
use mambafleet_backend::{OptimizerConfig, Trainer};
use mambafleet_kernels::Real;
use mambafleet_kernels::adamw::{self, Moments, Settings};

use crate::network::{Backward, Forward, Network};
use crate::predictor::predict;
use crate::team::Team;

/// Sequences whose gradients one worker sums up. Part of the arithmetic: another number changes
/// the order of summation, so the weights.
const GROUP: usize = 8;

/// One worker's buffers.
#[derive(Debug)]
struct Worker<T> {
    forward: Forward<T>,
    backward: Backward<T>,
    /// Loss of the last group, summed.
    loss: f64,
}

/// A model with gradient and moments.
#[derive(Debug)]
pub(crate) struct Learner<T> {
    pub(crate) network: Network<T>,
    config: OptimizerConfig,
    team: Team<Worker<T>>,
    /// Gradient of the mean loss over the samples that wait for a step.
    pub(crate) grad: Vec<T>,
    /// How many they are.
    waiting: usize,
    /// Running means of the gradient and of its square.
    first: Vec<T>,
    second: Vec<T>,
    /// Steps taken.
    steps: u64,
}

impl<T: Real> Learner<T> {
    /// A learner on `threads` threads, with all moments zero.
    pub(crate) fn new(
        network: Network<T>,
        config: &OptimizerConfig,
        threads: usize,
    ) -> Result<Self, BackendError> {
        check_optimizer(config)?;
        let team = Team::new(threads, || Worker {
            forward: Forward::new(network.isa, &network.dims, true),
            backward: Backward::new(&network),
            loss: 0.0,
        })?;
        let zeros = vec![T::ZERO; network.layout.len];
        let (grad, first, second) = (zeros.clone(), zeros.clone(), zeros);
        Ok(Self { network, config: *config, team, grad, waiting: 0, first, second, steps: 0 })
    }

    /// The batch's mean loss; leaves its gradient alone in `self.grad`.
    pub(crate) fn gradient(&mut self, batch: &Batch) -> Result<f64, BackendError> {
        self.waiting = 0;
        self.add_gradient(batch)
    }

    /// The batch's mean loss; `self.grad` becomes that of all samples that wait, these among them.
    fn add_gradient(&mut self, batch: &Batch) -> Result<f64, BackendError> {
        let Self { network, team, grad, waiting, .. } = self;
        check_batch(batch, network.dims.window(), network.dims.targets)?;
        network.refresh();
        let (network, dims) = (&*network, &network.dims);
        let all = *waiting + batch.samples;
        let kept = T::of(*waiting as f64 / all as f64);
        match *waiting {
            0 => grad.fill(T::ZERO),
            _ => grad.iter_mut().for_each(|grad| *grad = *grad * kept),
        }
        *waiting = all;
        let scale = T::of(1.0 / (all * dims.outputs) as f64);
        let mut loss = 0.0;
        let windows = batch.inputs.chunks(GROUP * dims.window());
        let mut groups = windows.zip(batch.targets.chunks(GROUP * dims.targets)).peekable();
        while groups.peek().is_some() {
            let wave = groups.by_ref().take(team.len());
            let workers = team.run(wave, |worker, (inputs, targets)| {
                worker.group(network, inputs, targets, scale);
            });
            for worker in workers {
                loss += worker.loss;
                for (sum, part) in grad.iter_mut().zip(worker.backward.weights.iter()) {
                    *sum += *part;
                }
            }
        }
        Ok(loss / (batch.samples * dims.outputs) as f64)
    }

    /// `value`, or an error if it is not finite.
    fn finite(&self, what: &'static str, value: f64) -> Result<f64, BackendError> {
        let step = self.steps + 1;
        if value.is_finite() {
            Ok(value)
        } else {
            Err(BackendError::Diverged { what, value, step })
        }
    }

    /// Moves the weights along `self.grad`, scaled by `scale`.
    fn update(&mut self, learning_rate: f64, scale: f64) {
        let Self { network, config, grad, first, second, .. } = self;
        let OptimizerConfig { beta1, beta2, epsilon, weight_decay, .. } = *config;
        let settings = Settings { beta1, beta2, epsilon };
        for parameter in &network.layout.parameters {
            let decays = parameter.decays || config.decay == Decay::All;
            let decay = if decays { weight_decay } else { 0.0 };
            let step = settings.step(self.steps, learning_rate, decay, scale);
            let slot = parameter.slot;
            let moments = Moments { first: slot.of_mut(first), second: slot.of_mut(second) };
            let weights = slot.of_mut(&mut network.weights);
            adamw::update(network.isa, &step, weights, slot.of(grad), moments);
        }
    }
}

impl<T: Real> Worker<T> {
    /// Loss and gradient of one group, into `self`.
    fn group(&mut self, network: &Network<T>, inputs: &[f32], targets: &[f32], scale: T) {
        self.backward.weights.fill(T::ZERO);
        self.loss = 0.0;
        let windows = inputs.chunks_exact(network.dims.window());
        for (window, targets) in windows.zip(targets.chunks_exact(network.dims.targets)) {
            self.forward.run(network, window);
            self.loss += self.backward.run(network, &self.forward, targets, scale);
        }
        self.backward.finish(network);
    }
}

impl<T: Real> Model for Learner<T> {
    fn predict(&mut self, inputs: &[f32]) -> Result<Vec<f32>, BackendError> {
        self.network.refresh();
        predict(&self.network, &mut self.team, |worker| &mut worker.forward, inputs)
    }

    fn tensors(&self) -> Result<NamedTensors, BackendError> {
        Ok(self.network.tensors())
    }
}

impl<T: Real> Trainer for Learner<T> {
    fn start_from(&mut self, outputs: &[f32]) {
        let Network { layout, criterion, weights, .. } = &mut self.network;
        let bias = layout.head_bias.of_mut(weights);
        if bias.len() == outputs.len() {
            criterion.raw_of(outputs, bias);
        }
    }

    fn accumulate(&mut self, batch: &Batch) -> Result<f64, BackendError> {
        let result = self.add_gradient(batch).and_then(|loss| self.finite("the loss", loss));
        self.waiting *= usize::from(result.is_ok());
        result
    }

    fn step(&mut self, learning_rate: f64) -> Result<(), BackendError> {
        if std::mem::take(&mut self.waiting) == 0 {
            return Ok(());
        }
        if !(learning_rate.is_finite() && learning_rate >= 0.0) {
            let message = format!("learning rate is {learning_rate}, but must not be negative");
            return Err(BackendError::Config(message));
        }
        let norm = adamw::sum_of_squares(&self.grad).sqrt();
        let norm = self.finite("the gradient's norm", norm)?;
        self.steps += 1;
        let limit = self.config.grad_clip;
        self.update(learning_rate, if norm > limit { limit / norm } else { 1.0 });
        Ok(())
    }

    fn gradients(&mut self, batch: &Batch) -> Result<(f64, NamedTensors), BackendError> {
        let kept = (self.grad.clone(), self.waiting);
        let result = self.gradient(batch).map(|loss| (loss, self.network.named(&self.grad)));
        (self.grad, self.waiting) = kept;
        result
    }

    fn restore(&mut self, tensors: &NamedTensors) -> Result<(), BackendError> {
        self.network.set_tensors(tensors)
    }
}

/// Checks that a batch is whole and not empty.
fn check_batch(batch: &Batch, window: usize, targets: usize) -> Result<(), BackendError> {
    let wrong = |what, expected, found| Err(BackendError::Shape { what, expected, found });
    if batch.samples == 0 {
        return wrong("samples of a batch", 1, 0);
    }
    let parts = [
        ("inputs of a batch", window, batch.inputs.len()),
        ("targets of a batch", targets, batch.targets.len()),
    ];
    for (what, per_sample, found) in parts {
        let expected = batch.samples.saturating_mul(per_sample);
        if found != expected {
            return wrong(what, expected, found);
        }
    }
    Ok(())
}

/// Checks the optimiser's settings.
fn check_optimizer(config: &OptimizerConfig) -> Result<(), BackendError> {
    let rate = |value: f64| (0.0..1.0).contains(&value);
    let positive = |value: f64| value.is_finite() && value > 0.0;
    let checks = [
        ("beta1", config.beta1, rate(config.beta1)),
        ("beta2", config.beta2, rate(config.beta2)),
        ("epsilon", config.epsilon, positive(config.epsilon)),
        ("grad_clip", config.grad_clip, config.grad_clip > 0.0),
        (
            "weight_decay",
            config.weight_decay,
            config.weight_decay == 0.0 || positive(config.weight_decay),
        ),
    ];
    for (name, value, fine) in checks {
        if !fine {
            return Err(BackendError::Config(format!("optimiser: {name} cannot be {value}")));
        }
    }
    Ok(())
}
