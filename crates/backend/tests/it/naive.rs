//! A backend that shares nothing with the others: the model written down from the paper, one
//! number at a time, in double precision; derivatives by one forward pass for each parameter. It
//! can be made wrong on purpose.

use std::collections::BTreeMap;

use mambafleet_backend::{Backend, BackendError, Batch, Decay, Model, ModelConfig, NamedTensors};
use mambafleet_backend::{OptimizerConfig, Tensor, Trainer};

use crate::dual::Dual;

/// A mistake that an implementation could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// The decay rates are -1, -2, -3 ... whatever `A_log` says.
    IgnoresALog,
    /// The first tap of the convolution is on the current step.
    FlipsTaps,
    /// `x_proj` gives dt, C and B.
    SwapsBAndC,
    /// Decay is added to the gradient.
    L2InsteadOfDecoupled,
    /// 1e-6 in place of 1e-8.
    LargeEpsilon,
    /// `A_log` decays although it is no matrix of a layer.
    DecaysALog,
    /// The gate is taken from the first half of `in_proj`.
    SwapsBranchAndGate,
    /// The scan gives nothing.
    DropsScan,
    /// D is added after the gate.
    SkipsTheGateForD,
}

/// The naive backend, right or wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Naive {
    pub(crate) mutation: Option<Mutation>,
    /// Gives no gradients to who asks.
    pub(crate) secretive: bool,
}

/// Parameters in double precision.
type Parameters = BTreeMap<String, (Vec<usize>, Vec<f64>)>;

struct NaiveModel {
    backend: Naive,
    config: ModelConfig,
    optimizer: OptimizerConfig,
    parameters: Parameters,
    moments: BTreeMap<String, Vec<(f64, f64)>>,
    steps: i32,
    waiting: Batch,
}

impl Backend for Naive {
    fn name(&self) -> &'static str {
        "naive"
    }

    fn description(&self) -> &'static str {
        "the model written down naively"
    }

    fn version(&self) -> &'static str {
        "naive-1"
    }

    fn create(
        &self,
        config: &ModelConfig,
        optimizer: &OptimizerConfig,
        _seed: u64,
        _threads: usize,
    ) -> Result<Box<dyn Trainer>, BackendError> {
        let (config, optimizer) = (config.clone(), *optimizer);
        let (parameters, moments) = (Parameters::new(), BTreeMap::new());
        Ok(Box::new(NaiveModel {
            backend: *self,
            config,
            optimizer,
            parameters,
            moments,
            steps: 0,
            waiting: Batch::default(),
        }))
    }

    fn load(
        &self,
        _config: &ModelConfig,
        _tensors: &NamedTensors,
        _threads: usize,
    ) -> Result<Box<dyn Model>, BackendError> {
        Err(BackendError::Unsupported { what: "models to load" })
    }
}

impl NaiveModel {
    fn is(&self, mutation: Mutation) -> bool {
        self.backend.mutation == Some(mutation)
    }

    /// A tensor, with slope 1 at `varied`.
    fn get(&self, name: &str, varied: Option<(&str, usize)>) -> Vec<Dual> {
        let mut values: Vec<Dual> =
            self.parameters[name].1.iter().map(|value| Dual::constant(*value)).collect();
        if let Some((_, at)) = varied.filter(|(varied, _)| *varied == name) {
            values[at].slope = 1.0;
        }
        values
    }

    /// The outputs for one window.
    fn outputs(&self, window: &[f32], varied: Option<(&str, usize)>) -> Vec<Dual> {
        let get = |name: &str| self.get(name, varied);
        let (weight, bias) = (get("input_proj.weight"), get("input_proj.bias"));
        let project = |row: &[f32]| {
            let row: Vec<_> = row.iter().map(|x| Dual::constant(f64::from(*x))).collect();
            add(&linear(&weight, &row), &bias)
        };
        let mut x: Vec<Vec<Dual>> = window.chunks(self.config.n_features).map(project).collect();
        for layer in 0..self.config.spec.n_layers {
            let gain = get(&format!("layers.{layer}.norm.weight"));
            let normed: Vec<_> = x.iter().map(|row| rms_norm(row, &gain)).collect();
            let part = |part: &str| get(&format!("layers.{layer}.mixer.{part}"));
            let added = self.mixer(&normed, &part);
            x = x.iter().zip(&added).map(|(x, added)| add(x, added)).collect();
        }
        let last = rms_norm(&x[x.len() - 1], &get("norm_f.weight"));
        add(&linear(&get("head.weight"), &last), &get("head.bias"))
    }

