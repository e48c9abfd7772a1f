use mambafleet_kernels::conv::{self, Grads, Inputs};
use mambafleet_kernels::gemm::{MatMut, MatRef};
use mambafleet_kernels::{Isa, Real, oracle};
use proptest::prelude::*;

use crate::common::{Numbers, cases, differences, distance, weighted};

/// Random `x`, weight, bias and output gradient.
fn problem<T: Real>(length: usize, channels: usize, taps: usize) -> [Vec<T>; 4] {
    let mut numbers = Numbers::new((length * 1000 + channels * 10 + taps) as u64);
    let sizes = [length * channels, channels * taps, channels, length * channels];
    sizes.map(|len| numbers.fill(len, -1.0, 1.0))
}

/// The transpose of `x` (rows, columns).
fn turned<T: Real>(x: &[T], columns: usize) -> Vec<T> {
    let rows = x.len() / columns;
    (0..x.len()).map(|at| x[at % rows * columns + at / rows]).collect()
}

/// `x` (rows, columns) with one number between the rows.
fn spread<T: Real>(x: &[T], columns: usize) -> Vec<T> {
    x.chunks(columns).flat_map(|row| row.iter().copied().chain([T::of(f64::NAN)])).collect()
}

/// SiLU of each element, and the factors by which its gradients grow.
fn silu<T: Real>(x: &[T]) -> (Vec<T>, Vec<T>) {
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    let slope = |x: f64| logistic(x) * (1.0 + x * (1.0 - logistic(x)));
    let of = |f: &dyn Fn(f64) -> f64| x.iter().map(|x| T::of(f(x.to_f64()))).collect();
    (of(&|x| x * logistic(x)), of(&slope))
}

/// Largest deviations from the oracle: of the output and of all gradients.
fn deviation<T: Real>(isa: Isa, length: usize, channels: usize, taps: usize) -> f64 {
    let [x, weight, bias, dy] = problem::<T>(length, channels, taps);
    let nan = T::of(f64::NAN);
    let (apart, weights) = (spread(&x, channels), turned(&weight, taps));
    let view = MatRef::strided(&apart[..], length, channels, channels + 1);
    let inputs = Inputs { x: view, weight: &weights, bias: &bias };
    let (mut u, mut logistic) = (vec![nan; x.len()], vec![nan; x.len()]);
    conv::forward(isa, &inputs, &mut u, &mut logistic);
    let (mut dx, mut du) = (vec![nan; apart.len()], dy.clone());
    let (mut dweight, mut dbias) = (vec![T::ONE; weight.len()], vec![T::ONE; channels]);
    let grads = Grads {
        x: MatMut::strided(&mut dx[..], length, channels, channels + 1),
        weight: &mut dweight,
        bias: &mut dbias,
    };
    conv::backward(isa, &inputs, &u, &logistic, &mut du, grads);
    dweight.iter_mut().chain(&mut dbias).for_each(|grad| *grad -= T::ONE);
    let dx: Vec<T> = dx.chunks(channels + 1).flat_map(|row| row[..channels].to_vec()).collect();
    let (want, slope) = silu(&oracle::conv(&x, &weight, &bias));
    let dconv: Vec<T> = dy.iter().zip(&slope).map(|(dy, slope)| *dy * *slope).collect();
    let (want_x, want_weight, want_bias) = oracle::conv_backward(&x, &weight, &dconv, channels);
    distance(&u, &want)
        .max(distance(&du, &dconv))
        .max(distance(&dx, &want_x))
        .max(distance(&turned(&dweight, channels), &want_weight))
        .max(distance(&dbias, &want_bias))
}

#[test]
fn the_last_tap_falls_on_the_current_step() {
    let x = [1.0_f64, 0.0, 0.0];
    let inputs = Inputs { x: MatRef::new(&x[..], 3, 1), weight: &[3.0, 5.0], bias: &[10.0] };
    let (mut y, mut logistic) = ([0.0; 3], [0.0; 3]);
    conv::forward(Isa::PORTABLE, &inputs, &mut y, &mut logistic);
    let sums: Vec<f64> = y.iter().zip(logistic).map(|(y, share)| y / share).collect();
    assert!(distance(&sums, &[15.0, 13.0, 10.0]) < 1e-14);
}

proptest! {
    #![proptest_config(cases(64))]
    #[test]
    fn any_shape_matches_the_oracle(
        length in 1..20_usize, channels in 1..75_usize, taps in 1..7_usize,
    ) {
        prop_assert!(deviation::<f64>(Isa::PORTABLE, length, channels, taps) < 1e-13);
        for isa in Isa::available() {
            prop_assert!(deviation::<f32>(isa, length, channels, taps) < 1e-5, "{}", isa);
        }
    }
}

#[test]
fn nasty_shapes_match_the_oracle() {
    for (length, channels, taps) in
        [(1, 1, 1), (1, 16, 4), (2, 7, 5), (3, 17, 7), (9, 15, 9), (5, 33, 2), (4, 128, 4)]
    {
        for isa in Isa::available() {
            let worst = deviation::<f32>(isa, length, channels, taps);
            assert!(worst < 1e-5, "{isa} {length} {channels} {taps}: {worst}");
        }
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
