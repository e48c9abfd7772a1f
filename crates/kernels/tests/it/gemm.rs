use mambafleet_kernels::gemm::{MatMut, MatRef, Packed, Target, gemm};
use mambafleet_kernels::{Isa, Real, oracle};
use proptest::prelude::*;

use crate::common::{Numbers, cases, distance};

/// Largest distance from the oracle on any instruction set: plain or transposed operands and
/// target, rows apart by `gap` more elements than they need.
fn check<T: Real>(
    sizes: (usize, usize, usize),
    turns: [bool; 3],
    gap: usize,
    target: Target,
) -> f64 {
    let on = |isa| check_on::<T>(isa, sizes, turns, gap, target);
    Isa::available().into_iter().map(on).fold(0.0, f64::max)
}

/// The same on one instruction set. What has been packed must give the same bits.
fn check_on<T: Real>(
    isa: Isa,
    sizes: (usize, usize, usize),
    turns: [bool; 3],
    gap: usize,
    target: Target,
) -> f64 {
    let (m, k, n) = sizes;
    let mut numbers = Numbers::new((m * 10_000 + k * 100 + n) as u64);
    let mut operand = |rows: usize, cols: usize, turned: bool| {
        let (rows, cols) = if turned { (cols, rows) } else { (rows, cols) };
        (numbers.fill::<T>(rows * (cols + gap), -1.0, 1.0), rows, cols)
    };
    let (a, a_rows, a_cols) = operand(m, k, turns[0]);
    let (b, b_rows, b_cols) = operand(k, n, turns[1]);
    let (mut c, c_rows, c_cols) = operand(m, n, turns[2]);
    let element = |data: &[T], cols: usize, turned: bool, i: usize, j: usize| {
        let (i, j) = if turned { (j, i) } else { (i, j) };
        data[i * (cols + gap) + j]
    };
    let mut want = oracle::matmul(
        sizes,
        |i, p| element(&a, a_cols, turns[0], i, p),
        |p, j| element(&b, b_cols, turns[1], p, j),
    );
    match target {
        // What is replaced must not even be read.
        Target::Replace => c.fill(T::of(f64::NAN)),
        Target::Add => {
            for (at, want) in want.iter_mut().enumerate() {
                *want += element(&c, c_cols, turns[2], at / n, at % n);
            }
        }
    }
    let c_before = c.clone();
    let view_a = MatRef::strided(&a, a_rows, a_cols, a_cols + gap);
    let view_b = MatRef::strided(&b, b_rows, b_cols, b_cols + gap);
    let view_c = MatMut::strided(&mut c, c_rows, c_cols, c_cols + gap);
    let view_c = if turns[2] { view_c.t() } else { view_c };
    let view_a = if turns[0] { view_a.t() } else { view_a };
    let view_b = if turns[1] { view_b.t() } else { view_b };
    let mut again = c_before;
    gemm(isa, target, view_c, view_a, view_b);
    if !turns[2] {
        let mut packed = Packed::new(isa, k, n);
        packed.set(view_b);
        packed.multiply(target, MatMut::strided(&mut again, m, n, n + gap), view_a);
        let bits = |x: &T| x.to_f64().to_bits();
        assert!(c.iter().map(bits).eq(again.iter().map(bits)), "{isa}: packed");
    }
    let got: Vec<T> = (0..m * n).map(|at| element(&c, c_cols, turns[2], at / n, at % n)).collect();
    distance(&got, &want)
}

