use mambafleet_kernels::Real;
use mambafleet_kernels::activation::*;

use crate::common::{Numbers, differences, distance, weighted};

#[test]
fn single_precision_follows_double_over_a_wide_range() {
    for i in -4000..=4000 {
        let x = f64::from(i) / 50.0;
        let logistic = 1.0 / (1.0 + (-x).exp());
        let close = |got: f32, want: f64| {
            let error = (f64::from(got) - want).abs();
            assert!(error <= 4e-7 * want.abs() + 1e-30, "{x}: {got} {want}");
        };
        close(sigmoid(x as f32), 1.0 / (1.0 + (-f64::from(x as f32)).exp()));
        assert!((silu(x) - x * logistic).abs() <= 1e-15 * x.abs());
        // ln(1 + e^x) in its two exact forms: as it stands, and with the large term taken out.
        let exact = |x: f64| if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() };
        close(softplus(x as f32), exact(f64::from(x as f32)));
        assert!((softplus(x) - exact(x)).abs() <= 1e-14 * exact(x));
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    for f in [sigmoid::<f32>, silu, silu_slope, softplus] {
        assert!(f(f32::NAN).is_nan());
    }
    assert!(f32::NAN.flushed().is_nan() && f32::NAN.positive_part().is_nan());
    assert_eq!(1e-30_f32.flushed(), 0.0);
    assert_eq!((-1e-20_f32).flushed(), -1e-20);
}

/// Checks an in-place gradient against differences of the function.
fn check(forward: fn(&[f64], &mut [f64]), backward: fn(&[f64], &mut [f64])) {
    let mut numbers = Numbers::new(3);
    let (x, dy) = (numbers.fill(37, -6.0, 6.0), numbers.fill::<f64>(37, -1.0, 1.0));
    let want = differences(&x, |x| {
        let mut y = vec![0.0; x.len()];
        forward(x, &mut y);
        weighted(&y, &dy)
    });
    let mut grad = dy.clone();
    backward(&x, &mut grad);
    let worst = distance(&grad, &want);
    assert!(worst < 1e-8, "{worst}");
}

#[test]
fn slopes_agree_with_differences() {
    check(silu_forward, silu_backward);
    check(softplus_forward, softplus_backward);
}

#[test]
fn the_gate_agrees_with_differences() {
    let mut numbers = Numbers::new(4);
    let y: Vec<f64> = numbers.fill(29, -2.0, 2.0);
    let (z, grad) = (numbers.fill(29, -4.0, 4.0), numbers.fill::<f64>(29, -1.0, 1.0));
    let loss = |y: &[f64], z: &[f64]| {
        let mut out = vec![f64::NAN; y.len()];
        gate_forward(y, z, &mut out);
        weighted(&out, &grad)
    };
    let (mut dy, mut dz) = (grad.clone(), vec![f64::NAN; 29]);
    gate_backward(&y, &z, &mut dy, &mut dz);
    assert!(distance(&dy, &differences(&y, |y| loss(y, &z))) < 1e-8);
    assert!(distance(&dz, &differences(&z, |z| loss(&y, z))) < 1e-8);
}
