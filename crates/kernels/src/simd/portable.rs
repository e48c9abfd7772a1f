//! Vectors as plain arrays.

use super::Simd;
use crate::Real;

/// Lanes of the vectors that kernels use.
pub(super) const LANES: usize = 8;

/// Plain Rust on arrays of `N` numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable<T, const N: usize>(std::marker::PhantomData<T>);

impl<T, const N: usize> Portable<T, N> {
    /// Runs everywhere.
    pub(crate) const NEW: Self = Self(std::marker::PhantomData);
}

/// `f` of each lane.
#[inline(always)]
fn map<T: Real, const N: usize>(x: [T; N], f: impl Fn(T) -> T) -> [T; N] {
    std::array::from_fn(|i| f(x[i]))
}

/// `f` of each pair of lanes.
#[inline(always)]
fn zip<T: Real, const N: usize>(a: [T; N], b: [T; N], f: impl Fn(T, T) -> T) -> [T; N] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

// SAFETY: an array of N elements is that and nothing else.
#[expect(unsafe_code, reason = "the layout of a vector is promised")]
unsafe impl<T: Real, const N: usize> Simd for Portable<T, N> {
    type Element = T;
    type Vector = [T; N];
    const LANES: usize = N;
    const ROWS: usize = 2;

    #[inline(always)]
    fn splat(self, value: T) -> [T; N] {
        [value; N]
    }
    #[inline(always)]
    fn load(self, from: &[T]) -> [T; N] {
        let from = &from[..N];
        std::array::from_fn(|i| from[i])
    }
    #[inline(always)]
    fn store(self, vector: [T; N], to: &mut [T]) {
        to[..N].copy_from_slice(&vector);
    }
    #[inline(always)]
    fn add(self, a: [T; N], b: [T; N]) -> [T; N] {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: [T; N], b: [T; N]) -> [T; N] {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: [T; N], b: [T; N]) -> [T; N] {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: [T; N], b: [T; N]) -> [T; N] {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn mul_add(self, a: [T; N], b: [T; N], c: [T; N]) -> [T; N] {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn neg_mul_add(self, a: [T; N], b: [T; N], c: [T; N]) -> [T; N] {
        std::array::from_fn(|i| c[i] - a[i] * b[i])
    }
    #[inline(always)]
    fn mul_sub(self, a: [T; N], b: [T; N], c: [T; N]) -> [T; N] {
        std::array::from_fn(|i| a[i] * b[i] - c[i])
    }
    #[inline(always)]
    fn sqrt(self, x: [T; N]) -> [T; N] {
        map(x, Real::sqrt)
    }
    #[inline(always)]
    fn abs(self, x: [T; N]) -> [T; N] {
        map(x, Real::abs)
    }
    #[inline(always)]
    fn at_least(self, x: [T; N], bound: [T; N]) -> [T; N] {
        zip(x, bound, |x, bound| if x < bound { bound } else { x })
    }
    #[inline(always)]
    fn at_most(self, x: [T; N], bound: [T; N]) -> [T; N] {
        zip(x, bound, |x, bound| if x > bound { bound } else { x })
    }
    #[inline(always)]
    fn all_within(self, x: [T; N], bound: [T; N]) -> bool {
        x.iter().zip(&bound).all(|(x, bound)| x <= bound)
    }
    #[inline(always)]
    fn if_negative(self, x: [T; N], yes: [T; N], no: [T; N]) -> [T; N] {
        std::array::from_fn(|i| if x[i] < T::ZERO { yes[i] } else { no[i] })
    }
    #[inline(always)]
    fn flushed(self, x: [T; N]) -> [T; N] {
        map(x, Real::flushed)
    }
    #[inline(always)]
    fn exp(self, x: [T; N]) -> [T; N] {
        map(x, Real::exp)
    }
    #[inline(always)]
    fn decay<const BOUNDED: bool>(self, a: [T; N], b: [T; N]) -> [T; N] {
        zip(a, b, |a, b| (a * b).decay())
    }
    #[inline(always)]
    fn ln_1p(self, x: [T; N]) -> [T; N] {
        map(x, Real::ln_1p)
    }
    #[inline(always)]
    fn total(self, mut x: [T; N]) -> T {
        let mut width = N;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                x[i] += x[i + width];
            }
        }
        x[0]
    }
}
