//! The distribution functions that tests need.

/// Natural logarithm of the beta function: `ln G(a) + ln G(b) - ln G(a + b)`.
fn ln_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

/// The regularised incomplete beta function `I_x(a, b)` for `a, b > 0` and `0 <= x <= 1`, by the
/// continued fraction of Abramowitz & Stegun (1964), 26.5.8, evaluated by the method of Lentz (1976).
/// NaN outside that range.
#[must_use]
pub fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if !(a > 0.0 && b > 0.0 && (0.0..=1.0).contains(&x)) {
        return f64::NAN;
    }
    if x == 0.0 || x == 1.0 {
        return x;
    }
    let front = libm::exp(a * libm::log(x) + b * libm::log1p(-x) - ln_beta(a, b));
    // The fraction converges fast below the mean; above, the symmetry brings it there.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(a, b, x) / a
    } else {
        1.0 - front * fraction(b, a, 1.0 - x) / b
    }
}

/// The continued fraction `1 / (1 + d_1 / (1 + d_2 / (1 + ...)))` of the incomplete beta function.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    /// Takes the place of a zero denominator.
    const TINY: f64 = 1e-300;
    let held = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / held(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for m in 1..=500 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = value;
        for step in [even, odd] {
            d = 1.0 / held(1.0 + step * d);
            c = held(1.0 + step / c);
            value *= c * d;
        }
        if (value - before).abs() <= 1e-15 * value.abs() {
            break;
        }
    }
    value
}

/// The probability that the absolute value of a Student t variable of `freedom` degrees exceeds
/// `|t|`: `I_{v/(v+t^2)}(v/2, 1/2)` (Abramowitz & Stegun 1964, 26.7.1 with 26.5.27). NaN for less than
/// a positive degree of freedom.
#[must_use]
pub fn student_two_sided(t: f64, freedom: f64) -> f64 {
    if t.is_infinite() && freedom > 0.0 {
        return 0.0;
    }
    incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t))
}

/// The value that the absolute value of a Student t variable of `freedom` degrees exceeds with
/// probability `p`, by bisection of [`student_two_sided`].
#[must_use]
pub fn student_critical(p: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while student_two_sided(high, freedom) > p && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if student_two_sided(middle, freedom) > p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative difference.
    fn close(found: f64, wanted: f64) -> bool {
        (found - wanted).abs() <= 1e-11 * wanted.abs()
    }

    #[test]
    fn the_incomplete_beta_function_agrees_with_scipy() {
        // scipy.special.betainc(a, b, x), SciPy 1.17.1.
        for (a, b, x, wanted) in [
            (0.5, 0.5, 0.25, 0.33333333333333337),
            (2.0, 3.0, 0.4, 0.5247999999999999),
            (10.0, 0.5, 0.99, 0.6579281751567845),
            (300.0, 0.5, 0.997, 0.1795669859220532),
            (5.0, 40.0, 0.05, 0.06747563191468348),
            (1.0, 1.0, 0.3, 0.3),
        ] {
            let found = incomplete_beta(a, b, x);
            assert!(close(found, wanted), "I_{x}({a}, {b}) = {found}, not {wanted}");
        }
        assert_eq!(incomplete_beta(2.0, 3.0, 0.0), 0.0);
        assert_eq!(incomplete_beta(2.0, 3.0, 1.0), 1.0);
        assert!(incomplete_beta(0.0, 1.0, 0.5).is_nan());
        assert!(incomplete_beta(1.0, 1.0, 1.5).is_nan());
    }

    #[test]
    fn the_tails_of_student_agree_with_scipy() {
        // 2 * scipy.stats.t.sf(t, v), SciPy 1.17.1.
        for (t, freedom, wanted) in [
            (1.0, 1.0, 0.5000000000000001),
            (2.0, 10.0, 0.07338803477074037),
            (3.5, 29.0, 0.0015244463146546023),
            (0.1, 599.0, 0.9203777843494032),
            (6.0, 599.0, 3.4166007073891897e-09),
            (12.5, 48.0, 1.0483312890465628e-16),
        ] {
            let found = student_two_sided(t, freedom);
            assert!(close(found, wanted), "{t} of {freedom}: {found}, not {wanted}");
            assert_eq!(found, student_two_sided(-t, freedom));
        }
        assert_eq!(student_two_sided(0.0, 9.0), 1.0);
        assert_eq!(student_two_sided(f64::INFINITY, 9.0), 0.0);
        assert!(student_two_sided(1.0, 0.0).is_nan());
    }

    #[test]
    fn critical_values_are_those_of_the_tables() {
        // scipy.stats.t.isf(p / 2, v).
        for (p, freedom, wanted) in [
            (0.05, 10.0, 2.2281388519862753),
            (0.05, 600.0, 1.9639256220427295),
            (0.01, 4.0, 4.604094871349993),
            (0.5, 30.0, 0.6827556933212927),
        ] {
            let found = student_critical(p, freedom);
            assert!(close(found, wanted), "{p} of {freedom}: {found}, not {wanted}");
        }
    }
}
