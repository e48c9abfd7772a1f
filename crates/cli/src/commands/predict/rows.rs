//! Forecasts as rows: one for each symbol, horizon and quantile level.

use std::fmt::Write;

use mambafleet_dataset::columns::{Column, Values, parquet as write_parquet};

use super::Told;
use crate::error::CliError;
use crate::exit::Exit;

/// How many rows there are.
pub(super) fn count(forecasts: &[Told]) -> usize {
    forecasts.iter().map(|told| told.forecast.horizons.len() * told.forecast.levels.len()).sum()
}

/// The columns, one value per row.
fn columns(forecasts: &[Told]) -> Vec<Column> {
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

/// The rows as CSV. Numbers have as many digits as it takes; no symbol needs quotes.
pub(super) fn csv(forecasts: &[Told]) -> String {
    let columns = columns(forecasts);
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let mut text = names.join(",") + "\n";
    for row in 0..count(forecasts) {
        for (index, column) in columns.iter().enumerate() {
            let mark = if index + 1 == columns.len() { '\n' } else { ',' };
            let written = match &column.values {
                Values::Text(values) => write!(text, "{}{mark}", values[row]),
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

/// The rows as Parquet.
pub(super) fn parquet(forecasts: &[Told]) -> Result<Vec<u8>, CliError> {
    write_parquet(&columns(forecasts))
        .map_err(|error| CliError::new(Exit::Internal, error.to_string()))
}
