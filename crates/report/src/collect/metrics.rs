//! What forecasts are worth, as rows.

use mambafleet_worker::{
    Contender, ForecastMetrics, HorizonMetrics, Score, SeriesMetrics, SeriesScores,
};

use crate::Num;
use crate::model::MetricsRow;

/// The forecasts at a horizon, the final one first.
pub(super) fn of_horizon(metrics: &HorizonMetrics) -> Vec<MetricsRow> {
    if metrics.forecasts.is_empty() {
        return plain(metrics);
    }
    metrics.forecasts.iter().map(|of| row(metrics.horizon, of)).collect()
}

fn row(h: usize, ForecastMetrics { of, point, quantiles }: &ForecastMetrics) -> MetricsRow {
    let quantiles = quantiles.as_ref();
    MetricsRow {
        h,
        of: name(*of),
        pinball: quantiles.map(|of| Num(of.pinball)),
        coverage: quantiles.map(|of| Num(of.coverage)),
        nominal: quantiles.map(|of| Num(of.nominal_coverage)),
        rmse: Some(Num(point.rmse)),
        mae: Some(Num(point.mae)),
        mase: point.mase.map(Num),
        skill: Some(Num(point.skill_against_zero)),
        direction: point.direction.map(|of| Num(of.accuracy)),
        up: point.direction.map(|of| Num(of.always_up)),
        ic: point.ic.map(Num),
    }
}

/// What generations of the first version measured.
fn plain(metrics: &HorizonMetrics) -> Vec<MetricsRow> {
    let row = |of, pinball, rmse: Option<f64>| MetricsRow {
        h: metrics.horizon,
        of: name(of),
        pinball,
        rmse: rmse.map(Num),
        ..MetricsRow::default()
    };
    let model = MetricsRow {
        coverage: Some(Num(metrics.coverage)),
        nominal: Some(Num(metrics.nominal_coverage)),
        skill: Some(Num(metrics.skill_against_zero)),
        ..row(Contender::Model, Some(Num(metrics.pinball)), Some(metrics.rmse))
    };
    let zero = row(Contender::Zero, None, Some(metrics.zero_rmse));
    vec![model, zero, row(Contender::EwmaQuantiles, Some(Num(metrics.baseline_pinball)), None)]
}

/// What JSON calls a forecast.
fn name(of: Contender) -> &'static str {
    match of {
        Contender::Model => "model",
        Contender::Raw => "raw",
        Contender::Zero => "zero",
        Contender::TrainMean => "train_mean",
        Contender::Ridge => "ridge",
        Contender::EwmaQuantiles => "ewma_quantiles",
    }
}

/// The errors on the test windows of a series, on standardised columns.
pub(super) fn of_series(metrics: &SeriesMetrics) -> Vec<(String, Num)> {
    let SeriesScores { windows, forecast, model, linear, repeat_last, repeat_season } =
        metrics.test;
    let mut values = vec![("test windows".to_owned(), Num(windows as f64))];
    let mut add = |name: &str, Score { mse, mae }: Score| {
        values.push((format!("{name}: MSE"), Num(mse)));
        values.push((format!("{name}: MAE"), Num(mae)));
    };
    add("forecast", forecast);
    add("model alone", model);
    add("linear map", linear);
    add("last value repeated", repeat_last);
    if let Some(season) = repeat_season {
        add("last season repeated", season);
    }
    for column in &metrics.columns {
        add(&format!("column {}", column.column), column.forecast);
    }
    values.push(("weight of the model".to_owned(), Num(metrics.weight)));
    values
}
