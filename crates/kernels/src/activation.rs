//! Element-wise non-linearities: alone for where there is little to compute, and on whole arrays
//! as parts of a block.
//!
//! The forward kernels leave the logistic function's values behind, so that the backward ones
//! need neither exponentials nor divisions.

use crate::gemm::{MatMut, MatRef};
use crate::simd::{Kernel, Simd};
use crate::{Isa, Real};

/// The logistic function `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid<T: Real>(x: T) -> T {
    T::ONE / (T::ONE + (-x).exp())
}

/// Softplus `ln(1 + e^x)`, in a form that neither overflows nor cancels. Its derivative is
/// [`sigmoid`].
#[inline(always)]
pub fn softplus<T: Real>(x: T) -> T {
    x.positive_part() + (-x.abs()).exp().ln_1p()
}

/// [`sigmoid`] of each lane.
#[inline(always)]
pub(crate) fn logistic<S: Simd>(s: S, x: S::Vector) -> S::Vector {
    let one = s.splat(S::Element::ONE);
    s.div(one, s.add(one, s.exp(s.sub(s.zero(), x))))
}

/// [`softplus`] of each lane, and its slope.
#[inline(always)]
fn softplus_with_slope<S: Simd>(s: S, x: S::Vector) -> (S::Vector, S::Vector) {
    let (zero, one) = (s.zero(), s.splat(S::Element::ONE));
    let e = s.exp(s.sub(zero, s.abs(x)));
    let value = s.add(s.at_least(x, zero), s.ln_1p(e));
    (value, s.div(s.if_negative(x, e, one), s.add(one, e)))
}

/// Replaces each `x` by the slope of the softplus there, and writes the softplus to `y`.
///
/// # Panics
/// When the lengths differ.
pub fn softplus_forward<T: Real>(isa: Isa, x: &mut [T], y: &mut [T]) {
    assert_eq!(x.len(), y.len());
    T::dispatch(isa, SoftplusForward { x, y });
}

struct SoftplusForward<'a, T> {
    x: &'a mut [T],
    y: &'a mut [T],
}

impl<T: Real> Kernel<T> for SoftplusForward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(self, s: S) {
        for (x, y) in self.x.chunks_mut(S::LANES).zip(self.y.chunks_mut(S::LANES)) {
            let (value, slope) = softplus_with_slope(s, s.load_part(x));
            s.store_part(slope, x);
            s.store_part(value, y);
        }
    }
}

/// Turns `grad` (rows, columns) from the gradient of the softplus into that of its argument,
/// given the slopes that [`softplus_forward`] left, and adds the sums of its columns to `dbias`.
///
/// # Panics
/// When the lengths do not fit.
pub fn softplus_backward<T: Real>(isa: Isa, slope: &[T], grad: &mut [T], dbias: &mut [T]) {
    assert!(slope.len() == grad.len() && grad.len().is_multiple_of(dbias.len().max(1)));
    T::dispatch(isa, SoftplusBackward { slope, grad, dbias });
}

struct SoftplusBackward<'a, T> {
    slope: &'a [T],
    grad: &'a mut [T],
    dbias: &'a mut [T],
}

impl<T: Real> Kernel<T> for SoftplusBackward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(self, s: S) {
        let columns = self.dbias.len();
        let rows = self.slope.chunks_exact(columns).zip(self.grad.chunks_exact_mut(columns));
        for (slope, grad) in rows {
            let parts = slope.chunks(S::LANES).zip(grad.chunks_mut(S::LANES));
            for ((slope, grad), dbias) in parts.zip(self.dbias.chunks_mut(S::LANES)) {
                let product = s.mul(s.load_part(grad), s.load_part(slope));
                s.store_part(product, grad);
                s.store_part(s.add(s.load_part(dbias), product), dbias);
            }
        }
    }
}

