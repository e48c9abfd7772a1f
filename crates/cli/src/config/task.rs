//! The forecasting task as the configuration has it: one table for all kinds.

use mambafleet_dataset::validate_features;
use mambafleet_protocol::{
    ChannelsSpec, InvalidSpec, LossSpec, NormalizationSpec, ReturnsSpec, SeriesKind, SeriesSpec,
    SeriesSplitSpec, SplitSpec, TaskSpec,
};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    kind: Kind,
    features: Vec<String>,
    lookback: usize,
    horizons: Vec<usize>,
    quantiles: Vec<f64>,
    volatility_halflife: f64,
    split: SplitSpec,
    series: Series,
}

/// What is forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Returns,
    Series,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Series {
    inputs: Vec<String>,
    targets: Vec<String>,
    horizon: usize,
    patch: usize,
    channels: ChannelsSpec,
    normalization: NormalizationSpec,
    loss: LossSpec,
    season: usize,
    split: SeriesSplitSpec,
}

impl Task {
    /// The task that is wanted.
    pub(crate) fn spec(&self) -> TaskSpec {
        match self.kind {
            Kind::Returns => self.returns().into(),
            Kind::Series => self.series().into(),
        }
    }

    /// The task on returns, whatever is wanted.
    pub(crate) fn returns(&self) -> ReturnsSpec {
        ReturnsSpec {
            features: self.features.clone(),
            lookback: self.lookback,
            horizons: self.horizons.clone(),
            quantiles: self.quantiles.clone(),
            volatility_halflife: self.volatility_halflife,
            split: self.split,
        }
    }

    /// The task on a series, whatever is wanted.
    fn series(&self) -> SeriesSpec {
        let Series {
            inputs,
            targets,
            horizon,
            patch,
            channels,
            normalization,
            loss,
            season,
            split,
        } = self.series.clone();
        SeriesSpec {
            kind: SeriesKind::Series,
            inputs,
            targets,
            lookback: self.lookback,
            horizon,
            patch,
            channels,
            normalization,
            loss,
            season,
            split,
        }
    }

    /// Whether it is a series.
    pub(crate) fn is_series(&self) -> bool {
        self.kind == Kind::Series
    }

    /// Checks what is wanted.
    pub(crate) fn validate(&self) -> Result<(), InvalidSpec> {
        self.spec().validate()?;
        if self.kind == Kind::Series {
            return Ok(());
        }
        validate_features(&self.features).map_err(|error| {
            let known = error.known.join(", ");
            let message =
                format!("{error}; there is {known}, and column:NAME for a column of the file");
            InvalidSpec { key: "task.features", message }
        })
    }
}

#[cfg(test)]
mod tests {
    use mambafleet_protocol::{ReturnsSpec, SeriesSpec, TaskSpec};

    use crate::config::defaults;

    #[test]
    fn the_built_in_defaults_are_the_usual_tasks() {
        let task = defaults().task;
        assert_eq!(task.spec(), TaskSpec::from(ReturnsSpec::usual()));
        assert_eq!(task.series(), SeriesSpec::usual());
    }
}
