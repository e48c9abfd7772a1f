//! What forecasts of a series are worth, beside naive ones.

use mambafleet_backend::{BackendError, EpochMetrics, Fitted, Reported};
use mambafleet_dataset::series::{LinearChoice, SeriesData, SeriesFile};
use mambafleet_protocol::{Headline, LossSpec, SeriesSpec};
use serde::{Deserialize, Serialize};

use super::blend::Forecasts;
use crate::{AttemptError, Trial};

/// Version of the layout of `metrics.json`.
const METRICS_SCHEMA: u32 = 1;

/// The content of `metrics.json` for a series. All errors are on standardised columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesMetrics {
    /// Version of this layout.
    pub schema: u32,
    /// The few numbers that tables show; the loss is the task's, the baseline the linear map.
    pub headline: Headline,
    /// The epoch whose weights were kept, from 1.
    pub best_epoch: usize,
    /// Every epoch, of the model alone. For the absolute error, losses are half of it: the pinball loss
    /// of the median.
    pub epochs: Vec<EpochMetrics>,
    /// Weight of the model in the forecast: 0 for the linear map alone.
    pub weight: f64,
    /// The linear map.
    pub linear: LinearBaseline,
    /// Every forecast on all validation windows.
    pub validation: SeriesScores,
    /// Every forecast on all test windows.
    pub test: SeriesScores,
    /// Each target by itself, on the test windows.
    pub columns: Vec<ColumnScores>,
    /// What a search has tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<Trial>,
    /// What an outside program says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
}

/// How the linear map was chosen, on validation windows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LinearBaseline {
    /// Strength of the penalty.
    pub ridge: f64,
    /// Whether each column has a map of its own.
    pub per_column: bool,
}

/// Mean errors over windows, steps and columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean squared error.
    pub mse: f64,
    /// Mean absolute error.
    pub mae: f64,
}

/// Every forecast on the windows of a part.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeriesScores {
    /// Windows.
    pub windows: usize,
    /// The forecast: linear map and model together.
    pub forecast: Score,
    /// The model alone.
    pub model: Score,
    /// The linear map alone.
    pub linear: Score,
    /// The last value, for every step.
    pub repeat_last: Score,
    /// The last season, over and over, where a season is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_season: Option<Score>,
}

/// One target on the test windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnScores {
    /// Its name.
    pub column: String,
    /// The forecast.
    pub forecast: Score,
    /// The model alone.
    pub model: Score,
    /// The linear map alone.
    pub linear: Score,
}

/// What was trained, and how its forecast is put together.
pub(crate) struct Parts<'a> {
    pub(crate) data: &'a SeriesData,
    pub(crate) task: &'a SeriesSpec,
    pub(crate) weight: f64,
    pub(crate) choice: LinearChoice,
    /// The model's own validation loss.
    pub(crate) model_loss: f64,
}

/// Judges forecasts for the windows of the validation and the test part.
pub(crate) fn metrics(
    fitted: &Fitted,
    file: &SeriesFile,
    parts: &Parts<'_>,
    validated: &Forecasts,
    tested: &Forecasts,
) -> Result<SeriesMetrics, AttemptError> {
    let test = parts.scores(tested);
    let loss = |score: Score| match parts.task.loss {
        LossSpec::Mse => score.mse,
        LossSpec::Mae => score.mae,
    };
    for (what, value) in [("test loss", loss(test.forecast)), ("model's loss", loss(test.model))] {
        if !value.is_finite() {
            return Err(BackendError::Diverged { what, value, step: 0 }.into());
        }
    }
    let Fitted { epochs, best, .. } = fitted;
    // A model of the median is trained on half the absolute error.
    let whole = if parts.task.loss == LossSpec::Mae { 2.0 } else { 1.0 };
    let first = epochs.first().map_or(parts.model_loss, |epoch| epoch.validation_loss);
    let headline = Headline {
        epochs: epochs.len(),
        first_validation_loss: whole * first,
        best_validation_loss: whole * parts.model_loss,
        test_loss: loss(test.forecast),
        baseline_loss: loss(test.linear),
    };
    let LinearChoice { ridge, per_column, .. } = parts.choice;
    Ok(SeriesMetrics {
        schema: METRICS_SCHEMA,
        headline,
        best_epoch: epochs.get(*best).map_or(0, |epoch| epoch.epoch),
        epochs: epochs.clone(),
        weight: parts.weight,
        linear: LinearBaseline { ridge, per_column },
        validation: parts.scores(validated),
        test,
        columns: parts.columns(file, tested),
        search: Vec::new(),
        reported: fitted.reported.clone(),
    })
}

impl Parts<'_> {
    fn scores(&self, forecasts: &Forecasts) -> SeriesScores {
        let outcomes = forecasts.outcomes(self.data);
        let naive = |season: usize| score(&self.repeated(&forecasts.anchors, season), &outcomes);
        SeriesScores {
            windows: forecasts.anchors.len(),
            forecast: score(&forecasts.blended(self.weight), &outcomes),
            model: score(&forecasts.model, &outcomes),
            linear: score(&forecasts.linear, &outcomes),
            repeat_last: naive(1),
            repeat_season: (self.task.season > 0).then(|| naive(self.task.season)),
        }
    }

    /// The last `season` steps of each window, over and over.
    fn repeated(&self, anchors: &[usize], season: usize) -> Vec<f32> {
        let (targets, horizon) = (self.data.targets(), self.data.horizon());
        let mut out = Vec::with_capacity(anchors.len() * targets * horizon);
        for anchor in anchors {
            for column in 0..targets {
                let window = self.data.window(*anchor, column);
                let last: Vec<f32> = window.skip(self.data.lookback() - season).collect();
                out.extend(last.iter().cycle().take(horizon));
            }
        }
        out
    }

    fn columns(&self, file: &SeriesFile, tested: &Forecasts) -> Vec<ColumnScores> {
        let (targets, horizon) = (self.data.targets(), self.data.horizon());
        let of = |values: &[f32], column: usize| -> Vec<f32> {
            let rows = values.chunks_exact(targets * horizon);
            rows.flat_map(|row| &row[column * horizon..][..horizon]).copied().collect()
        };
        let (outcomes, blended) = (tested.outcomes(self.data), tested.blended(self.weight));
        let scores = |(column, name): (usize, &String)| {
            let outcomes = of(&outcomes, column);
            let score = |values: &[f32]| score(&of(values, column), &outcomes);
            ColumnScores {
                column: name.clone(),
                forecast: score(&blended),
                model: score(&tested.model),
                linear: score(&tested.linear),
            }
        };
        file.targets.iter().enumerate().map(scores).collect()
    }
}

fn score(forecasts: &[f32], outcomes: &[f32]) -> Score {
    let (mut squares, mut sizes) = (0.0, 0.0);
    for (forecast, outcome) in forecasts.iter().zip(outcomes) {
        let error = f64::from(*forecast) - f64::from(*outcome);
        squares += error * error;
        sizes += error.abs();
    }
    let count = outcomes.len().max(1) as f64;
    Score { mse: squares / count, mae: sizes / count }
}
