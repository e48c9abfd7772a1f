//! Samples that can be learned, and somebody who watches a backend learn them.

use std::cell::Cell;

use mambafleet_protocol::{ModelSpec, ReturnsSpec, TrainSpec, mix64};

use crate::samples::InMemory;
use crate::{Batch, EpochMetrics, ModelConfig, Objective, Observer, Samples};

/// Features per time step.
const FEATURES: usize = 2;

/// Time steps per window.
const LENGTH: usize = 6;

/// Quantile levels.
const LEVELS: [f64; 3] = [0.1, 0.5, 0.9];

pub(super) fn task() -> ReturnsSpec {
    ReturnsSpec {
        features: (1..=FEATURES).map(|number| format!("feature_{number}")).collect(),
        lookback: LENGTH,
        horizons: vec![1, 5],
        quantiles: LEVELS.to_vec(),
        ..ReturnsSpec::usual()
    }
}

pub(super) fn config() -> ModelConfig {
    let spec = ModelSpec { d_model: 6, n_layers: 2, d_state: 3, d_conv: 3, expand: 2, dt_rank: 2 };
    ModelConfig::for_returns(&task(), spec)
}

/// The same with plain outputs.
pub(super) fn plain() -> ModelConfig {
    ModelConfig { objective: Objective::Mse { targets: 2 }, ..config() }
}

pub(super) fn settings() -> TrainSpec {
    TrainSpec {
        epochs: 12,
        batch_size: 16,
        learning_rate: 1e-2,
        patience: 12,
        seed: 5,
        ..TrainSpec::usual("conformance")
    }
}

/// Windows of noise. The first target is a sum of the last row's values, the second one the mean
/// of the first feature over the window.
pub(super) fn samples(count: usize, seed: u64) -> Batch {
    let mut state = mix64(seed);
    let mut noise = || {
        state = mix64(state.wrapping_add(0x9e37_79b9_7f4a_7c15));
        (state >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    let mut batch = Batch { samples: count, ..Batch::default() };
    for _ in 0..count {
        let window: [f32; LENGTH * FEATURES] = std::array::from_fn(|_| noise());
        let last = &window[(LENGTH - 1) * FEATURES..];
        let mean = window.iter().step_by(FEATURES).sum::<f32>() / LENGTH as f32;
        batch.inputs.extend(window);
        batch.targets.extend([0.7 * last[0] - 0.4 * last[1], 1.5 * mean]);
    }
    batch
}

/// The first `count` samples of a batch, and the others.
pub(super) fn cut(batch: &Batch, count: usize) -> (Batch, Batch) {
    let row = |values: &[f32]| values.len() / batch.samples.max(1);
    let inputs = batch.inputs.split_at(row(&batch.inputs) * count);
    let targets = batch.targets.split_at(row(&batch.targets) * count);
    let part = |inputs: &[f32], targets: &[f32], samples| Batch {
        inputs: inputs.to_vec(),
        targets: targets.to_vec(),
        samples,
    };
    (part(inputs.0, targets.0, count), part(inputs.1, targets.1, batch.samples - count))
}

/// Counts how often samples are gathered.
pub(super) struct Counted<'a> {
    pub(super) samples: InMemory,
    pub(super) gathered: &'a Cell<usize>,
}

impl Samples for Counted<'_> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn gather(&self, indices: &[usize], batch: &mut Batch) {
        self.gathered.set(self.gathered.get() + 1);
        self.samples.gather(indices, batch);
    }
}

/// Somebody who goes away when asked for the `patience`-th time whether they are still there.
pub(super) struct Watcher<'a> {
    pub(super) patience: usize,
    pub(super) asked: Cell<usize>,
    pub(super) gathered: &'a Cell<usize>,
    /// What had been gathered when they went away.
    pub(super) at_leaving: Cell<usize>,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(patience: usize, gathered: &'a Cell<usize>) -> Self {
        Self { patience, asked: Cell::new(0), gathered, at_leaving: Cell::new(0) }
    }
}

impl Observer for Watcher<'_> {
    fn epoch(&mut self, _metrics: &EpochMetrics) {}

    fn is_cancelled(&self) -> bool {
        let asked = self.asked.get() + 1;
        self.asked.set(asked);
        if asked == self.patience {
            self.at_leaving.set(self.gathered.get());
        }
        asked >= self.patience
    }
}
