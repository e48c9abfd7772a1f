//! Forecasts for samples that a model has not seen, beside what happened.

use jiff::civil::Date;
use mambafleet_backend::{NamedTensors, Tensor};
use mambafleet_dataset::Dataset;
use mambafleet_protocol::ReturnsSpec;

/// File of a generation that holds its out-of-sample forecasts, of all folds.
///
/// Tensors, with a row per sample, oldest first: `day` of its last bar (days since 1970-01-01), `fold`
/// (from 0), `close` and `volatility` of that bar; `forecasts` (samples, horizons, levels), `baseline`
/// of the same shape and `outcomes` (samples, horizons), all three in units of the volatility times
/// the root of the horizon.
pub const FORECASTS_FILE: &str = "forecasts.safetensors";

/// Forecasts of consecutive samples; (samples, horizons, levels) and (samples, horizons), row-major, in
/// units of volatility times the root of the horizon.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct OutOfSample {
    pub(crate) days: Vec<Date>,
    pub(crate) folds: Vec<usize>,
    pub(crate) closes: Vec<f64>,
    pub(crate) volatility: Vec<f64>,
    pub(crate) outputs: Vec<f32>,
    pub(crate) baseline: Vec<f32>,
    pub(crate) targets: Vec<f32>,
}

impl OutOfSample {
    /// The test samples of one fold; `naive` is the baseline's forecast for each of them.
    pub(crate) fn of_fold(
        data: &Dataset,
        outputs: Vec<f32>,
        targets: Vec<f32>,
        naive: &[f32],
    ) -> Self {
        let anchors = data.test();
        Self {
            days: anchors.iter().map(|&anchor| data.date(anchor)).collect(),
            folds: vec![0; anchors.len()],
            closes: anchors.iter().map(|&anchor| data.close(anchor)).collect(),
            volatility: anchors.iter().map(|&anchor| data.sigma(anchor)).collect(),
            baseline: naive.repeat(anchors.len()),
            outputs,
            targets,
        }
    }

    /// One fold after another.
    pub(crate) fn of_folds(folds: impl Iterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for (fold, part) in folds.enumerate() {
            all.folds.extend(part.folds.iter().map(|_| fold));
            all.days.extend(part.days);
            all.closes.extend(part.closes);
            all.volatility.extend(part.volatility);
            all.outputs.extend(part.outputs);
            all.baseline.extend(part.baseline);
            all.targets.extend(part.targets);
        }
        all
    }

    /// Samples.
    pub(crate) fn len(&self) -> usize {
        self.days.len()
    }

    /// The content of [`FORECASTS_FILE`].
    pub(crate) fn tensors(&self, task: &ReturnsSpec) -> NamedTensors {
        let samples = self.len();
        let (horizons, levels) = (task.horizons.len(), task.quantiles.len());
        let mut tensors = NamedTensors::default();
        let mut column = |name: &str, values: Vec<f32>| {
            tensors.insert(name, Tensor { shape: vec![samples], data: values });
        };
        let epoch = Date::constant(1970, 1, 1);
        let day = |date: &Date| (*date - epoch).get_days() as f32;
        column("day", self.days.iter().map(day).collect());
        column("fold", self.folds.iter().map(|fold| *fold as f32).collect());
        column("close", self.closes.iter().map(|close| *close as f32).collect());
        column("volatility", self.volatility.iter().map(|sigma| *sigma as f32).collect());
        let quantiles = vec![samples, horizons, levels];
        for (name, data) in [("forecasts", &self.outputs), ("baseline", &self.baseline)] {
            tensors.insert(name, Tensor { shape: quantiles.clone(), data: data.clone() });
        }
        let outcomes = Tensor { shape: vec![samples, horizons], data: self.targets.clone() };
        tensors.insert("outcomes", outcomes);
        tensors
    }
}
