//! The generator: the same everywhere, and like prices.

use jiff::civil::{Weekday, date};
use mambafleet_dataset::{Bars, MAX_SYNTHETIC_BARS, parse_csv, synthesize, write_csv};
use mambafleet_protocol::PolicySpec;

use crate::symbol;

fn log_returns(bars: &Bars) -> Vec<f64> {
    bars.bars.windows(2).map(|pair| (pair[1].close / pair[0].close).ln()).collect()
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn kurtosis(x: &[f64]) -> f64 {
    let centre = mean(x);
    let moment = |power| x.iter().map(|v| (v - centre).powi(power)).sum::<f64>() / x.len() as f64;
    moment(4) / (moment(2) * moment(2))
}

fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let (mx, my) = (mean(x), mean(y));
    let covariance: f64 = x.iter().zip(y).map(|(a, b)| (a - mx) * (b - my)).sum();
    let spread = |v: &[f64], m: f64| v.iter().map(|a| (a - m) * (a - m)).sum::<f64>();
    covariance / (spread(x, mx) * spread(y, my)).sqrt()
}

#[test]
fn the_same_symbol_has_the_same_prices_on_every_machine() {
    let bars = synthesize(&symbol("AAPL"), 500, 42);
    assert_eq!(
        bars.fingerprint(),
        "59c7c69499bd375b51313940966a52766c7565db34d04732942457e224254a77",
        "synthetic prices changed: every committed demo model would silently be of other data"
    );
    assert_eq!(synthesize(&symbol("AAPL"), 500, 42), bars);
}

#[test]
fn symbols_and_seeds_differ() {
    let print = |text, seed| synthesize(&symbol(text), 100, seed).fingerprint();
    assert_ne!(print("AAPL", 1), print("MSFT", 1));
    assert_ne!(print("AAPL", 1), print("AAPL", 2));
}

#[test]
fn days_are_weekdays_up_to_a_fixed_one() {
    let bars = synthesize(&symbol("A"), 1000, 0).bars;
    assert_eq!(bars.len(), 1000);
    assert_eq!(bars[999].date, date(2025, 12, 31));
    assert!(bars.windows(2).all(|pair| pair[0].date < pair[1].date));
    let weekend = [Weekday::Saturday, Weekday::Sunday];
    assert!(bars.iter().all(|bar| !weekend.contains(&bar.date.weekday())));
    assert!(synthesize(&symbol("A"), 0, 0).bars.is_empty());
}

#[test]
fn bars_are_consistent_and_survive_a_file() {
    for name in ["AAPL", "MSFT", "BRK.B"] {
        let bars = synthesize(&symbol(name), 3000, 7);
        for bar in &bars.bars {
            assert!(bar.low > 0.0 && bar.high >= bar.open.max(bar.close), "{bar:?}");
            assert!(bar.low <= bar.open.min(bar.close) && bar.volume >= 1.0, "{bar:?}");
        }
        let mut text = Vec::new();
        write_csv(&bars, &mut text).unwrap();
        let again = parse_csv("A.csv".as_ref(), &text, &PolicySpec::STRICT).unwrap();
        assert_eq!(Bars { bars: again, ..bars.clone() }.fingerprint(), bars.fingerprint());
    }
}

#[test]
fn the_longest_history_stays_within_bounds() {
    let bars = synthesize(&symbol("LONG"), usize::MAX, 1).bars;
    assert_eq!(bars.len(), MAX_SYNTHETIC_BARS);
    assert!(bars.iter().all(|bar| bar.close > 0.1 && bar.close < 1e5));
}

#[test]
fn volatility_clusters_tails_are_fat_and_volume_follows() {
    let mut clustering = Vec::new();
    for name in ["AAPL", "MSFT", "NVDA", "KO", "XOM", "JPM", "V", "T"] {
        let bars = synthesize(&symbol(name), 4000, 1);
        let returns = log_returns(&bars);
        assert!(kurtosis(&returns) > 4.0, "{name}: kurtosis {}", kurtosis(&returns));
        let size: Vec<f64> = returns.iter().map(|r| r.abs()).collect();
        let lagged = |lag: usize| correlation(&size[lag..], &size[..size.len() - lag]);
        let memory = mean(&(1..=10).map(lagged).collect::<Vec<_>>());
        assert!(memory > 0.1, "{name}: autocorrelation of |r| {memory}");
        clustering.push(memory);
        let volume: Vec<f64> = bars.bars[1..].iter().map(|bar| bar.volume.ln()).collect();
        let with_volume = correlation(&size, &volume);
        assert!(with_volume > 0.3, "{name}: correlation of |r| and volume {with_volume}");
        let level = mean(&returns).abs() / mean(&size);
        assert!(level < 0.1, "{name}: the level of returns is predictable: {level}");
    }
    assert!(mean(&clustering) < 0.5, "{clustering:?}");
}
