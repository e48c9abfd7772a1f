//! What a trained model is worth on the rows it has not seen, beside naive forecasts.

use std::collections::BTreeMap;

use mambafleet_backend::samples::{predict_all, targets_of};
use mambafleet_backend::{
    BackendError, EpochMetrics, Fitted, ModelConfig, Objective, Reported, Samples,
};
use mambafleet_evaluation::shrinkage::median_of;
use mambafleet_evaluation::statistics::mean;
use mambafleet_evaluation::{
    Alarm, Comparison, Limits, PointMetrics, QuantileMetrics, alarms as checks, diebold_mariano,
    point, quantiles,
};
use mambafleet_protocol::{AlarmSpec, Headline, ReturnsSpec};
use serde::{Deserialize, Serialize};

use crate::failure::AttemptError;
use crate::out_of_sample::OutOfSample;
use crate::shrinking::of_horizon;

/// Version of the layout of `metrics.json`.
const METRICS_SCHEMA: u32 = 2;

/// The content of `metrics.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Version of this layout.
    pub schema: u32,
    /// The few numbers that tables show.
    pub headline: Headline,
    /// The epoch whose weights were kept, from 1.
    pub best_epoch: usize,
    /// Every epoch.
    pub epochs: Vec<EpochMetrics>,
    /// The forecasts on the test part.
    pub test: TestMetrics,
    /// The settings that were tried, in their order; empty without a search.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<Trial>,
    /// What an outside program says of itself. The epochs are then its word too; the best
    /// validation loss and the test part are measured here all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
}

/// Settings that were tried, and what came of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What sets them apart, by key.
    pub values: BTreeMap<String, String>,
    /// The lowest validation loss; none if training failed.
    pub validation_loss: Option<f64>,
    /// Epochs that it took.
    pub epochs: usize,
    /// Why training failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Forecasts on the test part: the most recent rows, seen neither in training nor in validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestMetrics {
    /// Samples.
    pub samples: usize,
    /// Mean pinball loss over all horizons and levels, on volatility-scaled returns.
    pub loss: f64,
    /// The same for the baseline: the quantiles of the scaled training returns, for every day
    /// alike. Times the day's volatility, that is an EWMA-volatility forecast.
    pub baseline_loss: f64,
    /// `1 - loss / baseline_loss`: above zero, the model is better than the baseline.
    pub skill: f64,
    /// Each horizon by itself.
    pub horizons: Vec<HorizonMetrics>,
}

/// One horizon on the test part. The plain numbers are those of the final forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HorizonMetrics {
    /// The horizon in bars.
    pub horizon: usize,
    /// Mean pinball loss, on volatility-scaled returns.
    pub pinball: f64,
    /// The baseline's.
    pub baseline_pinball: f64,
    /// Fraction of returns between the lowest and the highest quantile forecast.
    pub coverage: f64,
    /// What that fraction should be.
    pub nominal_coverage: f64,
    /// Root mean squared error of the point forecast, in log return.
    pub rmse: f64,
    /// The same for the forecast "no change".
    pub zero_rmse: f64,
    /// `1 - (rmse / zero_rmse)^2`: above zero, the point forecast is better than "no change".
    pub skill_against_zero: f64,
    /// Everything measured of every forecast, the final one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forecasts: Vec<ForecastMetrics>,
    /// Tests of Diebold and Mariano of the final and of the raw forecast against each baseline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<ComparedMetrics>,
}

/// Whose forecast it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    /// The final forecast: the model, shrunk as far as validation asked for.
    Model,
    /// The model as it was trained; its point forecast is its median.
    Raw,
    /// "No change".
    Zero,
    /// The mean return of the training part.
    TrainMean,
    /// Ridge regression on lagged returns.
    Ridge,
    /// The quantiles of the volatility-scaled training returns; its point forecast is their median.
    EwmaQuantiles,
}

/// What one forecast is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForecastMetrics {
    /// Whose it is.
    pub of: Contender,
    /// Its point forecasts, in log return.
    pub point: PointMetrics,
    /// Its quantiles, in units of volatility; none where it has no quantiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<QuantileMetrics>,
}

/// One forecast compared with another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ComparedMetrics {
    /// The forecast.
    pub of: Contender,
    /// The other one.
    pub against: Contender,
    /// By what they are compared.
    pub loss: LossKind,
    /// The test.
    #[serde(flatten)]
    pub test: Comparison,
}

