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
//! | `realised_5` | `ln(max(sqrt((r_t^2 + ... + r_{t-4}^2) / 5), 0.0001) / sigma_t)` |
//! | `range_5` | `ln(max(sqrt((p_t^2 + ... + p_{t-4}^2) / 5), 0.0001) / sigma_t)` |
//! | `range_20` | `ln(max(sqrt((p_t^2 + ... + p_{t-19}^2) / 20), 0.0001) / sigma_t)` |
//! | `downside_20` | `(n_t^2 + ... + n_{t-19}^2) / max(r_t^2 + ... + r_{t-19}^2, 0.00000001)` |
//!
//! | `column:NAME` | the number in the file's column `NAME` |
//!
//! with `r_s = ln(C_s / C_{s-1})`, `n_s = min(r_s, 0)` and `p_s = ln(H_s / L_s) / (2 sqrt(ln 2))`.

use crate::nearest::nearest;
use crate::volatility::{FLOOR, WARM_UP, log_ratio};
use crate::{Bar, Bars, DataError};

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
pub const FEATURES: [Feature; 12] = [
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
        compute: |past| past.range(0) / past.sigma,
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
    Feature {
        name: "realised_5",
        formula: "ln(max(sqrt((r_t^2 + ... + r_{t-4}^2) / 5), 0.0001) / sigma_t)",
        source: "the week's volatility beside the longer one; Corsi (2009), J. Financial Econometrics 7(2)",
        compute: |past| past.log_scale(5, Past::log_return),
    },
    Feature {
        name: "range_5",
        formula: "ln(max(sqrt((p_t^2 + ... + p_{t-4}^2) / 5), 0.0001) / sigma_t)",
        source: "the week's volatility from ranges; Parkinson (1980), J. Business 53(1)",
        compute: |past| past.log_scale(5, Past::range),
    },
    Feature {
        name: "range_20",
        formula: "ln(max(sqrt((p_t^2 + ... + p_{t-19}^2) / 20), 0.0001) / sigma_t)",
        source: "the month's volatility from ranges; Parkinson (1980), J. Business 53(1)",
        compute: |past| past.log_scale(20, Past::range),
    },
    Feature {
        name: "downside_20",
        formula: "(n_t^2 + ... + n_{t-19}^2) / max(r_t^2 + ... + r_{t-19}^2, 0.00000001)",
        source: "the share of falls in the variance; Barndorff-Nielsen, Kinnebrock & Shephard (2010), \
                 Volatility and Time Series Econometrics",
        compute: |past| {
            let all = past.sum_of_squares(20, Past::log_return);
            past.sum_of_squares(20, |past, days| past.log_return(days).min(0.0)) / all.max(1e-8)
        },
    },
];

/// A feature that looks one row ahead, for tests of what must notice it: there is none such in builds
/// without debug assertions, nor otherwise unless [`PLANT`] is set.
#[cfg(debug_assertions)]
pub(crate) const PEEK: Feature = Feature {
    name: "test_peek",
    formula: "ln(C_{t+1} / C_t) / sigma_t",
    source: "a mistake",
    compute: |past| {
        let later = past.later.unwrap_or(past.now());
        log_ratio(later.close, past.now().close) / past.sigma
    },
};

/// The environment variable that lets a test name a feature that peeks.
#[cfg(debug_assertions)]
const PLANT: &str = "MAMBAFLEET_TEST_FEATURES";

/// The feature of this name that tests may plant.
fn planted(_name: &str) -> Option<Feature> {
    #[cfg(debug_assertions)]
    if _name == PEEK.name && std::env::var_os(PLANT).is_some() {
        return Some(PEEK);
    }
    None
}

/// What a feature may see at one row: that row, the rows before it, and the row's volatility.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// The row in question is the last one.
    bars: &'a [Bar],
    sigma: f64,
    /// For the feature that tests plant.
    #[cfg(debug_assertions)]
    later: Option<&'a Bar>,
}

