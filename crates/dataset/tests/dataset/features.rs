//! Features: their values, and that they do not look ahead.

use jiff::civil::date;
use mambafleet_dataset::feature::{self, FEATURES};
use mambafleet_dataset::volatility::WARM_UP;
use mambafleet_dataset::{
    Bar, Bars, DataError, Origin, Scaler, load_with, prepare, validate_features, with_scaler,
};
use mambafleet_protocol::{DataSource, PolicySpec, ReturnsSpec};
use proptest::prelude::*;

use crate::{bars, symbol, task};

/// A scaler that changes nothing.
fn identity(task: &ReturnsSpec) -> Scaler {
    let n = task.features.len();
    Scaler { features: task.features.clone(), mean: vec![0.0; n], std: vec![1.0; n] }
}

/// Thirty bars with simple numbers.
fn small() -> Bars {
    let bar = |i: i8| {
        let close = 100.0 + f64::from(7 * i32::from(i) % 11);
        let open = close - 1.0 + f64::from(i % 3);
        let (high, low) = (close.max(open) + 2.0, close.min(open) - 1.5);
        let volume = f64::from(i % 7) * 1000.0;
        Bar { date: date(2024, 1, 1 + i), open, high, low, close, volume }
    };
    let origin = Origin::Synthetic { seed: 0 };
    Bars {
        symbol: symbol("A"),
        origin,
        bars: (0..30).map(bar).collect(),
        columns: Vec::new(),
        reading: None,
    }
}

#[test]
fn values_agree_with_an_independent_calculation() {
    // Computed from the documented formulas by a script in another language; half-life 10.
    let expected: [(&str, f64); 12] = [
        ("log_return", -0.7671140807555238),
        ("overnight_gap", -0.9635935730944459),
        ("intraday_return", 0.19647949233892237),
        ("high_low_range", 0.5297682531460361),
        ("volume_ratio", 1.930430649948244),
        ("log_volatility", -2.992853491742264),
        ("momentum_5", 0.17661092622313684),
        ("momentum_20", -0.12926354820352712),
        ("realised_5", 0.024526088616279473),
        ("range_5", -0.7111937750279727),
        ("range_20", -0.7308164060623519),
        ("downside_20", 0.37791298053505606),
    ];
    let mut task = task();
    task.lookback = 2;
    let windows = with_scaler(&small(), &task, &identity(&task)).unwrap();
    assert!((windows.sigma(27) - 0.05014414647416061).abs() < 1e-12);
    let row = &windows.window(27)[task.features.len()..];
    for ((name, value), computed) in expected.into_iter().zip(row) {
        let error = (f64::from(*computed) - value).abs();
        assert!(error <= 1e-7 * value.abs(), "{name}: {computed} instead of {value}");
    }
    let targets: Vec<f64> = windows.targets(24).collect();
    assert!((targets[0] - 1.30008394109275).abs() < 1e-12);
    assert!((targets[1] - 0.17005585008905308).abs() < 1e-12);
}

#[test]
fn the_catalogue_is_complete_and_its_names_are_checked() {
    let names: Vec<String> = FEATURES.iter().map(|feature| feature.name.to_owned()).collect();
    assert_eq!(validate_features(&names), Ok(()));
    for feature in FEATURES {
        assert!(!feature.formula.is_empty() && !feature.source.is_empty());
        let alone = vec![feature.name.to_owned(), feature.name.to_owned() + "x"];
        let error = validate_features(&alone).unwrap_err();
        assert_eq!(error.nearest, Some(feature.name));
        assert_eq!(error.known.len(), FEATURES.len());
    }
    let mut task = task();
    task.features = vec!["log_retrun".into()];
    let error = prepare(&bars(400), &task).unwrap_err();
    assert!(matches!(error, DataError::UnknownFeature(_)));
    assert_eq!(error.to_string(), "unknown feature \"log_retrun\"");
    assert!(error.hint().unwrap().starts_with("did you mean \"log_return\"? known features: "));
}

