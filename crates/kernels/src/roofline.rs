//! What the processor can do at best: arithmetic on values that stay in registers, for benches to
//! compare with.

use crate::Isa;
use crate::simd::{Dispatch, Kernel, Simd};

/// Vectors that are worked on side by side, enough to keep every unit busy.
const WIDE: usize = 10;
/// Rounds of a measurement.
const ROUNDS: usize = 200_000;

/// Floating-point operations of one call of [`products`].
#[must_use]
pub fn products_operations(isa: Isa) -> f64 {
    (2 * WIDE * ROUNDS * f32::lanes(isa)) as f64
}

/// Multiplies and adds in registers. The result is of no use but to be looked at.
#[must_use]
pub fn products(isa: Isa) -> f32 {
    f32::dispatch(isa, Products)
}

struct Products;

impl Kernel<f32> for Products {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd<Element = f32>>(self, s: S) -> f32 {
        let factor = s.splat(std::hint::black_box(0.999));
        let term = s.splat(std::hint::black_box(0.001));
        let mut sums = [term; WIDE];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = s.mul_add(*sum, factor, term);
            }
        }
        sums.iter().fold(0.0, |total, sum| total + s.total(*sum))
    }
}
