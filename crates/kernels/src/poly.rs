//! Elementary functions in single precision without branches or tables.
//!
//! Coefficients of [`exp`] and [`ln_1p`] interpolate at the Chebyshev nodes of the reduced range,
//! those of [`decay`] are minimax (by reweighted least squares) with the constant held at 1.

use crate::simd::{Portable, Simd};

/// Smallest argument of [`exp`]: its value is the smallest normal number.
const EXP_MIN: f32 = -87.336_54;
/// Largest argument of [`exp`], just below where the exponent would need 128.
const EXP_MAX: f32 = 88.376_2;
/// Smallest argument of [`decay`], about the binary logarithm of [`crate::Real::TINY`].
pub(crate) const DECAY_MIN: f32 = -79.5;
/// 1.5 * 2^23: added to a small number, it leaves the nearest whole number in the low bits.
const ROUND: f32 = 12_582_912.0;
/// Leading 15 bits of ln 2: its product with a whole number of 8 bits is exact.
const LN2_HIGH: f32 = 0.693_145_75;
/// The rest of ln 2.
const LN2_LOW: f32 = 1.428_606_8e-6;

/// Vectors of single precision.
pub(crate) trait Single: Simd<Element = f32> {
    /// `p * 2^n`, where the low bits of `shifted` hold n in two's complement: they are added to
    /// the exponent of `p`, so that `p` and the result must be normal numbers.
    fn raised(self, p: Self::Vector, shifted: Self::Vector) -> Self::Vector;
}

impl<const N: usize> Single for Portable<f32, N> {
    #[inline(always)]
    fn raised(self, p: [f32; N], shifted: [f32; N]) -> [f32; N] {
        std::array::from_fn(|i| {
            f32::from_bits(p[i].to_bits().wrapping_add(shifted[i].to_bits() << 23))
        })
    }
}

/// The polynomial in `x` with these coefficients, the highest power first.
#[inline(always)]
fn horner<S: Single, const N: usize>(s: S, x: S::Vector, coefficients: [f32; N]) -> S::Vector {
    let mut p = s.splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        p = s.mul_add(p, x, s.splat(*coefficient));
    }
    p
}

/// `e^x` by Cody and Waite's reduction (1980), `x = n ln 2 + r`, and a polynomial of degree 6 in
/// `r`; within 2 units in the last place. Arguments are limited to the range of normal results;
/// NaN stays NaN.
#[inline(always)]
pub(crate) fn exp<S: Single>(s: S, x: S::Vector) -> S::Vector {
    let x = s.at_most(s.at_least(x, s.splat(EXP_MIN)), s.splat(EXP_MAX));
    let shifted = s.mul_add(x, s.splat(std::f32::consts::LOG2_E), s.splat(ROUND));
    let n = s.sub(shifted, s.splat(ROUND));
    let r = s.neg_mul_add(n, s.splat(LN2_HIGH), x);
    let r = s.neg_mul_add(n, s.splat(LN2_LOW), r);
    let p = horner(s, r, [0.001_392_617_6, 0.008_363_173, 0.041_666_556, 0.166_665_78, 0.5]);
    let one = s.splat(1.0);
    let fraction = s.add(one, s.mul_add(s.mul(r, r), p, r));
    // A product, where `raised` would do: it keeps NaN whatever its bits.
    s.mul(fraction, s.raised(one, shifted))
}

/// `2^(a b)` for products up to 0; within 3 units in the last place of `2^x`, where `x` is the
/// product, rounded or not. Smaller products than [`DECAY_MIN`] count as that, so that products
/// with the result do not become denormal; with `BOUNDED` there are none, which spares a step.
#[inline(always)]
pub(crate) fn decay<S: Single, const BOUNDED: bool>(s: S, a: S::Vector, b: S::Vector) -> S::Vector {
    let round = s.splat(ROUND);
    let (shifted, f) = if BOUNDED {
        let shifted = s.mul_add(a, b, round);
        (shifted, s.mul_sub(a, b, s.sub(shifted, round)))
    } else {
        let x = s.at_least(s.mul(a, b), s.splat(DECAY_MIN));
        let shifted = s.add(x, round);
        (shifted, s.sub(x, s.sub(shifted, round)))
    };
    // Estrin's order (1960): one more product than Horner's, and three fifths of its latency.
    let pair = |high: f32, low: f32| s.mul_add(s.splat(high), f, s.splat(low));
    let square = s.mul(f, f);
    let top =
        s.mul_add(pair(0.001_326_472_1, 0.009_671_513), square, pair(0.055_507_336, 0.240_222_42));
    #[expect(clippy::approx_constant, reason = "a little beside ln 2")]
    let p = s.mul_add(top, square, pair(0.693_147, 1.0));
    s.raised(p, shifted)
}

