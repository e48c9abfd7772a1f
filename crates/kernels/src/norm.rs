//! RMS normalisation (Zhang & Sennrich 2019, arXiv:1910.07467).

use crate::simd::{Kernel, Simd};
use crate::{Isa, Real};

/// Added to the mean square, inside the root.
pub const EPSILON: f64 = 1e-5;

/// `y = x * r * gain` with `r = 1 / sqrt(mean(x^2) + EPSILON)` per row. `x` and `y` are (rows,
/// width), `gain` is (width), and `inv_rms` (rows) receives each `r`.
///
/// # Panics
/// When the lengths do not fit.
pub fn forward<T: Real>(isa: Isa, x: &[T], gain: &[T], y: &mut [T], inv_rms: &mut [T]) {
    let width = gain.len();
    assert!(width > 0 && x.len() == inv_rms.len() * width && y.len() == x.len());
    T::dispatch(isa, Forward { x, gain, y, inv_rms });
}

struct Forward<'a, T> {
    x: &'a [T],
    gain: &'a [T],
    y: &'a mut [T],
    inv_rms: &'a mut [T],
}

impl<T: Real> Kernel<T> for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(self, s: S) {
        let width = self.gain.len();
        let (scale, epsilon) = (T::of(1.0 / width as f64), T::of(EPSILON));
        let rows = self.x.chunks_exact(width).zip(self.y.chunks_exact_mut(width));
        for ((x, y), inv_rms) in rows.zip(self.inv_rms) {
            let mut square = s.zero();
            for x in x.chunks(S::LANES) {
                let x = s.load_part(x);
                square = s.mul_add(x, x, square);
            }
            let r = T::ONE / (s.total(square) * scale + epsilon).sqrt();
            *inv_rms = r;
            let r = s.splat(r);
            let parts = x.chunks(S::LANES).zip(self.gain.chunks(S::LANES));
            for ((x, gain), y) in parts.zip(y.chunks_mut(S::LANES)) {
                s.store_part(s.mul(s.mul(s.load_part(x), r), s.load_part(gain)), y);
            }
        }
    }
}

/// What [`backward`] reads.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a, T> {
    /// The input: (rows, width).
    pub x: &'a [T],
    /// The gain: (width).
    pub gain: &'a [T],
    /// As [`forward`] left it: (rows).
    pub inv_rms: &'a [T],
    /// Gradient of the output: (rows, width).
    pub dy: &'a [T],
}

/// Adds the gradients of [`forward`] to `dx` (rows, width) and `dgain` (width).
///
/// # Panics
/// When the lengths do not fit.
pub fn backward<T: Real>(isa: Isa, inputs: &Inputs<'_, T>, dx: &mut [T], dgain: &mut [T]) {
    let Inputs { x, gain, inv_rms, dy } = inputs;
    let width = gain.len();
    assert!(width > 0 && x.len() == inv_rms.len() * width && dgain.len() == width);
    assert!(dy.len() == x.len() && dx.len() == x.len());
    T::dispatch(isa, Backward { inputs, dx, dgain });
}

struct Backward<'a, T> {
    inputs: &'a Inputs<'a, T>,
    dx: &'a mut [T],
    dgain: &'a mut [T],
}

impl<T: Real> Kernel<T> for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(self, s: S) {
        let Inputs { x, gain, inv_rms, dy } = self.inputs;
        let width = gain.len();
        let scale = T::of(1.0 / width as f64);
        let rows = x.chunks_exact(width).zip(dy.chunks_exact(width));
        for (((x, dy), dx), r) in rows.zip(self.dx.chunks_exact_mut(width)).zip(*inv_rms) {
            let r_each = s.splat(*r);
            let mut along = s.zero();
            let parts = x.chunks(S::LANES).zip(dy.chunks(S::LANES)).zip(gain.chunks(S::LANES));
            for (((x, dy), gain), dgain) in parts.zip(self.dgain.chunks_mut(S::LANES)) {
                let product = s.mul(s.load_part(dy), s.load_part(x));
                s.store_part(s.mul_add(product, r_each, s.load_part(dgain)), dgain);
                along = s.mul_add(product, s.load_part(gain), along);
            }
            let shrink = s.splat(s.total(along) * *r * *r * *r * scale);
            let parts = x.chunks(S::LANES).zip(dy.chunks(S::LANES)).zip(gain.chunks(S::LANES));
            for (((x, dy), gain), dx) in parts.zip(dx.chunks_mut(S::LANES)) {
                let straight = s.mul(s.mul(s.load_part(dy), s.load_part(gain)), r_each);
                let grad = s.neg_mul_add(s.load_part(x), shrink, straight);
                s.store_part(s.add(s.load_part(dx), grad), dx);
            }
        }
    }
}
