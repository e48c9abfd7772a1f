//! Trailing volatility: what scales returns, targets and ranges.
//!
//! With rows counted from 0, `r_t = ln(C_t / C_{t-1})` and `lambda = 2^(-1/halflife)`:
//!
//! ```text
//! v_20    = (r_1^2 + r_2^2 + ... + r_20^2) / 20
//! v_t     = lambda * v_{t-1} + (1 - lambda) * r_t^2        t > 20
//! sigma_t = max(sqrt(v_t), 0.0001)
//! ```
//!
//! This is the exponentially weighted estimate of RiskMetrics (J.P. Morgan 1996, section 5.2),
//! started from the plain average of the first [`WARM_UP`] squared returns. Nothing before row
//! [`WARM_UP`] has a volatility, and rows before it are never part of a window. The floor of one
//! basis point a day ([`FLOOR`]) keeps a price that stands still from dividing by zero; it is not
//! fed back into `v`.

use crate::Bar;

/// Rows at the start that only warm up: the first row with a volatility and with every feature
/// defined is the one with this index.
pub const WARM_UP: usize = 20;

/// The smallest volatility: one basis point a day.
pub const FLOOR: f64 = 1e-4;

/// The weight of yesterday's variance for a half-life in bars: `2^(-1/halflife)`.
#[must_use]
pub fn decay(halflife: f64) -> f64 {
    libm::exp2(-1.0 / halflife)
}

/// The natural logarithm of `after / before`, the same on every machine.
pub(crate) fn log_ratio(after: f64, before: f64) -> f64 {
    libm::log(after / before)
}

/// `sigma_t` of every row; NaN for the rows of the warm-up.
#[must_use]
pub fn trailing(bars: &[Bar], halflife: f64) -> Vec<f64> {
    let lambda = decay(halflife);
    let mut sigma = vec![f64::NAN; bars.len()];
    let (mut sum, mut variance) = (0.0, 0.0);
    for t in 1..bars.len() {
        let r = log_ratio(bars[t].close, bars[t - 1].close);
        if t <= WARM_UP {
            sum += r * r;
            variance = sum / WARM_UP as f64;
        } else {
            variance = lambda * variance + (1.0 - lambda) * (r * r);
        }
        if t >= WARM_UP {
            sigma[t] = variance.sqrt().max(FLOOR);
        }
    }
    sigma
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn bars(closes: &[f64]) -> Vec<Bar> {
        let bar = |&close: &f64| Bar {
            date: date(2024, 1, 1),
            open: close,
            high: close,
            low: close,
            close,
            volume: 1.0,
        };
        closes.iter().map(bar).collect()
    }

    #[test]
    fn it_starts_with_the_mean_square_and_then_decays() {
        // Every return is ln 2 up to row 20, then the price stands still.
        let mut closes: Vec<f64> = (0..=20).map(|i| libm::exp2(f64::from(i))).collect();
        let top = closes[20];
        closes.extend([top; 40]);
        let sigma = trailing(&bars(&closes), 10.0);
        assert!(sigma[..20].iter().all(|s| s.is_nan()));
        let ln2 = std::f64::consts::LN_2;
        assert!((sigma[20] - ln2).abs() < 1e-15);
        // One half-life later the variance has halved, three later it is an eighth.
        assert!((sigma[30] - ln2 * 0.5_f64.sqrt()).abs() < 1e-12);
        assert!((sigma[50] - ln2 * 0.125_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_price_that_stands_still_has_the_floor() {
        let sigma = trailing(&bars(&[5.0; 30]), 20.0);
        assert!(sigma[20..].iter().all(|s| *s == FLOOR));
        assert!(trailing(&[], 20.0).is_empty());
    }
}
