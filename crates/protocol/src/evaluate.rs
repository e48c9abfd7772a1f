//! How a trained model is judged.

use serde::{Deserialize, Serialize};

use crate::InvalidSpec;
use crate::spec::ensure;

/// How a trained model is judged: walk-forward, fold by fold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluateSpec {
    /// Blocks that the test part is cut into, each forecast by a model of its own. The last one's is
    /// the one that is kept.
    pub folds: usize,
    /// What the models of later blocks are trained on.
    pub window: WindowSpec,
    /// What is too good to be true.
    #[serde(default)]
    pub alarms: AlarmSpec,
}

/// The largest skill that is believed. A model that is above it beyond doubt, by the lower end of the
/// measure's interval, fails its symbol: it has most likely seen the future.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmSpec {
    /// Of the point forecast, against the better of zero and the training mean.
    pub point_skill: f64,
    /// Of the share of right signs.
    pub directional_accuracy: f64,
    /// Of the rank correlation of forecast and outcome, whatever its sign.
    pub information_coefficient: f64,
    /// Of the quantiles, against those of the EWMA-volatility baseline.
    pub pinball_skill: f64,
}

impl AlarmSpec {
    /// The usual limits, those of the built-in configuration.
    pub const USUAL: Self = Self {
        point_skill: 0.05,
        directional_accuracy: 0.6,
        information_coefficient: 0.2,
        pinball_skill: 0.2,
    };

    fn validate(&self) -> Result<(), InvalidSpec> {
        let fine = |value: f64| value > 0.0 && value <= 1.0;
        let message = "must be above 0 and at most 1, which is no limit";
        ensure(fine(self.point_skill), "evaluate.alarms.point_skill", message)?;
        ensure(fine(self.directional_accuracy), "evaluate.alarms.directional_accuracy", message)?;
        ensure(
            fine(self.information_coefficient),
            "evaluate.alarms.information_coefficient",
            message,
        )?;
        ensure(fine(self.pinball_skill), "evaluate.alarms.pinball_skill", message)
    }
}

impl Default for AlarmSpec {
    fn default() -> Self {
        Self::USUAL
    }
}

/// What the model of a block is trained on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowSpec {
    /// All that lies before it.
    #[default]
    Expanding,
    /// As many samples as the first block's model.
    Rolling,
}

impl EvaluateSpec {
    /// The usual settings, those of the built-in configuration: one model, one test part.
    pub const USUAL: Self =
        Self { folds: 1, window: WindowSpec::Expanding, alarms: AlarmSpec::USUAL };

    /// Checks every value.
    ///
    /// # Errors
    /// [`InvalidSpec`] names the key at fault.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        ensure((1..=100).contains(&self.folds), "evaluate.folds", "must be between 1 and 100")?;
        self.alarms.validate()
    }
}

impl Default for EvaluateSpec {
    fn default() -> Self {
        Self::USUAL
    }
}
