//! Causal depthwise convolution along time, and the SiLU (Elfwing et al. 2017, arXiv:1702.03118)
//! that follows it.
//!
//! One sequence at a time: inputs and outputs are (length, channels). The last tap falls on the
//! current step, the one before on the step before; steps before the first count as zero. Weights
//! are taken as (taps, channels), the transpose of what the reference implementation stores.

use crate::activation::{logistic, silu_slope};
use crate::gemm::{MatMut, MatRef};
use crate::simd::{Kernel, Simd, each};
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
            add_products(s, u, taps.min(t + 1), |back| {
                [&weight[(taps - 1 - back) * channels..], x.row(t - back)]
            });
            each!(s, [], [u, kept], {
                let share = logistic(s, u);
                [s.mul(u, share), share]
            });
        }
    }
}

/// Adds to `sum` the products of `terms` rows, element by element, for the length of `sum`; `row`
/// finds the two factors of each.
#[inline(always)]
fn add_products<'a, S: Simd>(
    s: S,
    sum: &mut [S::Element],
    terms: usize,
    row: impl Fn(usize) -> [&'a [S::Element]; 2],
) where
    S::Element: 'a,
{
    // Four at a time, so that the sums are fetched and put away less often.
    for first in (0..terms / 4 * 4).step_by(4) {
        let ([a, b], [c, d]) = (row(first), row(first + 1));
        let ([e, f], [g, h]) = (row(first + 2), row(first + 3));
        each!(s, [a, b, c, d, e, f, g, h], [sum], {
            let sum = s.mul_add(c, d, s.mul_add(a, b, sum));
            [s.mul_add(g, h, s.mul_add(e, f, sum))]
        });
    }
    for term in terms / 4 * 4..terms {
        let [a, b] = row(term);
        each!(s, [a, b], [sum], [s.mul_add(a, b, sum)]);
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
            let dbias = &mut *self.grads.bias;
            each!(s, [u, share], [du, dbias], {
                let grad = s.mul(du, silu_slope(s, u, share));
                [grad, s.add(dbias, grad)]
            });
        }
        let Inputs { x, weight, .. } = self.inputs;
        let (length, taps) = (x.rows(), weight.len() / channels);
        let du = &*self.du;
        for t in 0..length {
            let dx = self.grads.x.row_mut(t);
            dx.fill(T::ZERO);
            add_products(s, dx, taps.min(length - t), |ahead| {
                [&weight[(taps - 1 - ahead) * channels..], &du[(t + ahead) * channels..]]
            });
        }
        for (back, dweight) in self.grads.weight.chunks_exact_mut(channels).rev().enumerate() {
            add_products(s, dweight, length.saturating_sub(back), |t| {
                [&du[(t + back) * channels..], x.row(t)]
            });
        }
    }
}
