//! Small models and deterministic data.

use mambafleet_backend::{Backend, Batch, ModelConfig, NamedTensors, Objective};
use mambafleet_backend::{OptimizerConfig, Tensor, Trainer};
use mambafleet_backend_native::NativeBackend;
use mambafleet_protocol::ModelSpec;

pub(crate) const OPTIMIZER: OptimizerConfig = OptimizerConfig::USUAL;

/// A linear congruential generator (Knuth's MMIX constants): enough to fill test arrays.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1))
    }

    /// The next number, even over `low` to `high`.
    pub(crate) fn next(&mut self, low: f32, high: f32) -> f32 {
        let multiplied = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = multiplied.wrapping_add(1_442_695_040_888_963_407);
        low + (high - low) * ((self.0 >> 40) as f32 / (1_u32 << 24) as f32)
    }

    /// `len` numbers, even over `low` to `high`.
    pub(crate) fn fill(&mut self, len: usize, low: f32, high: f32) -> Vec<f32> {
        (0..len).map(|_| self.next(low, high)).collect()
    }
}

/// A model of odd sizes that forecasts quantiles.
pub(crate) fn quantile_config() -> ModelConfig {
    let spec = ModelSpec { d_model: 7, n_layers: 2, d_state: 5, d_conv: 4, expand: 2, dt_rank: 3 };
    let objective = Objective::Pinball { horizons: 2, levels: vec![0.05, 0.25, 0.5, 0.95] };
    ModelConfig { spec, n_features: 3, seq_len: 13, objective }
}

/// The same with plain outputs.
pub(crate) fn plain_config() -> ModelConfig {
    ModelConfig { objective: Objective::Mse { targets: 2 }, ..quantile_config() }
}

/// Samples whose targets are the mean and the last value of the first feature, scaled.
pub(crate) fn batch(config: &ModelConfig, samples: usize, seed: u64) -> Batch {
    let (length, features) = (config.seq_len, config.n_features);
    let inputs = Numbers::new(seed).fill(samples * length * features, -1.5, 1.5);
    let mut targets = Vec::new();
    for window in inputs.chunks(length * features) {
        let first: Vec<f32> = window.iter().copied().step_by(features).collect();
        targets.push(first.iter().sum::<f32>() / length as f32 * 3.0);
        targets.push(first[length - 1]);
    }
    Batch { inputs, targets, samples }
}

/// A fresh trainer, or what refused to make it.
pub(crate) fn trainer(config: &ModelConfig, seed: u64, threads: usize) -> Box<dyn Trainer> {
    match NativeBackend.create(config, &OPTIMIZER, seed, threads) {
        Ok(trainer) => trainer,
        Err(error) => panic!("{error}"),
    }
}

/// Replaces the weights by ones at which every tensor matters to the output: at the usual
/// initialisation a wrong scan passes unnoticed.
pub(crate) fn perturbed(tensors: &NamedTensors, seed: u64) -> NamedTensors {
    let mut numbers = Numbers::new(seed);
    let mut result = NamedTensors::default();
    for (name, tensor) in tensors.iter() {
        let (low, high) = match name.rsplit("mixer.").next().unwrap_or(name) {
            "A_log" => (-1.5, 0.7),
            "dt_proj.bias" => (-1.0, 0.5),
            "in_proj.weight" | "x_proj.weight" | "dt_proj.weight" => (-1.2, 1.2),
            gain if gain.contains("norm") => (0.5, 1.5),
            _ => (-0.7, 0.7),
        };
        let data = numbers.fill(tensor.data.len(), low, high);
        result.insert(name, Tensor { shape: tensor.shape.clone(), data });
    }
    result
}
