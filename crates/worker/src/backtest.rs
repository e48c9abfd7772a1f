//! The out-of-sample forecasts that a generation keeps, beside what happened.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;
use mambafleet_artifacts::{Snapshot, StoreError, Tensor};
use mambafleet_protocol::{Symbol, TaskSpec};
use serde::Serialize;

use crate::{FORECASTS_FILE, METADATA_FILE, Metadata};

/// The out-of-sample forecasts of a generation. They were made by the models of its evaluation, each
/// for samples behind everything that it was trained, stopped or shrunk on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backtest {
    /// The symbol.
    pub symbol: Symbol,
    /// The generation.
    pub generation: u64,
    /// Whether the bars are the built-in generator's.
    pub synthetic: bool,
    /// Quantile levels.
    pub levels: Vec<f64>,
    /// One row per day and horizon, oldest first.
    pub rows: Vec<BacktestRow>,
}

/// One forecast, and what happened. Numbers are kept in single precision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BacktestRow {
    /// The day whose close it was made at.
    pub as_of: Date,
    /// The fold of the evaluation whose model made it, from 0.
    pub fold: usize,
    /// Close of that day.
    pub close: f64,
    /// Trailing volatility of daily log returns at that day.
    pub volatility: f64,
    /// The horizon in bars.
    pub horizon: usize,
    /// The point forecast of the log return.
    pub point: f64,
    /// Quantiles of the log return, one per level.
    pub log_returns: Vec<f64>,
    /// The log return that it came to.
    pub outcome: f64,
}

/// Why there is no backtest.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The generation keeps no forecasts.
    #[error("generation {generation} of {symbol} keeps no out-of-sample forecasts of returns")]
    None {
        /// The symbol.
        symbol: Symbol,
        /// The generation.
        generation: u64,
    },
    /// What it keeps does not fit together.
    #[error(
        "{FORECASTS_FILE} of generation {generation} of {symbol}: tensor {name} is missing or \
             of another shape"
    )]
    Shape {
        /// The symbol.
        symbol: Symbol,
        /// The generation.
        generation: u64,
        /// The tensor.
        name: &'static str,
    },
}

/// Reads the forecasts that a generation keeps.
///
/// # Errors
/// [`BacktestError`] when there are none, or they cannot be read.
pub fn backtest(snapshot: &Snapshot) -> Result<Backtest, BacktestError> {
    let metadata: Metadata = snapshot.json(METADATA_FILE)?;
    let (symbol, generation) = (metadata.symbol.clone(), snapshot.generation());
    let TaskSpec::Returns(task) = &metadata.task else {
        return Err(BacktestError::None { symbol, generation });
    };
    if snapshot.bytes(FORECASTS_FILE).is_none() {
        return Err(BacktestError::None { symbol, generation });
    }
    let kept = Kept {
        tensors: snapshot.tensors_of(FORECASTS_FILE)?,
        shape: |name| BacktestError::Shape { symbol: symbol.clone(), generation, name },
    };
    let (horizons, levels) = (task.horizons.len(), task.quantiles.len());
    let days = kept.get("day", None)?;
    let samples = days.len();
    let (folds, closes) = (kept.get("fold", Some(samples))?, kept.get("close", Some(samples))?);
    let volatility = kept.get("volatility", Some(samples))?;
    let points = kept.get("points", Some(samples * horizons))?;
    let outcomes = kept.get("outcomes", Some(samples * horizons))?;
    let quantiles = kept.get("forecasts", Some(samples * horizons * levels))?;
    let mut rows = Vec::with_capacity(samples * horizons);
    for sample in 0..samples {
        for (index, &horizon) in task.horizons.iter().enumerate() {
            let at = sample * horizons + index;
            let unit = f64::from(volatility[sample]) * (horizon as f64).sqrt();
            let log_return = |scaled: &f32| f64::from(*scaled) * unit;
            rows.push(BacktestRow {
                as_of: Date::constant(1970, 1, 1).saturating_add((days[sample] as i64).days()),
                fold: folds[sample] as usize,
                close: f64::from(closes[sample]),
                volatility: f64::from(volatility[sample]),
                horizon,
                point: log_return(&points[at]),
                log_returns: quantiles[at * levels..][..levels].iter().map(log_return).collect(),
                outcome: log_return(&outcomes[at]),
            });
        }
    }
    let (synthetic, levels) = (metadata.is_synthetic(), task.quantiles.clone());
    Ok(Backtest { symbol, generation, synthetic, levels, rows })
}

/// The tensors of the file.
struct Kept<F> {
    tensors: BTreeMap<String, Tensor>,
    shape: F,
}

impl<F: Fn(&'static str) -> BacktestError> Kept<F> {
    /// The values of a tensor, which must be so many.
    fn get(&self, name: &'static str, count: Option<usize>) -> Result<&[f32], BacktestError> {
        let values = self.tensors.get(name).map(|(_, values)| &**values);
        let values = values.filter(|values| count.is_none_or(|count| values.len() == count));
        values.ok_or_else(|| (self.shape)(name))
    }
}
