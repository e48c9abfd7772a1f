//! The objective in a model's number type.

use mambafleet_backend::Objective;
use mambafleet_kernels::{Real, loss, quantile};

/// How the head's raw values become outputs and how these are judged.
#[derive(Debug, Clone)]
pub(crate) enum Criterion<T> {
    /// Raw values are the outputs; squared error.
    SquaredError,
    /// Quantiles that cannot cross; pinball loss.
    Pinball {
        /// The levels, ascending.
        levels: Vec<T>,
        /// Index of the level 0.5.
        anchor: usize,
    },
}

impl<T: Real> Criterion<T> {
    /// The criterion of a checked objective.
    pub(crate) fn new(objective: &Objective) -> Self {
        match objective {
            Objective::Mse { .. } => Self::SquaredError,
            Objective::Pinball { levels, .. } => Self::Pinball {
                levels: levels.iter().map(|level| T::of(*level)).collect(),
                anchor: levels.iter().take_while(|level| **level < 0.5).count(),
            },
        }
    }

    /// Turns raw values into outputs.
    pub(crate) fn outputs(&self, raw: &[T], outputs: &mut [T]) {
        match self {
            Self::SquaredError => outputs.copy_from_slice(raw),
            Self::Pinball { levels, anchor } => {
                quantile::forward(raw, levels.len(), *anchor, outputs);
            }
        }
    }

    /// The loss summed over the outputs; writes the gradient of `scale` times that sum with
    /// respect to the raw values.
    pub(crate) fn loss(
        &self,
        raw: &[T],
        outputs: &[T],
        targets: &[T],
        scale: T,
        grad: &mut [T],
    ) -> f64 {
        match self {
            Self::SquaredError => loss::squared_error(outputs, targets, scale, grad),
            Self::Pinball { levels, anchor } => {
                let sum = loss::pinball(outputs, targets, levels, scale, grad);
                quantile::backward(raw, levels.len(), *anchor, grad);
                sum
            }
        }
    }
}
