//! What a trained model is worth on the rows it has not seen, beside naive forecasts.

use mambafleet_backend::samples::{predict_all, targets_of};
use mambafleet_backend::{
    BackendError, EpochMetrics, Fitted, ModelConfig, Objective, Reported, Samples,
};
use mambafleet_protocol::{Headline, ReturnsSpec};
use serde::{Deserialize, Serialize};

use crate::out_of_sample::OutOfSample;
use crate::{AttemptError, Trial};

/// Version of the layout of `metrics.json`.
const METRICS_SCHEMA: u32 = 1;

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
    /// The kept weights on the test part.
    pub test: TestMetrics,
    /// The settings that were tried, in their order; empty without a search.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<Trial>,
    /// What an outside program says of itself. The epochs are then its word too; the best
    /// validation loss and the test part are measured here all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
}

/// A model on the test part: the most recent rows, seen neither in training nor in validation.
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

/// One horizon on the test part.
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
    /// Root mean squared error of the median, in log return.
    pub rmse: f64,
    /// The same for the forecast "no change".
    pub zero_rmse: f64,
    /// `1 - (rmse / zero_rmse)^2`: above zero, the median is better than "no change".
    pub skill_against_zero: f64,
}

/// What is kept of a fold's model.
pub(crate) struct Judged {
    /// Its validation loss.
    pub(crate) validation_loss: f64,
    /// Its forecasts for the fold's test part.
    pub(crate) test: OutOfSample,
}

/// What forecasts on test samples are worth, beside naive ones. `fitted` is the last fold's model.
pub(crate) fn metrics(
    fitted: &Fitted,
    task: &ReturnsSpec,
    best_validation_loss: f64,
    test: &OutOfSample,
) -> Result<Metrics, AttemptError> {
    let (horizons, levels) = (task.horizons.len(), task.quantiles.clone());
    let objective = Objective::Pinball { horizons, levels };
    let loss = finite("test loss", objective.loss(&test.outputs, &test.targets)?)?;
    let baseline_loss = objective.loss(&test.baseline, &test.targets)?;
    let horizons = (0..horizons)
        .map(|index| Scored { task, test, index }.metrics())
        .collect::<Result<_, _>>()?;
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
            skill: skill(loss, baseline_loss),
            horizons,
        },
        search: Vec::new(),
        reported: fitted.reported.clone(),
    })
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

/// `1 - loss / reference`, and zero where there is nothing to compare with.
fn skill(loss: f64, reference: f64) -> f64 {
    if reference > 0.0 { 1.0 - loss / reference } else { 0.0 }
}

/// One horizon of the task on test samples.
struct Scored<'a> {
    task: &'a ReturnsSpec,
    test: &'a OutOfSample,
    /// Index of the horizon.
    index: usize,
}

impl Scored<'_> {
    fn metrics(&self) -> Result<HorizonMetrics, AttemptError> {
        let levels = &self.task.quantiles;
        let horizon = self.task.horizons[self.index];
        let objective = Objective::Pinball { horizons: 1, levels: levels.clone() };
        let outputs = self.column(&self.test.outputs, levels.len());
        let targets = self.column(&self.test.targets, 1);
        let pinball = objective.loss(&outputs, &targets)?;
        let baseline_pinball =
            objective.loss(&self.column(&self.test.baseline, levels.len()), &targets)?;
        let median = levels.iter().position(|level| *level == 0.5).unwrap_or(levels.len() / 2);
        let (mut inside, mut squared, mut squared_zero) = (0_usize, 0.0, 0.0);
        let forecasts = outputs.chunks_exact(levels.len()).zip(&targets);
        for (sigma, (outputs, target)) in self.test.volatility.iter().zip(forecasts) {
            inside += usize::from(outputs[0] <= *target && *target <= outputs[levels.len() - 1]);
            let unit = sigma * (horizon as f64).sqrt();
            squared += (f64::from(outputs[median] - target) * unit).powi(2);
            squared_zero += (f64::from(*target) * unit).powi(2);
        }
        let count = targets.len().max(1) as f64;
        Ok(HorizonMetrics {
            horizon,
            pinball,
            baseline_pinball,
            coverage: inside as f64 / count,
            nominal_coverage: levels[levels.len() - 1] - levels[0],
            rmse: (squared / count).sqrt(),
            zero_rmse: (squared_zero / count).sqrt(),
            skill_against_zero: skill(squared, squared_zero),
        })
    }

    /// This horizon's values out of (samples, horizons, `width`).
    fn column(&self, values: &[f32], width: usize) -> Vec<f32> {
        let row = self.task.horizons.len() * width;
        let start = self.index * width;
        values.chunks_exact(row).flat_map(|row| &row[start..start + width]).copied().collect()
    }
}
