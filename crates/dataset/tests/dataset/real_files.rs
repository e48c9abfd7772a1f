//! Real prices, where the sample lies beside the checkout.

use std::path::PathBuf;

use mambafleet_dataset::{DataError, baseline, load, prepare};
use mambafleet_protocol::{DataSource, Symbol, TaskSpec};

use crate::{symbol, task};

/// The directory with the sample, if it is there; says so if it is not.
fn sample() -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/daily");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: no sample of daily prices at {}", dir.display());
    None
}

fn symbols(dir: &PathBuf) -> Vec<Symbol> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let stem = |name: &str| name.strip_suffix(".csv").map(symbol);
    entries.filter_map(|name| stem(name.to_str().unwrap())).collect()
}

#[test]
fn fifty_real_files_load_and_can_be_trained_on() {
    let Some(dir) = sample() else { return };
    let task = TaskSpec { lookback: 64, horizons: vec![1, 5, 20], ..task() };
    let symbols = symbols(&dir);
    assert_eq!(symbols.len(), 50);
    let source = DataSource::Csv { dir };
    let mut rows = 0;
    for symbol in symbols {
        let bars = load(&symbol, &source).unwrap();
        rows += bars.bars.len();
        let dataset = prepare(&bars, &task).unwrap();
        for anchor in dataset.first_anchor()..=dataset.last_anchor() {
            assert!(dataset.window(anchor).iter().all(|x| x.is_finite() && x.abs() < 60.0));
        }
        // In units of trailing volatility, 90 % of days are within about 1.6 units.
        let quantiles = baseline::volatility_quantiles(&dataset, &[0.05, 0.95]);
        assert!(quantiles[0] < -1.1 && quantiles[0] > -2.2, "{symbol}: {quantiles:?}");
        assert!(quantiles[1] > 1.1 && quantiles[1] < 2.2, "{symbol}: {quantiles:?}");
    }
    assert_eq!(rows, 194_931);
}

#[test]
fn vendors_files_in_other_layouts_are_refused_with_the_place() {
    let Some(dir) = sample() else { return };
    let read = |name: &str| load(&symbol(name), &DataSource::Csv { dir: dir.join("raw") });
    // One inconsistent row and four blank cells, as its README says.
    let faulty = read("DHR.kaggle").unwrap_err();
    let problems: Vec<(u64, Option<&str>)> =
        faulty.problems().iter().map(|problem| (problem.line, problem.column)).collect();
    let blank = [(600, "open"), (723, "open"), (723, "high"), (723, "low")];
    assert_eq!(problems[0], (437, Some("open")), "{faulty}");
    assert_eq!(problems[1..], blank.map(|(line, column)| (line, Some(column))));
    let other = read("TSLA.alphavantage").unwrap_err();
    assert!(matches!(other, DataError::MissingColumn { column: "date", .. }), "{other}");
    // Yahoo's header holds our columns among others.
    assert_eq!(read("AAPL.yahoo").unwrap().bars.len(), 3379);
}
