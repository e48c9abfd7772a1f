//! Causal depthwise convolution along time, and the SiLU (Elfwing et al. 2017, arXiv:1702.03118)
//! that follows it.
//!
//! One sequence at a time: inputs and outputs are (length, channels). The last tap falls on the
//! current step, the one before on the step before; steps before the first count as zero. Weights
//! are taken as (taps, channels), the transpose of what the reference implementation stores.

use crate::activation::{logistic, silu_slope};
use crate::gemm::{MatMut, MatRef};
use crate::simd::{Kernel, Simd};
use crate::{Isa, Real};

/// The input and the weights.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a, T> {
    /// (length, channels).
    pub x: MatRef<'a, T>,
    /// (taps, channels).
    pub weight: &'a [T],
    /// (channels).
    pub bias: &'a [T],
}

/// Where the gradients go.
#[derive(Debug)]
pub struct Grads<'a, T> {
    /// Of `x`; written.
    pub x: MatMut<'a, T>,
    /// Of the weight: (taps, channels); added to.
    pub weight: &'a mut [T],
    /// Of the bias; added to.
    pub bias: &'a mut [T],
}

impl<T: Real> Inputs<'_, T> {
    /// Panics unless the sizes fit each other and `elements` of output.
    fn check(&self, elements: usize) {
        let channels = self.bias.len();
        assert!(channels > 0 && self.x.cols() == channels);
        assert!(!self.weight.is_empty() && self.weight.len().is_multiple_of(channels));
        assert_eq!(elements, self.x.rows() * channels);
    }
}

/// `u[t, c] = silu(bias[c] + sum over k of weight[k, c] * x[t - (taps - 1) + k, c])`. Leaves the
/// logistic function of the sums in `logistic`.
///
/// # Panics
/// When the lengths do not fit.
pub fn forward<T: Real>(isa: Isa, inputs: &Inputs<'_, T>, u: &mut [T], logistic: &mut [T]) {
    inputs.check(u.len());
    assert_eq!(u.len(), logistic.len());
    T::dispatch(isa, Forward { inputs, u, logistic });
}

struct Forward<'a, T> {
    inputs: &'a Inputs<'a, T>,
    u: &'a mut [T],
    logistic: &'a mut [T],
}

impl<T: Real> Kernel<T> for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(self, s: S) {
        let Inputs { x, weight, bias } = self.inputs;
        let channels = bias.len();
        let taps = weight.len() / channels;
        let rows = self.u.chunks_exact_mut(channels).zip(self.logistic.chunks_exact_mut(channels));
        for (t, (u, kept)) in rows.enumerate() {
            u.copy_from_slice(bias);
            for back in 0..taps.min(t + 1) {
                add_product(s, u, &weight[(taps - 1 - back) * channels..], x.row(t - back));
            }
            for (u, kept) in u.chunks_mut(S::LANES).zip(kept.chunks_mut(S::LANES)) {
                let sum = s.load_part(u);
                let share = logistic(s, sum);
                s.store_part(share, kept);
                s.store_part(s.mul(sum, share), u);
            }
        }
    }
}

/// `sum += a * b`, element by element, for the length of `sum`.
#[inline(always)]
fn add_product<S: Simd>(s: S, sum: &mut [S::Element], a: &[S::Element], b: &[S::Element]) {
    let (a, b) = (&a[..sum.len()], &b[..sum.len()]);
    let mut sums = sum.chunks_exact_mut(S::LANES);
    let (mut firsts, mut seconds) = (a.chunks_exact(S::LANES), b.chunks_exact(S::LANES));
    for ((sum, a), b) in sums.by_ref().zip(firsts.by_ref()).zip(seconds.by_ref()) {
        s.store(s.mul_add(s.load(a), s.load(b), s.load(sum)), sum);
    }
    let (sum, a, b) = (sums.into_remainder(), firsts.remainder(), seconds.remainder());
    if !sum.is_empty() {
        s.store_part(s.mul_add(s.load_part(a), s.load_part(b), s.load_part(sum)), sum);
    }
}

/// Gradients of [`forward`], given what it read and wrote, and the gradient of its output, `du`,
/// which becomes that of the convolution.
///
/// # Panics
/// When the lengths do not fit.
pub fn backward<T: Real>(
    isa: Isa,
    inputs: &Inputs<'_, T>,
    u: &[T],
    logistic: &[T],
    du: &mut [T],
    grads: Grads<'_, T>,
) {
    inputs.check(du.len());
    assert!(u.len() == du.len() && logistic.len() == du.len());
    assert!(grads.weight.len() == inputs.weight.len() && grads.bias.len() == inputs.bias.len());
    assert_eq!((grads.x.rows(), grads.x.cols()), (inputs.x.rows(), inputs.x.cols()));
    T::dispatch(isa, Backward { inputs, u, logistic, du, grads });
}

struct Backward<'a, T> {
    inputs: &'a Inputs<'a, T>,
    u: &'a [T],
    logistic: &'a [T],
    du: &'a mut [T],
    grads: Grads<'a, T>,
}

impl<T: Real> Kernel<T> for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(mut self, s: S) {
        let channels = self.inputs.bias.len();
        let rows = self.u.chunks_exact(channels).zip(self.logistic.chunks_exact(channels));
        for ((u, share), du) in rows.zip(self.du.chunks_exact_mut(channels)) {
            let parts = u.chunks(S::LANES).zip(share.chunks(S::LANES));
            let targets = du.chunks_mut(S::LANES).zip(self.grads.bias.chunks_mut(S::LANES));
            for ((u, share), (du, dbias)) in parts.zip(targets) {
                let slope = silu_slope(s, s.load_part(u), s.load_part(share));
                let grad = s.mul(s.load_part(du), slope);
                s.store_part(grad, du);
                s.store_part(s.add(s.load_part(dbias), grad), dbias);
            }
        }
        for t in 0..self.inputs.x.rows() {
            self.step(s, t);
        }
    }
}

impl<T: Real> Backward<'_, T> {
    /// The gradients of `x` at step `t`, and of the weights through the output there.
    #[inline(always)]
    fn step<S: Simd<Element = T>>(&mut self, s: S, t: usize) {
        let Inputs { x, weight, bias } = self.inputs;
        let (channels, length) = (bias.len(), x.rows());
        let taps = weight.len() / channels;
        let dx = self.grads.x.row_mut(t);
        dx.fill(T::ZERO);
        for ahead in 0..taps.min(length - t) {
            let grad = &self.du[(t + ahead) * channels..];
            add_product(s, dx, &weight[(taps - 1 - ahead) * channels..], grad);
        }
        let grad = &self.du[t * channels..];
        for back in 0..taps.min(t + 1) {
            let at = (taps - 1 - back) * channels;
            add_product(s, &mut self.grads.weight[at..at + channels], grad, x.row(t - back));
        }
    }
}
