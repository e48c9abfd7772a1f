//! What a model is made from.

use mambafleet_protocol::{ModelSpec, ReturnsSpec, TrainSpec};
use serde::{Deserialize, Serialize};

use crate::BackendError;

/// Everything that fixes a model's shape and meaning, apart from its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Dimensions of the Mamba blocks.
    pub spec: ModelSpec,
    /// Input features per time step.
    pub n_features: usize,
    /// Time steps per window.
    pub seq_len: usize,
    /// What the outputs mean and how they are judged.
    pub objective: Objective,
}

/// What the outputs mean and how they are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Objective {
    /// One linear output per target, mean squared error over all elements.
    Mse {
        /// Number of targets.
        targets: usize,
    },
    /// Quantiles per horizon that cannot cross, mean pinball loss (Koenker & Bassett 1978) over
    /// all elements.
    ///
    /// The head gives one raw value per horizon and level. The one of the level 0.5 is the
    /// median; each level above it adds the softplus of its own raw value to the level below,
    /// and each level below subtracts the softplus of its own from the level above.
    Pinball {
        /// Number of horizons, which is the number of targets.
        horizons: usize,
        /// Levels, ascending, with 0.5 among them.
        levels: Vec<f64>,
    },
}

/// Settings of AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) that stay the same at every
/// step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Decay rate of the first moment.
    pub beta1: f64,
    /// Decay rate of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// What decays.
    #[serde(default)]
    pub decay: Decay,
    /// Largest global L2 norm of the gradient; infinite for none.
    pub grad_clip: f64,
}

/// Which tensors weight decay applies to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// The weights of linear and convolution layers, and not biases, gains, `A_log` and `D`.
    #[default]
    Matrices,
    /// Every tensor.
    All,
}

impl ModelConfig {
    /// The configuration that a task on returns and a model specification resolve to.
    #[must_use]
    pub fn for_returns(task: &ReturnsSpec, spec: ModelSpec) -> Self {
        Self {
            spec,
            n_features: task.features.len(),
            seq_len: task.lookback,
            objective: Objective::Pinball {
                horizons: task.horizons.len(),
                levels: task.quantiles.clone(),
            },
        }
    }

    /// Values that the head produces per window.
    #[must_use]
    pub fn n_outputs(&self) -> usize {
        match &self.objective {
            Objective::Mse { targets } => *targets,
            Objective::Pinball { horizons, levels } => horizons * levels.len(),
        }
    }

    /// Values that a window is judged against.
    #[must_use]
    pub fn n_targets(&self) -> usize {
        match &self.objective {
            Objective::Mse { targets } => *targets,
            Objective::Pinball { horizons, .. } => *horizons,
        }
    }
}

impl OptimizerConfig {
    /// The usual settings of AdamW, with gradients of a norm of at most 1.
    pub const USUAL: Self = Self {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.01,
        decay: Decay::Matrices,
        grad_clip: 1.0,
    };
}

impl From<&TrainSpec> for OptimizerConfig {
    fn from(train: &TrainSpec) -> Self {
        Self { weight_decay: train.weight_decay, grad_clip: train.grad_clip, ..Self::USUAL }
    }
}

impl Objective {
    /// The best forecast that is the same for every sample, judged by training `targets`, (samples,
    /// targets) row-major: their quantiles, by type 7 of Hyndman & Fan (1996). None where training
    /// does well to start from zero, or there are no samples.
    #[must_use]
    pub fn constant(&self, targets: &[f32]) -> Option<Vec<f32>> {
        let Self::Pinball { horizons, levels } = self else { return None };
        let last = (targets.len() / horizons.max(&1)).checked_sub(1)?;
        let mut outputs = Vec::with_capacity(horizons * levels.len());
        for horizon in 0..*horizons {
            let of_horizon = targets.iter().skip(horizon).step_by(*horizons);
            let mut sorted: Vec<f32> = of_horizon.copied().collect();
            sorted.sort_unstable_by(f32::total_cmp);
            outputs.extend(levels.iter().map(|level| {
                let place = last as f64 * level;
                let below = (place as usize).min(last);
                let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
                low + (place - below as f64) as f32 * (high - low)
            }));
        }
        Some(outputs)
    }

    /// Mean loss over all elements, summed in f64. `predictions` is (samples, outputs), `targets`
    /// (samples, targets), both row-major.
    ///
    /// # Errors
    /// [`BackendError::Shape`] when the two do not belong together.
    pub fn loss(&self, predictions: &[f32], targets: &[f32]) -> Result<f64, BackendError> {
        let per_target = match self {
            Self::Mse { .. } => 1,
            Self::Pinball { levels, .. } => levels.len(),
        };
        let expected = targets.len() * per_target;
        if predictions.len() != expected {
            let found = predictions.len();
            return Err(BackendError::Shape { what: "predictions", expected, found });
        }
        let mut sum = 0.0;
        for (outputs, target) in predictions.chunks_exact(per_target.max(1)).zip(targets) {
            let target = f64::from(*target);
            match self {
                Self::Mse { .. } => sum += (f64::from(outputs[0]) - target).powi(2),
                Self::Pinball { levels, .. } => {
                    for (output, level) in outputs.iter().zip(levels) {
                        let error = target - f64::from(*output);
                        sum += (level * error).max((level - 1.0) * error);
                    }
                }
            }
        }
        Ok(sum / predictions.len().max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinball_weighs_the_two_sides_by_the_level() {
        let objective = Objective::Pinball { horizons: 1, levels: vec![0.1, 0.5] };
        // Targets 2 and -1; forecasts (0, 1) and (0, 1).
        let loss = objective.loss(&[0.0, 1.0, 0.0, 1.0], &[2.0, -1.0]).unwrap();
        let by_hand = (0.1 * 2.0 + 0.5 * 1.0 + 0.9 * 1.0 + 0.5 * 2.0) / 4.0;
        assert!((loss - by_hand).abs() < 1e-7, "{loss} {by_hand}");
        assert!(objective.loss(&[0.0], &[1.0]).is_err());
    }

    #[test]
    fn the_best_constant_forecast_is_the_quantiles_of_each_horizon() {
        let objective = Objective::Pinball { horizons: 2, levels: vec![0.25, 0.5] };
        // Horizon one: 1, 2, 4, 8. Horizon two: 0, 0, 10, 20.
        let targets = [4.0, 10.0, 1.0, 0.0, 8.0, 20.0, 2.0, 0.0];
        assert_eq!(objective.constant(&targets), Some(vec![1.75, 3.0, 0.0, 5.0]));
        assert_eq!(objective.constant(&[]), None);
        assert_eq!(Objective::Mse { targets: 2 }.constant(&targets), None);
    }

    #[test]
    fn squared_error_is_averaged_over_all_elements() {
        let objective = Objective::Mse { targets: 2 };
        let loss = objective.loss(&[1.0, 2.0], &[0.0, 4.0]).unwrap();
        assert!((loss - 2.5).abs() < 1e-12);
    }
}
