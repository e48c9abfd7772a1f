use mambafleet_kernels::scan::{self, Grads, Inputs, Scratch, Sizes, checkpoints_len};
use mambafleet_kernels::{LANES, Real, oracle};
use proptest::prelude::*;

use crate::common::{Numbers, cases, differences, distance, weighted};

/// Random inputs in the order u, dt, b, c, `a_log`, d, and an output gradient. Decay over a step
/// is neither negligible nor complete, so that every term counts.
fn problem<T: Real>(sizes: Sizes) -> [Vec<T>; 7] {
    let Sizes { length, channels, states } = sizes;
    let mut numbers = Numbers::new((length * 10_000 + channels * 100 + states) as u64);
    [
        numbers.fill(length * channels, -1.0, 1.0),
        numbers.fill(length * channels, 0.05, 1.0),
        numbers.fill(length * states, -1.0, 1.0),
        numbers.fill(length * states, -1.0, 1.0),
        numbers.fill(channels * states, -1.5, 0.7),
        numbers.fill(channels, -1.0, 1.0),
        numbers.fill(length * channels, -1.0, 1.0),
    ]
}

fn inputs<T>(parts: &[Vec<T>]) -> Inputs<'_, T> {
    Inputs {
        u: &parts[0],
        dt: &parts[1],
        b: &parts[2],
        c: &parts[3],
        a_log: &parts[4],
        d: &parts[5],
    }
}

/// Output and the six gradients of the kernel; sums start from `start`, which is taken off again.
fn run<T: Real>(sizes: Sizes, parts: &[Vec<T>; 7], start: T) -> [Vec<T>; 7] {
    let inputs = inputs(parts);
    let mut kept = vec![[T::of(f64::NAN); LANES]; checkpoints_len(sizes)];
    let mut room = [vec![[T::ZERO; LANES]; sizes.states], vec![[T::ZERO; LANES]; sizes.states]];
    let [state, rates] = &mut room;
    let mut y = vec![T::of(f64::NAN); inputs.u.len()];
    scan::forward(sizes, &inputs, &mut y, Some(&mut kept), state, rates);
    let mut again = vec![T::ZERO; y.len()];
    scan::forward(sizes, &inputs, &mut again, None, state, rates);
    assert_eq!(y, again, "keeping states must not change the result");

    let written = |like: &[T]| vec![T::of(f64::NAN); like.len()];
    let (mut u, mut dt) = (written(inputs.u), written(inputs.dt));
    let (mut b, mut c) = (written(inputs.b), written(inputs.c));
    let (mut a_log, mut d) = (vec![start; inputs.a_log.len()], vec![start; inputs.d.len()]);
    let mut grads =
        Grads { u: &mut u, dt: &mut dt, b: &mut b, c: &mut c, a_log: &mut a_log, d: &mut d };
    let mut scratch = Scratch::new(sizes);
    scan::backward(sizes, &inputs, &kept, &parts[6], &mut grads, &mut scratch);
    a_log.iter_mut().chain(&mut d).for_each(|grad| *grad -= start);
    [y, u, dt, b, c, a_log, d]
}

/// Largest deviation from the oracle, over the output and all gradients.
fn deviation<T: Real>(sizes: Sizes) -> f64 {
    let parts = problem::<T>(sizes);
    let got = run(sizes, &parts, T::ONE);
    let y = oracle::scan(sizes, &inputs(&parts));
    let grads = oracle::scan_backward(sizes, &inputs(&parts), &parts[6]);
    let want = [y, grads.u, grads.dt, grads.b, grads.c, grads.a_log, grads.d];
    got.iter().zip(&want).map(|(got, want)| distance(got, want)).fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(cases(64))]
    #[test]
    fn any_shape_matches_the_oracle(
        length in 1..30_usize, channels in 1..75_usize, states in 1..21_usize,
    ) {
        let sizes = Sizes { length, channels, states };
        prop_assert!(deviation::<f64>(sizes) < 1e-12);
        prop_assert!(deviation::<f32>(sizes) < 2e-5);
    }
}

#[test]
fn gradients_agree_with_differences() {
    for (length, channels, states) in
        [(1, 1, 1), (1, 9, 3), (9, 3, 2), (17, 2, 5), (8, 1, 20), (3, 33, 2)]
    {
        let sizes = Sizes { length, channels, states };
        let parts = problem::<f64>(sizes);
        let got = run(sizes, &parts, 0.0);
        for which in 0..6 {
            let want = differences(&parts[which], |moved| {
                let mut parts = parts.clone();
                parts[which] = moved.to_vec();
                weighted(&run(sizes, &parts, 0.0)[0], &parts[6])
            });
            let worst = distance(&got[which + 1], &want);
            assert!(worst < 1e-7, "input {which} of {sizes:?}: {worst}");
        }
    }
}

#[test]
fn a_long_decay_leaves_no_denormal_numbers() {
    let sizes = Sizes { length: 500, channels: 3, states: 4 };
    let mut parts = problem::<f32>(sizes);
    // Only the last step has a gradient, so the adjoint decays over all the others.
    let last = parts[6].len() - sizes.channels;
    parts[6][..last].fill(0.0);
    let [_, u, dt, b, c, ..] = run(sizes, &parts, 0.0);
    for grad in [u, dt, b, c].concat() {
        assert!(grad == 0.0 || grad.is_normal(), "{grad:e}");
    }
}

#[test]
fn a_sudden_decay_leaves_no_denormal_numbers() {
    let sizes = Sizes { length: 2, channels: 1, states: 1 };
    // A long second step without input: all but nothing of the state is left.
    for dt in [50.0, 85.0, 1e6] {
        let column = |values: &[f32]| values.to_vec();
        let (u, dt, ones) = (column(&[1.0, 0.0]), column(&[1.0, dt]), column(&[1.0, 1.0]));
        let zero = column(&[0.0]);
        let parts = [u, dt, column(&[1e-3, 1.0]), ones.clone(), zero.clone(), zero, ones];
        let [y, ..] = run(sizes, &parts, 0.0);
        assert!(y[1] < 1e-20 && (y[1] == 0.0 || y[1].is_normal()), "{:e}", y[1]);
    }
}