#[test]
fn odd_shapes_in_every_orientation_match_the_oracle() {
    let edges = [1, 2, 3, 8, 17, 33];
    for at in 0..edges.len().pow(3) {
        let (m, k, n) = (edges[at / 36], edges[at / 6 % 6], edges[at % 6]);
        for turns in 0..8_u8 {
            let turns = [turns & 1 != 0, turns & 2 != 0, turns & 4 != 0];
            for target in [Target::Replace, Target::Add] {
                let worst = check::<f32>((m, k, n), turns, 0, target);
                assert!(worst < 1e-5, "f32 {m} {k} {n} {turns:?} {target:?}: {worst}");
                let worst = check::<f64>((m, k, n), turns, 3, target);
                assert!(worst < 1e-13, "f64 {m} {k} {n} {turns:?} {target:?}: {worst}");
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(64))]
    #[test]
    fn random_shapes_match_the_oracle(
        m in 1..150_usize, k in 1..150_usize, n in 1..150_usize,
        turns: [bool; 3], gap in 0..4_usize, add: bool,
    ) {
        let target = if add { Target::Add } else { Target::Replace };
        prop_assert!(check::<f32>((m, k, n), turns, gap, target) < 3e-5);
        prop_assert!(check::<f64>((m, k, n), turns, gap, target) < 1e-13);
    }
}

#[test]
fn nothing_between_the_rows_is_touched() {
    let (a, b) = ([1.0_f32; 6], [2.0_f32; 6]);
    let mut c = [7.0_f32; 9];
    let view = MatMut::strided(&mut c, 2, 2, 5);
    gemm(Isa::PORTABLE, Target::Replace, view, MatRef::new(&a, 2, 3), MatRef::new(&b, 3, 2));
    assert_eq!(c, [6.0, 6.0, 7.0, 7.0, 7.0, 6.0, 6.0, 7.0, 7.0]);
}

#[test]
fn empty_products_do_nothing_and_empty_sums_are_zero() {
    let mut c = [5.0_f64; 4];
    gemm(
        Isa::PORTABLE,
        Target::Replace,
        MatMut::new(&mut c, 0, 4),
        MatRef::new(&[], 0, 3),
        MatRef::new(&[1.0; 12], 3, 4),
    );
    assert_eq!(c, [5.0; 4]);
    gemm(
        Isa::PORTABLE,
        Target::Add,
        MatMut::new(&mut c, 2, 2),
        MatRef::new(&[], 2, 0),
        MatRef::new(&[], 0, 2),
    );
    assert_eq!(c, [5.0; 4]);
    gemm(
        Isa::PORTABLE,
        Target::Replace,
        MatMut::new(&mut c, 2, 2),
        MatRef::new(&[], 2, 0),
        MatRef::new(&[], 0, 2),
    );
    assert_eq!(c, [0.0; 4]);
}

#[test]
fn a_row_alone_gets_the_same_bits_as_among_others() {
    let (m, k, n) = (29, 150, 37);
    let mut numbers = Numbers::new(5);
    let (a, b) = (numbers.fill::<f32>(m * k, -1.0, 1.0), numbers.fill::<f32>(k * n, -1.0, 1.0));
    for isa in Isa::available() {
        let (mut all, mut row) = (vec![0.0; m * n], vec![0.0; n]);
        let b = MatRef::new(&b[..], k, n);
        let c = MatMut::new(&mut all[..], m, n);
        gemm(isa, Target::Replace, c, MatRef::new(&a[..], m, k), b);
        for (a, among) in a.chunks(k).zip(all.chunks(n)) {
            let c = MatMut::new(&mut row[..], 1, n);
            gemm(isa, Target::Replace, c, MatRef::new(a, 1, k), b);
            assert_eq!(row, among, "{isa}");
        }
    }
}

#[test]
#[should_panic(expected = "exceed")]
fn a_view_beyond_its_slice_is_refused() {
    let _ = MatRef::strided(&[0.0_f32; 8], 2, 4, 5);
}

#[test]
#[should_panic(expected = "overlap")]
fn rows_that_overlap_are_refused() {
    let _ = MatMut::strided(&mut [0.0_f32; 8], 2, 4, 3);
}

#[test]
#[should_panic(expected = "inner sizes differ")]
fn sizes_that_do_not_fit_are_refused() {
    let mut c = [0.0_f32; 4];
    gemm(
        Isa::PORTABLE,
        Target::Add,
        MatMut::new(&mut c, 2, 2),
        MatRef::new(&[0.0; 6], 2, 3),
        MatRef::new(&[0.0; 8], 4, 2),
    );
}
