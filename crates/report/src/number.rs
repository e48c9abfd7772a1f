//! Numbers as a page needs them.

use serde::{Serialize, Serializer};

/// A number that is written with five significant digits, and as `null` where it is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
pub struct Num(pub f64);

/// The digits of a number that are kept.
const DIGITS: i32 = 5;

/// Whole numbers up to here are written without a point.
const WHOLE: f64 = 9e15;

impl Num {
    /// The number that is written.
    #[must_use]
    pub fn rounded(self) -> f64 {
        let value = self.0;
        if value == 0.0 || !value.is_finite() {
            return if value == 0.0 { 0.0 } else { value };
        }
        let digits = DIGITS - 1 - value.abs().log10().floor() as i32;
        // Powers of ten are exact up to 22: so is what comes out, in decimals.
        match digits {
            0..=22 => {
                let scale = 10_f64.powi(digits);
                (value * scale).round() / scale
            }
            -22..0 => {
                let scale = 10_f64.powi(-digits);
                (value / scale).round() * scale
            }
            _ => value,
        }
    }

    /// The same with so many decimals at most.
    #[must_use]
    pub fn decimals(self, decimals: i32) -> Self {
        let scale = 10_f64.powi(decimals);
        Self((self.0 * scale).round() / scale)
    }
}

impl From<f64> for Num {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl From<f32> for Num {
    fn from(value: f32) -> Self {
        Self(f64::from(value))
    }
}

impl Serialize for Num {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.rounded();
        if !value.is_finite() {
            return serializer.serialize_none();
        }
        if value.fract() == 0.0 && value.abs() < WHOLE {
            return serializer.serialize_i64(value as i64);
        }
        serializer.serialize_f64(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_short() {
        let text = |value: f64| serde_json::to_string(&Num(value)).unwrap();
        for (value, short) in [
            (0.0, "0"),
            (-0.0, "0"),
            (5.0, "5"),
            (-123_456.0, "-123460"),
            (0.123_456_789, "0.12346"),
            (0.1 + 0.2, "0.3"),
            (-9.999_999, "-10"),
            (1e-7 / 3.0, "3.3333e-8"),
            (f64::NAN, "null"),
            (f64::NEG_INFINITY, "null"),
        ] {
            assert_eq!(text(value), short);
        }
        assert_eq!(Num(1.234_567).decimals(3), Num(1.235));
    }

    proptest! {
        #[test]
        fn what_is_written_is_near(value in proptest::num::f64::NORMAL) {
            let rounded = Num(value).rounded();
            prop_assert!((rounded - value).abs() <= value.abs() * 0.5e-4, "{} {}", value, rounded);
        }

        #[test]
        fn usual_numbers_take_five_digits(value in -1e6_f64..1e6) {
            let text = serde_json::to_string(&Num(value)).unwrap();
            let mantissa = text.split('e').next().unwrap();
            let digits = mantissa.chars().filter(char::is_ascii_digit).collect::<String>();
            let digits = digits.trim_start_matches('0').trim_end_matches('0');
            prop_assert!(digits.len() <= 5, "{}", text);
        }
    }
}
