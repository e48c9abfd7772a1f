//! Element-wise non-linearities.

use crate::Real;

/// The logistic function `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid<T: Real>(x: T) -> T {
    T::ONE / (T::ONE + (-x).exp())
}

/// SiLU (Elfwing et al. 2017, arXiv:1702.03118): `x` times its logistic function.
#[inline(always)]
pub fn silu<T: Real>(x: T) -> T {
    x * sigmoid(x)
}

/// Derivative of [`silu`].
#[inline(always)]
pub fn silu_slope<T: Real>(x: T) -> T {
    let s = sigmoid(x);
    s * (T::ONE + x * (T::ONE - s))
}

/// Softplus `ln(1 + e^x)`, in a form that neither overflows nor cancels. Its derivative is
/// [`sigmoid`].
#[inline(always)]
pub fn softplus<T: Real>(x: T) -> T {
    x.positive_part() + (-x.abs()).exp().ln_1p()
}

/// `y = silu(x)`, element by element.
///
/// # Panics
/// When the lengths differ.
pub fn silu_forward<T: Real>(x: &[T], y: &mut [T]) {
    assert_eq!(x.len(), y.len());
    for (y, x) in y.iter_mut().zip(x) {
        *y = silu(*x);
    }
}

/// Turns the gradient of `silu(x)` into that of `x`, in place.
///
/// # Panics
/// When the lengths differ.
pub fn silu_backward<T: Real>(x: &[T], grad: &mut [T]) {
    assert_eq!(x.len(), grad.len());
    for (grad, x) in grad.iter_mut().zip(x) {
        *grad = *grad * silu_slope(*x);
    }
}

/// `y = softplus(x)`, element by element.
///
/// # Panics
/// When the lengths differ.
pub fn softplus_forward<T: Real>(x: &[T], y: &mut [T]) {
    assert_eq!(x.len(), y.len());
    for (y, x) in y.iter_mut().zip(x) {
        *y = softplus(*x);
    }
}

/// Turns the gradient of `softplus(x)` into that of `x`, in place.
///
/// # Panics
/// When the lengths differ.
pub fn softplus_backward<T: Real>(x: &[T], grad: &mut [T]) {
    assert_eq!(x.len(), grad.len());
    for (grad, x) in grad.iter_mut().zip(x) {
        *grad = *grad * sigmoid(*x);
    }
}

/// `out = y * silu(z)`: the gate at the end of a block.
///
/// # Panics
/// When the lengths differ.
pub fn gate_forward<T: Real>(y: &[T], z: &[T], out: &mut [T]) {
    assert!(y.len() == out.len() && z.len() == out.len());
    for ((out, y), z) in out.iter_mut().zip(y).zip(z) {
        *out = *y * silu(*z);
    }
}

/// Gradients of the gate: writes that of `z` to `dz` and turns `grad` from the gradient of the
/// output into that of `y`.
///
/// # Panics
/// When the lengths differ.
pub fn gate_backward<T: Real>(y: &[T], z: &[T], grad: &mut [T], dz: &mut [T]) {
    assert!(y.len() == grad.len() && z.len() == grad.len() && dz.len() == grad.len());
    for (((grad, dz), y), z) in grad.iter_mut().zip(dz).zip(y).zip(z) {
        let s = sigmoid(*z);
        *dz = *grad * *y * s * (T::ONE + *z * (T::ONE - s));
        *grad = *grad * *z * s;
    }
}
