//! The configuration's types. Every field has its default and its description in
//! `configs/default.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mambafleet_artifacts::Wait;
use mambafleet_dataset::{MAX_SYNTHETIC_BARS, validate_features};
use mambafleet_protocol::{DataSource, InvalidSpec, ModelSpec, TaskSpec, TrainSpec};
use serde::Deserialize;

use super::value::{AutoOr, AutoOrDuration, HumanDuration};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) data: Data,
    pub(crate) store: Store,
    pub(crate) run: Run,
    pub(crate) groups: BTreeMap<String, Vec<String>>,
    pub(crate) lock: Lock,
    pub(crate) task: TaskSpec,
    pub(crate) model: Model,
    pub(crate) train: TrainSpec,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    pub(crate) dir: PathBuf,
    pub(crate) synthetic: Synthetic,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Synthetic {
    pub(crate) bars: usize,
    pub(crate) seed: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) symbols: Vec<String>,
    pub(crate) parallel: AutoOr,
    pub(crate) retries: u32,
    pub(crate) backoff: HumanDuration,
    pub(crate) backoff_max: HumanDuration,
    pub(crate) grace: HumanDuration,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    pub(crate) timeout: AutoOrDuration,
}

impl Lock {
    /// How long to wait for a lock.
    pub(crate) fn wait(&self) -> Wait {
        self.timeout.0.map_or(Wait::Auto, Wait::Until)
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    d_model: usize,
    n_layers: usize,
    d_state: usize,
    d_conv: usize,
    expand: usize,
    dt_rank: AutoOr,
}

impl Model {
    /// The dimensions with `dt_rank` settled; `auto` is the reference implementation's choice.
    pub(crate) fn spec(self) -> ModelSpec {
        let Self { d_model, n_layers, d_state, d_conv, expand, dt_rank } = self;
        let dt_rank = dt_rank.or(|| d_model.div_ceil(16));
        ModelSpec { d_model, n_layers, d_state, d_conv, expand, dt_rank }
    }
}

impl Data {
    /// Where bars come from.
    pub(crate) fn source(&self) -> DataSource {
        if self.dir.as_os_str().is_empty() {
            let Synthetic { bars, seed } = self.synthetic;
            DataSource::Synthetic { bars, seed }
        } else {
            DataSource::Csv { dir: self.dir.clone() }
        }
    }
}

impl Config {
    /// Checks everything that types alone do not say.
    pub(crate) fn validate(&self) -> Result<(), InvalidSpec> {
        let wrong = |key, message: &str| Err(InvalidSpec { key, message: message.to_owned() });
        if !(1..=MAX_SYNTHETIC_BARS).contains(&self.data.synthetic.bars) {
            let limits = format!("must be between 1 and {MAX_SYNTHETIC_BARS}");
            return wrong("data.synthetic.bars", &limits);
        }
        if self.store.dir.as_os_str().is_empty() {
            return wrong("store.dir", "must name a directory");
        }
        if self.run.retries > 100 {
            return wrong("run.retries", "must not exceed 100");
        }
        self.task.validate()?;
        if let Err(error) = validate_features(&self.task.features) {
            let known = error.known.join(", ");
            return wrong("task.features", &format!("{error}; there is {known}"));
        }
        self.model.spec().validate()?;
        self.train.validate()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::defaults;

    #[test]
    fn the_built_in_defaults_are_valid() {
        let config = defaults();
        assert!(config.validate().is_ok());
        assert_eq!(config.model.spec().dt_rank, 2);
    }
}
