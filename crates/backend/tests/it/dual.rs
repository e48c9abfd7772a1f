//! Numbers that carry their derivative by one parameter.

use std::iter::Sum;
use std::ops::{Add, Mul, Neg};

/// A value and its derivative.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Dual {
    pub(crate) value: f64,
    pub(crate) slope: f64,
}

impl Dual {
    /// A number that does not depend on the parameter.
    pub(crate) fn constant(value: f64) -> Self {
        Self { value, slope: 0.0 }
    }

    /// A function of this number, given its value and its derivative there.
    fn chain(self, value: f64, derivative: f64) -> Self {
        Self { value, slope: derivative * self.slope }
    }

    pub(crate) fn exp(self) -> Self {
        let value = self.value.exp();
        self.chain(value, value)
    }

    /// `1 / sqrt(self)`.
    pub(crate) fn inverse_root(self) -> Self {
        let value = self.value.sqrt().recip();
        self.chain(value, -0.5 * value / self.value)
    }

    pub(crate) fn softplus(self) -> Self {
        self.chain(self.value.exp().ln_1p(), logistic(self.value))
    }

    pub(crate) fn silu(self) -> Self {
        let (x, s) = (self.value, logistic(self.value));
        self.chain(x * s, s + x * s * (1.0 - s))
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Add for Dual {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, slope: self.slope + other.slope }
    }
}

impl Mul for Dual {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let slope = self.value * other.slope + self.slope * other.value;
        Self { value: self.value * other.value, slope }
    }
}

impl Neg for Dual {
    type Output = Self;
    fn neg(self) -> Self {
        self * Self::constant(-1.0)
    }
}

impl Sum for Dual {
    fn sum<I: Iterator<Item = Self>>(numbers: I) -> Self {
        numbers.fold(Self::default(), Add::add)
    }
}
