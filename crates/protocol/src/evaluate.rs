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
    pub const USUAL: Self = Self { folds: 1, window: WindowSpec::Expanding };

    /// Checks every value.
    ///
    /// # Errors
    /// [`InvalidSpec`] names the key at fault.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        ensure((1..=100).contains(&self.folds), "evaluate.folds", "must be between 1 and 100")
    }
}

impl Default for EvaluateSpec {
    fn default() -> Self {
        Self::USUAL
    }
}
