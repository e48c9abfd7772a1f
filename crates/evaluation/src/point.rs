//! What point forecasts are worth.

use serde::{Deserialize, Serialize};

use crate::statistics::{effective, pearson, spearman};

/// The 97.5 % quantile of the normal distribution.
const NORMAL_95: f64 = 1.959_963_984_540_054;

/// Point forecasts of one horizon beside what happened.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PointMetrics {
    /// `sqrt(mean (y - f)^2)`.
    pub rmse: f64,
    /// `mean |y - f|`.
    pub mae: f64,
    /// The mean absolute scaled error (Hyndman & Koehler 2006, Int. J. Forecasting 22(4)): `mae` over
    /// the mean absolute error of the forecast "no change" on the training part. None where that is zero.
    pub mase: Option<f64>,
    /// `1 - MSE / MSE of the forecast zero`: above zero, better than "no change". Zero where nothing
    /// ever moved.
    pub skill_against_zero: f64,
    /// How often the sign was right; none where no forecast has a sign.
    pub direction: Option<Direction>,
    /// The information coefficient: the rank correlation of forecast and outcome (Grinold & Kahn 1999,
    /// "Active Portfolio Management", chapter 6). None where a side is constant.
    pub ic: Option<f64>,
    /// `ic sqrt((m - 2) / (1 - ic^2))`, the usual statistic of a rank correlation, with `m = n / h` for
    /// the `n` samples: outcomes of neighbours overlap.
    pub ic_t: Option<f64>,
    /// The correlation of Pearson, for comparison.
    pub pearson: Option<f64>,
}

/// How often the sign of the forecast was that of the outcome, over the samples where neither is zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Direction {
    /// Samples where neither is zero.
    pub samples: usize,
    /// The share of equal signs.
    pub accuracy: f64,
    /// The lower end of a 95 % interval around it ([`wilson`], at `n / h` samples).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The share of positive outcomes among the same samples: what always saying "up" would get.
    pub always_up: f64,
}

impl PointMetrics {
    /// Judges `forecasts` by `outcomes`, of the same samples in the same unit; `naive` is the mean
    /// absolute outcome of the training part, the error of "no change" there.
    #[must_use]
    pub fn new(forecasts: &[f64], outcomes: &[f64], horizon: usize, naive: f64) -> Self {
        let n = outcomes.len().max(1) as f64;
        let errors = || forecasts.iter().zip(outcomes).map(|(f, y)| y - f);
        let squared: f64 = errors().map(|e| e * e).sum();
        let squared_zero: f64 = outcomes.iter().map(|y| y * y).sum();
        let mae = errors().map(f64::abs).sum::<f64>() / n;
        let ic = spearman(forecasts, outcomes);
        Self {
            rmse: (squared / n).sqrt(),
            mae,
            mase: (naive > 0.0).then(|| mae / naive),
            skill_against_zero: skill(squared, squared_zero),
            direction: Direction::new(forecasts, outcomes, horizon),
            ic,
            ic_t: ic.and_then(|ic| correlation_t(ic, effective(outcomes.len(), horizon))),
            pearson: pearson(forecasts, outcomes),
        }
    }
}

impl Direction {
    /// Counts signs.
    #[must_use]
    pub fn new(forecasts: &[f64], outcomes: &[f64], horizon: usize) -> Option<Self> {
        let (mut samples, mut right, mut up) = (0_usize, 0_usize, 0_usize);
        for (forecast, outcome) in forecasts.iter().zip(outcomes) {
            if *forecast != 0.0 && *outcome != 0.0 {
                samples += 1;
                right += usize::from((*forecast > 0.0) == (*outcome > 0.0));
                up += usize::from(*outcome > 0.0);
            }
        }
        let share = |count: usize| count as f64 / samples as f64;
        let (low, high) = wilson(share(right), effective(samples, horizon), NORMAL_95);
        let always_up = share(up);
        (samples > 0).then(|| Self { samples, accuracy: share(right), low, high, always_up })
    }
}

