//! From a model's outputs to the final forecast: the one way that evaluation and forecasts go.

use mambafleet_backend::samples::{predict_all, targets_of};
use mambafleet_backend::{BackendError, Model, Samples};
use mambafleet_evaluation::{Shrinkage, Shrunk};
use mambafleet_protocol::ReturnsSpec;

/// Chooses how much of a model is believed at each horizon, on all validation samples; `baseline` is
/// (horizons, levels).
pub(crate) fn choose(
    task: &ReturnsSpec,
    model: &mut dyn Model,
    validation: &dyn Samples,
    baseline: &[f32],
) -> Result<Vec<Shrinkage>, BackendError> {
    let outputs = predict_all(validation, model)?;
    let targets = targets_of(validation);
    let levels = task.quantiles.len();
    let shrinkage = task.horizons.iter().zip(baseline.chunks_exact(levels)).enumerate();
    let shrinkage = shrinkage.map(|(index, (&horizon, baseline))| {
        let column = |values: &[f32], width: usize| -> Vec<f64> {
            of_horizon(values, task.horizons.len(), index, width).map(f64::from).collect()
        };
        let (model, outcomes) = (column(&outputs, levels), column(&targets, 1));
        let baseline = baseline.iter().copied().map(f64::from).collect();
        Shrinkage::choose(horizon, &task.quantiles, baseline, &model, &outcomes)
    });
    Ok(shrinkage.collect())
}

/// The final forecasts of one sample, one per horizon, from the model's outputs for it. Without any
/// `shrinkage`, as in generations of earlier versions, they are the model's own.
pub(crate) fn finish(task: &ReturnsSpec, shrinkage: &[Shrinkage], outputs: &[f32]) -> Vec<Shrunk> {
    let horizons = task.horizons.iter().zip(outputs.chunks_exact(task.quantiles.len()));
    let finish = |(index, (&horizon, outputs)): (usize, (&usize, &[f32]))| {
        let shrinkage = shrinkage.get(index).filter(|shrinkage| {
            shrinkage.horizon == horizon && shrinkage.baseline.len() == outputs.len()
        });
        match shrinkage {
            Some(shrinkage) => shrinkage.apply(&task.quantiles, outputs),
            None => {
                Shrinkage::none(horizon, vec![0.0; outputs.len()]).apply(&task.quantiles, outputs)
            }
        }
    };
    horizons.enumerate().map(finish).collect()
}

/// One horizon's values out of (samples, horizons, `width`).
pub(crate) fn of_horizon<T: Copy>(
    values: &[T],
    horizons: usize,
    index: usize,
    width: usize,
) -> impl Iterator<Item = T> + '_ {
    let rows = values.chunks_exact((horizons * width).max(1));
    rows.flat_map(move |row| &row[index * width..(index + 1) * width]).copied()
}
