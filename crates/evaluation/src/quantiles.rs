//! What quantile forecasts are worth.

use serde::{Deserialize, Serialize};

/// Quantile forecasts of one horizon beside what happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuantileMetrics {
    /// Mean pinball loss over all samples and levels.
    pub pinball: f64,
    /// The same for each level by itself.
    pub pinball_by_level: Vec<f64>,
    /// The share of outcomes from the lowest quantile to the highest, both included.
    pub coverage: f64,
    /// What that share should be: the highest level minus the lowest.
    pub nominal_coverage: f64,
}

impl QuantileMetrics {
    /// Judges `forecasts`, (samples, levels) row-major, by `outcomes` in the same unit.
    #[must_use]
    pub fn new(forecasts: &[f64], outcomes: &[f64], levels: &[f64]) -> Self {
        let n = outcomes.len().max(1) as f64;
        let mut by_level = vec![0.0; levels.len()];
        let mut inside = 0_usize;
        for (forecast, &outcome) in forecasts.chunks_exact(levels.len().max(1)).zip(outcomes) {
            for ((sum, quantile), level) in by_level.iter_mut().zip(forecast).zip(levels) {
                *sum += pinball(*quantile, *level, outcome);
            }
            let bounds = forecast.first().zip(forecast.last());
            inside += usize::from(bounds.is_some_and(|(a, b)| *a <= outcome && outcome <= *b));
        }
        by_level.iter_mut().for_each(|sum| *sum /= n);
        let bounds = levels.first().zip(levels.last());
        Self {
            pinball: by_level.iter().sum::<f64>() / levels.len().max(1) as f64,
            pinball_by_level: by_level,
            coverage: inside as f64 / n,
            nominal_coverage: bounds.map_or(0.0, |(first, last)| last - first),
        }
    }
}

/// The pinball loss (Koenker & Bassett 1978, Econometrica 46(1)) of one quantile:
/// `max(level e, (level - 1) e)` with `e = outcome - quantile`.
#[must_use]
pub fn pinball(quantile: f64, level: f64, outcome: f64) -> f64 {
    let error = outcome - quantile;
    (level * error).max((level - 1.0) * error)
}

/// The pinball loss of every sample, averaged over the levels.
#[must_use]
pub fn losses(forecasts: &[f64], outcomes: &[f64], levels: &[f64]) -> Vec<f64> {
    let of_sample = |(forecast, outcome): (&[f64], &f64)| {
        let quantiles = forecast.iter().zip(levels);
        let sum: f64 =
            quantiles.map(|(quantile, level)| pinball(*quantile, *level, *outcome)).sum();
        sum / levels.len() as f64
    };
    forecasts.chunks_exact(levels.len().max(1)).zip(outcomes).map(of_sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinball_and_coverage_by_hand() {
        let levels = [0.1, 0.5];
        // Outcomes 2 and -1; forecasts (0, 1) twice: errors 2, 1 and -1, -2.
        let forecasts = [0.0, 1.0, 0.0, 1.0];
        let found = QuantileMetrics::new(&forecasts, &[2.0, -1.0], &levels);
        assert!((found.pinball_by_level[0] - (0.2 + 0.9) / 2.0).abs() < 1e-15);
        assert!((found.pinball_by_level[1] - (0.5 + 1.0) / 2.0).abs() < 1e-15);
        assert!((found.pinball - (0.55 + 0.75) / 2.0).abs() < 1e-15);
        assert_eq!((found.coverage, found.nominal_coverage), (0.0, 0.4));
        let losses = losses(&forecasts, &[2.0, -1.0], &levels);
        assert!((losses[0] - 0.35).abs() < 1e-15 && (losses[1] - 0.95).abs() < 1e-15);
    }

    #[test]
    fn the_ends_of_the_interval_belong_to_it() {
        let found = QuantileMetrics::new(&[-1.0, 1.0], &[1.0], &[0.05, 0.95]);
        assert_eq!(found.coverage, 1.0);
    }

    #[test]
    fn the_true_quantile_has_the_smallest_loss() {
        let outcomes: Vec<f64> = (0..101).map(f64::from).collect();
        let loss = |quantile: f64| -> f64 {
            outcomes.iter().map(|outcome| pinball(quantile, 0.25, *outcome)).sum()
        };
        assert!(loss(25.0) < loss(24.0) && loss(25.0) < loss(26.0));
    }
}
