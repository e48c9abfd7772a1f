//! RMS normalisation (Zhang & Sennrich 2019, arXiv:1910.07467).

use crate::Real;
use crate::lanes::dot;

/// Added to the mean square, inside the root.
pub const EPSILON: f64 = 1e-5;

/// `y = x * r * gain` with `r = 1 / sqrt(mean(x^2) + EPSILON)` per row. `x` and `y` are (rows,
/// width), `gain` is (width), and `inv_rms` (rows) receives each `r`.
///
/// # Panics
/// When the lengths do not fit.
pub fn forward<T: Real>(x: &[T], gain: &[T], y: &mut [T], inv_rms: &mut [T]) {
    let width = gain.len();
    assert!(width > 0 && x.len() == inv_rms.len() * width && y.len() == x.len());
    let (scale, epsilon) = (T::of(1.0 / width as f64), T::of(EPSILON));
    let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width));
    for ((x, y), inv_rms) in rows.zip(inv_rms) {
        let r = T::ONE / (dot(x, x) * scale + epsilon).sqrt();
        *inv_rms = r;
        for ((y, x), gain) in y.iter_mut().zip(x).zip(gain) {
            *y = *x * r * *gain;
        }
    }
}

/// Adds the gradients of [`forward`] to `dx` (rows, width) and `dgain` (width), given that of the
/// output, `dy`, and `inv_rms` as `forward` left it.
///
/// # Panics
/// When the lengths do not fit.
pub fn backward<T: Real>(
    x: &[T],
    gain: &[T],
    inv_rms: &[T],
    dy: &[T],
    dx: &mut [T],
    dgain: &mut [T],
) {
    let width = gain.len();
    assert!(width > 0 && x.len() == inv_rms.len() * width && dgain.len() == width);
    assert!(dy.len() == x.len() && dx.len() == x.len());
    let scale = T::of(1.0 / width as f64);
    let rows = x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width));
    for (((x, dy), dx), inv_rms) in rows.zip(inv_rms) {
        let r = *inv_rms;
        let mut along = T::ZERO;
        for (((dgain, gain), x), dy) in dgain.iter_mut().zip(gain).zip(x).zip(dy) {
            let product = *dy * *x;
            *dgain += product * r;
            along += product * *gain;
        }
        let shrink = along * r * r * r * scale;
        for (((dx, gain), x), dy) in dx.iter_mut().zip(gain).zip(x).zip(dy) {
            *dx += *dy * *gain * r - *x * shrink;
        }
    }
}
