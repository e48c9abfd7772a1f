use mambafleet_kernels::adamw::{Moments, Settings, Step, sum_of_squares};
use mambafleet_kernels::{Isa, Real, adamw};

use crate::common::{Numbers, distance};

const SETTINGS: Settings = Settings { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

fn update<T: Real>(step: &Step<T>, weights: &mut [T], grad: &[T], m: &mut [T], v: &mut [T]) {
    adamw::update(Isa::PORTABLE, step, weights, grad, Moments { first: m, second: v });
}

#[test]
fn every_instruction_set_takes_the_same_step() {
    let mut numbers = Numbers::new(5);
    for len in [1, 3, 8, 15, 16, 17, 40, 131] {
        let start = numbers.fill::<f64>(len, -1.0, 1.0);
        let gradients = [numbers.fill::<f64>(len, -1.0, 1.0), numbers.fill(len, -1e-3, 1e-3)];
        let narrow = |x: &[f64]| x.iter().map(|x| *x as f32).collect::<Vec<_>>();
        let (mut weights, mut m, mut v) = (start.clone(), vec![0.0; len], vec![0.0; len]);
        for (t, grad) in (1..).zip(&gradients) {
            update(&SETTINGS.step(t, 1e-2, 0.1, 0.5), &mut weights, grad, &mut m, &mut v);
        }
        for isa in Isa::available() {
            let (mut got, mut first, mut second) = (narrow(&start), vec![0.0; len], vec![0.0; len]);
            for (t, grad) in (1..).zip(&gradients) {
                let moments = Moments { first: &mut first, second: &mut second };
                let step = SETTINGS.step(t, 1e-2, 0.1, 0.5);
                adamw::update(isa, &step, &mut got, &narrow(grad), moments);
            }
            assert!(distance(&got, &narrow(&weights)) < 1e-6, "{isa} {len}");
            assert!(distance(&first, &narrow(&m)) < 1e-6, "{isa} {len}");
        }
    }
}

#[test]
fn squares_are_summed_in_double_precision() {
    // Their sum exceeds single precision; and one that is not a number shows.
    let huge = [1e30_f32; 19];
    assert!((sum_of_squares(&huge) / 19e60 - 1.0).abs() < 1e-6);
    assert_eq!(sum_of_squares(&[3.0_f64, 4.0]), 25.0);
    assert!(sum_of_squares(&[1.0, f32::NAN, 2.0]).is_nan());
    assert_eq!(sum_of_squares::<f32>(&[]), 0.0);
}

#[test]
fn three_steps_follow_the_published_algorithm() {
    let (rate, decay) = (1e-2, 0.1);
    let gradients = [0.5, -0.2, 0.9];
    let (mut weight, mut m, mut v) = (1.5_f64, 0.0_f64, 0.0_f64);
    let (mut weights, mut first, mut second) = ([1.5_f64], [0.0], [0.0]);
    for (t, g) in (1..).zip(gradients) {
        // Algorithm 2 of arXiv:1711.05101, as PyTorch writes it.
        weight *= 1.0 - rate * decay;
        m = 0.9 * m + 0.1 * g;
        v = 0.999 * v + 0.001 * g * g;
        let (m_hat, v_hat) = (m / (1.0 - 0.9_f64.powi(t)), v / (1.0 - 0.999_f64.powi(t)));
        weight -= rate * m_hat / (v_hat.sqrt() + 1e-8);

        let step = SETTINGS.step(t as u64, rate, decay, 1.0);
        update(&step, &mut weights, &[g], &mut first, &mut second);
        assert!((weights[0] - weight).abs() < 1e-14, "step {t}");
    }
}

#[test]
fn decay_is_decoupled_from_the_gradient() {
    // Without a gradient only the decay moves the weight, and the moments stay at zero.
    let (mut weights, mut first, mut second) = ([2.0_f64], [0.0], [0.0]);
    let step = SETTINGS.step(1, 0.1, 0.5, 1.0);
    update(&step, &mut weights, &[0.0], &mut first, &mut second);
    assert_eq!((weights[0], first[0], second[0]), (2.0 * 0.95, 0.0, 0.0));
}

#[test]
fn clipping_scales_the_gradient_before_the_moments() {
    let (mut weights, mut first, mut second) = ([0.0_f64], [0.0], [0.0]);
    update(&SETTINGS.step(1, 1e-3, 0.0, 0.25), &mut weights, &[4.0], &mut first, &mut second);
    assert!((first[0] - 0.1).abs() < 1e-15 && (second[0] - 0.001).abs() < 1e-15);
    assert!((weights[0] + 1e-3).abs() < 1e-10);
}
