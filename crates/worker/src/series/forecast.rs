//! From the newest generation of a series and the newest rows to a forecast.

use mambafleet_artifacts::{Fault, Snapshot, Store, StoreError};
use mambafleet_backend::{Model, Registry};
use mambafleet_dataset::series::{LinearMap, SeriesData, SeriesFile};
use mambafleet_protocol::{ChannelsSpec, DataSource, ProgramSpec, SeriesSpec, Symbol, TaskSpec};
use serde::Serialize;

use super::blend::Forecasts;
use super::{LINEAR_FILE, SeriesRecord};
use crate::{ForecastError, METADATA_FILE, Metadata};

/// A forecast of a series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeriesForecast {
    /// The symbol.
    pub symbol: Symbol,
    /// The generation that made it.
    pub generation: u64,
    /// What is wrong with newer generations.
    pub skipped: Vec<Fault>,
    /// What stands in the first cell of the newest row.
    pub as_of: String,
    /// Rows of the file.
    pub rows: usize,
    /// Weight of the model in the forecast; the rest is the linear map's.
    pub weight: f64,
    /// One per target.
    pub targets: Vec<TargetForecast>,
}

/// A forecast of one column; one value per step, in the column's own units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetForecast {
    /// Its name.
    pub column: String,
    /// Its value in the newest row.
    pub last: f64,
    /// The forecast.
    pub values: Vec<f64>,
    /// The model's alone.
    pub model: Vec<f64>,
    /// The linear map's alone.
    pub linear: Vec<f64>,
}

/// Forecasts from the newest row of `source`, or of the source the generation was trained on, just as
/// evaluation did from earlier ones. None if the symbol's newest generation is of another kind of task.
///
/// # Errors
/// [`ForecastError`] when there is no whole generation, the file cannot be read, or the backend refuses
/// the weights.
pub fn forecast_series(
    store: &Store,
    symbol: &Symbol,
    source: Option<&DataSource>,
    registry: &Registry,
    program: Option<&ProgramSpec>,
) -> Result<Option<SeriesForecast>, ForecastError> {
    let untrained = || ForecastError::Untrained { symbol: symbol.clone() };
    let snapshot = store.symbol(symbol).latest()?.ok_or_else(untrained)?;
    let metadata: Metadata = snapshot.json(METADATA_FILE)?;
    let (TaskSpec::Series(task), Some(record)) = (&metadata.task, &metadata.series) else {
        return Ok(None);
    };
    let source = source.unwrap_or(&metadata.source);
    let mut model = crate::forecast::model(&snapshot, &metadata, registry, program)?;
    let loaded = Loaded { snapshot: &snapshot, metadata: &metadata, task, record };
    loaded.forecast(source, model.as_mut()).map(Some)
}

/// A generation of a task on a series.
struct Loaded<'a> {
    snapshot: &'a Snapshot,
    metadata: &'a Metadata,
    task: &'a SeriesSpec,
    record: &'a SeriesRecord,
}

impl Loaded<'_> {
    fn forecast(
        &self,
        source: &DataSource,
        model: &mut dyn Model,
    ) -> Result<SeriesForecast, ForecastError> {
        let Self { snapshot, metadata, task, record } = *self;
        let wanted = SeriesSpec { targets: record.targets.clone(), ..task.clone() };
        let file = SeriesFile::load(&metadata.symbol, source, &wanted)?;
        let data = SeriesData::scaled(&file, &wanted, &metadata.scaler)?;
        let anchor = data.next();
        let linear = linear(snapshot, task)?;
        let mut windows = Vec::new();
        if task.channels == ChannelsSpec::Mixed {
            data.push_windows(anchor, &mut windows);
        } else {
            (0..data.targets()).for_each(|column| data.push_window(anchor, column, &mut windows));
        }
        let outputs = model.predict(&windows)?;
        let forecasts = Forecasts::new(&data, vec![anchor], outputs, &linear);
        let blended = forecasts.blended(record.weight);
        let own_units = |column: usize, values: &[f32]| {
            let values = &values[column * data.horizon()..][..data.horizon()];
            values.iter().map(|value| data.unscaled(column, *value)).collect::<Vec<f64>>()
        };
        let columns = file.columns.len();
        let newest = &file.values[(file.rows() - 1) * columns..];
        let target = |(column, name): (usize, &String)| TargetForecast {
            column: name.clone(),
            last: newest[column],
            values: own_units(column, &blended),
            model: own_units(column, &forecasts.model),
            linear: own_units(column, &forecasts.linear),
        };
        Ok(SeriesForecast {
            symbol: metadata.symbol.clone(),
            generation: snapshot.generation(),
            skipped: snapshot.skipped().to_vec(),
            as_of: file.labels.last().cloned().unwrap_or_default(),
            rows: file.rows(),
            weight: record.weight,
            targets: file.targets.iter().enumerate().map(target).collect(),
        })
    }
}

/// The linear map of a generation.
fn linear(snapshot: &Snapshot, task: &SeriesSpec) -> Result<LinearMap, StoreError> {
    let (lookback, horizon) = (task.lookback, task.horizon);
    let tensors = snapshot.tensors_of(LINEAR_FILE)?;
    let data = |name: &str| tensors.get(name).map_or(&[][..], |(_, data)| data.as_slice());
    let weights = data("weight").chunks_exact(lookback * horizon);
    let maps = weights.zip(data("intercept").chunks_exact(horizon));
    let maps = maps.map(|(weights, intercepts)| [weights, intercepts].concat()).collect();
    Ok(LinearMap { lookback, horizon, maps })
}