impl<'a> Past<'a> {
    /// The past of row `t`, which must lie behind the warm-up.
    pub(crate) fn of_row(bars: &'a [Bar], sigma: &[f64], t: usize) -> Self {
        debug_assert!(t >= WARM_UP);
        Self {
            bars: &bars[..=t],
            sigma: sigma[t],
            #[cfg(debug_assertions)]
            later: bars.get(t + 1),
        }
    }

    fn now(&self) -> &Bar {
        self.back(0)
    }

    /// The bar `rows` before; at most [`WARM_UP`].
    fn back(&self, rows: usize) -> &Bar {
        &self.bars[self.bars.len() - 1 - rows]
    }

    /// The log return of the day so many rows before; fewer than [`WARM_UP`].
    fn log_return(&self, rows: usize) -> f64 {
        log_ratio(self.back(rows).close, self.back(rows + 1).close)
    }

    /// That day's volatility from its range.
    fn range(&self, rows: usize) -> f64 {
        let day = self.back(rows);
        log_ratio(day.high, day.low) / (2.0 * std::f64::consts::LN_2.sqrt())
    }

    /// The sum of squares of a value over so many days, the oldest first.
    fn sum_of_squares(&self, days: usize, value: impl Fn(&Self, usize) -> f64) -> f64 {
        (0..days).rev().map(|rows| value(self, rows).powi(2)).sum()
    }

    /// The logarithm of a value's root mean square over so many days, beside the volatility.
    fn log_scale(&self, days: usize, value: impl Fn(&Self, usize) -> f64) -> f64 {
        let mean = self.sum_of_squares(days, value) / days as f64;
        log_ratio(mean.sqrt().max(FLOOR), self.sigma)
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
            Some(nearest) => {
                format!("did you mean \"{nearest}\"? known features: {known}, and {COLUMN}NAME")
            }
            None => format!("known features: {known}, and {COLUMN}NAME for a column of the file"),
        }
    }
}

/// What stands before the name of a column of the file.
const COLUMN: &str = "column:";

/// The further columns that these features are made of.
#[must_use]
pub fn columns(features: &[String]) -> Vec<String> {
    features.iter().filter_map(|name| name.strip_prefix(COLUMN)).map(str::to_owned).collect()
}

/// A feature of certain bars.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resolved {
    /// One with a formula.
    Formula(Feature),
    /// The further column with this index.
    Column(usize),
}

impl Resolved {
    /// The value at row `t`, whose past is `past`.
    pub(crate) fn value(&self, bars: &Bars, t: usize, past: &Past<'_>) -> f64 {
        match self {
            Self::Formula(feature) => feature.value(past),
            Self::Column(index) => bars.columns[*index].values[t],
        }
    }
}

/// Checks that every name is a feature.
///
/// # Errors
/// [`UnknownFeature`] for the first that is not.
pub fn validate_features(names: &[String]) -> Result<(), UnknownFeature> {
    let formulas = names.iter().filter(|name| name.strip_prefix(COLUMN).is_none_or(str::is_empty));
    formulas.map(|name| formula(name)).try_for_each(|found| found.map(drop))
}

fn formula(name: &str) -> Result<Feature, UnknownFeature> {
    let known = FEATURES.into_iter().find(|feature| feature.name == name);
    known.or_else(|| planted(name)).ok_or_else(|| {
        let known: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
        UnknownFeature {
            name: name.to_owned(),
            nearest: nearest(name, known.iter().copied()),
            known,
        }
    })
}

/// The features of these names, in this order, as they are made of `bars`.
pub(crate) fn resolve(names: &[String], bars: &Bars) -> Result<Vec<Resolved>, DataError> {
    validate_features(names)?;
    let find = |name: &String| match name.strip_prefix(COLUMN) {
        None => Ok(Resolved::Formula(formula(name)?)),
        Some(wanted) => {
            let index = bars.columns.iter().position(|column| column.name == wanted);
            index.map(Resolved::Column).ok_or_else(|| {
                let found: Vec<&str> =
                    bars.columns.iter().map(|column| column.name.as_str()).collect();
                DataError::NoColumn {
                    origin: bars.origin.to_string(),
                    name: wanted.to_owned(),
                    found: format!("found {}", found.join(", ")),
                }
            })
        }
    };
    names.iter().map(find).collect()
}
