//! Whether a new model takes the place of the newest generation.

use serde::{Deserialize, Serialize};

use crate::InvalidSpec;
use crate::spec::ensure;

/// Whether a new model takes the place of the newest generation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromoteSpec {
    /// When it does.
    pub when: PromoteWhen,
    /// By what fraction its loss may be above the newest generation's.
    pub margin: f64,
    /// Most recent samples on which both are compared, at most.
    pub window: usize,
    /// Whether it does so whatever the comparison says, which is made and recorded all the same.
    pub force: bool,
}

/// When a new model takes the place of the newest generation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromoteWhen {
    /// Always.
    #[default]
    Always,
    /// When it is not worse on samples that neither has been trained on.
    NotWorse,
}

/// Two models on the same samples, which neither has seen in training or validation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The generation that was there before.
    pub generation: u64,
    /// Samples.
    pub samples: usize,
    /// Mean loss of the new model.
    pub new_loss: f64,
    /// Mean loss of that generation.
    pub old_loss: f64,
    /// By what fraction the new loss may be above the old one.
    pub margin: f64,
}

impl PromoteSpec {
    /// The usual settings, those of the built-in configuration: every model that was trained counts.
    pub const USUAL: Self =
        Self { when: PromoteWhen::Always, margin: 0.0, window: 250, force: false };

    /// Checks every value.
    ///
    /// # Errors
    /// [`InvalidSpec`] names the key at fault.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        ensure(
            self.margin.is_finite() && self.margin >= 0.0,
            "promote.margin",
            "must not be negative",
        )?;
        ensure(self.window >= 20, "promote.window", "must be at least 20 samples")
    }
}

impl Default for PromoteSpec {
    fn default() -> Self {
        Self::USUAL
    }
}

impl Comparison {
    /// Whether the new model is not worse.
    #[must_use]
    pub fn is_not_worse(&self) -> bool {
        self.new_loss <= self.old_loss * (1.0 + self.margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_is_a_part_of_the_old_loss() {
        let compare = |new_loss, margin| {
            Comparison { generation: 1, samples: 20, new_loss, old_loss: 2.0, margin }
                .is_not_worse()
        };
        assert!(compare(2.0, 0.0) && !compare(2.001, 0.0));
        assert!(compare(2.1, 0.05) && !compare(2.11, 0.05));
        assert!(!compare(f64::NAN, 1.0));
    }

    #[test]
    fn bad_values_are_named() {
        let broken = PromoteSpec { margin: -0.1, ..PromoteSpec::USUAL };
        assert_eq!(broken.validate().unwrap_err().key, "promote.margin");
        let broken = PromoteSpec { window: 5, ..PromoteSpec::USUAL };
        assert_eq!(broken.validate().unwrap_err().key, "promote.window");
        assert_eq!(PromoteSpec::USUAL.validate(), Ok(()));
    }
}