/// `1 - loss / reference`, and zero where there is nothing to compare with.
#[must_use]
pub fn skill(loss: f64, reference: f64) -> f64 {
    if reference > 0.0 { 1.0 - loss / reference } else { 0.0 }
}

/// The interval of Wilson (1927), J. American Statistical Association 22, for a share seen among `n`
/// samples, which need not be a whole number; `z` is the normal quantile, 1.96 for 95 %:
///
/// ```text
/// (p + z^2 / 2n  +-  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)
/// ```
#[must_use]
pub fn wilson(share: f64, n: f64, z: f64) -> (f64, f64) {
    let z2 = z * z;
    let middle = share + z2 / (2.0 * n);
    let half = z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    ((middle - half) / scale, (middle + half) / scale)
}

/// The t statistic of a correlation among `n` samples; none where there are too few or it is perfect.
pub(crate) fn correlation_t(correlation: f64, n: f64) -> Option<f64> {
    let left = 1.0 - correlation * correlation;
    (n > 2.0 && left > 0.0).then(|| correlation * ((n - 2.0) / left).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOMES: [f64; 6] = [0.01, -0.02, 0.005, 0.03, -0.01, 0.0];
    const FORECASTS: [f64; 6] = [0.004, -0.001, -0.002, 0.01, 0.0, 0.003];

    #[test]
    fn the_metrics_agree_with_a_computation_by_hand() {
        let found = PointMetrics::new(&FORECASTS, &OUTCOMES, 1, 0.02);
        // Errors .006 -.019 .007 .02 -.01 -.003.
        let squared = 36.0 + 361.0 + 49.0 + 400.0 + 100.0 + 9.0;
        let squared_zero = 100.0 + 400.0 + 25.0 + 900.0 + 100.0;
        assert!((found.rmse - (squared * 1e-6_f64 / 6.0).sqrt()).abs() < 1e-15);
        assert!((found.mae - 0.065 / 6.0).abs() < 1e-15);
        assert!((found.mase.unwrap() - 0.065 / 6.0 / 0.02).abs() < 1e-13);
        assert!((found.skill_against_zero - (1.0 - squared / squared_zero)).abs() < 1e-13);
        let direction = found.direction.unwrap();
        assert_eq!((direction.samples, direction.accuracy, direction.always_up), (4, 0.75, 0.75));
    }

    #[test]
    fn a_forecast_of_nothing_is_no_worse_than_nothing() {
        let found = PointMetrics::new(&[0.0; 6], &OUTCOMES, 5, 0.0);
        assert_eq!(found.skill_against_zero, 0.0);
        assert_eq!((found.direction, found.ic, found.ic_t, found.mase), (None, None, None, None));
    }

    #[test]
    fn a_forecaster_of_the_future_is_perfect() {
        let found = PointMetrics::new(&OUTCOMES, &OUTCOMES, 1, 0.02);
        assert_eq!((found.skill_against_zero, found.ic), (1.0, Some(1.0)));
        assert_eq!(found.direction.unwrap().accuracy, 1.0);
    }

    #[test]
    fn wilson_agrees_with_scipy_and_widens_with_overlap() {
        // scipy.stats.binomtest(k, n).proportion_ci(method="wilson").
        for (k, n, low, high) in [
            (55.0, 100.0, 0.45244602997442135, 0.6438546202048803),
            (3.0, 10.0, 0.10779126740630102, 0.6032218525388546),
            (330.0, 612.0, 0.49960227463712054, 0.5783398634123663),
        ] {
            let found = wilson(k / n, n, NORMAL_95);
            assert!((found.0 - low).abs() < 1e-12 && (found.1 - high).abs() < 1e-12, "{found:?}");
        }
        let share = |horizon| Direction::new(&FORECASTS, &OUTCOMES, horizon).unwrap();
        assert!(share(2).low < share(1).low && share(2).high > share(1).high);
    }
}
