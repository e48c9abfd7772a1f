//! The forecast that a model must beat.
//!
//! Targets are returns in units of trailing volatility, so the same few numbers for every day are
//! already a fair forecast of the spread: wide when the market has been restless, narrow when it
//! has been calm. They are the quantiles that the scaled targets had in the training part, "EWMA
//! volatility quantiles".

use crate::volatility::{WARM_UP, log_ratio};
use crate::{Dataset, Windows};

/// Returns that [`lagged_returns`] looks back.
pub const LAGS: usize = WARM_UP;

/// The empirical quantiles of the training targets: for each horizon, one value per level,
/// row-major. The same values serve as the forecast of every sample.
#[must_use]
pub fn volatility_quantiles(dataset: &Dataset, levels: &[f64]) -> Vec<f32> {
    let mut columns = vec![Vec::with_capacity(dataset.train().len()); dataset.horizons().len()];
    for &anchor in dataset.train() {
        for (column, target) in columns.iter_mut().zip(dataset.targets(anchor)) {
            column.push(target);
        }
    }
    let mut quantiles = Vec::with_capacity(columns.len() * levels.len());
    for column in &mut columns {
        column.sort_unstable_by(f64::total_cmp);
        quantiles.extend(levels.iter().map(|level| quantile(column, *level) as f32));
    }
    quantiles
}

/// The inputs of the linear baseline at `row`, which is an anchor: the [`LAGS`] newest daily log returns
/// in units of the row's volatility, the newest first.
pub fn lagged_returns(windows: &Windows, row: usize) -> impl Iterator<Item = f64> + '_ {
    (0..LAGS).map(move |lag| {
        log_ratio(windows.close(row - lag), windows.close(row - lag - 1)) / windows.sigma(row)
    })
}

/// The log returns from the anchor `row`, one per horizon.
pub fn outcomes(windows: &Windows, row: usize) -> impl Iterator<Item = f64> + '_ {
    let horizons = windows.horizons().iter();
    horizons.map(move |&horizon| log_ratio(windows.close(row + horizon), windows.close(row)))
}

/// The `level` quantile of ascending values by type 7 of Hyndman & Fan (1996), the default of
/// NumPy and R: with `h = (n - 1) * level` and `i = floor(h)`, `x_i + (h - i) (x_{i+1} - x_i)`,
/// indices from 0. NaN for no values.
#[must_use]
pub fn quantile(ascending: &[f64], level: f64) -> f64 {
    let Some(last) = ascending.len().checked_sub(1) else { return f64::NAN };
    let h = last as f64 * level.clamp(0.0, 1.0);
    let i = h as usize;
    let (below, above) = (ascending[i], ascending[last.min(i + 1)]);
    below + (h - i as f64) * (above - below)
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_interpolate_as_type_7() {
        let x = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(quantile(&x, 0.0), 1.0);
        assert_eq!(quantile(&x, 0.25), 1.75);
        assert_eq!(quantile(&x, 0.5), 3.0);
        assert_eq!(quantile(&x, 0.75), 5.0);
        assert_eq!(quantile(&x, 1.0), 8.0);
        assert_eq!(quantile(&[5.0], 0.3), 5.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