/// `ln(1 + x)` for `x` in 0 to 1, as twice the inverse hyperbolic tangent of `x / (2 + x)`;
/// within 3 units in the last place.
#[inline(always)]
pub(crate) fn ln_1p<S: Single>(s: S, x: S::Vector) -> S::Vector {
    let half = s.div(x, s.add(s.splat(2.0), x));
    let z = s.mul(half, half);
    let p = horner(s, z, [0.116_121_65, 0.108_532_876, 0.142_961_79, 0.199_998_53, 0.333_333_34]);
    let twice = s.add(half, half);
    s.mul_add(twice, s.mul(z, p), twice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use crate::simd::{Dispatch, Kernel};

    #[derive(Debug, Clone, Copy)]
    enum Function {
        Exp,
        Decay,
        BoundedDecay,
        Ln1p,
    }

    /// One of the functions on a whole slice.
    struct Map<'a>(Function, &'a mut [f32]);

    impl Kernel<f32> for Map<'_> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd<Element = f32>>(self, s: S) {
            for part in self.1.chunks_mut(S::LANES) {
                let x = s.load_part(part);
                let y = match self.0 {
                    Function::Exp => s.exp(x),
                    Function::Decay => s.decay::<false>(x, s.splat(1.0)),
                    Function::BoundedDecay => s.decay::<true>(x, s.splat(1.0)),
                    Function::Ln1p => s.ln_1p(x),
                };
                s.store_part(y, part);
            }
        }
    }

    fn map(isa: Isa, function: Function, x: &[f32]) -> Vec<f32> {
        let mut values = x.to_vec();
        f32::dispatch(isa, Map(function, &mut values));
        values
    }

    /// Distance of `got` from the exact value, in units of the last place of an `f32` there.
    fn ulps(got: f32, exact: f64) -> f64 {
        let nearest = exact as f32;
        let unit = f64::from(nearest.next_up()) - f64::from(nearest);
        (f64::from(got) - exact).abs() / unit
    }

    /// Asserts that a function is within `limit` units of `exact` at each `x`.
    fn check(function: Function, x: &[f32], limit: f64, exact: fn(f64) -> f64) {
        for isa in Isa::available() {
            let values = map(isa, function, x);
            let errors = values.iter().zip(x).map(|(y, x)| ulps(*y, exact(f64::from(*x))));
            let worst = errors.fold(0.0, f64::max);
            assert!(worst <= limit, "{function:?} {isa}: {worst}");
        }
    }

    /// Numbers evenly over a range.
    fn range(low: f32, high: f32) -> Vec<f32> {
        let steps = if cfg!(miri) { 1_000 } else { 400_000 };
        (0..=steps).map(|i| low + (high - low) * (i as f32 / steps as f32)).collect()
    }

    #[test]
    fn exp_is_within_two_units_over_its_range() {
        check(Function::Exp, &range(EXP_MIN, EXP_MAX), 2.0, f64::exp);
        check(Function::Exp, &range(-1.0, 1.0), 2.0, f64::exp);
        check(Function::Exp, &[0.0, -0.0, f32::MIN_POSITIVE, 1e-30, -1e-10], 0.0, |_| 1.0);
    }

    #[test]
    fn decay_is_within_three_units_over_its_range() {
        for function in [Function::Decay, Function::BoundedDecay] {
            check(function, &range(DECAY_MIN, 0.0), 3.0, f64::exp2);
            check(function, &range(-1.0, 0.0), 3.0, f64::exp2);
            check(function, &[0.0, -0.0, -1e-10], 0.0, |_| 1.0);
        }
    }

    #[test]
    fn arguments_beyond_the_range_count_as_its_end_and_nan_stays() {
        let least = [EXP_MIN, f32::NEG_INFINITY, -1e30];
        for isa in Isa::available() {
            let exp = map(isa, Function::Exp, &least);
            assert!(exp.iter().all(|y| *y == exp[0] && y.is_normal()), "{isa} {exp:?}");
            let exp = map(isa, Function::Exp, &[EXP_MAX, f32::INFINITY]);
            assert!(exp[0] == exp[1] && exp[0].is_finite(), "{isa} {exp:?}");
            let decay = map(isa, Function::Decay, &least);
            assert!(decay.iter().all(|y| *y == decay[0] && *y > 1e-24), "{isa} {decay:?}");
            for function in [Function::Exp, Function::Decay, Function::Ln1p] {
                let values = map(isa, function, &[f32::NAN; 17]);
                assert!(values.iter().all(|y| y.is_nan()), "{function:?} {isa}");
            }
        }
    }

    #[test]
    fn ln_1p_is_within_three_units_from_zero_to_one() {
        check(Function::Ln1p, &range(0.0, 1.0), 3.0, f64::ln_1p);
        let powers: Vec<f32> = (1..120).map(|power| 0.5_f32.powi(power)).collect();
        check(Function::Ln1p, &powers, 3.0, f64::ln_1p);
    }
}
