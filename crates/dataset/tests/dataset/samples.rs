//! Datasets: parts, scaling, gathering, the baseline.

use mambafleet_dataset::volatility::WARM_UP;
use mambafleet_dataset::{Bars, DataError, DatasetSummary, Scaler, baseline, prepare, with_scaler};

use mambafleet_dataset::feature::FEATURES;

use crate::{bars, task};

#[test]
fn parts_follow_each_other_in_time_with_the_longest_horizon_between() {
    let dataset = prepare(&bars(500), &task()).unwrap();
    // Anchors 35..=494, that is 460 samples: 276 for training, 92 for validation, 92 for testing.
    assert_eq!(dataset.first_anchor(), 35);
    assert_eq!(dataset.train(), (35..35 + 276 - 5).collect::<Vec<_>>());
    assert_eq!(dataset.validation(), (35 + 276..35 + 368 - 5).collect::<Vec<_>>());
    assert_eq!(dataset.test(), (35 + 368..495).collect::<Vec<_>>());
    assert_eq!((dataset.last_anchor(), dataset.rows()), (499, 500));
}

#[test]
fn the_summary_tells_what_went_in() {
    let bars = bars(500);
    let dataset = prepare(&bars, &task()).unwrap();
    let summary = dataset.summary();
    assert_eq!(summary.fingerprint, bars.fingerprint());
    assert_eq!((summary.bars, summary.purged, summary.warm_up), (500, 10, WARM_UP));
    assert_eq!((summary.first, summary.last), (bars.bars[0].date, bars.bars[499].date));
    for (part, anchors) in [
        (summary.train, dataset.train()),
        (summary.validation, dataset.validation()),
        (summary.test, dataset.test()),
    ] {
        assert_eq!(part.samples, anchors.len());
        assert_eq!(part.first, dataset.date(anchors[0]));
        assert_eq!(part.last, dataset.date(anchors[anchors.len() - 1]));
    }
    let json = serde_json::to_string(summary).unwrap();
    assert_eq!(serde_json::from_str::<DatasetSummary>(&json).unwrap(), *summary);
}

/// The scaler after multiplying everything in row `row` of 500.
fn scaler_with_change_in(row: usize) -> Scaler {
    let mut bars = bars(500);
    let bar = &mut bars.bars[row];
    for value in [&mut bar.open, &mut bar.high, &mut bar.low, &mut bar.close, &mut bar.volume] {
        *value *= 1.25;
    }
    prepare(&bars, &task()).unwrap().scaler().clone()
}

#[test]
fn the_scaler_knows_training_rows_only() {
    let dataset = prepare(&bars(500), &task()).unwrap();
    let last_train = dataset.train()[dataset.train().len() - 1];
    for later in last_train + 1..500 {
        assert_eq!(scaler_with_change_in(later), *dataset.scaler(), "row {later}");
    }
    assert_ne!(scaler_with_change_in(last_train), *dataset.scaler());
    assert_ne!(scaler_with_change_in(WARM_UP), *dataset.scaler());
}

#[test]
fn training_rows_are_standardised() {
    let dataset = prepare(&bars(500), &task()).unwrap();
    let n = dataset.n_features();
    let last_train = dataset.train()[dataset.train().len() - 1];
    for feature in 0..n {
        // The last step of every window, and the first window whole, are each row once.
        let first = dataset.window(dataset.first_anchor()).chunks(n);
        let rest = (dataset.first_anchor() + 1..=last_train)
            .map(|anchor| &dataset.window(anchor)[(dataset.lookback() - 1) * n..]);
        let values: Vec<f64> = first.chain(rest).map(|row| f64::from(row[feature])).collect();
        assert_eq!(values.len(), last_train + 1 - WARM_UP);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let square = values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-5, "{feature}: {mean} {square}");
    }
}

