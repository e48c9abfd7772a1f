//! The objective in a model's number type.

use std::cmp::Ordering;

use mambafleet_backend::Objective;
use mambafleet_kernels::{Real, loss, quantile};

use crate::init::inverse_softplus;

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

    /// The raw values that are turned into `outputs`, as nearly as there are any.
    pub(crate) fn raw_of(&self, outputs: &[f32], raw: &mut [T]) {
        /// Quantiles are so far apart at least: no raw value makes them equal.
        const LEAST: f64 = 1e-3;
        match self {
            Self::SquaredError => {
                raw.iter_mut().zip(outputs).for_each(|(raw, output)| *raw = T::from_f32(*output));
            }
            Self::Pinball { levels, anchor } => {
                let rows = raw.chunks_exact_mut(levels.len());
                for (raw, row) in rows.zip(outputs.chunks_exact(levels.len())) {
                    for (level, raw) in raw.iter_mut().enumerate() {
                        let step = match level.cmp(anchor) {
                            Ordering::Less => row[level + 1] - row[level],
                            Ordering::Greater => row[level] - row[level - 1],
                            Ordering::Equal => {
                                *raw = T::from_f32(row[level]);
                                continue;
                            }
                        };
                        *raw = T::of(inverse_softplus(f64::from(step).max(LEAST)));
                    }
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_survive_the_way_to_raw_values_and_back() {
        let levels = vec![0.05, 0.25, 0.5, 0.75, 0.95];
        let criterion = Criterion::<f64>::new(&Objective::Pinball { horizons: 2, levels });
        let wanted = [-1.7_f32, -0.5, 0.05, 0.6, 1.6, -2.0, -2.0, 0.1, 0.4, 9.0];
        let (mut raw, mut found) = ([0.0; 10], [0.0; 10]);
        criterion.raw_of(&wanted, &mut raw);
        criterion.outputs(&raw, &mut found);
        for (found, wanted) in found.iter().zip(wanted) {
            // Equal quantiles come back a thousandth apart.
            assert!((found - f64::from(wanted)).abs() < 1.1e-3, "{found} {wanted}");
        }
        assert!((found[0] - f64::from(wanted[0])).abs() < 1e-6);
    }
}
