//! `mambafleet predict`.

mod place;
mod rows;
mod warnings;

use std::path::Path;

use jiff::Zoned;
use jiff::civil::Date;
use mambafleet_artifacts::{Fault, Store};
use mambafleet_protocol::{DataSource, Symbol};
use mambafleet_worker::{
    Forecast, ForecastError, SeriesForecast, Wanted, forecast, forecast_series,
};
use rayon::prelude::*;
use serde::Serialize;

use self::place::Place;
use self::warnings::{Limits, Warning};
use super::failure::Failures;
use super::{registry, series};
use crate::args::{Common, PredictArgs, Selection};
use crate::config::{Loaded, Overrides, Settled};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Output, SYNTHETIC_NOTE};
use crate::plan::{configuration, path_override, program, select, settle};
use crate::reporters::count;
use crate::table::render;

/// Everything that was forecast, and what was not.
#[derive(Default, Serialize)]
struct Predictions {
    /// The day asked for.
    as_of: Option<Date>,
    forecasts: Vec<Told>,
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

/// A forecast with what must be known of it.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    forecast: Forecast,
    warnings: Vec<Warning>,
}

/// What is said where a file takes the forecasts.
#[derive(Serialize)]
struct Written<'a> {
    file: &'a Path,
    forecasts: usize,
    rows: usize,
    warnings: Vec<Warned<'a>>,
    failures: &'a Failures,
}

/// A symbol with what must be known of its forecast.
#[derive(Serialize)]
struct Warned<'a> {
    symbol: &'a Symbol,
    warnings: &'a [Warning],
}

/// Forecasts every selected symbol; what fails is named and costs the others nothing. Ends as
/// damaged when a forecast is not the newest generation's because that one is.
pub(crate) fn run(common: &Common, args: &PredictArgs, output: Output) -> Result<Exit, CliError> {
    let place = Place::of(args.output.as_deref(), common.format)?;
    let loaded = configuration(common, overrides(args)?)?;
    let store = Store::open(&loaded.config.store.dir)?;
    let Selection { symbols, symbols_file } = &args.selection;
    let symbols = if symbols.is_none() && symbols_file.is_none() {
        store.symbols()?
    } else {
        select(&args.selection, &loaded.config)?
    };
    let results = forecasts(&loaded, &store, &symbols, args.as_of)?;
    let today = args.as_of.unwrap_or_else(|| Zoned::now().date());
    let limits = Limits::new(&loaded.config.predict, today);
    let mut predictions = Predictions { as_of: args.as_of, ..Predictions::default() };
    for (symbol, result) in symbols.into_iter().zip(results) {
        match result {
            Ok(Made::Series(forecast)) => predictions.series.push(forecast),
            Ok(Made::Returns(forecast)) => {
                let warnings = limits.of(&forecast);
                predictions.forecasts.push(Told { forecast, warnings });
            }
            Err(error) => predictions.failures.add(symbol, error, output),
        }
    }
    predictions.show(&place, output)?;
    predictions.remarks(&limits, output);
    let skipped = predictions.skipped().any(|(.., skipped)| !skipped.is_empty());
    Ok(if skipped { Exit::Damaged } else { predictions.failures.exit() })
}

/// What the flags of a call set.
fn overrides(args: &PredictArgs) -> Result<Overrides, CliError> {
    let mut overrides = Overrides::new();
    if let Some(dir) = &args.data {
        overrides.push(path_override("data.dir", dir, "--data")?);
    }
    if let Some(days) = &args.max_age {
        let flag = "--max-age".to_owned();
        overrides.push(("predict.max_age_days".to_owned(), days.clone(), flag));
    }
    Ok(overrides)
}

/// A forecast or a failure for each symbol, in their order; made in parallel.
fn forecasts(
    loaded: &Loaded,
    store: &Store,
    symbols: &[Symbol],
    as_of: Option<Date>,
) -> Result<Vec<Result<Made, ForecastError>>, CliError> {
    let registry = registry()?;
    let sources = settle(loaded, symbols)?.into_iter().map(|Settled { config, .. }| {
        let csv =
            Some(config.data.source()).filter(|source| matches!(source, DataSource::Csv { .. }));
        Ok((csv, program(&config)?))
    });
    let sources = sources.collect::<Result<Vec<_>, CliError>>()?;
    let jobs = symbols.par_iter().zip(&sources);
    let results = jobs.map(|(symbol, (source, program))| {
        let (source, program) = (source.as_ref(), program.as_ref());
        match forecast_series(store, symbol, source, &registry, program)? {
            Some(series) => match as_of {
                None => Ok(Made::Series(series)),
                Some(_) => Err(ForecastError::NoDates { symbol: symbol.clone() }),
            },
            None => {
                let wanted = Wanted { source, as_of };
                forecast(store, symbol, wanted, &registry, program).map(Made::Returns)
            }
        }
    });
    Ok(results.collect())
}

