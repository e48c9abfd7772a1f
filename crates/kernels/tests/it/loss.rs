use mambafleet_kernels::{loss, oracle, quantile};
use proptest::prelude::*;

use crate::common::{Numbers, cases, differences, distance, weighted};

#[test]
fn squared_error_and_its_gradient() {
    let mut numbers = Numbers::new(1);
    let (outputs, targets) = (numbers.fill::<f64>(11, -1.0, 1.0), numbers.fill(11, -1.0, 1.0));
    let mut grad = vec![f64::NAN; 11];
    let sum = loss::squared_error(&outputs, &targets, 0.25, &mut grad);
    let by_hand: f64 = outputs.iter().zip(&targets).map(|(o, t)| (o - t) * (o - t)).sum();
    assert!((sum - by_hand).abs() < 1e-14);
    let want = differences(&outputs, |outputs| {
        0.25 * loss::squared_error(outputs, &targets, 0.0, &mut [0.0; 11])
    });
    assert!(distance(&grad, &want) < 1e-8);
}

#[test]
fn pinball_and_its_gradient() {
    let mut numbers = Numbers::new(2);
    let levels = [0.1, 0.5, 0.8];
    let (rows, targets) = (numbers.fill::<f64>(12, -1.0, 1.0), numbers.fill(4, -1.0, 1.0));
    let mut grad = vec![f64::NAN; 12];
    let sum = loss::pinball(&rows, &targets, &levels, 0.5, &mut grad);
    let by_hand: f64 = (0..12)
        .map(|i| (targets[i / 3] - rows[i], levels[i % 3]))
        .map(|(error, level): (f64, f64)| (level * error).max((level - 1.0) * error))
        .sum();
    assert!((sum - by_hand).abs() < 1e-14);
    let want = differences(&rows, |rows| {
        0.5 * loss::pinball(rows, &targets, &levels, 0.0, &mut [0.0; 12])
    });
    assert!(distance(&grad, &want) < 1e-8);
}

#[test]
fn what_is_not_a_number_shows_in_the_loss() {
    let mut grad = [0.0_f32; 2];
    assert!(loss::pinball(&[0.0, 1.0], &[f32::NAN], &[0.1, 0.5], 1.0, &mut grad).is_nan());
    assert!(loss::pinball(&[f32::NAN, 1.0], &[0.0], &[0.1, 0.5], 1.0, &mut grad).is_nan());
    assert!(loss::squared_error(&[f32::NAN, 1.0], &[0.0, 0.0], 1.0, &mut grad).is_nan());
}

proptest! {
    #![proptest_config(cases(64))]
    #[test]
    fn quantiles_ascend_and_their_gradient_is_right(
        rows in 1..4_usize, levels in 1..8_usize, anchor in 0..8_usize, seed: u64,
    ) {
        let anchor = anchor % levels;
        let mut numbers = Numbers::new(seed);
        let raw = numbers.fill::<f64>(rows * levels, -3.0, 3.0);
        let dy = numbers.fill::<f64>(raw.len(), -1.0, 1.0);
        let transform = |raw: &[f64]| {
            let mut out = vec![f64::NAN; raw.len()];
            quantile::forward(raw, levels, anchor, &mut out);
            out
        };
        let got = transform(&raw);
        let want: Vec<f64> =
            raw.chunks(levels).flat_map(|row| oracle::quantiles(row, anchor)).collect();
        prop_assert!(distance(&got, &want) < 1e-13);
        for row in got.chunks(levels) {
            prop_assert!(row.is_sorted());
        }
        let mut grad = dy.clone();
        quantile::backward(&raw, levels, anchor, &mut grad);
        let want = differences(&raw, |raw| weighted(&transform(raw), &dy));
        prop_assert!(distance(&grad, &want) < 1e-7);
    }
}

#[test]
fn extreme_raw_values_cross_no_quantiles() {
    let raw = [-200.0_f32, 90.0, 3.0, -200.0, 200.0];
    let mut out = [0.0; 5];
    quantile::forward(&raw, 5, 2, &mut out);
    assert!(out.is_sorted(), "{out:?}");
}
