//! Elementary functions of `f32` without branches or tables, in plain arithmetic that compilers
//! vectorise. They use no fused multiply-add, so that every processor gives the same bits.
//!
//! The coefficients interpolate at the Chebyshev nodes of the reduced range.

/// Smallest argument of [`exp`]: its value is the smallest normal number.
const EXP_MIN: f32 = -87.336_54;
/// Largest argument of [`exp`], just below where the exponent would need 128.
const EXP_MAX: f32 = 88.376_2;
/// 1.5 * 2^23: added to a small number, it leaves the nearest whole number in the low bits.
const ROUND: f32 = 12_582_912.0;
/// Leading 15 bits of ln 2: its product with a whole number of 8 bits is exact.
const LN2_HIGH: f32 = 0.693_145_75;
/// The rest of ln 2.
const LN2_LOW: f32 = 1.428_606_8e-6;

/// `e^x` by Cody and Waite's reduction (1980), `x = n ln 2 + r`, and a polynomial of degree 6 in
/// `r`; within 2 units in the last place. Arguments are limited to the range of normal results;
/// NaN stays NaN.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = x.clamp(EXP_MIN, EXP_MAX);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let p = 0.001_392_617_6;
    let p = p * r + 0.008_363_173;
    let p = p * r + 0.041_666_556;
    let p = p * r + 0.166_665_78;
    let p = p * r + 0.5;
    let fraction = 1.0 + (r + r * r * p);
    // The low bits of `shifted` hold n in two's complement: moved into the exponent's place, they
    // make 2^n out of the bits of 1.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    fraction * power
}

/// `ln(1 + x)` for `x` in 0 to 1, as twice the inverse hyperbolic tangent of `x / (2 + x)`;
/// within 3 units in the last place.
#[inline(always)]
pub(crate) fn ln_1p(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let z = s * s;
    let p = 0.116_121_65;
    let p = p * z + 0.108_532_876;
    let p = p * z + 0.142_961_79;
    let p = p * z + 0.199_998_53;
    let p = p * z + 0.333_333_34;
    let twice = s + s;
    twice + twice * (z * p)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance of `got` from the exact value, in units of the last place of an `f32` there.
    fn ulps(got: f32, exact: f64) -> f64 {
        let nearest = exact as f32;
        let unit = f64::from(nearest.next_up()) - f64::from(nearest);
        (f64::from(got) - exact).abs() / unit
    }

    #[test]
    fn exp_is_within_two_units_over_its_range() {
        let steps = 400_000;
        let mut worst = 0.0_f64;
        for i in 0..=steps {
            let x = EXP_MIN + (EXP_MAX - EXP_MIN) * (i as f32 / steps as f32);
            worst = worst.max(ulps(exp(x), f64::from(x).exp()));
        }
        assert!(worst <= 2.0, "{worst}");
        for x in [0.0, -0.0, f32::MIN_POSITIVE, 1e-30, -1e-10] {
            assert_eq!(exp(x), 1.0, "{x}");
        }
    }

    #[test]
    fn exp_saturates_beyond_its_range_and_keeps_nan() {
        assert_eq!(exp(f32::NEG_INFINITY), exp(EXP_MIN));
        assert_eq!(exp(f32::INFINITY), exp(EXP_MAX));
        assert!(exp(EXP_MIN) >= f32::MIN_POSITIVE && exp(EXP_MAX).is_finite());
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn ln_1p_is_within_three_units_from_zero_to_one() {
        let mut worst = 0.0_f64;
        for i in 0..=100_000 {
            let x = i as f32 / 100_000.0;
            worst = worst.max(ulps(ln_1p(x), f64::from(x).ln_1p()));
        }
        for power in 1..120 {
            let x = 0.5_f32.powi(power);
            worst = worst.max(ulps(ln_1p(x), f64::from(x).ln_1p()));
        }
        assert!(worst <= 3.0, "{worst}");
        assert!(ln_1p(f32::NAN).is_nan());
    }
}
