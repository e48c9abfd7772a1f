//! Real prices, where the sample lies beside the checkout.

use std::path::{Path, PathBuf};

use jiff::civil::date;
use mambafleet_dataset::quality::{
    self, FindingKind, Inspection, Settings, Verdict, suspected_splits,
};
use mambafleet_dataset::{Adjustment, Bar, Bars, DataError, Layout, baseline, load, prepare};
use mambafleet_protocol::{
    AdjustSpec, DataSource, EvaluateSpec, PolicySpec, ReturnsSpec, SuspectedSplitSpec, Symbol,
};

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
    let task = ReturnsSpec { lookback: 64, horizons: vec![1, 5, 20], ..task() };
    let symbols = symbols(&dir);
    assert_eq!(symbols.len(), 50);
    let source = DataSource::Csv { dir, policy: PolicySpec::STRICT };
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

/// A file as its vendor ships it, under this policy.
fn raw(dir: &Path, name: &str, policy: PolicySpec) -> Result<Bars, DataError> {
    load(&symbol(name), &DataSource::Csv { dir: dir.join("raw"), policy })
}

#[test]
fn blemishes_of_a_vendor_s_file_are_refused_with_the_place_or_mended() {
    let Some(dir) = sample() else { return };
    // One inconsistent row and four blank cells, as its README says.
    let faulty = raw(&dir, "DHR.kaggle", PolicySpec::STRICT).unwrap_err();
    let problems: Vec<(u64, Option<&str>)> =
        faulty.problems().iter().map(|problem| (problem.line, problem.column)).collect();
    let blank = [(600, "open"), (723, "open"), (723, "high"), (723, "low")];
    assert_eq!(problems[0], (437, Some("open")), "{faulty}");
    assert_eq!(problems[1..], blank.map(|(line, column)| (line, Some(column))));

    let bars = raw(&dir, "DHR.kaggle", PolicySpec::USUAL).unwrap();
    let reading = bars.reading.unwrap();
    assert_eq!((reading.layout, reading.adjustment), (Layout::Kaggle, Adjustment::None));
    assert_eq!((reading.rows, reading.blank_cells, reading.blank_rows), (1243, 4, 2));
    assert_eq!((reading.inconsistent, reading.dropped, bars.bars.len()), (1, 2, 1241));
    assert_eq!((reading.duplicates, reading.unsorted), (0, 0));
}

#[test]
fn splits_and_dividends_of_alpha_vantage_are_adjusted_for() {
    let Some(dir) = sample() else { return };
    let raw = raw(&dir, "TSLA.alphavantage", PolicySpec::STRICT).unwrap();
    let reading = raw.reading.as_ref().unwrap();
    assert_eq!(reading.layout, Layout::AlphaVantage);
    assert_eq!((reading.adjustment, reading.splits), (Adjustment::AdjustedClose, 1));
    // The prepared file was made from this one, by somebody else's program, to 6 digits.
    let prepared = load(&symbol("TSLA"), &DataSource::Csv { dir, policy: PolicySpec::STRICT });
    let prepared = prepared.unwrap();
    assert_eq!(raw.bars.len(), prepared.bars.len());
    for (raw, prepared) in raw.bars.iter().zip(&prepared.bars) {
        assert_eq!(raw.date, prepared.date);
        let pairs = [
            (raw.open, prepared.open),
            (raw.high, prepared.high),
            (raw.low, prepared.low),
            (raw.close, prepared.close),
            (raw.volume, prepared.volume),
        ];
        for (raw, prepared) in pairs {
            assert!((raw / prepared - 1.0).abs() < 1e-5, "{raw} {prepared}");
        }
    }
}

#[test]
fn without_adjustment_the_split_is_suspected() {
    let Some(dir) = sample() else { return };
    let as_traded = PolicySpec { adjust: AdjustSpec::None, ..PolicySpec::USUAL };
    let error = raw(&dir, "TSLA.alphavantage", as_traded).unwrap_err();
    let DataError::SuspectedSplit { first, more, .. } = error else { panic!("{error}") };
    assert_eq!((first.date, first.new, first.old, more), (date(2020, 8, 31), 5, 1, 0));
    let keep = PolicySpec { suspected_splits: SuspectedSplitSpec::Keep, ..as_traded };
    let bars = raw(&dir, "TSLA.alphavantage", keep).unwrap().bars;
    let lowest = bars.windows(2).map(|pair| pair[1].close / pair[0].close).reduce(f64::min);
    assert!(lowest.unwrap() < 0.23);
}

