use mambafleet_kernels::{Isa, Real, norm, oracle};

use crate::common::{Numbers, differences, distance, weighted};

const SHAPES: [(usize, usize); 6] = [(1, 1), (1, 7), (3, 8), (5, 13), (2, 75), (2, 64)];

fn forward<T: Real>(isa: Isa, x: &[T], gain: &[T]) -> (Vec<T>, Vec<T>) {
    let (mut y, mut inv_rms) = (vec![T::ZERO; x.len()], vec![T::ZERO; x.len() / gain.len()]);
    norm::forward(isa, x, gain, &mut y, &mut inv_rms);
    (y, inv_rms)
}

#[test]
fn rows_are_divided_by_their_root_mean_square() {
    for (rows, width) in SHAPES {
        let mut numbers = Numbers::new(width as u64);
        let (x, gain) =
            (numbers.fill::<f64>(rows * width, -3.0, 3.0), numbers.fill(width, 0.5, 2.0));
        assert!(
            distance(&forward(Isa::PORTABLE, &x, &gain).0, &oracle::rms_norm(&x, &gain)) < 1e-14
        );
        let narrow = |x: &[f64]| x.iter().map(|x| *x as f32).collect::<Vec<_>>();
        let (x, gain) = (narrow(&x), narrow(&gain));
        for isa in Isa::available() {
            let worst = distance(&forward(isa, &x, &gain).0, &oracle::rms_norm(&x, &gain));
            assert!(worst < 1e-6, "{isa}: {worst}");
        }
    }
    // The constant counts where the input is small: 1e-3 / sqrt(1e-6 + 1e-5).
    let (y, _) = forward(Isa::PORTABLE, &[1e-3, -1e-3], &[1.0, 1.0_f64]);
    assert!((y[0] - 1e-3 / 1.1e-5_f64.sqrt()).abs() < 1e-12);
}

/// The gradients, which are added to what is there.
fn backward<T: Real>(isa: Isa, x: &[T], gain: &[T], dy: &[T]) -> (Vec<T>, Vec<T>) {
    let (_, inv_rms) = forward(isa, x, gain);
    let (mut dx, mut dgain) = (vec![T::ONE; x.len()], vec![T::of(2.0); gain.len()]);
    let inputs = norm::Inputs { x, gain, inv_rms: &inv_rms, dy };
    norm::backward(isa, &inputs, &mut dx, &mut dgain);
    dx.iter_mut().for_each(|g| *g -= T::ONE);
    dgain.iter_mut().for_each(|g| *g -= T::of(2.0));
    (dx, dgain)
}

#[test]
fn gradients_agree_with_the_oracle_and_with_differences() {
    for (rows, width) in SHAPES {
        let mut numbers = Numbers::new(90 + width as u64);
        let (x, gain) =
            (numbers.fill::<f64>(rows * width, -1.0, 1.0), numbers.fill(width, 0.5, 2.0));
        let dy = numbers.fill::<f64>(x.len(), -1.0, 1.0);
        let (dx, dgain) = backward(Isa::PORTABLE, &x, &gain, &dy);
        let (want_x, want_gain) = oracle::rms_norm_backward(&x, &gain, &dy);
        assert!(distance(&dx, &want_x) < 1e-12 && distance(&dgain, &want_gain) < 1e-12);
        let loss = |x: &[f64], gain: &[f64]| weighted(&oracle::rms_norm(x, gain), &dy);
        assert!(distance(&dx, &differences(&x, |x| loss(x, &gain))) < 1e-6);
        assert!(distance(&dgain, &differences(&gain, |gain| loss(&x, gain))) < 1e-6);
        let narrow = |x: &[f64]| x.iter().map(|x| *x as f32).collect::<Vec<_>>();
        for isa in Isa::available() {
            let (dx, dgain) = backward(isa, &narrow(&x), &narrow(&gain), &narrow(&dy));
            let worst = distance(&dx, &narrow(&want_x)).max(distance(&dgain, &narrow(&want_gain)));
            assert!(worst < 5e-6, "{isa} {rows} {width}: {worst}");
        }
    }
}
