use mambafleet_kernels::{Real, conv, oracle};
use proptest::prelude::*;

use crate::common::{Numbers, cases, differences, distance, weighted};

/// Random `x`, weight, bias and output gradient.
fn problem<T: Real>(length: usize, channels: usize, taps: usize) -> [Vec<T>; 4] {
    let mut numbers = Numbers::new((length * 1000 + channels * 10 + taps) as u64);
    let sizes = [length * channels, channels * taps, channels, length * channels];
    sizes.map(|len| numbers.fill(len, -1.0, 1.0))
}

/// Largest deviations from the oracle: of the output and of all gradients.
fn deviation<T: Real>(length: usize, channels: usize, taps: usize) -> f64 {
    let [x, weight, bias, dy] = problem::<T>(length, channels, taps);
    let mut y = vec![T::of(f64::NAN); x.len()];
    conv::forward(&x, &weight, &bias, &mut y);
    let mut dx = vec![T::of(f64::NAN); x.len()];
    let (mut dweight, mut dbias) = (vec![T::ONE; weight.len()], vec![T::ONE; channels]);
    conv::backward(&x, &weight, &dy, &mut dx, &mut dweight, &mut dbias);
    dweight.iter_mut().chain(&mut dbias).for_each(|grad| *grad -= T::ONE);
    let (want_x, want_weight, want_bias) = oracle::conv_backward(&x, &weight, &dy, channels);
    distance(&y, &oracle::conv(&x, &weight, &bias))
        .max(distance(&dx, &want_x))
        .max(distance(&dweight, &want_weight))
        .max(distance(&dbias, &want_bias))
}

#[test]
fn the_last_tap_falls_on_the_current_step() {
    let mut y = [0.0_f32; 3];
    conv::forward(&[1.0, 0.0, 0.0], &[3.0, 5.0], &[10.0], &mut y);
    assert_eq!(y, [15.0, 13.0, 10.0]);
}

proptest! {
    #![proptest_config(cases(64))]
    #[test]
    fn any_shape_matches_the_oracle(
        length in 1..20_usize, channels in 1..75_usize, taps in 1..7_usize,
    ) {
        prop_assert!(deviation::<f64>(length, channels, taps) < 1e-13);
        prop_assert!(deviation::<f32>(length, channels, taps) < 1e-5);
    }
}

#[test]
fn the_oracles_gradients_agree_with_differences() {
    for (length, channels, taps) in [(1, 1, 1), (1, 3, 4), (6, 9, 3), (11, 2, 4)] {
        let [x, weight, bias, dy] = problem::<f64>(length, channels, taps);
        let loss = |x: &[f64], w: &[f64], b: &[f64]| weighted(&oracle::conv(x, w, b), &dy);
        let (dx, dweight, dbias) = oracle::conv_backward(&x, &weight, &dy, channels);
        assert!(distance(&dx, &differences(&x, |x| loss(x, &weight, &bias))) < 1e-8);
        assert!(distance(&dweight, &differences(&weight, |w| loss(&x, w, &bias))) < 1e-8);
        assert!(distance(&dbias, &differences(&bias, |b| loss(&x, &weight, b))) < 1e-8);
    }
}