    fn mixer(&self, x: &[Vec<Dual>], part: &dyn Fn(&str) -> Vec<Dual>) -> Vec<Vec<Dual>> {
        let spec = self.config.spec;
        let (inner, states, rank) = (spec.expand * spec.d_model, spec.d_state, spec.dt_rank);
        let (in_proj, taps, conv_bias) =
            (part("in_proj.weight"), part("conv1d.weight"), part("conv1d.bias"));
        let (x_proj, dt_proj, dt_bias) =
            (part("x_proj.weight"), part("dt_proj.weight"), part("dt_proj.bias"));
        let (a_log, d, out_proj) = (part("A_log"), part("D"), part("out_proj.weight"));
        let both: Vec<_> = x.iter().map(|row| linear(&in_proj, row)).collect();
        let swapped = self.is(Mutation::SwapsBranchAndGate);
        let (branch, gate) = if swapped { (inner, 0) } else { (0, inner) };
        let mut h = vec![Dual::default(); inner * states];
        let mut rows = Vec::new();
        for t in 0..x.len() {
            let convolve = |c: usize| {
                let tap = |back: usize| {
                    let at =
                        if self.is(Mutation::FlipsTaps) { back } else { spec.d_conv - 1 - back };
                    taps[c * spec.d_conv + at] * both[t - back][branch + c]
                };
                ((0..spec.d_conv.min(t + 1)).map(tap).sum::<Dual>() + conv_bias[c]).silu()
            };
            let u: Vec<Dual> = (0..inner).map(convolve).collect();
            let projected = linear(&x_proj, &u);
            let dt = add(&linear(&dt_proj, &projected[..rank]), &dt_bias);
            let (b, c) = projected[rank..].split_at(states);
            let (b, c) = if self.is(Mutation::SwapsBAndC) { (c, b) } else { (b, c) };
            let channel = |i: usize| {
                let dt = dt[i].softplus();
                for (n, b) in b.iter().enumerate() {
                    let at = i * states + n;
                    let ignored = self.is(Mutation::IgnoresALog);
                    let rate =
                        if ignored { Dual::constant(n as f64 + 1.0) } else { a_log[at].exp() };
                    h[at] = (-(dt * rate)).exp() * h[at] + dt * *b * u[i];
                }
                let read = (0..states).map(|n| c[n] * h[i * states + n]).sum::<Dual>();
                let y = if self.is(Mutation::DropsScan) { Dual::default() } else { read };
                let gate = both[t][gate + i].silu();
                let late = self.is(Mutation::SkipsTheGateForD);
                if late { y * gate + d[i] * u[i] } else { (y + d[i] * u[i]) * gate }
            };
            let gated: Vec<Dual> = (0..inner).map(channel).collect();
            rows.push(linear(&out_proj, &gated));
        }
        rows
    }

    /// The loss and its derivative by the varied parameter.
    fn loss(&self, batch: &Batch, varied: Option<(&str, usize)>) -> Dual {
        let window = self.config.seq_len * self.config.n_features;
        let outputs = batch.inputs.chunks(window).flat_map(|window| self.outputs(window, varied));
        let squares = outputs.zip(&batch.targets).map(|(output, target)| {
            let error = output + Dual::constant(-f64::from(*target));
            error * error
        });
        squares.sum::<Dual>() * Dual::constant(1.0 / batch.targets.len() as f64)
    }

    fn gradient(&self, batch: &Batch) -> BTreeMap<String, Vec<f64>> {
        let one = |(name, (_, values)): (&String, &(Vec<usize>, Vec<f64>))| {
            let slope = |at| self.loss(batch, Some((name, at))).slope;
            (name.clone(), (0..values.len()).map(slope).collect())
        };
        self.parameters.iter().map(one).collect()
    }

    /// The decay of a tensor.
    fn decay(&self, name: &str) -> f64 {
        let spared = ["bias", "A_log", ".D", "norm.weight", "norm_f.weight"];
        let matrix = !spared.iter().any(|part| name.ends_with(part));
        let wrongly = self.is(Mutation::DecaysALog) && name.ends_with("A_log");
        let decays = self.optimizer.decay == Decay::All || matrix || wrongly;
        if decays { self.optimizer.weight_decay } else { 0.0 }
    }
}

