//! Whether one forecast is better than another, or only luckier.

use serde::{Deserialize, Serialize};

use crate::special::student_two_sided;
use crate::statistics::{mean, variance_of_mean};

/// The outcome of a test of Diebold and Mariano.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Samples.
    pub samples: usize,
    /// Mean loss minus the other's: below zero, the forecast is better.
    pub difference: f64,
    /// The statistic; zero where the two never differ.
    pub statistic: f64,
    /// How probable a statistic at least as far from zero is between equally good forecasts.
    pub p: f64,
}

/// Compares the losses of a forecast with those of another over the same samples, `horizon` bars ahead.
///
/// With `d_t` the differences, `m` their mean and `V` its variance by
/// [`variance_of_mean`] over `h - 1` lags,
///
/// ```text
/// S = m / sqrt(V) * sqrt((n + 1 - 2h + h (h - 1) / n) / n)
/// ```
///
/// is compared with Student's t of `n - 1` degrees of freedom: Diebold & Mariano (1995) with the
/// correction for small samples of Harvey, Leybourne & Newbold (1997), Int. J. Forecasting 13(2).
/// `None` for fewer than two samples, or no more than `h`.
#[must_use]
pub fn diebold_mariano(losses: &[f64], others: &[f64], horizon: usize) -> Option<Comparison> {
    let differences: Vec<f64> = losses.iter().zip(others).map(|(a, b)| a - b).collect();
    let samples = differences.len();
    if samples < 2 || samples <= horizon {
        return None;
    }
    let (n, h) = (samples as f64, horizon.max(1) as f64);
    let difference = mean(&differences);
    let variance = variance_of_mean(&differences, horizon.max(1) - 1);
    if !difference.is_finite() || !variance.is_finite() {
        return None;
    }
    if variance <= 0.0 {
        // They never differ, or always by the same: then the one is better beyond any doubt.
        let same = difference == 0.0;
        let (statistic, p) = if same { (0.0, 1.0) } else { (f64::MAX.copysign(difference), 0.0) };
        return Some(Comparison { samples, difference, statistic, p });
    }
    let correction = ((n + 1.0 - 2.0 * h + h * (h - 1.0) / n) / n).max(0.0);
    let statistic = difference / variance.sqrt() * correction.sqrt();
    let p = student_two_sided(statistic, n - 1.0);
    Some(Comparison { samples, difference, statistic, p })
}

/// Which hypotheses stay rejected at level `alpha` when all of `p` are looked at: the step-down
/// procedure of Holm (1979), Scandinavian J. of Statistics 6(2). The smallest of `n` probabilities is
/// compared with `alpha / n`, the next with `alpha / (n - 1)` and so on, up to the first that is larger.
#[must_use]
pub fn holm(p: &[f64], alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut rejected = vec![false; p.len()];
    for (rank, &index) in order.iter().enumerate() {
        let fine = p[index] <= alpha / (p.len() - rank) as f64;
        if !fine {
            break;
        }
        rejected[index] = true;
    }
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [f64; 12] = [0.8, 1.1, 0.4, 2.0, 0.9, 1.5, 0.3, 0.7, 1.2, 0.6, 1.9, 0.2];
    const B: [f64; 12] = [1.0, 1.0, 0.9, 2.6, 1.1, 1.2, 0.8, 0.9, 1.3, 0.9, 2.1, 0.7];

    #[test]
    fn the_test_agrees_with_a_computation_in_numpy() {
        // The formula of the doc comment in NumPy 2.4, p from scipy.stats.t of SciPy 1.17.1.
        for (horizon, statistic, p) in [
            (1, -3.1658730069273675, 0.008984429341809196),
            (2, -3.6244851949132593, 0.003994994466393331),
            (3, -3.8594943538683055, 0.002655623249877168),
            (5, -3.999660311663434, 0.00208740547175373),
        ] {
            let found = diebold_mariano(&A, &B, horizon).unwrap();
            assert!((found.statistic - statistic).abs() < 1e-10, "{found:?}");
            assert!((found.p - p).abs() < 1e-10, "{found:?}");
            let mirrored = diebold_mariano(&B, &A, horizon).unwrap();
            assert!((found.statistic + mirrored.statistic).abs() < 1e-12);
        }
    }

    #[test]
    fn forecasts_that_never_differ_are_equally_good() {
        let found = diebold_mariano(&A, &A, 5).unwrap();
        assert_eq!((found.statistic, found.p), (0.0, 1.0));
        let shifted = A.map(|a| a + 1.0);
        assert_eq!(diebold_mariano(&[1.0; 9], &[2.0; 9], 1).unwrap().p, 0.0);
        assert!(diebold_mariano(&A, &shifted, 1).unwrap().p < 1e-9);
        assert_eq!(diebold_mariano(&A[..5], &B[..5], 5), None);
        assert_eq!(diebold_mariano(&[], &[], 1), None);
    }

    #[test]
    fn holm_steps_down_and_stops() {
        // 0.01 <= 0.05/4, 0.015 <= 0.05/3, 0.03 > 0.05/2: the rest stay, small or not.
        assert_eq!(holm(&[0.03, 0.01, 0.04, 0.015], 0.05), [false, true, false, true]);
        assert_eq!(holm(&[0.02, 0.02], 0.05), [true, true]);
        assert_eq!(holm(&[0.03, 0.03], 0.05), [false, false]);
        assert_eq!(holm(&[f64::NAN, 0.001], 0.05), [false, true]);
        assert!(holm(&[], 0.05).is_empty());
    }
}
