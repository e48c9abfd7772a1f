//! From the newest generation and the newest bars to a forecast.

use jiff::civil::Date;
use mambafleet_artifacts::{Fault, Snapshot, Store, StoreError};
use mambafleet_backend::{BackendError, Model, Registry, UnknownBackend};
use mambafleet_dataset::{self as dataset, DataError, Windows};
use mambafleet_protocol::{DataSource, ProgramSpec, ReturnsSpec, Symbol, TaskSpec};
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
    /// Date of the bar that it is made from, the newest of those that were to be used.
    pub as_of: Date,
    /// Close of that bar.
    pub close: f64,
    /// Trailing volatility of daily log returns at that bar.
    pub volatility: f64,
    /// Whether the bars are the built-in generator's.
    pub synthetic: bool,
    /// Date of the newest bar that the generation was trained and tested on.
    pub trained_to: Date,
    /// The first day of which neither weights nor the choice among them know anything: that of the
    /// first test sample. Forecasts as of an earlier day are no out-of-sample forecasts.
    pub unseen_from: Date,
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
    /// The point forecast of the log return from that close: zero, "no change", unless validation has
    /// proved the model's median to be better.
    pub point: f64,
    /// Quantiles of the log return from the close of the bar it is made from.
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
    /// There is no bar up to the day as of which to forecast.
    #[error("{symbol} has no bar up to {as_of}: the first is of {first}")]
    NoBarYet {
        /// The symbol.
        symbol: Symbol,
        /// The day asked for.
        as_of: Date,
        /// The day of the first bar.
        first: Date,
    },
    /// A day was asked for, and the rows of a series have none.
    #[error("{symbol} is a series, whose rows have no days: it is forecast from its newest row")]
    NoDates {
        /// The symbol.
        symbol: Symbol,
    },
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

/// A symbol's newest generation, loaded, and the bars it forecasts from.
struct Forecaster {
    snapshot: Snapshot,
    metadata: Metadata,
    task: ReturnsSpec,
    model: Box<dyn Model>,
    windows: Windows,
    synthetic: bool,
}

/// Where a forecast takes its bars from, and how far they reach.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// The source; without one, that which the generation was trained on.
    pub source: Option<&'a DataSource>,
    /// The last day whose bar is used, whatever else there is. Without it, every bar is.
    pub as_of: Option<Date>,
}

impl Forecaster {
    /// Loads the newest generation of `symbol` and the bars that are wanted.
    fn open(
        store: &Store,
        symbol: &Symbol,
        wanted: Wanted<'_>,
        registry: &Registry,
        program: Option<&ProgramSpec>,
    ) -> Result<Self, ForecastError> {
        let untrained = || ForecastError::Untrained { symbol: symbol.clone() };
        let snapshot = store.symbol(symbol).latest()?.ok_or_else(untrained)?;
        let metadata: Metadata = snapshot.json(METADATA_FILE)?;
        let source = wanted.source.unwrap_or(&metadata.source);
        let TaskSpec::Returns(task) = metadata.task.clone() else {
            let (symbol, generation) = (symbol.clone(), snapshot.generation());
            return Err(ForecastError::OtherTask { symbol, generation });
        };
        let windows = windows(symbol, source, wanted.as_of, &task, &metadata)?;
        let synthetic = matches!(source, DataSource::Synthetic { .. });
        let model = model(&snapshot, &metadata, registry, program)?;
        Ok(Self { snapshot, metadata, task, model, windows, synthetic })
    }

    /// The forecast from the newest bar, knowing nothing of later ones: it is the same, bit for bit, as
    /// the one that evaluation judged for that day.
    fn newest(&mut self) -> Result<Forecast, ForecastError> {
        let anchor = self.windows.last_anchor();
        let scaled = self.model.predict(self.windows.window(anchor))?;
        Ok(self.unscaled(anchor, &scaled))
    }

    /// The forecast that a model's output for the window of `anchor` stands for.
    fn unscaled(&self, anchor: usize, scaled: &[f32]) -> Forecast {
        let Self { snapshot, metadata, task, windows, synthetic, .. } = self;
        let (close, volatility) = (windows.close(anchor), windows.sigma(anchor));
        let finished = shrinking::finish(task, &metadata.shrinkage, scaled);
        let horizons = task.horizons.iter().zip(finished).map(|(&horizon, finished)| {
            let unit = volatility * (horizon as f64).sqrt();
            let log_return = |scaled: &f32| f64::from(*scaled) * unit;
            let log_returns: Vec<f64> = finished.quantiles.iter().map(log_return).collect();
            let prices = log_returns.iter().map(|r| close * r.exp()).collect();
            HorizonForecast { horizon, point: log_return(&finished.point), log_returns, prices }
        });
        Forecast {
            symbol: metadata.symbol.clone(),
            generation: snapshot.generation(),
            skipped: snapshot.skipped().to_vec(),
            as_of: windows.date(anchor),
            close,
            volatility,
            synthetic: *synthetic,
            trained_to: metadata.data.last,
            unseen_from: metadata.data.test.first,
            horizons: horizons.collect(),
            levels: task.quantiles.clone(),
        }
    }
}

/// Forecasts from the newest bar that is wanted, with the symbol's newest generation. What a program has
/// trained forecasts by `program`: never by one that the store names, for that may come from anywhere.
///
/// # Errors
/// [`ForecastError`] when there is no whole generation, the bars cannot be read or are too few, or the
/// backend refuses the weights.
pub fn forecast(
    store: &Store,
    symbol: &Symbol,
    wanted: Wanted<'_>,
    registry: &Registry,
    program: Option<&ProgramSpec>,
) -> Result<Forecast, ForecastError> {
    Forecaster::open(store, symbol, wanted, registry, program)?.newest()
}

/// The windows of the bars up to and including `as_of`, scaled as in training.
fn windows(
    symbol: &Symbol,
    source: &DataSource,
    as_of: Option<Date>,
    task: &ReturnsSpec,
    metadata: &Metadata,
) -> Result<Windows, ForecastError> {
    let columns = dataset::feature::columns(&task.features);
    let mut bars = dataset::load_with(symbol, source, &columns)?;
    if let (Some(as_of), Some(first)) = (as_of, bars.bars.first().map(|bar| bar.date)) {
        bars.truncate(bars.bars.partition_point(|bar| bar.date <= as_of));
        if bars.bars.is_empty() {
            return Err(ForecastError::NoBarYet { symbol: symbol.clone(), as_of, first });
        }
    }
    Ok(dataset::with_scaler(&bars, task, &metadata.scaler)?)
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