impl Model for NaiveModel {
    fn predict(&mut self, inputs: &[f32]) -> Result<Vec<f32>, BackendError> {
        let window = self.config.seq_len * self.config.n_features;
        let outputs = inputs.chunks(window).flat_map(|window| self.outputs(window, None));
        Ok(outputs.map(|output| output.value as f32).collect())
    }

    fn tensors(&self) -> Result<NamedTensors, BackendError> {
        let mut tensors = NamedTensors::default();
        for (name, (shape, values)) in &self.parameters {
            let data = values.iter().map(|value| *value as f32).collect();
            tensors.insert(name, Tensor { shape: shape.clone(), data });
        }
        Ok(tensors)
    }
}

impl Trainer for NaiveModel {
    fn accumulate(&mut self, batch: &Batch) -> Result<f64, BackendError> {
        self.waiting.inputs.extend(&batch.inputs);
        self.waiting.targets.extend(&batch.targets);
        self.waiting.samples += batch.samples;
        Ok(self.loss(batch, None).value)
    }

    fn step(&mut self, learning_rate: f64) -> Result<(), BackendError> {
        let batch = std::mem::take(&mut self.waiting);
        let gradient = self.gradient(&batch);
        self.steps += 1;
        let OptimizerConfig { beta1, beta2, mut epsilon, .. } = self.optimizer;
        if self.is(Mutation::LargeEpsilon) {
            epsilon = 1e-6;
        }
        let (first_part, second_part) =
            (1.0 - beta1.powi(self.steps), 1.0 - beta2.powi(self.steps));
        for (name, gradient) in gradient {
            let (decay, l2) = (self.decay(&name), self.is(Mutation::L2InsteadOfDecoupled));
            let moments = self.moments.entry(name.clone()).or_default();
            moments.resize(gradient.len(), (0.0, 0.0));
            let Some((_, weights)) = self.parameters.get_mut(&name) else { continue };
            for ((weight, mut grad), (first, second)) in
                weights.iter_mut().zip(gradient).zip(moments)
            {
                if l2 {
                    grad += decay * *weight;
                } else {
                    *weight -= learning_rate * decay * *weight;
                }
                *first = beta1 * *first + (1.0 - beta1) * grad;
                *second = beta2 * *second + (1.0 - beta2) * grad * grad;
                let root = (*second / second_part).sqrt() + epsilon;
                *weight -= learning_rate * (*first / first_part) / root;
            }
        }
        Ok(())
    }

    fn gradients(&mut self, batch: &Batch) -> Result<(f64, NamedTensors), BackendError> {
        if self.backend.secretive {
            return Err(BackendError::Unsupported { what: "gradients" });
        }
        let mut tensors = NamedTensors::default();
        for (name, gradient) in self.gradient(batch) {
            let shape = self.parameters[&name].0.clone();
            let data = gradient.into_iter().map(|value| value as f32).collect();
            tensors.insert(name, Tensor { shape, data });
        }
        Ok((self.loss(batch, None).value, tensors))
    }

    fn restore(&mut self, tensors: &NamedTensors) -> Result<(), BackendError> {
        let widen = |tensor: &Tensor| {
            (tensor.shape.clone(), tensor.data.iter().map(|value| f64::from(*value)).collect())
        };
        self.parameters =
            tensors.iter().map(|(name, tensor)| (name.to_owned(), widen(tensor))).collect();
        Ok(())
    }
}

/// `weight x` for a weight of (outputs, inputs).
fn linear(weight: &[Dual], x: &[Dual]) -> Vec<Dual> {
    let dot = |row: &[Dual]| row.iter().zip(x).map(|(a, b)| *a * *b).sum();
    weight.chunks(x.len()).map(dot).collect()
}

fn add(a: &[Dual], b: &[Dual]) -> Vec<Dual> {
    a.iter().zip(b).map(|(a, b)| *a + *b).collect()
}

fn rms_norm(x: &[Dual], gain: &[Dual]) -> Vec<Dual> {
    let square = x.iter().map(|x| *x * *x).sum::<Dual>();
    let mean = square * Dual::constant(1.0 / x.len() as f64);
    let factor = (mean + Dual::constant(1e-5)).inverse_root();
    x.iter().zip(gain).map(|(x, gain)| *x * factor * *gain).collect()
}