#[test]
fn gathering_gives_windows_and_their_targets() {
    let dataset = prepare(&bars(500), &task()).unwrap();
    let (mut inputs, mut targets) = (vec![9.0; 3], vec![9.0; 3]);
    let anchors = [400, 35, 36];
    dataset.gather(&anchors, &mut inputs, &mut targets);
    let size = dataset.lookback() * dataset.n_features();
    assert_eq!((inputs.len(), targets.len()), (3 * size, 3 * 2));
    for (i, anchor) in anchors.into_iter().enumerate() {
        assert_eq!(&inputs[i * size..][..size], dataset.window(anchor));
        for (j, horizon) in dataset.horizons().iter().enumerate() {
            let future = (dataset.close(anchor + horizon) / dataset.close(anchor)).ln();
            let target = future / (dataset.sigma(anchor) * (*horizon as f64).sqrt());
            assert!((f64::from(targets[i * 2 + j]) - target).abs() < 1e-6);
        }
    }
    // Consecutive windows share all rows but one.
    let n = dataset.n_features();
    assert_eq!(dataset.window(35)[n..], dataset.window(36)[..size - n]);
}

#[test]
fn forecasting_sees_the_windows_of_training_and_newer_ones() {
    let all = bars(520);
    let older = Bars { bars: all.bars[..500].to_vec(), ..all.clone() };
    let dataset = prepare(&older, &task()).unwrap();
    let json = serde_json::to_string(dataset.scaler()).unwrap();
    let stored: Scaler = serde_json::from_str(&json).unwrap();
    let windows = with_scaler(&all, &task(), &stored).unwrap();
    for anchor in dataset.first_anchor()..=dataset.last_anchor() {
        assert_eq!(windows.window(anchor), dataset.window(anchor));
    }
    assert_eq!(windows.last_anchor(), 519);
    assert_eq!(windows.window(519).len(), 16 * FEATURES.len());
    assert_eq!(windows.close(519), all.bars[519].close);
    assert_eq!(windows.date(519), all.bars[519].date);
}

#[test]
fn a_scaler_of_other_features_is_refused() {
    let dataset = prepare(&bars(500), &task()).unwrap();
    let mut other = task();
    other.features.swap(0, 1);
    let error = with_scaler(&bars(500), &other, dataset.scaler()).unwrap_err();
    assert!(matches!(error, DataError::InvalidScaler(_)), "{error}");
    assert!(error.hint().unwrap().contains("train the symbol again"));
}

#[test]
fn too_few_rows_are_counted_and_the_number_needed_is_exact() {
    let error = prepare(&bars(60), &task()).unwrap_err();
    let DataError::TooFewRows { present, needed, .. } = error else { panic!("{error}") };
    assert_eq!(present, 60);
    assert_eq!(
        error.to_string(),
        format!(
            "AAPL: 60 bars in synthetic demo data (seed 3), but {needed} are needed to train, \
             validate and test this task"
        )
    );
    assert!(prepare(&bars(needed - 1), &task()).is_err());
    let dataset = prepare(&bars(needed), &task()).unwrap();
    assert!(dataset.train().len() >= 32 && dataset.validation().len() >= 8);

    let scaler = dataset.scaler();
    assert!(with_scaler(&bars(35), &task(), scaler).is_err());
    assert_eq!(
        with_scaler(&bars(36), &task(), scaler).unwrap().window(35).len(),
        16 * FEATURES.len()
    );
    assert!(prepare(&bars(0), &task()).is_err());
}

#[test]
fn a_task_that_makes_no_sense_is_refused() {
    let mut senseless = task();
    senseless.lookback = 0;
    let error = prepare(&bars(500), &senseless).unwrap_err();
    assert!(matches!(error, DataError::InvalidTask(_)));
    assert!(error.to_string().starts_with("task.lookback"));
}

#[test]
fn the_baseline_is_the_quantiles_of_training_targets() {
    let dataset = prepare(&bars(500), &task()).unwrap();
    let levels = [0.05, 0.5, 0.95];
    let quantiles = baseline::volatility_quantiles(&dataset, &levels);
    assert_eq!(quantiles.len(), 2 * 3);
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    dataset.gather(dataset.train(), &mut inputs, &mut targets);
    for (horizon, row) in quantiles.chunks(3).enumerate() {
        assert!(row[0] < row[1] && row[1] < row[2]);
        for (level, quantile) in levels.iter().zip(row) {
            let column = targets.iter().skip(horizon).step_by(2);
            let below = column.filter(|target| *target < quantile).count() as f64;
            let share = below / dataset.train().len() as f64;
            assert!((share - level).abs() < 0.01, "horizon {horizon}: {share} for {level}");
        }
    }
}
