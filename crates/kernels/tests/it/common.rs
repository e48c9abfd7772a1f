//! Deterministic numbers and comparisons.

use mambafleet_kernels::Real;
use proptest::test_runner::Config;

/// A linear congruential generator (Knuth's MMIX constants): enough to fill test arrays.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1))
    }

    /// The next number, even over `low` to `high`.
    pub(crate) fn next(&mut self, low: f64, high: f64) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + (high - low) * ((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }

    /// `len` numbers, even over `low` to `high`.
    pub(crate) fn fill<T: Real>(&mut self, len: usize, low: f64, high: f64) -> Vec<T> {
        (0..len).map(|_| T::of(self.next(low, high))).collect()
    }
}

/// Largest difference, relative to the largest magnitude or, where sums of numbers around 1 have
/// cancelled, to a tenth.
pub(crate) fn distance<T: Real>(got: &[T], want: &[T]) -> f64 {
    assert_eq!(got.len(), want.len());
    let size = want.iter().fold(0.1_f64, |size, x| size.max(x.to_f64().abs()));
    let pairs = got.iter().zip(want);
    pairs.fold(0.0, |worst: f64, (a, b)| {
        let error = (a.to_f64() - b.to_f64()).abs() / size;
        if error.is_nan() { f64::INFINITY } else { worst.max(error) }
    })
}

/// Gradient at `x` of `f` by central differences.
pub(crate) fn differences(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let step = 1e-6;
    let moved = |i: usize, by: f64| {
        let mut x = x.to_vec();
        x[i] += by;
        f(&x)
    };
    (0..x.len()).map(|i| (moved(i, step) - moved(i, -step)) / (2.0 * step)).collect()
}

/// Sum of products: the loss whose gradient with respect to `y` is `weights`.
pub(crate) fn weighted(y: &[f64], weights: &[f64]) -> f64 {
    y.iter().zip(weights).map(|(y, w)| y * w).sum()
}

/// Settings of a property test: so many random cases, and no files left behind.
pub(crate) fn cases(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}
