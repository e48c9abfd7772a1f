//! Losses. Each function returns the sum over all elements, in double precision, and writes the
//! gradient of `scale` times that sum; a mean loss has `scale = 1 / elements`.

use crate::Real;

/// Sum of squared errors. `outputs`, `targets` and `grad` have one element per target.
///
/// # Panics
/// When the lengths differ.
pub fn squared_error<T: Real>(outputs: &[T], targets: &[T], scale: T, grad: &mut [T]) -> f64 {
    assert!(outputs.len() == targets.len() && grad.len() == targets.len());
    let mut sum = 0.0;
    for ((grad, output), target) in grad.iter_mut().zip(outputs).zip(targets) {
        let error = *output - *target;
        *grad = (error + error) * scale;
        sum += error.to_f64() * error.to_f64();
    }
    sum
}

/// Sum of the pinball loss (Koenker & Bassett 1978), `max(level * e, (level - 1) * e)` with the
/// error `e = target - quantile`. `quantiles` and `grad` are (targets, levels), `targets` is
/// (targets). Where the error is zero, so is the gradient.
///
/// # Panics
/// When the lengths do not fit.
pub fn pinball<T: Real>(
    quantiles: &[T],
    targets: &[T],
    levels: &[T],
    scale: T,
    grad: &mut [T],
) -> f64 {
    assert!(quantiles.len() == targets.len() * levels.len() && grad.len() == quantiles.len());
    let mut sum = 0.0;
    let rows = quantiles.chunks_exact(levels.len().max(1));
    for ((row, grad), target) in rows.zip(grad.chunks_exact_mut(levels.len().max(1))).zip(targets) {
        for ((quantile, grad), level) in row.iter().zip(grad).zip(levels) {
            let error = *target - *quantile;
            let slope = if error < T::ZERO {
                *level - T::ONE
            } else if error > T::ZERO {
                *level
            } else {
                T::ZERO
            };
            *grad = -slope * scale;
            // Zero times the error, not zero: an error that is not a number must show.
            sum += (slope * error).to_f64();
        }
    }
    sum
}