/// By what forecasts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// The squared error of point forecasts, in log return.
    SquaredError,
    /// The pinball loss of quantiles, in units of volatility, averaged over the levels.
    Pinball,
}

/// What forecasts on test samples are worth, beside naive ones. `fitted` is the last fold's model.
pub(crate) fn metrics(
    fitted: &Fitted,
    task: &ReturnsSpec,
    best_validation_loss: f64,
    test: &OutOfSample,
) -> Result<Metrics, AttemptError> {
    let objective =
        Objective::Pinball { horizons: task.horizons.len(), levels: task.quantiles.clone() };
    finite("test loss", objective.loss(&test.raw, &test.targets)?)?;
    let loss = finite("test loss", objective.loss(&test.outputs, &test.targets)?)?;
    let baseline_loss = objective.loss(&test.baseline, &test.targets)?;
    let horizons = columns(task, test).map(|columns| columns.metrics()).collect();
    let Fitted { epochs, best, .. } = fitted;
    let headline = Headline {
        epochs: epochs.len(),
        first_validation_loss: epochs.first().map_or(best_validation_loss, |e| e.validation_loss),
        best_validation_loss,
        test_loss: loss,
        baseline_loss,
    };
    Ok(Metrics {
        schema: METRICS_SCHEMA,
        headline,
        best_epoch: epochs.get(*best).map_or(0, |e| e.epoch),
        epochs: epochs.clone(),
        test: TestMetrics {
            samples: test.len(),
            loss,
            baseline_loss,
            skill: point::skill(loss, baseline_loss),
            horizons,
        },
        search: Vec::new(),
        reported: fitted.reported.clone(),
    })
}

/// Skill that is too good to be true, of the model as it was trained and of the final forecast.
pub(crate) fn alarms(task: &ReturnsSpec, test: &OutOfSample, limits: &AlarmSpec) -> Vec<Alarm> {
    let limits = Limits {
        point_skill: limits.point_skill,
        directional_accuracy: limits.directional_accuracy,
        information_coefficient: limits.information_coefficient,
        pinball_skill: limits.pinball_skill,
    };
    let mut found: Vec<Alarm> = Vec::new();
    for columns in columns(task, test) {
        let baseline_losses = columns.pinball(&columns.baseline);
        for (points, quantiles) in
            [(&columns.raw_points, &columns.raw), (&columns.points, &columns.quantiles)]
        {
            let evidence = checks::Evidence {
                horizon: columns.horizon,
                points,
                outcomes: &columns.outcomes,
                train_mean: &columns.train_mean,
                losses: &columns.pinball(quantiles),
                baseline_losses: &baseline_losses,
            };
            for alarm in checks::check(&evidence, &limits) {
                let known = |other: &Alarm| {
                    (other.measure, other.horizon) == (alarm.measure, alarm.horizon)
                };
                if !found.iter().any(known) {
                    found.push(alarm);
                }
            }
        }
    }
    found
}

/// The validation loss of the weights that were kept: as training measured it, or measured again
/// where it was an outside program that did.
pub(crate) fn validation_loss(
    trained: &mut Fitted,
    config: &ModelConfig,
    part: &dyn Samples,
) -> Result<f64, AttemptError> {
    let measured = trained.epochs.get(trained.best).map(|epoch| epoch.validation_loss);
    if let (Some(loss), None) = (measured, &trained.reported) {
        return Ok(loss);
    }
    let predictions = predict_all(part, trained.model.as_mut())?;
    finite("validation loss", config.objective.loss(&predictions, &targets_of(part))?)
}

/// `value`, unless it is infinite or not a number.
fn finite(what: &'static str, value: f64) -> Result<f64, AttemptError> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(BackendError::Diverged { what, value, step: 0 }.into())
}

/// One horizon of the test samples. Points and outcomes are log returns, quantiles and targets are in
/// units of volatility.
struct Columns<'a> {
    horizon: usize,
    levels: &'a [f64],
    quantiles: Vec<f64>,
    raw: Vec<f64>,
    baseline: Vec<f64>,
    targets: Vec<f64>,
    points: Vec<f64>,
    raw_points: Vec<f64>,
    baseline_points: Vec<f64>,
    outcomes: Vec<f64>,
    train_mean: Vec<f64>,
    ridge: Vec<f64>,
    /// The mean absolute return of the training parts.
    naive_error: f64,
}

