//! From the newest generation and the newest bars to a forecast.

use jiff::civil::Date;
use mambafleet_artifacts::{Fault, Snapshot, Store, StoreError};
use mambafleet_backend::{BackendError, Model, Registry, UnknownBackend};
use mambafleet_dataset::{self as dataset, DataError};
use mambafleet_protocol::{DataSource, ProgramSpec, Symbol, TaskSpec};
use serde::Serialize;

use crate::{METADATA_FILE, Metadata, shrinking, weights};

/// A forecast for one symbol.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// The symbol.
    pub symbol: Symbol,
    /// The generation that made it.
    pub generation: u64,
    /// What is wrong with newer generations.
    pub skipped: Vec<Fault>,
    /// Date of the newest bar.
    pub as_of: Date,
    /// Close of the newest bar.
    pub close: f64,
    /// Trailing volatility of daily log returns at the newest bar.
    pub volatility: f64,
    /// Whether the bars are the built-in generator's.
    pub synthetic: bool,
    /// Quantile levels of the forecasts.
    pub levels: Vec<f64>,
    /// One per horizon.
    pub horizons: Vec<HorizonForecast>,
}

/// A forecast for one horizon; one value per quantile level.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HorizonForecast {
    /// The horizon in bars.
    pub horizon: usize,
    /// The point forecast of the log return from the newest close: zero, "no change", unless validation
    /// has proved the model's median to be better.
    pub point: f64,
    /// Quantiles of the log return from the newest close.
    pub log_returns: Vec<f64>,
    /// Quantiles of the close at the horizon.
    pub prices: Vec<f64>,
}

/// Why there is no forecast.
#[derive(Debug, thiserror::Error)]
pub enum ForecastError {
    /// The symbol has no generation.
    #[error("{symbol} has no trained generation")]
    Untrained {
        /// The symbol.
        symbol: Symbol,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bars.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The generation names a backend that this program lacks.
    #[error(transparent)]
    UnknownBackend(#[from] UnknownBackend),
    /// The generation was trained by a program, and none is configured.
    #[error(
        "generation {generation} of {symbol} was trained by a program ({}), and no program is \
         configured",
        command.join(" ")
    )]
    NoProgram {
        /// The symbol.
        symbol: Symbol,
        /// The generation.
        generation: u64,
        /// The program, as it was called.
        command: Vec<String>,
    },
    /// The generation is of another kind of task.
    #[error("generation {generation} of {symbol} forecasts something else")]
    OtherTask {
        /// The symbol.
        symbol: Symbol,
        /// The generation.
        generation: u64,
    },
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Forecasts from the newest bar of `source`, or of the source the generation was trained on,
/// with the symbol's newest generation. What a program has trained forecasts by `program`: never by
/// one that the store names, for that may come from anywhere.
///
/// # Errors
/// [`ForecastError`] when there is no whole generation, the bars cannot be read, or the backend
/// refuses the weights.
pub fn forecast(
    store: &Store,
    symbol: &Symbol,
    source: Option<&DataSource>,
    registry: &Registry,
    program: Option<&ProgramSpec>,
) -> Result<Forecast, ForecastError> {
    let untrained = || ForecastError::Untrained { symbol: symbol.clone() };
    let snapshot = store.symbol(symbol).latest()?.ok_or_else(untrained)?;
    let metadata: Metadata = snapshot.json(METADATA_FILE)?;
    let source = source.unwrap_or(&metadata.source);
    let TaskSpec::Returns(task) = metadata.task.clone() else {
        let (symbol, generation) = (symbol.clone(), snapshot.generation());
        return Err(ForecastError::OtherTask { symbol, generation });
    };
    let columns = dataset::feature::columns(&task.features);
    let bars = dataset::load_with(symbol, source, &columns)?;
    let data = dataset::with_scaler(&bars, &task, &metadata.scaler)?;
    let mut model = model(&snapshot, &metadata, registry, program)?;
    let anchor = data.last_anchor();
    let scaled = model.predict(data.window(anchor))?;
    let (close, volatility) = (data.close(anchor), data.sigma(anchor));
    let finished = shrinking::finish(&task, &metadata.shrinkage, &scaled);
    let horizons = task.horizons.iter().zip(finished).map(|(&horizon, finished)| {
        let unit = volatility * (horizon as f64).sqrt();
        let log_return = |scaled: &f32| f64::from(*scaled) * unit;
        let log_returns: Vec<f64> = finished.quantiles.iter().map(log_return).collect();
        let prices = log_returns.iter().map(|r| close * r.exp()).collect();
        HorizonForecast { horizon, point: log_return(&finished.point), log_returns, prices }
    });
    Ok(Forecast {
        symbol: symbol.clone(),
        generation: snapshot.generation(),
        skipped: snapshot.skipped().to_vec(),
        as_of: data.date(anchor),
        close,
        volatility,
        synthetic: matches!(source, DataSource::Synthetic { .. }),
        horizons: horizons.collect(),
        levels: task.quantiles,
    })
}

/// The model of a generation.
pub(crate) fn model(
    snapshot: &Snapshot,
    metadata: &Metadata,
    registry: &Registry,
    program: Option<&ProgramSpec>,
) -> Result<Box<dyn Model>, ForecastError> {
    let tensors = weights::of(snapshot)?;
    let (symbol, generation) = (&metadata.symbol, snapshot.generation());
    let provenance = &metadata.provenance;
    if let (None, Some(command)) = (program, &provenance.command) {
        let (symbol, command) = (symbol.clone(), command.clone());
        return Err(ForecastError::NoProgram { symbol, generation, command });
    }
    let backend = registry.open(&provenance.backend, program)?;
    if backend.identity()? != provenance.backend_version {
        tracing::warn!(%symbol, generation, "trained by another version of its backend or program");
    }
    Ok(backend.load(&metadata.model, &tensors, 1)?)
}
