use mambafleet_kernels::gemm::{MatMut, MatRef};
use mambafleet_kernels::{Isa, Real, activation::*};
use proptest::prelude::*;

use crate::common::{Numbers, cases, differences, distance, weighted};

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// ln(1 + e^x) in its two exact forms: as it stands, and with the large term taken out.
fn exact_softplus(x: f64) -> f64 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

/// Softplus and its slope by the kernel.
fn softplus_of<T: Real>(isa: Isa, x: &[T]) -> (Vec<T>, Vec<T>) {
    let (mut slope, mut y) = (x.to_vec(), vec![T::of(f64::NAN); x.len()]);
    softplus_forward(isa, &mut slope, &mut y);
    (y, slope)
}

/// What the gate leaves: the output and the logistic function.
fn gate_of<T: Real>(isa: Isa, y: &[T], z: &[T], columns: usize) -> (Vec<T>, Vec<T>) {
    let (mut kept, mut out) = (vec![T::of(f64::NAN); y.len()], vec![T::of(f64::NAN); y.len()]);
    gate_forward(isa, y, MatRef::new(z, y.len() / columns, columns), &mut kept, &mut out);
    (out, kept)
}

#[test]
fn single_precision_follows_double_over_a_wide_range() {
    let close = |got: f32, want: f64, what: &str| {
        let error = (f64::from(got) - want).abs();
        assert!(error <= 5e-7 * want.abs() + 1e-30, "{what}: {got} {want}");
    };
    let x: Vec<f32> = (-4000..=4000).map(|i| i as f32 / 50.0).collect();
    for x in &x {
        close(sigmoid(*x), logistic(f64::from(*x)), "sigmoid");
        close(softplus(*x), exact_softplus(f64::from(*x)), "softplus");
        let wide = f64::from(*x);
        assert!((softplus(wide) - exact_softplus(wide)).abs() <= 1e-14 * exact_softplus(wide));
    }
    for isa in Isa::available() {
        let (y, slope) = softplus_of(isa, &x);
        let (silu, kept) = gate_of(isa, &vec![1.0; x.len()], &x, x.len());
        for (i, x) in x.iter().map(|x| f64::from(*x)).enumerate() {
            close(y[i], exact_softplus(x), isa.name());
            close(slope[i], logistic(x), isa.name());
            close(kept[i], logistic(x), isa.name());
            close(silu[i], x * logistic(x), isa.name());
        }
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    for f in [sigmoid::<f32>, softplus] {
        assert!(f(f32::NAN).is_nan());
    }
    assert!(f32::NAN.flushed().is_nan() && f32::NAN.positive_part().is_nan());
    assert_eq!(1e-30_f32.flushed(), 0.0);
    assert_eq!((-1e-20_f32).flushed(), -1e-20);
    // Any bits, at any place of a vector.
    let strange = f32::from_bits(0x7f80_0155);
    for isa in Isa::available() {
        for (at, nan) in (0..19).flat_map(|at| [(at, f32::NAN), (at, -f32::NAN), (at, strange)]) {
            let mut x = vec![0.5; 19];
            x[at] = nan;
            let (y, slope) = softplus_of(isa, &x);
            let (out, kept) = gate_of(isa, &[1.0; 19], &x, 19);
            for (i, values) in (0..19).map(|i| (i, [y[i], slope[i], out[i], kept[i]])) {
                assert!(values.iter().all(|value| value.is_nan() == (i == at)), "{isa} {values:?}");
            }
        }
        let (y, _) = softplus_of(isa, &[f32::INFINITY, f32::NEG_INFINITY]);
        assert!(y[0] == f32::INFINITY && (0.0..1e-37).contains(&y[1]), "{isa}: {y:?}");
        assert!(gate_of(isa, &[1.0], &[f32::INFINITY], 1).0[0].is_infinite());
    }
}

/// Largest deviation of the softplus kernels from the exact values.
fn softplus_deviation<T: Real>(isa: Isa, rows: usize, columns: usize) -> f64 {
    let mut numbers = Numbers::new((rows * 100 + columns) as u64);
    let x: Vec<T> = numbers.fill(rows * columns, -6.0, 6.0);
    let dy: Vec<T> = numbers.fill(x.len(), -1.0, 1.0);
    let of = |f: fn(f64) -> f64| x.iter().map(|x| T::of(f(x.to_f64()))).collect::<Vec<T>>();
    let (y, slope) = softplus_of(isa, &x);
    let (mut grad, mut dbias) = (dy.clone(), vec![T::ONE; columns]);
    softplus_backward(isa, &slope, &mut grad, &mut dbias);
    dbias.iter_mut().for_each(|grad| *grad -= T::ONE);
    let exact = of(logistic);
    let want: Vec<T> = dy.iter().zip(&exact).map(|(dy, slope)| *dy * *slope).collect();
    let mut sums = vec![T::ZERO; columns];
    for row in want.chunks(columns) {
        sums.iter_mut().zip(row).for_each(|(sum, grad)| *sum += *grad);
    }
    distance(&y, &of(exact_softplus))
        .max(distance(&slope, &exact))
        .max(distance(&grad, &want))
        .max(distance(&dbias, &sums))
}

/// Largest deviation of the gate kernels from the exact values; `z` and its gradient lie in rows
/// that are `gap` elements longer.
fn gate_deviation<T: Real>(isa: Isa, rows: usize, columns: usize, gap: usize) -> f64 {
    let mut numbers = Numbers::new((rows * 1000 + columns * 10 + gap) as u64);
    let y: Vec<T> = numbers.fill(rows * columns, -2.0, 2.0);
    let z: Vec<T> = numbers.fill(rows * (columns + gap), -4.0, 4.0);
    let dout: Vec<T> = numbers.fill(y.len(), -1.0, 1.0);
    let nan = T::of(f64::NAN);
    let (mut kept, mut out) = (vec![nan; y.len()], vec![nan; y.len()]);
    let view = MatRef::strided(&z[..], rows, columns, columns + gap);
    gate_forward(isa, &y, view, &mut kept, &mut out);
    let (mut dy, mut dz) = (dout.clone(), vec![T::ONE; z.len()]);
    let dview = MatMut::strided(&mut dz[..], rows, columns, columns + gap);
    gate_backward(isa, &y, view, &kept, &mut dy, dview);
    let (mut want, mut want_dy, mut want_dz) = (y.clone(), y.clone(), vec![T::ONE; z.len()]);
    for i in 0..y.len() {
        let at = i / columns * (columns + gap) + i % columns;
        let (x, s) = (z[at].to_f64(), logistic(z[at].to_f64()));
        want[i] = y[i] * T::of(x * s);
        want_dy[i] = dout[i] * T::of(x * s);
        want_dz[at] = dout[i] * y[i] * T::of(s * (1.0 + x * (1.0 - s)));
    }
    distance(&out, &want).max(distance(&dy, &want_dy)).max(distance(&dz, &want_dz))
}

proptest! {
    #![proptest_config(cases(48))]
    #[test]
    fn any_shape_agrees_with_the_exact_values(
        rows in 1..5_usize, columns in 1..70_usize, gap in 0..3_usize,
    ) {
        // The bias's gradient is added to 1, whose rounding stays when it is taken off again.
        prop_assert!(softplus_deviation::<f64>(Isa::PORTABLE, rows, columns) < 1e-13);
        prop_assert!(gate_deviation::<f64>(Isa::PORTABLE, rows, columns, gap) < 1e-14);
        for isa in Isa::available() {
            prop_assert!(softplus_deviation::<f32>(isa, rows, columns) < 1e-5, "{}", isa);
            prop_assert!(gate_deviation::<f32>(isa, rows, columns, gap) < 1e-6, "{}", isa);
        }
    }
}

#[test]
fn the_gate_agrees_with_differences() {
    let mut numbers = Numbers::new(4);
    let y: Vec<f64> = numbers.fill(29, -2.0, 2.0);
    let (z, grad) = (numbers.fill(29, -4.0, 4.0), numbers.fill::<f64>(29, -1.0, 1.0));
    let loss = |y: &[f64], z: &[f64]| weighted(&gate_of(Isa::PORTABLE, y, z, 29).0, &grad);
    let (mut dy, mut dz) = (grad.clone(), vec![f64::NAN; 29]);
    let (_, kept) = gate_of(Isa::PORTABLE, &y, &z, 29);
    let view = MatRef::new(&z[..], 1, 29);
    gate_backward(Isa::PORTABLE, &y, view, &kept, &mut dy, MatMut::new(&mut dz[..], 1, 29));
    assert!(distance(&dy, &differences(&y, |y| loss(y, &z))) < 1e-8);
    assert!(distance(&dz, &differences(&z, |z| loss(&y, z))) < 1e-8);
}
