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

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> ReturnsSpec {
        let quantiles = vec![0.1, 0.5, 0.9];
        ReturnsSpec { horizons: vec![1, 5], quantiles, ..ReturnsSpec::usual() }
    }

    #[test]
    fn generations_without_shrinkage_forecast_what_their_model_says() {
        let outputs = [-1.0, 0.1, 1.5, -2.0, 0.3, 2.5];
        let found = finish(&task(), &[], &outputs);
        assert_eq!(found[0], Shrunk { point: 0.1, quantiles: vec![-1.0, 0.1, 1.5] });
        assert_eq!(found[1], Shrunk { point: 0.3, quantiles: vec![-2.0, 0.3, 2.5] });
    }

    #[test]
    fn each_horizon_is_shrunk_by_its_own_weights() {
        let shrinkage = |horizon, location, spread| Shrinkage {
            horizon,
            location,
            spread,
            baseline: vec![-1.0, 0.0, 1.0],
        };
        let both = [shrinkage(1, 0.0, 0.0), shrinkage(5, 0.5, 0.5)];
        let found = finish(&task(), &both, &[-9.0, 4.0, 9.0, -2.0, 0.5, 3.0]);
        assert_eq!(found[0], Shrunk { point: 0.0, quantiles: vec![-1.0, 0.0, 1.0] });
        assert_eq!(found[1], Shrunk { point: 0.25, quantiles: vec![-1.5, 0.25, 2.0] });
    }

    #[test]
    fn columns_are_cut_out_of_rows() {
        let values: Vec<usize> = (0..12).collect();
        let of = |index, width| of_horizon(&values, 2, index, width).collect::<Vec<_>>();
        assert_eq!(of(0, 1), [0, 2, 4, 6, 8, 10]);
        assert_eq!(of(1, 3), [3, 4, 5, 9, 10, 11]);
    }
}
