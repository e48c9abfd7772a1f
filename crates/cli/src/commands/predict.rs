//! `mambafleet predict`.

use mambafleet_artifacts::Store;
use mambafleet_protocol::DataSource;
use mambafleet_worker::{Forecast, ForecastError, SeriesForecast, forecast, forecast_series};
use rayon::prelude::*;
use serde::Serialize;

use super::failure::Failures;
use super::{registry, series};
use crate::args::{Common, PredictArgs, Selection};
use crate::config::{Overrides, Settled};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Output, SYNTHETIC_NOTE};
use crate::plan::{configuration, path_override, program, select, settle};
use crate::table::render;

#[derive(Default, Serialize)]
struct Predictions {
    forecasts: Vec<Forecast>,
    /// Forecasts of series.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    series: Vec<SeriesForecast>,
    failures: Failures,
}

/// A forecast of one kind or the other.
enum Made {
    Returns(Forecast),
    Series(SeriesForecast),
}

/// Forecasts every selected symbol; what fails is named and costs the others nothing. Ends as
/// damaged when a forecast is not the newest generation's because that one is.
pub(crate) fn run(common: &Common, args: &PredictArgs, output: Output) -> Result<Exit, CliError> {
    let mut overrides = Overrides::new();
    if let Some(dir) = &args.data {
        overrides.push(path_override("data.dir", dir, "--data")?);
    }
    let loaded = configuration(common, overrides)?;
    let config = &loaded.config;
    let store = Store::open(&config.store.dir)?;
    let Selection { symbols, symbols_file } = &args.selection;
    let symbols = if symbols.is_none() && symbols_file.is_none() {
        store.symbols()?
    } else {
        select(&args.selection, config)?
    };
    let registry = registry()?;
    let sources = settle(&loaded, &symbols)?.into_iter().map(|Settled { config, .. }| {
        let csv =
            Some(config.data.source()).filter(|source| matches!(source, DataSource::Csv { .. }));
        Ok((csv, program(&config)?))
    });
    let sources = sources.collect::<Result<Vec<_>, CliError>>()?;
    let results: Vec<_> = symbols
        .par_iter()
        .zip(&sources)
        .map(|(symbol, (source, program))| -> Result<Made, ForecastError> {
            let (source, program) = (source.as_ref(), program.as_ref());
            match forecast_series(&store, symbol, source, &registry, program)? {
                Some(forecast) => Ok(Made::Series(forecast)),
                None => forecast(&store, symbol, source, &registry, program).map(Made::Returns),
            }
        })
        .collect();
    let mut predictions = Predictions::default();
    for (symbol, result) in symbols.into_iter().zip(results) {
        match result {
            Ok(Made::Returns(forecast)) => predictions.forecasts.push(forecast),
            Ok(Made::Series(forecast)) => predictions.series.push(forecast),
            Err(error) => predictions.failures.add(symbol, error, output),
        }
    }
    let synthetic = predictions.forecasts.iter().any(|forecast| forecast.synthetic);
    output.result("predictions", &predictions, || text(&predictions))?;
    if synthetic {
        output.say(SYNTHETIC_NOTE);
    }
    let of_returns = predictions.forecasts.iter().map(|f| (&f.symbol, f.generation, &f.skipped));
    let of_series = predictions.series.iter().map(|f| (&f.symbol, f.generation, &f.skipped));
    let mut damaged = false;
    for (symbol, generation, skipped) in of_returns.chain(of_series) {
        for fault in skipped {
            output.say(&format!("{symbol}: forecast by generation {generation}, because {fault}"));
            damaged = true;
        }
    }
    if damaged { Ok(Exit::Damaged) } else { Ok(predictions.failures.exit()) }
}

/// A table of all returns, and one for each series.
fn text(predictions: &Predictions) -> String {
    let Predictions { forecasts, series, .. } = predictions;
    let returns = (!forecasts.is_empty() || series.is_empty()).then(|| table(forecasts));
    let tables = returns.into_iter().chain(series.iter().map(series::table));
    tables.collect::<Vec<_>>().join("\n\n")
}

/// `p05`, `p50`, `p97.5`.
fn percentile(level: f64) -> String {
    let percent = (level * 1e6).round() / 1e4;
    if percent.fract() == 0.0 { format!("p{percent:02}") } else { format!("p{percent}") }
}

fn table(forecasts: &[Forecast]) -> String {
    let Some(first) = forecasts.first() else { return "no forecast".to_owned() };
    let percents: Vec<String> = first.levels.iter().map(|level| percentile(*level)).collect();
    let mut columns =
        vec![("symbol", false), ("gen", true), ("as of", false), ("close", true), ("bars", true)];
    columns.extend(percents.iter().map(|level| (level.as_str(), true)));
    let rows = forecasts.iter().flat_map(|forecast| {
        forecast.horizons.iter().map(|horizon| {
            let mut row = vec![
                forecast.symbol.to_string(),
                forecast.generation.to_string(),
                forecast.as_of.to_string(),
                format!("{:.4}", forecast.close),
                format!("+{}", horizon.horizon),
            ];
            row.extend(horizon.prices.iter().map(|price| format!("{price:.4}")));
            row
        })
    });
    render(&columns, rows.collect())
}
