//! The task on any table of numbers over time.

use serde::{Deserialize, Serialize};

use crate::InvalidSpec;
use crate::spec::ensure;

/// The forecasting task on a series: the next steps of some columns from the last steps of some.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesSpec {
    /// Says in JSON what kind of task this is.
    pub kind: SeriesKind,
    /// Columns that the model sees, by name; empty for all columns of numbers.
    pub inputs: Vec<String>,
    /// Columns that are forecast, by name; empty for all inputs.
    pub targets: Vec<String>,
    /// Time steps the model sees (the window length).
    pub lookback: usize,
    /// Time steps that are forecast: all of 1 to this.
    pub horizon: usize,
    /// Consecutive time steps that the model takes in as one (Nie et al. 2023, arXiv:2211.14730).
    pub patch: usize,
    /// Whether a column's forecast sees other columns.
    pub channels: ChannelsSpec,
    /// What is done to each window.
    pub normalization: NormalizationSpec,
    /// What training minimises.
    pub loss: LossSpec,
    /// Steps of a season, for the forecast that repeats the last one; 0 for none.
    pub season: usize,
    /// How the rows are divided in time.
    pub split: SeriesSplitSpec,
}

/// The kind of a [`SeriesSpec`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesKind {
    /// The only one.
    #[default]
    Series,
}

/// Whether a column's forecast sees other columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelsSpec {
    /// It does not: every window of every column is a sample of its own, and one model serves all
    /// columns (Zeng et al. 2023, arXiv:2205.13504).
    #[default]
    Independent,
    /// It sees all inputs, and all targets are forecast at once.
    Mixed,
}

/// What is done to each window of each column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormalizationSpec {
    /// Its own mean and standard deviation are taken out, and put back into the forecast (Kim et al.
    /// 2022, "Reversible instance normalization", without its affine map).
    #[default]
    Instance,
    /// Nothing.
    None,
}

/// What training minimises, on standardised columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossSpec {
    /// The mean squared error.
    #[default]
    Mse,
    /// The mean absolute error.
    Mae,
}

/// The rows of each part, in time order: below 1 a fraction of all rows, from 1 on a number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesSplitSpec {
    /// What weights and scales are fitted on.
    pub train: f64,
    /// What decides when to stop and how far to trust the model.
    pub validation: f64,
    /// What the forecasts are judged on; 0 for all rows that remain.
    pub test: f64,
}

impl SeriesSpec {
    /// The usual task, that of the built-in configuration.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            kind: SeriesKind::Series,
            inputs: Vec::new(),
            targets: Vec::new(),
            lookback: 32,
            horizon: 24,
            patch: 8,
            channels: ChannelsSpec::Independent,
            normalization: NormalizationSpec::Instance,
            loss: LossSpec::Mse,
            season: 0,
            split: SeriesSplitSpec { train: 0.7, validation: 0.15, test: 0.0 },
        }
    }

    /// Checks every value (names of columns excepted: the file has those).
    ///
    /// # Errors
    /// [`InvalidSpec`] names the first key at fault.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        let Self { lookback, horizon, patch, .. } = *self;
        ensure(
            (1..=4096).contains(&lookback),
            "task.lookback",
            "must be between 1 and 4096 steps",
        )?;
        ensure(
            (1..=4096).contains(&horizon),
            "task.series.horizon",
            "must be between 1 and 4096 steps",
        )?;
        ensure(
            patch >= 1 && lookback.is_multiple_of(patch),
            "task.series.patch",
            &format!("must divide task.lookback, which is {lookback}"),
        )?;
        ensure(
            self.season <= lookback,
            "task.series.season",
            &format!("must not exceed task.lookback, which is {lookback}; 0 for none"),
        )?;
        let twice = |names: &[String]| (1..names.len()).any(|at| names[..at].contains(&names[at]));
        ensure(!twice(&self.inputs), "task.series.inputs", "names a column twice")?;
        ensure(!twice(&self.targets), "task.series.targets", "names a column twice")?;
        let apart = self.channels == ChannelsSpec::Independent
            && !(self.inputs.is_empty() || self.targets.is_empty() || self.inputs == self.targets);
        ensure(
            !apart,
            "task.series.inputs",
            "independent channels are forecast from their own past alone: leave it empty, or mix \
             the channels",
        )?;
        self.split.validate()
    }
}

impl SeriesSplitSpec {
    fn validate(self) -> Result<(), InvalidSpec> {
        let Self { train, validation, test } = self;
        let part =
            |size: f64| size.is_finite() && size >= 0.0 && (size < 1.0 || size.fract() == 0.0);
        let message = "must be a fraction below 1, or a whole number of rows";
        ensure(part(train) && train > 0.0, "task.series.split.train", message)?;
        ensure(part(validation) && validation > 0.0, "task.series.split.validation", message)?;
        ensure(part(test), "task.series.split.test", message)?;
        let fractions: f64 = [train, validation, test].into_iter().filter(|size| *size < 1.0).sum();
        ensure(
            fractions <= 1.0,
            "task.series.split",
            "the fractions must not sum up to more than 1",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_value_is_named() {
        assert_eq!(SeriesSpec::usual().validate(), Ok(()));
        type Break = fn(&mut SeriesSpec);
        let broken: [(&str, Break); 10] = [
            ("task.lookback", |t| t.lookback = 0),
            ("task.series.horizon", |t| t.horizon = 0),
            ("task.series.patch", |t| t.patch = 7),
            ("task.series.patch", |t| t.patch = 0),
            ("task.series.season", |t| t.season = 33),
            ("task.series.inputs", |t| t.inputs = vec!["a".into(), "a".into()]),
            ("task.series.inputs", |t| {
                (t.inputs, t.targets) = (vec!["a".into(), "b".into()], vec!["a".into()]);
            }),
            ("task.series.split.train", |t| t.split.train = 0.0),
            ("task.series.split.validation", |t| t.split.validation = 2.5),
            ("task.series.split", |t| t.split.test = 0.2),
        ];
        for (key, change) in broken {
            let mut spec = SeriesSpec::usual();
            change(&mut spec);
            assert_eq!(spec.validate().unwrap_err().key, key);
        }
    }
}
