//! What the quality report finds in bars that training takes as they are, and where they are too few.

use std::path::Path;

use jiff::civil::date;
use mambafleet_dataset::quality::{
    EXTREME_MOVE, Effect, FindingKind, Inspection, Settings, Verdict, inspect,
};
use mambafleet_dataset::{Bar, Bars, Origin, prepare, write_csv};
use mambafleet_protocol::{EvaluateSpec, PolicySpec, ReturnsSpec, Symbol};

use crate::symbol;

/// Days of which there is nothing to say: no close is that of the day before, no move is large.
fn quiet(count: u16) -> Vec<Bar> {
    let mut date = date(2023, 1, 2);
    let bar = |day: u16| {
        let close = 100.0 + f64::from(day * 7 % 11);
        let bar =
            Bar { date, open: close, high: close + 1.0, low: close - 1.0, close, volume: 1000.0 };
        date = date.tomorrow().unwrap();
        bar
    };
    (0..count).map(bar).collect()
}

fn of(bars: Vec<Bar>) -> Bars {
    let origin = Origin::Synthetic { seed: 0 };
    Bars { symbol: symbol("A"), origin, bars, columns: Vec::new(), reading: None }
}

/// What is found in a file of these bars.
fn found(bars: &[Bar]) -> Inspection {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("A.csv");
    let mut text = Vec::new();
    write_csv(&of(bars.to_vec()), &mut text).unwrap();
    store(&path, &text);
    let settings = |_: Option<&Symbol>| Settings {
        policy: PolicySpec::USUAL,
        task: ReturnsSpec::usual(),
        evaluate: EvaluateSpec::USUAL,
    };
    let mut found = inspect(&path, false, &settings);
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[expect(clippy::disallowed_methods, reason = "test files need no atomic write")]
fn store(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
}

/// How often, and where, this and nothing else was found; a fact to know.
fn noted(bars: &[Bar], kind: FindingKind) -> (usize, String) {
    let found = found(bars);
    let [finding] = &found.findings[..] else { panic!("{:?}", found.findings) };
    assert_eq!((finding.kind, finding.effect), (kind, Effect::Note));
    assert_eq!((found.verdict, found.bars, &found.cause), (Verdict::Notes, bars.len(), &None));
    (finding.count, finding.detail.clone())
}

#[test]
fn of_quiet_days_there_is_nothing_to_say() {
    let found = found(&quiet(300));
    assert_eq!((found.verdict, found.findings, found.bars), (Verdict::Clean, Vec::new(), 300));
}

#[test]
fn days_without_volume_are_counted_and_the_first_three_named() {
    let mut bars = quiet(300);
    bars[3].volume = 0.0;
    let expected = (1, "2023-01-05".to_owned());
    assert_eq!(noted(&bars, FindingKind::ZeroVolume), expected);
    for day in [10, 11, 40] {
        bars[day].volume = 0.0;
    }
    let expected = (4, "2023-01-05, 2023-01-12, 2023-01-13 and 1 more".to_owned());
    assert_eq!(noted(&bars, FindingKind::ZeroVolume), expected);
}

/// Gives a day the close of the day before, but not its range.
fn repeat_close(bars: &mut [Bar], day: usize) {
    let close = bars[day - 1].close;
    let bar = &mut bars[day];
    (bar.open, bar.close, bar.low) = (close, close, close - 1.0 - day as f64 / 100.0);
    bar.high = close + 1.0;
}

#[test]
fn a_close_is_stale_when_it_comes_for_the_third_time() {
    let mut bars = quiet(300);
    // With prices in cents, a close is now and then that of the day before.
    repeat_close(&mut bars, 20);
    assert_eq!(found(&bars).verdict, Verdict::Clean);
    repeat_close(&mut bars, 21);
    let expected = (1, "2023-01-23".to_owned());
    assert_eq!(noted(&bars, FindingKind::StaleCloses), expected);
    repeat_close(&mut bars, 22);
    let expected = (2, "2023-01-23, 2023-01-24".to_owned());
    assert_eq!(noted(&bars, FindingKind::StaleCloses), expected);
}

#[test]
fn a_day_with_all_prices_of_the_day_before_is_stale_at_once() {
    let mut bars = quiet(300);
    bars[20] = Bar { date: bars[20].date, volume: 900.0, ..bars[19] };
    let expected = (1, "2023-01-22".to_owned());
    assert_eq!(noted(&bars, FindingKind::StaleCloses), expected);
    bars[20].high += 0.5;
    assert_eq!(found(&bars).verdict, Verdict::Clean);
}

/// From this day on, other prices: the day's move has this logarithm.
fn step(bars: &mut [Bar], day: usize, log_move: f64) {
    let factor = log_move.exp() * bars[day - 1].close / bars[day].close;
    for bar in &mut bars[day..] {
        for price in [&mut bar.open, &mut bar.high, &mut bar.low, &mut bar.close] {
            *price *= factor;
        }
    }
}

#[test]
fn moves_are_extreme_beyond_the_bound_in_either_direction() {
    let mut bars = quiet(300);
    step(&mut bars, 50, EXTREME_MOVE - 1e-3);
    step(&mut bars, 60, 1e-3 - EXTREME_MOVE);
    assert_eq!(found(&bars).verdict, Verdict::Clean);
    step(&mut bars, 80, EXTREME_MOVE + 1e-3);
    // exp(0.301) is 1.351.
    let expected = (1, "the largest is +35 % on 2023-03-23".to_owned());
    assert_eq!(noted(&bars, FindingKind::ExtremeMoves), expected);
    step(&mut bars, 100, -EXTREME_MOVE - 1e-2);
    // exp(-0.31) is 0.733.
    let expected = (2, "the largest is -27 % on 2023-04-12".to_owned());
    assert_eq!(noted(&bars, FindingKind::ExtremeMoves), expected);
}

#[test]
fn a_history_is_short_exactly_where_training_finds_it_so() {
    let task = ReturnsSpec::usual();
    let fits = |count: u16| prepare(&of(quiet(count)), &task).is_ok();
    // From here on every number fits; rounding favours some smaller ones.
    let needed = (1..400).rev().take_while(|count| fits(*count)).last().unwrap();
    for count in needed - 8..needed + 8 {
        let found = found(&quiet(count));
        assert_eq!(found.verdict == Verdict::Clean, fits(count), "{count}: {found:?}");
        assert_eq!(found.findings.is_empty(), fits(count), "{count}: {found:?}");
    }
    let short = found(&quiet(needed - 1));
    let [finding] = &short.findings[..] else { panic!("{:?}", short.findings) };
    let detail = format!("{} bars, but the task takes {needed}", needed - 1);
    assert_eq!((finding.kind, finding.effect), (FindingKind::ShortHistory, Effect::Refused));
    assert_eq!((finding.count, &finding.detail), (1, &detail));
    assert_eq!((short.verdict, short.bars), (Verdict::Refused, usize::from(needed) - 1));
    assert!(short.cause.unwrap().ends_with(&format!("A.csv: {detail}")));
}
