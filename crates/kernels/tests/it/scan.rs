use mambafleet_kernels::gemm::{MatMut, MatRef};
use mambafleet_kernels::oracle::ScanInputs;
use mambafleet_kernels::scan::{
    self, Grads, Inputs, Rates, RatesGrad, Scratch, Sizes, States, last,
};
use mambafleet_kernels::{Isa, Real, oracle};
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

fn oracle_inputs<T>(parts: &[Vec<T>]) -> ScanInputs<'_, T> {
    ScanInputs {
        u: &parts[0],
        dt: &parts[1],
        b: &parts[2],
        c: &parts[3],
        a_log: &parts[4],
        d: &parts[5],
    }
}

/// B and C side by side, after one number that nothing may read.
fn side_by_side<T: Real>(b: &[T], c: &[T], states: usize) -> Vec<T> {
    let rows = b.chunks(states).zip(c.chunks(states));
    rows.flat_map(|(b, c)| [&[T::of(f64::NAN)], b, c].concat()).collect()
}

/// Output and the six gradients of the kernel; with `only_last`, the output of the last step and
/// what follows from its gradient alone. Sums start from one, which is taken off again.
fn run<T: Real>(isa: Isa, sizes: Sizes, parts: &[Vec<T>; 7], only_last: bool) -> [Vec<T>; 7] {
    let Sizes { length, channels, states } = sizes;
    let [u, dt, b, c, a_log, d, dy] = parts;
    let bc = side_by_side(b, c, states);
    let columns = 2 * states + 1;
    let view = MatRef::strided(&bc[1..], length, 2 * states, columns);
    let inputs = Inputs { u, dt, bc: view, d };
    let mut rates = Rates::new(isa, sizes);
    rates.set(a_log);
    let written = |len: usize| vec![T::of(f64::NAN); len];
    let (mut du, mut ddt, mut dbc) = (written(u.len()), written(u.len()), written(bc.len()));
    let (mut drates, mut dd) = (RatesGrad::new(&rates), vec![T::ONE; channels]);
    let grads = Grads {
        u: &mut du,
        dt: &mut ddt,
        bc: MatMut::strided(&mut dbc[1..], length, 2 * states, columns),
        rates: &mut drates,
        d: &mut dd,
    };
    let mut scratch = Scratch::new(isa, sizes);
    let y = if only_last {
        let (mut y, mut state) = (written(channels), last::State::new(isa, sizes));
        last::forward(sizes, &inputs, &rates, &mut y, &mut state);
        let dy = &dy[dy.len() - channels..];
        last::backward(sizes, &inputs, &rates, &state, dy, grads, &mut scratch);
        y
    } else {
        let (mut y, mut again) = (written(u.len()), written(u.len()));
        let mut room = States::new(isa, sizes, true);
        scan::forward(sizes, &inputs, &rates, &mut y, &mut room);
        let mut bare = States::new(isa, sizes, false);
        scan::forward(sizes, &inputs, &rates, &mut again, &mut bare);
        assert!(y.iter().zip(&again).all(|(y, again)| y == again || y.to_f64().is_nan()));
        scan::backward(sizes, &inputs, &rates, &room, dy, grads, &mut scratch);
        y
    };
    let mut da_log = vec![T::ONE; a_log.len()];
    drates.drain(&rates, &mut da_log);
    da_log.iter_mut().chain(&mut dd).for_each(|grad| *grad -= T::ONE);
    let part = |from: usize| {
        dbc.chunks(columns).flat_map(|row| row[from..from + states].to_vec()).collect()
    };
    [y, du, ddt, part(1), part(1 + states), da_log, dd]
}

/// The same by the oracle.
fn wanted<T: Real>(sizes: Sizes, parts: &[Vec<T>; 7], only_last: bool) -> [Vec<T>; 7] {
    let (mut y, mut dy) = (oracle::scan(sizes, &oracle_inputs(parts)), parts[6].clone());
    if only_last {
        let before = dy.len() - sizes.channels;
        dy[..before].fill(T::ZERO);
        y.drain(..before);
    }
    let grads = oracle::scan_backward(sizes, &oracle_inputs(parts), &dy);
    [y, grads.u, grads.dt, grads.b, grads.c, grads.a_log, grads.d]
}

