//! Element-wise non-linearities: alone for where there is little to compute, and on whole arrays
//! as parts of a block.
//!
//! The forward kernels leave the logistic function's values behind, so that the backward ones
//! need neither exponentials nor divisions.

use crate::gemm::{MatMut, MatRef};
use crate::simd::{Kernel, Simd, each};
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
        let Self { x, y } = self;
        each!(s, [], [x, y], {
            let (value, slope) = softplus_with_slope(s, x);
            [slope, value]
        });
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
            let dbias = &mut *self.dbias;
            each!(s, [slope], [grad, dbias], {
                let product = s.mul(grad, slope);
                [product, s.add(dbias, product)]
            });
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
            let z = self.z.row(row);
            each!(s, [y, z], [kept, out], {
                let share = logistic(s, z);
                [share, s.mul(s.mul(y, z), share)]
            });
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
            let (z, dz) = (self.z.row(row), self.dz.row_mut(row));
            each!(s, [y, z, share], [grad, dz], {
                let silu = s.mul(z, share);
                [s.mul(grad, silu), s.mul(s.mul(grad, y), silu_slope(s, silu, share))]
            });
        }
    }
}

/// Derivative of SiLU from its value and the logistic function's: `f + sigmoid (1 - f)`.
#[inline(always)]
pub(crate) fn silu_slope<S: Simd>(s: S, silu: S::Vector, logistic: S::Vector) -> S::Vector {
    s.mul_add(logistic, s.sub(s.splat(S::Element::ONE), silu), silu)
}
