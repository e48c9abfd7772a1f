//! What is shown of series.

use std::fmt::Write;

use mambafleet_worker::{Score, SeriesForecast, SeriesMetrics, SeriesScores};

use crate::table::{number, percent, render};

/// Forecasts for people: a table per symbol, a row per column, with some of the steps.
pub(crate) fn table(forecast: &SeriesForecast) -> String {
    let steps = shown(forecast.targets.first().map_or(0, |target| target.values.len()));
    let names: Vec<String> = steps.iter().map(|step| format!("+{step}")).collect();
    let mut columns =
        vec![("symbol", false), ("gen", true), ("as of", false), ("column", false), ("last", true)];
    columns.extend(names.iter().map(|name| (name.as_str(), true)));
    let rows = forecast.targets.iter().map(|target| {
        let mut row = vec![
            forecast.symbol.to_string(),
            forecast.generation.to_string(),
            forecast.as_of.clone(),
            target.column.clone(),
            format!("{:.4}", target.last),
        ];
        let values = steps.iter().filter_map(|step| target.values.get(step - 1));
        row.extend(values.map(|value| format!("{value:.4}")));
        row
    });
    render(&columns, rows.collect())
}

/// The first step, the last, and some between.
fn shown(horizon: usize) -> Vec<usize> {
    let mut steps: Vec<usize> = (0..=4).map(|part| (horizon * part / 4).max(1)).collect();
    steps.dedup();
    steps.retain(|step| *step <= horizon);
    steps
}

/// What a generation's forecasts are worth.
pub(crate) fn metrics(metrics: &SeriesMetrics) -> String {
    let SeriesMetrics { headline, weight, linear, validation, test, .. } = metrics;
    let maps = if linear.per_column { "one for each column" } else { "one for all columns" };
    let mut text = format!(
        "  model: validation loss {} after the first epoch, {} after epoch {} of {} (kept)\n  \
         linear map: {maps}, ridge {}\n  \
         forecast: linear + {weight} (model - linear), weight chosen on validation; \
         test loss {} against {} ({})\n\n",
        number(headline.first_validation_loss),
        number(headline.best_validation_loss),
        metrics.best_epoch,
        headline.epochs,
        linear.ridge,
        number(headline.test_loss),
        number(headline.baseline_loss),
        percent(1.0 - headline.test_loss / headline.baseline_loss.max(f64::MIN_POSITIVE)),
    );
    let columns = [
        ("standardised", false),
        ("validation mse", true),
        ("mae", true),
        ("test mse", true),
        ("mae", true),
    ];
    let _ = write!(text, "{}", render(&columns, rows(validation, test)));
    text
}

fn rows(validation: &SeriesScores, test: &SeriesScores) -> Vec<Vec<String>> {
    let row = |name: &str, validation: Score, test: Score| {
        let numbers = [validation.mse, validation.mae, test.mse, test.mae];
        let mut row = vec![name.to_owned()];
        row.extend(numbers.map(|number| format!("{number:.4}")));
        row
    };
    let mut rows = vec![
        row("forecast", validation.forecast, test.forecast),
        row("model alone", validation.model, test.model),
        row("linear map", validation.linear, test.linear),
        row("repeat last", validation.repeat_last, test.repeat_last),
    ];
    if let (Some(validation), Some(test)) = (validation.repeat_season, test.repeat_season) {
        rows.push(row("repeat season", validation, test));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn some_steps_are_shown_the_last_among_them() {
        assert_eq!(shown(96), [1, 24, 48, 72, 96]);
        assert_eq!(shown(3), [1, 2, 3]);
        assert_eq!(shown(1), [1]);
        assert!(shown(0).is_empty());
    }
}
