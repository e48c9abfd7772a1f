//! Input features by name.
//!
//! Every feature is a function of one row and the rows before it; the code that computes it is
//! handed a [`Past`], which ends at that row, so it cannot look ahead. `O H L C V` are open, high,
//! low, close and volume, `sigma_t` the trailing [`volatility`](crate::volatility) of the same
//! row, `ln` the natural logarithm. Values are computed in `f64` exactly as [`FEATURES`] spells
//! them, then scaled by a [`Scaler`](crate::Scaler) and rounded to `f32` for the model.
//!
//! | name | value at row t |
//! | --- | --- |
//! | `log_return` | `ln(C_t / C_{t-1}) / sigma_t` |
//! | `overnight_gap` | `ln(O_t / C_{t-1}) / sigma_t` |
//! | `intraday_return` | `ln(C_t / O_t) / sigma_t` |
//! | `high_low_range` | `ln(H_t / L_t) / (2 sqrt(ln 2)) / sigma_t` |
//! | `volume_ratio` | `ln(1 + V_t) - (ln(1 + V_{t-20}) + ... + ln(1 + V_{t-1})) / 20` |
//! | `log_volatility` | `ln(sigma_t)` |
//! | `momentum_5` | `ln(C_t / C_{t-5}) / (sigma_t sqrt(5))` |
//! | `momentum_20` | `ln(C_t / C_{t-20}) / (sigma_t sqrt(20))` |

use crate::Bar;
use crate::nearest::nearest;
use crate::volatility::{WARM_UP, log_ratio};

/// A feature: a named function of a row and its past.
#[derive(Debug, Clone, Copy)]
pub struct Feature {
    /// The name that configurations use.
    pub name: &'static str,
    /// Its value at row `t`.
    pub formula: &'static str,
    /// Where the idea comes from.
    pub source: &'static str,
    compute: fn(&Past<'_>) -> f64,
}

/// Every feature there is.
pub const FEATURES: [Feature; 8] = [
    Feature {
        name: "log_return",
        formula: "ln(C_t / C_{t-1}) / sigma_t",
        source: "volatility-scaled return; J.P. Morgan (1996), RiskMetrics Technical Document",
        compute: |past| log_ratio(past.now().close, past.back(1).close) / past.sigma,
    },
    Feature {
        name: "overnight_gap",
        formula: "ln(O_t / C_{t-1}) / sigma_t",
        source: "the overnight part of the return; Yang & Zhang (2000), J. Business 73(3)",
        compute: |past| log_ratio(past.now().open, past.back(1).close) / past.sigma,
    },
    Feature {
        name: "intraday_return",
        formula: "ln(C_t / O_t) / sigma_t",
        source: "the open-to-close part of the return; Yang & Zhang (2000), J. Business 73(3)",
        compute: |past| log_ratio(past.now().close, past.now().open) / past.sigma,
    },
    Feature {
        name: "high_low_range",
        formula: "ln(H_t / L_t) / (2 sqrt(ln 2)) / sigma_t",
        source: "the day's volatility from its range; Parkinson (1980), J. Business 53(1)",
        compute: |past| {
            let day = past.now();
            let scale = 2.0 * std::f64::consts::LN_2.sqrt();
            log_ratio(day.high, day.low) / scale / past.sigma
        },
    },
    Feature {
        name: "volume_ratio",
        formula: "ln(1 + V_t) - (ln(1 + V_{t-20}) + ... + ln(1 + V_{t-1})) / 20",
        source: "abnormal volume; Gervais, Kaniel & Mingelgrin (2001), J. Finance 56(3)",
        compute: |past| {
            let log_volume = |days: usize| libm::log(1.0 + past.back(days).volume);
            let usual = (1..=20).rev().map(log_volume).sum::<f64>() / 20.0;
            log_volume(0) - usual
        },
    },
    Feature {
        name: "log_volatility",
        formula: "ln(sigma_t)",
        source: "the level that all else is scaled by; Engle (1982), Econometrica 50(4)",
        compute: |past| libm::log(past.sigma),
    },
    Feature {
        name: "momentum_5",
        formula: "ln(C_t / C_{t-5}) / (sigma_t sqrt(5))",
        source: "a week's return; Jegadeesh (1990), J. Finance 45(3)",
        compute: |past| past.momentum(5),
    },
    Feature {
        name: "momentum_20",
        formula: "ln(C_t / C_{t-20}) / (sigma_t sqrt(20))",
        source: "a month's return; Moskowitz, Ooi & Pedersen (2012), J. Financial Economics 104(2)",
        compute: |past| past.momentum(20),
    },
];

/// What a feature may see at one row: that row, the rows before it, and the row's volatility.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// The row in question is the last one.
    bars: &'a [Bar],
    sigma: f64,
}

impl<'a> Past<'a> {
    /// The past of row `t`, which must lie behind the warm-up.
    pub(crate) fn of_row(bars: &'a [Bar], sigma: &[f64], t: usize) -> Self {
        debug_assert!(t >= WARM_UP);
        Self { bars: &bars[..=t], sigma: sigma[t] }
    }

    fn now(&self) -> &Bar {
        self.back(0)
    }

    /// The bar `rows` before; at most [`WARM_UP`].
    fn back(&self, rows: usize) -> &Bar {
        &self.bars[self.bars.len() - 1 - rows]
    }

    fn momentum(&self, rows: usize) -> f64 {
        let r = log_ratio(self.now().close, self.back(rows).close);
        r / (self.sigma * (rows as f64).sqrt())
    }
}

impl Feature {
    /// The value at the last row of `past`.
    pub(crate) fn value(&self, past: &Past<'_>) -> f64 {
        (self.compute)(past)
    }
}

/// A feature name that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown feature \"{name}\"")]
pub struct UnknownFeature {
    /// The name given.
    pub name: String,
    /// The most similar feature, if one is similar.
    pub nearest: Option<&'static str>,
    /// All features.
    pub known: Vec<&'static str>,
}

impl UnknownFeature {
    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> String {
        let known = self.known.join(", ");
        match self.nearest {
            Some(nearest) => format!("did you mean \"{nearest}\"? known features: {known}"),
            None => format!("known features: {known}"),
        }
    }
}

/// Checks that every name is a feature.
///
/// # Errors
/// [`UnknownFeature`] for the first that is not.
pub fn validate_features(names: &[String]) -> Result<(), UnknownFeature> {
    resolve(names).map(|_| ())
}

/// The features of these names, in this order.
pub(crate) fn resolve(names: &[String]) -> Result<Vec<Feature>, UnknownFeature> {
    let find = |name: &String| {
        FEATURES.into_iter().find(|feature| feature.name == name).ok_or_else(|| {
            let known: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
            UnknownFeature {
                name: name.clone(),
                nearest: nearest(name, known.iter().copied()),
                known,
            }
        })
    };
    names.iter().map(find).collect()
}
