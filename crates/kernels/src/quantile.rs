//! Quantiles that cannot cross, from raw outputs.
//!
//! Of the raw values of one target, one per level, the one at the anchor is the median; each
//! level above it adds the softplus of its own raw value to the level below, and each level below
//! subtracts the softplus of its own from the level above.

use crate::Real;
use crate::activation::{sigmoid, softplus};

/// Turns `raw` (rows, levels) into quantiles (rows, levels), ascending within each row; `anchor`
/// is the index of the level 0.5.
///
/// # Panics
/// When the lengths do not fit or the anchor is no level.
pub fn forward<T: Real>(raw: &[T], levels: usize, anchor: usize, quantiles: &mut [T]) {
    assert!(anchor < levels && raw.len().is_multiple_of(levels));
    assert_eq!(raw.len(), quantiles.len());
    for (raw, row) in raw.chunks_exact(levels).zip(quantiles.chunks_exact_mut(levels)) {
        row[anchor] = raw[anchor];
        for level in anchor + 1..levels {
            row[level] = row[level - 1] + softplus(raw[level]);
        }
        for level in (0..anchor).rev() {
            row[level] = row[level + 1] - softplus(raw[level]);
        }
    }
}

/// Turns the gradient of the quantiles, `grad` (rows, levels), into that of `raw`, in place.
///
/// # Panics
/// When the lengths do not fit or the anchor is no level.
pub fn backward<T: Real>(raw: &[T], levels: usize, anchor: usize, grad: &mut [T]) {
    assert!(anchor < levels && raw.len().is_multiple_of(levels));
    assert_eq!(raw.len(), grad.len());
    for (raw, row) in raw.chunks_exact(levels).zip(grad.chunks_exact_mut(levels)) {
        // A raw value moves its own level and all levels beyond it, seen from the anchor.
        let mut above = T::ZERO;
        for level in (anchor + 1..levels).rev() {
            above += row[level];
            row[level] = above * sigmoid(raw[level]);
        }
        let mut below = T::ZERO;
        for level in 0..anchor {
            below += row[level];
            row[level] = -below * sigmoid(raw[level]);
        }
        row[anchor] += above + below;
    }
}