/// Each horizon's columns.
fn columns<'a>(
    task: &'a ReturnsSpec,
    test: &'a OutOfSample,
) -> impl Iterator<Item = Columns<'a>> + 'a {
    let (count, levels) = (task.horizons.len(), task.quantiles.len());
    let median = median_of(&task.quantiles);
    task.horizons.iter().enumerate().map(move |(index, &horizon)| {
        let scaled = |values: &[f32], width: usize| -> Vec<f64> {
            of_horizon(values, count, index, width).map(f64::from).collect()
        };
        let returns = |values: &[f64]| of_horizon(values, count, index, 1).collect::<Vec<f64>>();
        let in_returns = |scaled: &mut dyn Iterator<Item = f64>| -> Vec<f64> {
            let units = test.volatility.iter().map(|sigma| sigma * (horizon as f64).sqrt());
            scaled.zip(units).map(|(value, unit)| value * unit).collect()
        };
        let medians = |quantiles: &[f64]| {
            in_returns(&mut quantiles.iter().skip(median).step_by(levels).copied())
        };
        let (raw, baseline) = (scaled(&test.raw, levels), scaled(&test.baseline, levels));
        Columns {
            horizon,
            levels: &task.quantiles,
            quantiles: scaled(&test.outputs, levels),
            targets: scaled(&test.targets, 1),
            points: in_returns(&mut scaled(&test.points, 1).into_iter()),
            raw_points: medians(&raw),
            baseline_points: medians(&baseline),
            outcomes: returns(&test.outcomes),
            train_mean: returns(&test.train_mean),
            ridge: returns(&test.ridge),
            naive_error: mean(&returns(&test.train_error)),
            raw,
            baseline,
        }
    })
}

/// Who forecasts, the point forecasts, and the quantiles of those who have some.
type Made<'a> = (Contender, &'a [f64], Option<&'a [f64]>);

