//! Forecasts for samples that a model has not seen, beside what happened.

use jiff::civil::Date;
use mambafleet_backend::{NamedTensors, Tensor};
use mambafleet_dataset::{Dataset, baseline};
use mambafleet_evaluation::Shrinkage;
use mambafleet_protocol::ReturnsSpec;

use crate::baselines::Baselines;
use crate::shrinking;

/// File of a generation that holds its out-of-sample forecasts, of all folds.
///
/// Tensors, with a row per sample, oldest first: `day` of its last bar (days since 1970-01-01), `fold`
/// (from 0), `close` and `volatility` of that bar; `forecasts` (samples, horizons, levels), the final
/// quantiles, `raw` and `baseline` of the same shape, those of the model before it was shrunk and of the
/// baseline; `points`, the final point forecasts, and `outcomes`, both (samples, horizons). All five are
/// in units of the volatility times the root of the horizon.
pub const FORECASTS_FILE: &str = "forecasts.safetensors";

/// Forecasts of consecutive samples; (samples, horizons, levels) or (samples, horizons), row-major. What
/// is `f32` is in units of volatility times the root of the horizon, what is `f64` in log return.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct OutOfSample {
    pub(crate) days: Vec<Date>,
    pub(crate) folds: Vec<usize>,
    pub(crate) closes: Vec<f64>,
    pub(crate) volatility: Vec<f64>,
    /// Final quantiles.
    pub(crate) outputs: Vec<f32>,
    /// Final point forecasts.
    pub(crate) points: Vec<f32>,
    /// The model's quantiles before they were shrunk.
    pub(crate) raw: Vec<f32>,
    /// The baseline's quantiles.
    pub(crate) baseline: Vec<f32>,
    pub(crate) targets: Vec<f32>,
    /// What happened.
    pub(crate) outcomes: Vec<f64>,
    /// The linear model's forecasts.
    pub(crate) ridge: Vec<f64>,
    /// The mean of the training part.
    pub(crate) train_mean: Vec<f64>,
    /// The mean absolute return of the training part.
    pub(crate) train_error: Vec<f64>,
}

impl OutOfSample {
    /// The test samples of one fold, from the model's outputs for them.
    pub(crate) fn of_fold(
        data: &Dataset,
        task: &ReturnsSpec,
        raw: Vec<f32>,
        targets: Vec<f32>,
        baselines: &Baselines,
        shrinkage: &[Shrinkage],
    ) -> Self {
        let anchors = data.test();
        let (mut outputs, mut points) = (Vec::with_capacity(raw.len()), Vec::new());
        let per_sample = task.horizons.len() * task.quantiles.len();
        for outputs_of_sample in raw.chunks_exact(per_sample.max(1)) {
            for shrunk in shrinking::finish(task, shrinkage, outputs_of_sample) {
                outputs.extend(shrunk.quantiles);
                points.push(shrunk.point);
            }
        }
        let ridge = anchors.iter().flat_map(|&row| baselines.ridge(data, row)).collect();
        Self {
            days: anchors.iter().map(|&anchor| data.date(anchor)).collect(),
            folds: vec![0; anchors.len()],
            closes: anchors.iter().map(|&anchor| data.close(anchor)).collect(),
            volatility: anchors.iter().map(|&anchor| data.sigma(anchor)).collect(),
            baseline: baselines.quantiles.repeat(anchors.len()),
            outcomes: anchors.iter().flat_map(|&row| baseline::outcomes(data, row)).collect(),
            train_mean: baselines.train_mean.repeat(anchors.len()),
            train_error: baselines.train_error.repeat(anchors.len()),
            outputs,
            points,
            raw,
            targets,
            ridge,
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
            all.points.extend(part.points);
            all.raw.extend(part.raw);
            all.targets.extend(part.targets);
            all.outcomes.extend(part.outcomes);
            all.ridge.extend(part.ridge);
            all.train_mean.extend(part.train_mean);
            all.train_error.extend(part.train_error);
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
        let of_levels =
            [("forecasts", &self.outputs), ("raw", &self.raw), ("baseline", &self.baseline)];
        for (name, data) in of_levels {
            tensors.insert(name, Tensor { shape: quantiles.clone(), data: data.clone() });
        }
        for (name, data) in [("points", &self.points), ("outcomes", &self.targets)] {
            let shape = vec![samples, horizons];
            tensors.insert(name, Tensor { shape, data: data.clone() });
        }
        tensors
    }
}
