//! What is to be forecast, from what.

use serde::{Deserialize, Serialize};

use crate::spec::ensure;
use crate::{InvalidSpec, SeriesSpec};

/// The forecasting task. Its JSON is that of the kind it is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TaskSpec {
    /// Returns of a price.
    Returns(ReturnsSpec),
    /// Columns of any table of numbers.
    Series(SeriesSpec),
}

impl TaskSpec {
    /// Checks every value (names of features excepted: the dataset crate knows those).
    ///
    /// # Errors
    /// [`InvalidSpec`] names the first key at fault.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        match self {
            Self::Returns(task) => task.validate(),
            Self::Series(task) => task.validate(),
        }
    }
}

impl From<SeriesSpec> for TaskSpec {
    fn from(task: SeriesSpec) -> Self {
        Self::Series(task)
    }
}

impl From<ReturnsSpec> for TaskSpec {
    fn from(task: ReturnsSpec) -> Self {
        Self::Returns(task)
    }
}

/// The forecasting task: quantiles of volatility-scaled future log returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnsSpec {
    /// Input features by name, in order; see the dataset crate for formulas.
    pub features: Vec<String>,
    /// Time steps the model sees (the window length), in bars.
    pub lookback: usize,
    /// Forecast horizons in bars, ascending.
    pub horizons: Vec<usize>,
    /// Quantile levels, ascending, each inside (0, 1).
    pub quantiles: Vec<f64>,
    /// Half-life of the trailing volatility that scales returns, in bars.
    pub volatility_halflife: f64,
    /// How the samples are divided in time.
    pub split: SplitSpec,
}

/// Fractions of the samples in time order; the test part is what remains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitSpec {
    /// Fraction for training.
    pub train: f64,
    /// Fraction for validation (early stopping).
    pub validation: f64,
}

/// Whether each number is larger than the one before it.
fn ascending<T: PartialOrd>(values: &[T]) -> bool {
    values.windows(2).all(|pair| pair[0] < pair[1])
}

impl SplitSpec {
    /// The usual split, that of the built-in configuration.
    pub const USUAL: Self = Self { train: 0.7, validation: 0.15 };
}

impl ReturnsSpec {
    /// The usual task, that of the built-in configuration.
    #[must_use]
    pub fn usual() -> Self {
        let features = [
            "log_return",
            "overnight_gap",
            "intraday_return",
            "high_low_range",
            "volume_ratio",
            "log_volatility",
            "momentum_5",
            "momentum_20",
        ];
        Self {
            features: features.map(str::to_owned).to_vec(),
            lookback: 32,
            horizons: vec![1, 5, 20],
            quantiles: vec![0.05, 0.25, 0.5, 0.75, 0.95],
            volatility_halflife: 20.0,
            split: SplitSpec::USUAL,
        }
    }

    /// Checks every value (feature names excepted: the dataset crate knows those).
    ///
    /// # Errors
    /// [`InvalidSpec`] names the first key at fault.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        ensure(!self.features.is_empty(), "task.features", "at least one feature is needed")?;
        ensure(
            (1..=4096).contains(&self.lookback),
            "task.lookback",
            "must be between 1 and 4096 bars",
        )?;
        let horizons = &self.horizons;
        ensure(
            !horizons.is_empty() && horizons[0] >= 1 && ascending(horizons),
            "task.horizons",
            "must be whole numbers of bars from 1, ascending, without repeats",
        )?;
        ensure(horizons.iter().all(|h| *h <= 1000), "task.horizons", "must not exceed 1000 bars")?;
        let levels = &self.quantiles;
        ensure(
            !levels.is_empty() && levels.iter().all(|q| *q > 0.0 && *q < 1.0) && ascending(levels),
            "task.quantiles",
            "must be levels between 0 and 1 (both excluded), ascending, without repeats",
        )?;
        ensure(
            levels.contains(&0.5),
            "task.quantiles",
            "must contain 0.5: the median is the point forecast",
        )?;
        ensure(
            self.volatility_halflife.is_finite() && self.volatility_halflife >= 1.0,
            "task.volatility_halflife",
            "must be at least 1 bar",
        )?;
        let SplitSpec { train, validation } = self.split;
        let inside = |x: f64| x > 0.0 && x < 1.0;
        ensure(inside(train), "task.split.train", "must be between 0 and 1")?;
        ensure(inside(validation), "task.split.validation", "must be between 0 and 1")?;
        ensure(
            train + validation < 1.0,
            "task.split",
            "train + validation must leave something for the test part (sum below 1)",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_in_json_is_of_the_kind_it_was() {
        let tasks = [TaskSpec::from(ReturnsSpec::usual()), SeriesSpec::usual().into()];
        for task in tasks {
            let json = serde_json::to_string(&task).unwrap();
            assert_eq!(serde_json::from_str::<TaskSpec>(&json).unwrap(), task, "{json}");
        }
    }

    #[test]
    fn each_bad_task_value_is_named() {
        assert_eq!(ReturnsSpec::usual().validate(), Ok(()));
        type Break = fn(&mut ReturnsSpec);
        let broken: [(&str, Break); 8] = [
            ("task.features", |t| t.features.clear()),
            ("task.lookback", |t| t.lookback = 0),
            ("task.horizons", |t| t.horizons = vec![5, 1]),
            ("task.horizons", |t| t.horizons = vec![0]),
            ("task.quantiles", |t| t.quantiles = vec![0.05, 0.95]),
            ("task.quantiles", |t| t.quantiles = vec![0.5, 1.0]),
            ("task.volatility_halflife", |t| t.volatility_halflife = f64::NAN),
            ("task.split", |t| t.split.validation = 0.3),
        ];
        for (key, change) in broken {
            let mut spec = ReturnsSpec::usual();
            change(&mut spec);
            assert_eq!(spec.validate().unwrap_err().key, key);
        }
    }
}
