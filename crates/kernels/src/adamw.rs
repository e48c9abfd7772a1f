//! AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101): Adam with decoupled weight decay.

use crate::simd::{Kernel, Simd};
use crate::{Isa, Real};

/// What one step needs to know, as plain numbers.
#[derive(Debug, Clone, Copy)]
pub struct Step<T> {
    /// Decay rate of the first moment.
    pub beta1: T,
    /// Decay rate of the second moment.
    pub beta2: T,
    /// Added to the root of the second moment.
    pub epsilon: T,
    /// The parameters are multiplied by this first.
    pub keep: T,
    /// The gradient is multiplied by this first (clipping).
    pub gradient_scale: T,
    /// Learning rate over `1 - beta1^t`.
    pub rate: T,
    /// `1 / sqrt(1 - beta2^t)`.
    pub root_scale: T,
}

/// Settings that stay the same from step to step.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Decay rate of the first moment.
    pub beta1: f64,
    /// Decay rate of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

impl Settings {
    /// The numbers of step `t`, counted from 1, at the given learning rate and weight decay, for
    /// gradients that are to be scaled by `gradient_scale`.
    #[must_use]
    pub fn step<T: Real>(
        &self,
        t: u64,
        learning_rate: f64,
        weight_decay: f64,
        gradient_scale: f64,
    ) -> Step<T> {
        // Beyond i32 both corrections are 1 to the last bit anyway.
        let t = i32::try_from(t).unwrap_or(i32::MAX);
        Step {
            beta1: T::of(self.beta1),
            beta2: T::of(self.beta2),
            epsilon: T::of(self.epsilon),
            keep: T::of(1.0 - learning_rate * weight_decay),
            gradient_scale: T::of(gradient_scale),
            rate: T::of(learning_rate / (1.0 - self.beta1.powi(t))),
            root_scale: T::of(1.0 / (1.0 - self.beta2.powi(t)).sqrt()),
        }
    }
}

/// What one step changes, apart from the weights.
#[derive(Debug)]
pub struct Moments<'a, T> {
    /// Running mean of the gradient; starts at zero.
    pub first: &'a mut [T],
    /// Running mean of its square; starts at zero.
    pub second: &'a mut [T],
}

/// One step on `weights`, given their gradient.
///
/// # Panics
/// When the lengths differ.
pub fn update<T: Real>(
    isa: Isa,
    step: &Step<T>,
    weights: &mut [T],
    grad: &[T],
    moments: Moments<'_, T>,
) {
    let len = weights.len();
    assert!(grad.len() == len && moments.first.len() == len && moments.second.len() == len);
    T::dispatch(isa, Update { step, weights, grad, moments });
}

struct Update<'a, T> {
    step: &'a Step<T>,
    weights: &'a mut [T],
    grad: &'a [T],
    moments: Moments<'a, T>,
}

impl<T: Real> Kernel<T> for Update<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(self, s: S) {
        let step = self.step;
        let (beta1, beta2) = (s.splat(step.beta1), s.splat(step.beta2));
        let (rest1, rest2) = (s.splat(T::ONE - step.beta1), s.splat(T::ONE - step.beta2));
        let (scale, keep) = (s.splat(step.gradient_scale), s.splat(step.keep));
        let (epsilon, rate) = (s.splat(step.epsilon), s.splat(step.rate));
        let root_scale = s.splat(step.root_scale);
        let Moments { first, second } = self.moments;
        let moments = first.chunks_mut(S::LANES).zip(second.chunks_mut(S::LANES));
        let weights = self.weights.chunks_mut(S::LANES).zip(self.grad.chunks(S::LANES));
        for ((weight, grad), (first, second)) in weights.zip(moments) {
            let grad = s.mul(s.load_part(grad), scale);
            let m = s.mul_add(beta1, s.load_part(first), s.mul(rest1, grad));
            let v = s.mul_add(beta2, s.load_part(second), s.mul(s.mul(rest2, grad), grad));
            s.store_part(m, first);
            s.store_part(v, second);
            let root = s.mul_add(s.sqrt(v), root_scale, epsilon);
            let moved = s.div(s.mul(rate, m), root);
            s.store_part(s.sub(s.mul(s.load_part(weight), keep), moved), weight);
        }
    }
}

/// Sum of the squares, in double precision.
#[must_use]
pub fn sum_of_squares<T: Real>(grad: &[T]) -> f64 {
    let mut sums = [0.0; 8];
    for part in grad.chunks(sums.len()) {
        for (sum, grad) in sums.iter_mut().zip(part) {
            *sum += grad.to_f64() * grad.to_f64();
        }
    }
    sums.iter().sum()
}
