//! AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101): Adam with decoupled weight decay.

use crate::Real;

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

/// One step on `weights`, given their gradient and the two running moments, which start at zero.
///
/// # Panics
/// When the lengths differ.
pub fn update<T: Real>(
    step: &Step<T>,
    weights: &mut [T],
    grad: &[T],
    first: &mut [T],
    second: &mut [T],
) {
    let len = weights.len();
    assert!(grad.len() == len && first.len() == len && second.len() == len);
    let (rest1, rest2) = (T::ONE - step.beta1, T::ONE - step.beta2);
    let moments = first.iter_mut().zip(second);
    for ((weight, grad), (first, second)) in weights.iter_mut().zip(grad).zip(moments) {
        let grad = *grad * step.gradient_scale;
        *first = step.beta1 * *first + rest1 * grad;
        *second = step.beta2 * *second + rest2 * grad * grad;
        let root = second.sqrt() * step.root_scale + step.epsilon;
        *weight = *weight * step.keep - step.rate * *first / root;
    }
}
