use mambafleet_kernels::adamw::{Settings, update};

const SETTINGS: Settings = Settings { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

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