impl Columns<'_> {
    /// The pinball loss of every sample.
    fn pinball(&self, forecasts: &[f64]) -> Vec<f64> {
        quantiles::losses(forecasts, &self.targets, self.levels)
    }

    fn squared(&self, points: &[f64]) -> Vec<f64> {
        points.iter().zip(&self.outcomes).map(|(f, y)| (y - f) * (y - f)).collect()
    }

    /// Every forecast there is: whose, its points, and its quantiles if it has any.
    fn forecasts<'a>(&'a self, zeros: &'a [f64]) -> [Made<'a>; 6] {
        [
            (Contender::Model, &self.points, Some(&self.quantiles)),
            (Contender::Raw, &self.raw_points, Some(&self.raw)),
            (Contender::Zero, zeros, None),
            (Contender::TrainMean, &self.train_mean, None),
            (Contender::Ridge, &self.ridge, None),
            (Contender::EwmaQuantiles, &self.baseline_points, Some(&self.baseline)),
        ]
    }

    fn metrics(&self) -> HorizonMetrics {
        let zeros = vec![0.0; self.outcomes.len()];
        let all = self.forecasts(&zeros);
        let point =
            |points| PointMetrics::new(points, &self.outcomes, self.horizon, self.naive_error);
        let spread = |forecasts| QuantileMetrics::new(forecasts, &self.targets, self.levels);
        let (own, quantiles) = (point(&self.points), spread(&self.quantiles));
        HorizonMetrics {
            horizon: self.horizon,
            pinball: quantiles.pinball,
            baseline_pinball: spread(&self.baseline).pinball,
            coverage: quantiles.coverage,
            nominal_coverage: quantiles.nominal_coverage,
            rmse: own.rmse,
            zero_rmse: point(&zeros).rmse,
            skill_against_zero: own.skill_against_zero,
            forecasts: all
                .iter()
                .map(|&(of, points, quantiles)| {
                    let (point, quantiles) = (point(points), quantiles.map(spread));
                    ForecastMetrics { of, point, quantiles }
                })
                .collect(),
            comparisons: self.comparisons(&all),
        }
    }

    /// The final and the raw forecast against each baseline: by squared error, and by pinball loss
    /// against the one that has quantiles.
    fn comparisons(&self, all: &[Made<'_>; 6]) -> Vec<ComparedMetrics> {
        let (own, baselines) = all.split_at(2);
        let mut compared = Vec::new();
        for &(of, points, quantiles) in own {
            for &(against, others, other_quantiles) in baselines {
                let squared = (self.squared(points), self.squared(others));
                let pinball = quantiles.zip(other_quantiles).map(|(quantiles, others)| {
                    (LossKind::Pinball, (self.pinball(quantiles), self.pinball(others)))
                });
                let kinds = [Some((LossKind::SquaredError, squared)), pinball];
                for (loss, (losses, others)) in kinds.into_iter().flatten() {
                    let test = diebold_mariano(&losses, &others, self.horizon);
                    compared.extend(test.map(|test| ComparedMetrics { of, against, loss, test }));
                }
            }
        }
        compared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    const LEVELS: [f64; 3] = [0.1, 0.5, 0.9];

    fn task() -> ReturnsSpec {
        ReturnsSpec { horizons: vec![1], quantiles: LEVELS.to_vec(), ..ReturnsSpec::usual() }
    }

    /// Two hundred days; of each outcome, `known` is in the model's median.
    fn out_of_sample(known: f32) -> OutOfSample {
        let targets: Vec<f32> = (0..200).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
        let around = |centre: f32| [centre - 0.8 * (1.0 - known), centre, centre + 0.8];
        let raw: Vec<f32> = targets.iter().flat_map(|target| around(known * target)).collect();
        let volatility = vec![0.02; 200];
        OutOfSample {
            days: vec![date(2024, 1, 1); 200],
            folds: vec![0; 200],
            closes: vec![100.0; 200],
            outputs: raw.clone(),
            points: targets.iter().map(|target| known * target).collect(),
            baseline: [-0.8, 0.0, 0.8].repeat(200),
            outcomes: targets.iter().map(|target| f64::from(*target) * 0.02).collect(),
            ridge: vec![0.001; 200],
            train_mean: vec![0.0; 200],
            train_error: vec![0.01; 200],
            targets,
            volatility,
            raw,
        }
    }

    fn horizon(known: f32) -> HorizonMetrics {
        columns(&task(), &out_of_sample(known)).next().unwrap().metrics()
    }

    #[test]
    fn a_model_that_says_nothing_new_is_as_good_as_the_baseline() {
        let found = horizon(0.0);
        assert_eq!((found.pinball, found.skill_against_zero), (found.baseline_pinball, 0.0));
        assert_eq!(found.rmse, found.zero_rmse);
        let against_quantiles = found.comparisons.iter().find(|one| one.loss == LossKind::Pinball);
        assert_eq!(against_quantiles.unwrap().test.p, 1.0);
        assert_eq!(alarms(&task(), &out_of_sample(0.0), &AlarmSpec::USUAL), []);
    }

    #[test]
    fn metrics_are_of_returns_and_alarms_of_the_model_before_shrinking() {
        let mut test = out_of_sample(0.5);
        // Shrunk to nothing: the final forecast is harmless, but the model knows too much.
        test.outputs = test.baseline.clone();
        test.points = vec![0.0; 200];
        let found = columns(&task(), &test).next().unwrap().metrics();
        assert_eq!((found.pinball, found.skill_against_zero), (found.baseline_pinball, 0.0));
        let raw = &found.forecasts[1];
        assert_eq!(raw.of, Contender::Raw);
        assert!((raw.point.skill_against_zero - 0.75).abs() < 1e-6, "{raw:?}");
        assert!((raw.point.mase.unwrap() - raw.point.mae / 0.01).abs() < 1e-12);
        let measures: Vec<_> = alarms(&task(), &test, &AlarmSpec::USUAL)
            .iter()
            .map(|alarm| alarm.measure.name())
            .collect();
        let all =
            ["point_skill", "directional_accuracy", "information_coefficient", "pinball_skill"];
        assert_eq!(measures, all);
    }

    #[test]
    fn metrics_of_earlier_versions_can_be_read() {
        let old = r#"{"horizon":5,"pinball":0.25,"baseline_pinball":0.26,"coverage":0.9,
            "nominal_coverage":0.9,"rmse":0.04,"zero_rmse":0.04,"skill_against_zero":0.0}"#;
        let found: HorizonMetrics = serde_json::from_str(old).unwrap();
        assert_eq!((found.horizon, found.forecasts.len(), found.comparisons.len()), (5, 0, 0));
        // And what is written now survives.
        let text = serde_json::to_string(&horizon(0.2)).unwrap();
        assert_eq!(serde_json::from_str::<HorizonMetrics>(&text).unwrap(), horizon(0.2));
    }
}
