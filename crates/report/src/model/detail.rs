//! One symbol of a page in detail.

use mambafleet_protocol::FailureKind;
use serde::Serialize;

use super::Millis;
use crate::Num;

/// One symbol in detail.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Detail {
    /// The symbol.
    pub s: String,
    /// The generation that all of this is about; the newest where the run has made none.
    #[serde(rename = "gen")]
    pub generation: Option<u64>,
    /// When it was committed.
    pub created_at: Option<Millis>,
    /// Losses by epoch.
    pub curves: Curves,
    /// Forecasts for the test part beside what happened.
    pub fan: Option<Fan>,
    /// How often outcomes stayed below each quantile, by horizon.
    pub calibration: Vec<Calibration>,
    /// What each forecast is worth, by horizon.
    pub metrics: Vec<MetricsRow>,
    /// The metrics of a series, which has no fan.
    pub series: Option<Vec<(String, Num)>>,
    /// The generations, oldest first.
    pub history: Vec<Past>,
    /// Notes on the quality of the data.
    pub quality: Vec<String>,
    /// Where the generation comes from.
    pub provenance: Vec<(String, String)>,
    /// The attempts of the run.
    pub attempts: Vec<AttemptLine>,
    /// The end of the newest attempt's log.
    pub log: Option<LogTail>,
}

/// Losses by epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Curves {
    /// Training.
    pub train: Vec<Num>,
    /// Validation.
    pub val: Vec<Num>,
    /// The epoch whose weights were kept, from 1.
    pub best: Option<usize>,
}

/// Forecasts beside what happened, newest samples, oldest of them first. Values are log returns in per
/// cent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Fan {
    /// The day each forecast was made at, in days since 1970-01-01.
    pub days: Vec<i64>,
    /// Horizons in bars.
    pub horizons: Vec<usize>,
    /// Quantile levels.
    pub levels: Vec<f64>,
    /// Samples that there are, of which these are the newest.
    pub samples: usize,
    /// Quantiles by horizon, sample and level.
    pub q: Vec<Vec<Vec<Num>>>,
    /// Outcomes by horizon and sample.
    pub y: Vec<Vec<Num>>,
}

/// How often outcomes stayed below each quantile.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Calibration {
    /// The horizon in bars.
    pub h: usize,
    /// Samples.
    pub n: usize,
    /// Quantile levels.
    pub levels: Vec<f64>,
    /// Share of outcomes at or below the forecast, by level.
    pub model: Vec<Num>,
    /// The same of the baseline.
    pub base: Vec<Num>,
}

/// What a forecast is worth at a horizon.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MetricsRow {
    /// The horizon in bars.
    pub h: usize,
    /// Whose forecast: `model`, `raw`, `zero`, `train_mean`, `ridge`, `ewma_quantiles`.
    pub of: &'static str,
    /// Mean pinball loss, in units of volatility.
    pub pinball: Option<Num>,
    /// Share of outcomes between the outermost quantiles.
    pub coverage: Option<Num>,
    /// What that should be.
    pub nominal: Option<Num>,
    /// Root mean squared error of the point forecast, in log return.
    pub rmse: Option<Num>,
    /// Its mean absolute error.
    pub mae: Option<Num>,
    /// Its mean absolute scaled error.
    pub mase: Option<Num>,
    /// `1 - MSE / MSE of "no change"`.
    pub skill: Option<Num>,
    /// Share of right signs.
    pub direction: Option<Num>,
    /// Share that always saying "up" gets right.
    pub up: Option<Num>,
    /// Rank correlation of forecast and outcome.
    pub ic: Option<Num>,
}

/// A generation in a symbol's history.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Past {
    /// Its number.
    #[serde(rename = "gen")]
    pub generation: u64,
    /// When it was committed.
    pub created_at: Option<Millis>,
    /// Its best validation loss.
    pub val: Option<Num>,
    /// Its loss on its test part.
    pub test: Option<Num>,
    /// The baseline's loss there.
    pub base: Option<Num>,
    /// Wall time of its training.
    pub seconds: Option<Num>,
    /// The generation whose content it brought back.
    pub from: Option<u64>,
    /// What is wrong with it.
    pub damaged: Option<String>,
    /// The run that committed it.
    pub run: Option<String>,
}

/// An attempt at a symbol.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AttemptLine {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The worker.
    pub worker: u64,
    /// When it began.
    pub from: Millis,
    /// When it ended.
    pub to: Option<Millis>,
    /// What kind of failure it met.
    pub kind: Option<FailureKind>,
    /// What went wrong.
    pub cause: Option<String>,
    /// Name of its log in the run's record.
    pub log: String,
}

/// The end of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LogTail {
    /// Its name.
    pub file: String,
    /// Its last lines.
    pub text: String,
}