/// The gate at the end of a block: `out = y * silu(z)` with SiLU (Elfwing et al. 2017,
/// arXiv:1702.03118) `z * sigmoid(z)`. Leaves `sigmoid(z)` in `logistic`. All are (rows,
/// columns).
///
/// # Panics
/// When the sizes do not fit.
pub fn gate_forward<T: Real>(
    isa: Isa,
    y: &[T],
    z: MatRef<'_, T>,
    logistic: &mut [T],
    out: &mut [T],
) {
    assert!(y.len() == z.rows() * z.cols() && logistic.len() == y.len() && out.len() == y.len());
    T::dispatch(isa, GateForward { y, z, logistic, out });
}

struct GateForward<'a, T> {
    y: &'a [T],
    z: MatRef<'a, T>,
    logistic: &'a mut [T],
    out: &'a mut [T],
}

impl<T: Real> Kernel<T> for GateForward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(self, s: S) {
        let columns = self.z.cols();
        let rows = self.y.chunks_exact(columns).zip(self.logistic.chunks_exact_mut(columns));
        for (row, ((y, kept), out)) in rows.zip(self.out.chunks_exact_mut(columns)).enumerate() {
            let parts = y.chunks(S::LANES).zip(self.z.row(row).chunks(S::LANES));
            let targets = kept.chunks_mut(S::LANES).zip(out.chunks_mut(S::LANES));
            for ((y, z), (kept, out)) in parts.zip(targets) {
                let z = s.load_part(z);
                let share = logistic(s, z);
                s.store_part(share, kept);
                s.store_part(s.mul(s.mul(s.load_part(y), z), share), out);
            }
        }
    }
}

/// Gradients of the gate, given what [`gate_forward`] read and left: writes that of `z` to `dz`
/// and turns `grad` from the gradient of the output into that of `y`.
///
/// # Panics
/// When the sizes do not fit.
pub fn gate_backward<T: Real>(
    isa: Isa,
    y: &[T],
    z: MatRef<'_, T>,
    logistic: &[T],
    grad: &mut [T],
    dz: MatMut<'_, T>,
) {
    assert!((z.rows(), z.cols()) == (dz.rows(), dz.cols()) && y.len() == z.rows() * z.cols());
    assert!(logistic.len() == y.len() && grad.len() == y.len());
    T::dispatch(isa, GateBackward { y, z, logistic, grad, dz });
}

struct GateBackward<'a, T> {
    y: &'a [T],
    z: MatRef<'a, T>,
    logistic: &'a [T],
    grad: &'a mut [T],
    dz: MatMut<'a, T>,
}

impl<T: Real> Kernel<T> for GateBackward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(mut self, s: S) {
        let columns = self.z.cols();
        let rows = self.y.chunks_exact(columns).zip(self.logistic.chunks_exact(columns));
        for (row, ((y, share), grad)) in rows.zip(self.grad.chunks_exact_mut(columns)).enumerate() {
            let parts = y.chunks(S::LANES).zip(self.z.row(row).chunks(S::LANES));
            let targets = grad.chunks_mut(S::LANES).zip(self.dz.row_mut(row).chunks_mut(S::LANES));
            let parts = parts.zip(share.chunks(S::LANES)).zip(targets);
            for (((y, z), share), (grad, dz)) in parts {
                let (z, share, dout) = (s.load_part(z), s.load_part(share), s.load_part(grad));
                let silu = s.mul(z, share);
                s.store_part(s.mul(dout, silu), grad);
                let slope = silu_slope(s, silu, share);
                s.store_part(s.mul(s.mul(dout, s.load_part(y)), slope), dz);
            }
        }
    }
}

/// Derivative of SiLU from its value and the logistic function's: `f + sigmoid (1 - f)`.
#[inline(always)]
pub(crate) fn silu_slope<S: Simd>(s: S, silu: S::Vector, logistic: S::Vector) -> S::Vector {
    s.mul_add(logistic, s.sub(s.splat(S::Element::ONE), silu), silu)
}
