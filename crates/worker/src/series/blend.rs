//! What two forecasts come to together.

use mambafleet_backend::{NamedTensors, Tensor};
use mambafleet_dataset::series::{LinearMap, SeriesData};
use mambafleet_protocol::LossSpec;

/// Weights that are tried: 0, 1 / `STEPS`, ..., 1.
const STEPS: u32 = 20;

/// Blocks of validation windows.
const BLOCKS: usize = 4;

/// Forecasts on the standardised scale, (anchors, targets, horizon) row-major.
pub(crate) struct Forecasts {
    pub(crate) anchors: Vec<usize>,
    pub(crate) model: Vec<f32>,
    pub(crate) linear: Vec<f32>,
}

impl Forecasts {
    /// Puts back into a model's outputs what was taken out of their windows, and sets the linear map's
    /// forecasts beside them.
    pub(crate) fn new(
        data: &SeriesData,
        anchors: Vec<usize>,
        mut outputs: Vec<f32>,
        linear: &LinearMap,
    ) -> Self {
        let mut by_map = Vec::with_capacity(outputs.len());
        let rows = anchors.iter().flat_map(|anchor| (0..data.targets()).map(|c| (*anchor, c)));
        for ((anchor, column), row) in rows.zip(outputs.chunks_exact_mut(data.horizon())) {
            let (level, scale) = data.moments(anchor, column);
            row.iter_mut().for_each(|value| *value = *value * scale + level);
            linear.forecast(data, anchor, column, &mut by_map);
        }
        Self { anchors, model: outputs, linear: by_map }
    }

    /// The forecast with the model at this weight.
    pub(crate) fn blended(&self, weight: f64) -> Vec<f32> {
        let values = self.linear.iter().zip(&self.model);
        values.map(|(linear, model)| linear + weight as f32 * (model - linear)).collect()
    }

    /// What happened.
    pub(crate) fn outcomes(&self, data: &SeriesData) -> Vec<f32> {
        outcomes(data, &self.anchors)
    }

    /// Forecasts and outcomes in the columns' own units, of windows whose targets do not overlap, the
    /// newest among them: `row` (windows), the number of the first row that is forecast, from 0;
    /// `forecasts` and `outcomes` (windows, targets, horizon).
    pub(crate) fn sparse(&self, data: &SeriesData, weight: f64) -> NamedTensors {
        let mut kept: Vec<usize> =
            (0..self.anchors.len()).rev().step_by(data.horizon().max(1)).collect();
        kept.reverse();
        let row = data.targets() * data.horizon();
        let own_units = |values: &[f32]| -> Vec<f32> {
            let mut out = Vec::with_capacity(kept.len() * row);
            for index in &kept {
                let values = values[index * row..][..row].chunks_exact(data.horizon());
                for (column, values) in values.enumerate() {
                    out.extend(values.iter().map(|value| data.unscaled(column, *value) as f32));
                }
            }
            out
        };
        let shape = vec![kept.len(), data.targets(), data.horizon()];
        let mut tensors = NamedTensors::default();
        let mut add = |name: &str, shape: Vec<usize>, values: Vec<f32>| {
            tensors.insert(name, Tensor { shape, data: values });
        };
        add("row", vec![kept.len()], kept.iter().map(|i| self.anchors[*i] as f32).collect());
        add("forecasts", shape.clone(), own_units(&self.blended(weight)));
        add("outcomes", shape, own_units(&self.outcomes(data)));
        tensors
    }
}

/// What follows on these anchors: (anchors, targets, horizon).
pub(crate) fn outcomes(data: &SeriesData, anchors: &[usize]) -> Vec<f32> {
    let rows = anchors.iter().flat_map(|anchor| (0..data.targets()).map(|c| (*anchor, c)));
    rows.flat_map(|(anchor, column)| data.future(anchor, column)).collect()
}

/// The weight of the model in the forecast. Validation windows are cut into blocks in time order, and
/// each has a weight that serves it best; taken is their mean less its standard error, and 0 where that
/// is below (the one-standard-error rule, Breiman et al. 1984). The model's epoch was chosen on the same
/// windows, and neighbours share nearly all their rows: the weight that is best for all of them
/// together would be too bold.
pub(crate) fn weight(data: &SeriesData, validated: &Forecasts, loss: LossSpec) -> f64 {
    let outcomes = validated.outcomes(data);
    let row = data.targets() * data.horizon();
    let windows = validated.anchors.len();
    let blocks = BLOCKS.min(windows);
    let best = |block: usize| {
        let range = windows * block / blocks * row..windows * (block + 1) / blocks * row;
        let (linear, model) = (&validated.linear[range.clone()], &validated.model[range.clone()]);
        let outcomes = &outcomes[range];
        let loss_at = |step: u32| {
            let weight = f64::from(step) / f64::from(STEPS);
            let both = linear.iter().zip(model).zip(outcomes);
            both.map(|((linear, model), outcome)| {
                let (linear, model) = (f64::from(*linear), f64::from(*model));
                let error = linear + weight * (model - linear) - f64::from(*outcome);
                match loss {
                    LossSpec::Mse => error * error,
                    LossSpec::Mae => error.abs(),
                }
            })
            .sum::<f64>()
        };
        let losses = (0..=STEPS).map(|step| (step, loss_at(step)));
        losses.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(step, _)| step)
    };
    cautious(&(0..blocks).map(best).map(f64::from).collect::<Vec<_>>()) / f64::from(STEPS)
}

/// The mean less its standard error, or 0 if that is negative.
fn cautious(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    if values.len() < 2 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean - (squares / (count - 1.0) / count).sqrt()).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::cautious;

    #[test]
    fn a_weight_that_blocks_disagree_about_is_small() {
        assert_eq!(cautious(&[4.0, 4.0, 4.0, 4.0]), 4.0);
        // Mean 5, sample deviation sqrt(20 / 3), standard error half of it.
        assert!(
            (cautious(&[2.0, 4.0, 6.0, 8.0]) - (5.0 - (20.0_f64 / 3.0).sqrt() / 2.0)).abs() < 1e-12
        );
        assert_eq!(cautious(&[0.0, 0.0, 0.0, 9.0]), 0.0);
        assert_eq!(cautious(&[9.0]), 0.0);
    }
}
