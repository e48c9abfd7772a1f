//! What a model's forecasts are measured against, made of a fold's training and validation parts.

use mambafleet_dataset::{Dataset, baseline};
use mambafleet_evaluation::ridge::{Ridge, Rows, choose};
use mambafleet_evaluation::statistics::mean;

/// The baselines of one fold, one value per horizon.
pub(crate) struct Baselines {
    /// Quantiles of the volatility-scaled training returns: (horizons, levels).
    pub(crate) quantiles: Vec<f32>,
    /// The mean log return of the training part.
    pub(crate) train_mean: Vec<f64>,
    /// The mean absolute log return of the training part: the error that "no change" has there.
    pub(crate) train_error: Vec<f64>,
    /// The linear model on lagged returns; none where it cannot be fitted.
    ridge: Vec<Option<Ridge>>,
}

impl Baselines {
    /// Fits all of them.
    pub(crate) fn fit(data: &Dataset, levels: &[f64]) -> Self {
        let (train, validation) =
            (Lagged::new(data, data.train()), Lagged::new(data, data.validation()));
        let horizons = 0..data.horizons().len();
        let outcomes: Vec<Vec<f64>> =
            horizons.clone().map(|index| column(data, data.train(), index)).collect();
        let absolute = |values: &Vec<f64>| values.iter().map(|value| value.abs()).sum::<f64>();
        let train_error =
            outcomes.iter().map(|values| absolute(values) / values.len().max(1) as f64);
        Self {
            quantiles: baseline::volatility_quantiles(data, levels),
            train_mean: outcomes.iter().map(|values| mean(values)).collect(),
            train_error: train_error.collect(),
            ridge: horizons
                .map(|index| {
                    let best = choose(&train.rows(index), &validation.rows(index));
                    best.map(|(model, _)| model)
                })
                .collect(),
        }
    }

    /// The linear model's log returns from the anchor `row`; the training mean where there is no model.
    pub(crate) fn ridge(&self, data: &Dataset, row: usize) -> Vec<f64> {
        let inputs: Vec<f64> = baseline::lagged_returns(data, row).collect();
        let forecast = |index: usize| match &self.ridge[index] {
            Some(model) => model.predict(&inputs) * unit(data, row, index),
            None => self.train_mean[index],
        };
        (0..self.ridge.len()).map(forecast).collect()
    }
}

/// What one unit of a scaled return is in log return.
pub(crate) fn unit(data: &Dataset, row: usize, index: usize) -> f64 {
    data.sigma(row) * (data.horizons()[index] as f64).sqrt()
}

/// The log returns over one horizon.
fn column(data: &Dataset, anchors: &[usize], index: usize) -> Vec<f64> {
    anchors.iter().filter_map(|&row| baseline::outcomes(data, row).nth(index)).collect()
}

/// Inputs and targets of the linear model on one part of the data.
struct Lagged {
    inputs: Vec<f64>,
    /// One vector per horizon, in units of volatility.
    targets: Vec<Vec<f64>>,
}

impl Lagged {
    fn new(data: &Dataset, anchors: &[usize]) -> Self {
        let inputs = anchors.iter().flat_map(|&row| baseline::lagged_returns(data, row)).collect();
        let targets = |index| anchors.iter().filter_map(move |&row| data.targets(row).nth(index));
        let targets = (0..data.horizons().len()).map(|index| targets(index).collect());
        Self { inputs, targets: targets.collect() }
    }

    fn rows(&self, index: usize) -> Rows<'_> {
        Rows { inputs: &self.inputs, columns: baseline::LAGS, targets: &self.targets[index] }
    }
}