/// Largest deviation from the oracle, over the output and all gradients of both variants.
fn deviation<T: Real>(isa: Isa, sizes: Sizes) -> f64 {
    let parts = problem::<T>(sizes);
    let of = |only_last: bool| {
        let (got, want) = (run(isa, sizes, &parts, only_last), wanted(sizes, &parts, only_last));
        got.iter().zip(&want).map(|(got, want)| distance(got, want)).fold(0.0, f64::max)
    };
    of(false).max(of(true))
}

proptest! {
    #![proptest_config(cases(48))]
    #[test]
    fn any_shape_matches_the_oracle(
        length in 1..30_usize, channels in 1..75_usize, states in 1..65_usize,
    ) {
        let sizes = Sizes { length, channels, states };
        prop_assert!(deviation::<f64>(Isa::PORTABLE, sizes) < 1e-12);
        for isa in Isa::available() {
            let worst = deviation::<f32>(isa, sizes);
            prop_assert!(worst < 2e-5, "{}: {}", isa, worst);
        }
    }
}

#[test]
fn nasty_shapes_match_the_oracle() {
    for (length, channels, states) in [
        (1, 1, 1),
        (1, 64, 16),
        (7, 15, 64),
        (8, 16, 1),
        (9, 17, 3),
        (16, 31, 33),
        (17, 33, 2),
        (65, 2, 16),
        (3, 128, 16),
        (2, 3, 256),
    ] {
        let sizes = Sizes { length, channels, states };
        for isa in Isa::available() {
            let worst = deviation::<f32>(isa, sizes);
            assert!(worst < 2e-5, "{isa} {sizes:?}: {worst}");
        }
    }
}

#[test]
fn instruction_sets_agree_to_a_few_roundings() {
    let sizes = Sizes { length: 33, channels: 37, states: 16 };
    let parts = problem::<f32>(sizes);
    for only_last in [false, true] {
        let plain = run(Isa::PORTABLE, sizes, &parts, only_last);
        for isa in Isa::available() {
            let got = run(isa, sizes, &parts, only_last);
            for (which, (got, plain)) in got.iter().zip(&plain).enumerate() {
                let worst = distance(got, plain);
                assert!(worst < 40.0 * f64::from(f32::EPSILON), "{isa} {which}: {worst:e}");
            }
        }
    }
}

#[test]
fn what_is_not_finite_shows_in_the_output_and_in_the_gradients() {
    let sizes = Sizes { length: 11, channels: 19, states: 5 };
    for isa in Isa::available() {
        for (which, value) in [(0, f32::NAN), (1, f32::NAN), (2, f32::INFINITY), (4, f32::NAN)] {
            let mut parts = problem::<f32>(sizes);
            parts[which][1] = value;
            for only_last in [false, true] {
                let got = run(isa, sizes, &parts, only_last);
                assert!(got[0].iter().any(|y| !y.is_finite()), "{isa} {which} {only_last}");
                let lost = got[1..].iter().all(|grad| grad.iter().all(|g| g.is_finite()));
                assert!(!lost, "{isa} {which} {only_last}");
            }
        }
    }
}

#[test]
fn gradients_agree_with_differences() {
    for (length, channels, states) in
        [(1, 1, 1), (1, 9, 3), (9, 3, 2), (17, 2, 5), (8, 1, 20), (3, 33, 2)]
    {
        let sizes = Sizes { length, channels, states };
        let parts = problem::<f64>(sizes);
        for only_last in [false, true] {
            let got = run(Isa::PORTABLE, sizes, &parts, only_last);
            let dy = &parts[6][if only_last { (length - 1) * channels } else { 0 }..];
            for which in 0..6 {
                let want = differences(&parts[which], |moved| {
                    let mut parts = parts.clone();
                    parts[which] = moved.to_vec();
                    weighted(&run(Isa::PORTABLE, sizes, &parts, only_last)[0], dy)
                });
                let worst = distance(&got[which + 1], &want);
                assert!(worst < 1e-7, "input {which} of {sizes:?}: {worst}");
            }
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
    for (isa, only_last) in Isa::available().into_iter().flat_map(|isa| [(isa, false), (isa, true)])
    {
        let [_, u, dt, b, c, ..] = run(isa, sizes, &parts, only_last);
        for grad in [u, dt, b, c].concat() {
            assert!(grad == 0.0 || grad.is_normal(), "{isa} {grad:e}");
        }
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
        for isa in Isa::available() {
            let [y, ..] = run(isa, sizes, &parts, false);
            assert!(y[1] < 1e-20 && (y[1] == 0.0 || y[1].is_normal()), "{isa} {:e}", y[1]);
        }
    }
}
