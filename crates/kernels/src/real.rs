//! The number types that kernels compute in.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use crate::poly;
use crate::simd::{Dispatch, Portable};

/// A floating-point type that kernels compute in: `f32` or `f64`.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + Dispatch
    + Send
    + Sync
    + 'static
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// Magnitudes below this are taken for zero where values decay by repeated multiplication:
    /// far below anything that matters, far above the denormal numbers, which cost a hundred
    /// times the cycles of normal ones.
    const TINY: Self;
    /// Binary logarithm of [`Real::TINY`], about.
    const DECAY_MIN: Self;

    /// The nearest number of this type.
    fn of(value: f64) -> Self;
    /// This number in double precision.
    fn to_f64(self) -> f64;
    /// This number from single precision, exactly.
    fn from_f32(value: f32) -> Self;
    /// This number in single precision, rounded.
    fn to_f32(self) -> f32;
    /// Magnitude.
    fn abs(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// `e` to this power. For `f32` within 2 units in the last place and limited to the range
    /// -87.33 to 88.37, outside of which it stays at the value of the nearer end.
    fn exp(self) -> Self;
    /// `2` to this power, which is not above zero. Powers below [`Real::DECAY_MIN`] count as that,
    /// so that products with the result do not become denormal.
    fn decay(self) -> Self;
    /// `ln(1 + self)` for `self` in 0 to 1.
    fn ln_1p(self) -> Self;

    /// The larger of this number and zero; NaN stays NaN.
    #[inline(always)]
    fn positive_part(self) -> Self {
        if self < Self::ZERO { Self::ZERO } else { self }
    }

    /// Zero in place of a magnitude below [`Real::TINY`]; NaN stays NaN.
    #[inline(always)]
    fn flushed(self) -> Self {
        if self.abs() < Self::TINY { Self::ZERO } else { self }
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const TINY: Self = 1e-24;
    const DECAY_MIN: Self = poly::DECAY_MIN;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        poly::exp(Portable::<f32, 1>::NEW, [self])[0]
    }
    #[inline(always)]
    fn decay(self) -> Self {
        poly::decay::<_, false>(Portable::<f32, 1>::NEW, [self], [1.0])[0]
    }
    #[inline(always)]
    fn ln_1p(self) -> Self {
        poly::ln_1p(Portable::<f32, 1>::NEW, [self])[0]
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const TINY: Self = 1e-150;
    const DECAY_MIN: Self = -498.0;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        f64::from(value)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        f64::exp(self)
    }
    #[inline(always)]
    fn decay(self) -> Self {
        f64::exp2(if self < Self::DECAY_MIN { Self::DECAY_MIN } else { self })
    }
    #[inline(always)]
    fn ln_1p(self) -> Self {
        f64::ln_1p(self)
    }
}