impl Predictions {
    /// Prints the forecasts, or writes the file that is to take them.
    fn show(&self, place: &Place<'_>, output: Output) -> Result<(), CliError> {
        let Some(file) = place.file else {
            return match place.form {
                place::Form::Table => output.result("predictions", self, || self.tables()),
                form => output.bytes(&self.bytes(form)?),
            };
        };
        let rows = rows::count(&rows::columns(self)?);
        let forecasts = self.forecasts.len() + self.series.len();
        // Nothing takes the place of what was forecast before.
        if forecasts > 0 {
            place::write(file, &self.bytes(place.form)?)?;
        }
        let warnings = self.forecasts.iter().filter(|told| !told.warnings.is_empty());
        let warnings =
            warnings.map(|told| Warned { symbol: &told.forecast.symbol, warnings: &told.warnings });
        let (warnings, failures) = (warnings.collect(), &self.failures);
        let written = Written { file, forecasts, rows, warnings, failures };
        output.last_line("predictions_written", &written)?;
        output.say(&match forecasts {
            0 => format!("{} is left as it is: there is no forecast", file.display()),
            _ => {
                let (forecasts, rows) = (count(forecasts, "forecast"), count(rows, "row"));
                format!("{forecasts} ({rows}) written to {}", file.display())
            }
        });
        Ok(())
    }

    /// A table of all returns, and one for each series.
    fn tables(&self) -> String {
        let some = !self.forecasts.is_empty() || self.series.is_empty();
        let returns = some.then(|| table(self.as_of, &self.forecasts));
        let tables = returns.into_iter().chain(self.series.iter().map(series::table));
        tables.collect::<Vec<_>>().join("\n\n")
    }

    /// Every forecast's symbol and generation, and what is wrong with newer ones.
    fn skipped(&self) -> impl Iterator<Item = (&Symbol, u64, &[Fault])> {
        let returns = self.forecasts.iter().map(|told| &told.forecast);
        let returns = returns.map(|f| (&f.symbol, f.generation, &*f.skipped));
        returns.chain(self.series.iter().map(|f| (&f.symbol, f.generation, &*f.skipped)))
    }

    fn bytes(&self, form: place::Form) -> Result<Vec<u8>, CliError> {
        Ok(match form {
            place::Form::Csv => rows::csv(&rows::columns(self)?).into_bytes(),
            place::Form::Parquet => rows::parquet(&rows::columns(self)?)?,
            place::Form::Table => (self.tables() + "\n").into_bytes(),
            place::Form::Json => crate::output::json_text("predictions", self)?.into_bytes(),
        })
    }

    /// Says what must be known of the forecasts, to the person at the terminal.
    fn remarks(&self, limits: &Limits, output: Output) {
        if self.forecasts.iter().any(|told| told.forecast.synthetic) {
            output.say(SYNTHETIC_NOTE);
        }
        for line in limits.lines(&self.forecasts) {
            output.say(&format!("warning: {line}"));
        }
        for (symbol, generation, skipped) in self.skipped() {
            for fault in skipped {
                let text =
                    format!("{symbol}: forecast by generation {generation}, because {fault}");
                output.say(&text);
            }
        }
    }
}

/// `p05`, `p50`, `p97.5`.
fn percentile(level: f64) -> String {
    let percent = (level * 1e6).round() / 1e4;
    if percent.fract() == 0.0 { format!("p{percent:02}") } else { format!("p{percent}") }
}

fn table(as_of: Option<Date>, forecasts: &[Told]) -> String {
    let Some(Told { forecast: first, .. }) = forecasts.first() else {
        return "no forecast".to_owned();
    };
    let percents: Vec<String> = first.levels.iter().map(|level| percentile(*level)).collect();
    let mut columns =
        vec![("symbol", false), ("gen", true), ("as of", false), ("close", true), ("bars", true)];
    columns.extend(percents.iter().map(|level| (level.as_str(), true)));
    let rows = forecasts.iter().flat_map(|Told { forecast, .. }| {
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
    let mut text = render(&columns, rows.collect());
    let earlier = forecasts.iter().filter(|told| Some(told.forecast.as_of) != as_of).count();
    if let (Some(as_of), 1..) = (as_of, earlier) {
        let symbols = count(earlier, "symbol");
        text += &format!("\n\nno bar on {as_of} for {symbols}: the newest one before it counts");
    }
    text
}