/// The bits of everything known at `anchor`.
fn known_at(bars: &Bars, task: &ReturnsSpec, scaler: &Scaler, anchor: usize) -> (Vec<u32>, u64) {
    let windows = with_scaler(bars, task, scaler).unwrap();
    let window = windows.window(anchor).iter().map(|value| value.to_bits()).collect();
    (window, windows.sigma(anchor).to_bits())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn no_feature_sees_a_later_row(
        anchor in WARM_UP + 15..119_usize,
        changes in proptest::collection::vec((0.01_f64..100.0, 0.0_f64..1e9), 120),
    ) {
        let before = bars(120);
        let mut after = before.clone();
        for (bar, (factor, volume)) in after.bars.iter_mut().zip(&changes).skip(anchor + 1) {
            bar.open *= factor;
            bar.high *= factor * 1.1;
            bar.low *= factor * 0.7;
            bar.close *= factor * 0.9;
            bar.volume = *volume;
        }
        let mut cut = before.clone();
        cut.bars.truncate(anchor + 1);
        for feature in FEATURES {
            let mut task = task();
            task.features = vec![feature.name.to_owned()];
            let scaler = Scaler { mean: vec![0.3], std: vec![1.7], ..identity(&task) };
            let known = known_at(&before, &task, &scaler, anchor);
            prop_assert_eq!(&known, &known_at(&after, &task, &scaler, anchor), "{}", feature.name);
            prop_assert_eq!(&known, &known_at(&cut, &task, &scaler, anchor), "{}", feature.name);
            // And the change is one that later rows do see.
            let (changed, _) = known_at(&after, &task, &scaler, 119);
            prop_assert_ne!(known_at(&before, &task, &scaler, 119).0, changed, "{}", feature.name);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "test files need no atomic write")]
#[test]
fn further_columns_of_a_file_are_features() {
    let base = bars(120);
    let mut text = Vec::new();
    mambafleet_dataset::write_csv(&base, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    // Mood is blank on every third day but the first: it stays what it was.
    let mood = |row: usize| if row % 3 == 2 { String::new() } else { format!("{row}.5") };
    let lines = text.lines().enumerate().map(|(at, line)| match at {
        0 => format!("{line},mood,Big Cap"),
        at => format!("{line},{},{}", mood(at - 1), 1000 - at),
    });
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("AAPL.csv"), &text).unwrap();
    let policy = PolicySpec::USUAL;
    let source = DataSource::Csv { dir: dir.path().to_owned(), policy };
    let task = ReturnsSpec {
        features: ["column:Big Cap", "log_return", "column:mood"].map(str::to_owned).to_vec(),
        ..task()
    };
    let names = feature::columns(&task.features);
    assert_eq!(names, ["Big Cap", "mood"]);
    let loaded = load_with(&symbol("AAPL"), &source, &names).unwrap();
    let windows = with_scaler(&loaded, &task, &identity(&task)).unwrap();
    let newest = windows.window(100).len() - 3;
    assert_eq!(windows.window(100)[newest], 899.0);
    assert_eq!(windows.window(100)[newest + 2], 100.5);
    assert_eq!(windows.window(101)[newest + 2], 100.5, "blank: what was known last");
    // Other values from the next row on change nothing.
    let mut later = loaded.clone();
    for column in &mut later.columns {
        column.values[101..].fill(7.0);
    }
    let changed = with_scaler(&later, &task, &identity(&task)).unwrap();
    assert_eq!(windows.window(100), changed.window(100));
    assert_ne!(windows.window(102), changed.window(102));
    // They belong to the content once they are asked for.
    let plain = load_with(&symbol("AAPL"), &source, &[]).unwrap();
    assert_eq!(plain.fingerprint(), base.fingerprint());
    assert_ne!(loaded.fingerprint(), base.fingerprint());

    let error = load_with(&symbol("AAPL"), &source, &["Mood".to_owned()]).unwrap_err();
    assert!(
        error.to_string().contains("no one column \"Mood\"; found \"date\", \"open"),
        "{error}"
    );
    std::fs::write(dir.path().join("AAPL.csv"), text.replace("100.5", "high")).unwrap();
    let error = load_with(&symbol("AAPL"), &source, &names).unwrap_err().to_string();
    assert!(error.contains("\"high\" is not a number") && error.contains("102"), "{error}");
}

#[test]
fn no_target_knows_a_row_beyond_its_horizon() {
    let (before, task) = (bars(120), task());
    let scaler = identity(&task);
    let bits = |bars: &Bars, anchor| -> Vec<u64> {
        with_scaler(bars, &task, &scaler).unwrap().targets(anchor).map(f64::to_bits).collect()
    };
    for (index, horizon) in task.horizons.iter().enumerate() {
        let mut after = before.clone();
        for bar in after.bars.iter_mut().skip(60 + horizon + 1) {
            (bar.open, bar.close) = (bar.open * 1.3, bar.close * 0.7);
        }
        assert_eq!(bits(&before, 60)[index], bits(&after, 60)[index], "horizon {horizon}");
        assert_ne!(bits(&before, 61)[index], bits(&after, 61)[index], "horizon {horizon}");
    }
}

#[test]
fn odd_prices_and_volumes_give_finite_features() {
    let task = task();
    let mut still = bars(100);
    for bar in &mut still.bars {
        (bar.open, bar.high, bar.low, bar.close, bar.volume) = (5.0, 5.0, 5.0, 5.0, 0.0);
    }
    let mut wild = bars(100);
    for (i, bar) in wild.bars.iter_mut().enumerate() {
        let price = if i % 2 == 0 { 1e-12 } else { 1e12 };
        (bar.open, bar.high, bar.low, bar.close, bar.volume) = (price, price, price, price, 1e18);
    }
    for bars in [still, wild] {
        let windows = with_scaler(&bars, &task, &identity(&task)).unwrap();
        for anchor in windows.first_anchor()..=windows.last_anchor() {
            assert!(windows.window(anchor).iter().all(|value| value.is_finite()));
        }
    }
}
