//! Means, ranks, correlations, and the noise of a mean over overlapping samples.

/// The mean; NaN of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[middle],
        _ => 0.5 * (sorted[middle - 1] + sorted[middle]),
    }
}

/// The rank of every value, from 1; equal values share the mean of their ranks.
#[must_use]
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut done = 0;
    for ties in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = done as f64 + (ties.len() as f64 + 1.0) / 2.0;
        for &index in ties {
            ranks[index] = rank;
        }
        done += ties.len();
    }
    ranks
}

/// The correlation of Pearson; none where a side is constant or there are fewer than two pairs.
#[must_use]
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    // Of what is constant, rounding may make a spread.
    let constant = |values: &[f64]| values.windows(2).all(|pair| pair[0] == pair[1]);
    if constant(a) || constant(b) {
        return None;
    }
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    let scale = (aa * bb).sqrt();
    (scale > 0.0 && scale.is_finite()).then(|| (ab / scale).clamp(-1.0, 1.0))
}

/// The rank correlation of Spearman (1904): that of Pearson between the [`ranks`].
#[must_use]
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    pearson(&ranks(a), &ranks(b))
}

/// The variance of the mean of `values` when values up to `lags` apart are correlated, as errors of
/// forecasts `lags + 1` steps ahead are:
///
/// ```text
/// (g_0 + 2 (g_1 + ... + g_lags)) / n        g_k = sum (v_t - m) (v_{t-k} - m) / n
/// ```
///
/// which is the estimate of Diebold & Mariano (1995), J. Business & Economic Statistics 13(3). It can
/// come out negative or zero; then each `g_k` is weighed by `1 - k / (lags + 1)` (Newey & West 1987,
/// Econometrica 55(3)), which cannot be negative. Zero for constant values.
#[must_use]
pub fn variance_of_mean(values: &[f64], lags: usize) -> f64 {
    let n = values.len() as f64;
    let mean = mean(values);
    let covariance = |lag: usize| {
        let pairs = values.iter().skip(lag).zip(values);
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n
    };
    let at: Vec<f64> = (0..=lags.min(values.len().saturating_sub(1))).map(covariance).collect();
    let sum = |weight: &dyn Fn(usize) -> f64| {
        let later = at.iter().enumerate().skip(1).map(|(lag, c)| weight(lag) * c).sum::<f64>();
        at.first().map_or(f64::NAN, |at_zero| (at_zero + 2.0 * later) / n)
    };
    let plain = sum(&|_| 1.0);
    // What is left of rounding is no variance.
    if plain > 1e-12 * at.first().map_or(0.0, |c| c / n) {
        return plain;
    }
    sum(&|lag| 1.0 - lag as f64 / (lags as f64 + 1.0)).max(0.0)
}

/// How many independent samples `samples` overlapping ones are worth: a `horizon`-th of them, for the
/// outcomes of neighbours share all bars but one.
#[must_use]
pub fn effective(samples: usize, horizon: usize) -> f64 {
    samples as f64 / horizon.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_their_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0, 3.0]), [4.0, 1.0, 4.0, 2.0, 4.0]);
        assert!(ranks(&[]).is_empty());
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[5.0, 1.0, 3.0]), 3.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn correlations_agree_with_scipy() {
        let a = [0.3, -1.2, 2.5, 0.3, 4.1, -0.7, 1.9];
        let b = [1.0, -0.4, 0.9, 2.2, 3.3, -2.0, 0.1];
        // scipy.stats.pearsonr and spearmanr, SciPy 1.17.1.
        assert!((pearson(&a, &b).unwrap() - 0.6916459176039924).abs() < 1e-14);
        assert!((spearman(&a, &b).unwrap() - 0.6666937223947136).abs() < 1e-14);
        assert_eq!(spearman(&a, &[0.1; 7]), None);
        assert_eq!(pearson(&a, &[0.1; 7]), None);
        assert_eq!(pearson(&[1.0], &[1.0]), None);
    }

    #[test]
    fn the_variance_of_a_mean_counts_correlated_neighbours() {
        let values = [1.0, 2.0, 4.0, 3.0];
        // By hand: mean 2.5; g_0 = 5/4, g_1 = (0.75 - 0.75 + 0.75) / 4.
        assert!((variance_of_mean(&values, 0) - 1.25 / 4.0).abs() < 1e-15);
        assert!((variance_of_mean(&values, 1) - (1.25 + 2.0 * 0.1875) / 4.0).abs() < 1e-15);
        // Values that alternate: g_0 = 1, g_1 = -3/4, so the plain sum is negative and each lag is
        // weighed by a half.
        let alternating = [1.0, -1.0, 1.0, -1.0];
        assert!((variance_of_mean(&alternating, 1) - (1.0 - 0.75) / 4.0).abs() < 1e-15);
        assert_eq!(variance_of_mean(&[2.0; 5], 3), 0.0);
        assert!(variance_of_mean(&[1.0], 4) == 0.0);
    }
}
