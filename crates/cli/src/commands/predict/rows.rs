//! Forecasts as rows: one for each symbol, horizon and quantile level.

use std::borrow::Cow;
use std::fmt::Write;

use mambafleet_dataset::columns::{Column, Values, parquet as write_parquet};
use mambafleet_worker::SeriesForecast;

use super::{Predictions, Told};
use crate::error::CliError;
use crate::exit::Exit;

/// How many rows there are.
pub(super) fn count(columns: &[Column]) -> usize {
    columns.first().map_or(0, |column| match &column.values {
        Values::Text(values) => values.len(),
        Values::Whole(values) => values.len(),
        Values::Number(values) => values.len(),
        Values::Maybe(values) => values.len(),
        Values::Date(values) => values.len(),
        Values::Flag(values) => values.len(),
    })
}

/// The columns of all forecasts, which must be of one kind.
pub(super) fn columns(predictions: &Predictions) -> Result<Vec<Column>, CliError> {
    let Predictions { forecasts, series, .. } = predictions;
    match (forecasts.as_slice(), series.as_slice()) {
        (returns, []) => Ok(of_returns(returns)),
        ([], series) => Ok(of_series(series)),
        _ => {
            let message = "forecasts of returns and of series do not fit into one table";
            Err(CliError::usage(message).with_hint("name the symbols of one kind, or use JSON"))
        }
    }
}

/// One row for each symbol, column of the series and step.
fn of_series(forecasts: &[SeriesForecast]) -> Vec<Column> {
    let (mut symbols, mut generations) = (Vec::new(), Vec::new());
    let (mut as_of, mut names) = (Vec::new(), Vec::new());
    let (mut steps, mut values) = (Vec::new(), Vec::new());
    for forecast in forecasts {
        for target in &forecast.targets {
            for (step, value) in (1..).zip(&target.values) {
                symbols.push(forecast.symbol.to_string());
                generations.push(i64::try_from(forecast.generation).unwrap_or(i64::MAX));
                as_of.push(forecast.as_of.clone());
                names.push(target.column.clone());
                steps.push(step);
                values.push(*value);
            }
        }
    }
    let column = |name, values| Column { name, values };
    vec![
        column("symbol", Values::Text(symbols)),
        column("generation", Values::Whole(generations)),
        column("as_of", Values::Text(as_of)),
        column("column", Values::Text(names)),
        column("step", Values::Whole(steps)),
        column("value", Values::Number(values)),
    ]
}

/// One row for each symbol, horizon and quantile level.
fn of_returns(forecasts: &[Told]) -> Vec<Column> {
    let mut symbols = Vec::new();
    let (mut generations, mut horizons) = (Vec::new(), Vec::new());
    let (mut closes, mut volatilities) = (Vec::new(), Vec::new());
    let (mut as_of, mut synthetic) = (Vec::new(), Vec::new());
    let (mut levels, mut log_returns, mut prices) = (Vec::new(), Vec::new(), Vec::new());
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    for Told { forecast, .. } in forecasts {
        for one in &forecast.horizons {
            let values = forecast.levels.iter().zip(&one.log_returns).zip(&one.prices);
            for ((level, log_return), price) in values {
                symbols.push(forecast.symbol.to_string());
                generations.push(whole(forecast.generation));
                as_of.push(forecast.as_of);
                closes.push(forecast.close);
                volatilities.push(forecast.volatility);
                horizons.push(whole(one.horizon as u64));
                levels.push(*level);
                log_returns.push(*log_return);
                prices.push(*price);
                synthetic.push(forecast.synthetic);
            }
        }
    }
    let column = |name, values| Column { name, values };
    vec![
        column("symbol", Values::Text(symbols)),
        column("generation", Values::Whole(generations)),
        column("as_of", Values::Date(as_of)),
        column("close", Values::Number(closes)),
        column("volatility", Values::Number(volatilities)),
        column("horizon", Values::Whole(horizons)),
        column("level", Values::Number(levels)),
        column("log_return", Values::Number(log_returns)),
        column("price", Values::Number(prices)),
        column("synthetic", Values::Flag(synthetic)),
    ]
}

/// The rows as CSV. Numbers have as many digits as it takes.
pub(super) fn csv(columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let mut text = names.join(",") + "\n";
    for row in 0..count(columns) {
        for (index, column) in columns.iter().enumerate() {
            let mark = if index + 1 == columns.len() { '\n' } else { ',' };
            let written = match &column.values {
                Values::Text(values) => write!(text, "{}{mark}", quoted(&values[row])),
                Values::Whole(values) => write!(text, "{}{mark}", values[row]),
                Values::Number(values) => write!(text, "{}{mark}", values[row]),
                Values::Maybe(values) => match values[row] {
                    Some(value) => write!(text, "{value}{mark}"),
                    None => write!(text, "{mark}"),
                },
                Values::Date(values) => write!(text, "{}{mark}", values[row]),
                Values::Flag(values) => write!(text, "{}{mark}", values[row]),
            };
            // Writing to memory does not fail.
            debug_assert!(written.is_ok());
        }
    }
    text
}

/// A text as CSV has it.
fn quoted(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

/// The rows as Parquet.
pub(super) fn parquet(columns: &[Column]) -> Result<Vec<u8>, CliError> {
    write_parquet(columns).map_err(|error| CliError::new(Exit::Internal, error.to_string()))
}