#[test]
fn yahoo_s_adjusted_close_is_used() {
    let Some(dir) = sample() else { return };
    let yahoo = raw(&dir, "AAPL.yahoo", PolicySpec::STRICT).unwrap();
    let reading = yahoo.reading.as_ref().unwrap();
    assert_eq!((reading.layout, reading.adjustment), (Layout::Yahoo, Adjustment::AdjustedClose));
    let bars = &yahoo.bars;
    assert_eq!(bars.len(), 3379);
    // The first line: 2.361361,2.366117,2.225885,2.252321 adjusted to what stands behind them.
    let text = std::fs::read_to_string(dir.join("raw/AAPL.yahoo.csv")).unwrap();
    let cells: Vec<&str> = text.lines().nth(1).unwrap().split(',').collect();
    let number = |cell: usize| cells[cell].parse::<f64>().unwrap();
    assert!((bars[0].close / number(5) - 1.0).abs() < 1e-12);
    assert!((bars[0].open / (number(1) * number(5) / number(4)) - 1.0).abs() < 1e-12);
    assert_eq!(bars[0].volume, number(6));
    // Total returns: those of the other vendor's file, to rounding.
    let other =
        load(&symbol("AAPL"), &DataSource::Csv { dir, policy: PolicySpec::STRICT }).unwrap();
    let closes = |bars: &[Bar]| {
        bars.iter().map(|bar| (bar.date, bar.close)).collect::<std::collections::BTreeMap<_, _>>()
    };
    let (mine, theirs) = (closes(bars), closes(&other.bars));
    let day = |closes: &std::collections::BTreeMap<_, f64>, at| closes.get(&at).copied().unwrap();
    let (from, to) = (date(2010, 1, 4), date(2017, 12, 29));
    let mine = day(&mine, to) / day(&mine, from);
    let theirs = day(&theirs, to) / day(&theirs, from);
    assert!((mine / theirs - 1.0).abs() < 0.01, "{mine} {theirs}");
}

#[test]
fn nothing_in_fifty_adjusted_files_is_taken_for_a_split() {
    let Some(dir) = sample() else { return };
    for symbol in symbols(&dir) {
        let source = DataSource::Csv { dir: dir.clone(), policy: PolicySpec::STRICT };
        let suspected = suspected_splits(&load(&symbol, &source).unwrap().bars);
        assert!(suspected.is_empty(), "{symbol}: {suspected:?}");
    }
}

#[test]
fn a_directory_of_three_vendors_is_inspected_against_their_common_calendar() {
    let Some(dir) = sample() else { return };
    let quality::Files { prices: files, others } = quality::files(&dir.join("raw")).unwrap();
    assert_eq!((files.len(), others.len()), (3, 0));
    let settings = |_: Option<&Symbol>| Settings {
        policy: PolicySpec::USUAL,
        task: ReturnsSpec::usual(),
        evaluate: EvaluateSpec::USUAL,
    };
    let mut found: Vec<Inspection> =
        files.iter().flat_map(|file| quality::inspect(file, false, &settings)).collect();
    quality::compare(&mut found);
    let verdicts: Vec<_> = found.iter().map(|one| (one.symbol.as_str(), one.verdict)).collect();
    let expected = [
        ("AAPL.yahoo", Verdict::Clean),
        ("DHR.kaggle", Verdict::Mended),
        ("TSLA.alphavantage", Verdict::Clean),
    ];
    assert_eq!(verdicts, expected);
    let dhr = &found[1];
    for (kind, count) in [
        (FindingKind::BlankCells, 4),
        (FindingKind::MissingSessions, 16),
        (FindingKind::Inconsistent, 1),
        (FindingKind::SuspectedSplits, 0),
        (FindingKind::Duplicates, 0),
    ] {
        assert_eq!(dhr.count(kind), count, "{kind:?}: {:?}", dhr.findings);
    }
    for other in [&found[0], &found[2]] {
        assert_eq!(other.count(FindingKind::MissingSessions), 0, "{:?}", other.findings);
    }
}
