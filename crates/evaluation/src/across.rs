//! Many symbols at once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::comparison::{Comparison, holm};
use crate::statistics::{mean, median, spearman, variance_of_mean};

/// Fewest symbols that are ranked against each other on a day.
pub const MIN_SYMBOLS: usize = 5;

/// The probability at which a test counts, before it is corrected for the number of symbols.
pub const SIGNIFICANCE: f64 = 0.05;

/// One metric over symbols.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Symbols that have it.
    pub symbols: usize,
    /// Its mean.
    pub mean: f64,
    /// Its median.
    pub median: f64,
    /// Its smallest value.
    pub min: f64,
    /// Its largest value.
    pub max: f64,
}

impl Distribution {
    /// Sums up the values that are finite; none if there is none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        (!values.is_empty()).then(|| Self {
            symbols: values.len(),
            mean: mean(&values),
            median: median(&values),
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

/// How many symbols a forecast is significantly better or worse for than another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Symbols compared.
    pub symbols: usize,
    /// Those it is better for, corrected for the number of symbols.
    pub better: usize,
    /// Those it is worse for, corrected alike.
    pub worse: usize,
}

impl Tally {
    /// Counts the comparisons that stay significant under [`holm`] over all of them.
    #[must_use]
    pub fn of(comparisons: &[Comparison]) -> Self {
        let p: Vec<f64> = comparisons.iter().map(|comparison| comparison.p).collect();
        let kept = holm(&p, SIGNIFICANCE);
        let count = |better: bool| {
            let kept = comparisons.iter().zip(&kept).filter(|(_, kept)| **kept);
            kept.filter(|(comparison, _)| (comparison.statistic < 0.0) == better).count()
        };
        Self { symbols: comparisons.len(), better: count(true), worse: count(false) }
    }
}

/// One forecast of one symbol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dated {
    /// The day, as any number that grows with time and is the same for all symbols.
    pub day: i64,
    /// The forecast.
    pub forecast: f64,
    /// What happened.
    pub outcome: f64,
}

/// Whether forecasts order symbols as the market does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CrossSection {
    /// Days with at least [`MIN_SYMBOLS`] symbols whose forecasts differ.
    pub days: usize,
    /// The mean over them of the rank correlation, over the day's symbols, of forecast and outcome.
    pub ic: f64,
    /// That mean by its standard error, which counts `horizon - 1` correlated neighbours; none where
    /// there is no spread.
    pub t: Option<f64>,
}

/// The cross-sectional information coefficient: the symbols of each day are ranked by forecast and by
/// outcome, and the rank correlations averaged over days, with the standard error of their mean (the way
/// of Fama & MacBeth 1973, J. Political Economy 81(3)), corrected for overlap as in
/// [`variance_of_mean`]. `None` for fewer than two such days.
#[must_use]
pub fn cross_section(symbols: &[Vec<Dated>], horizon: usize) -> Option<CrossSection> {
    let mut days: BTreeMap<i64, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for sample in symbols.iter().flatten() {
        let (forecasts, outcomes) = days.entry(sample.day).or_default();
        forecasts.push(sample.forecast);
        outcomes.push(sample.outcome);
    }
    let enough = days.values().filter(|(forecasts, _)| forecasts.len() >= MIN_SYMBOLS);
    let ics: Vec<f64> = enough.filter_map(|(f, y)| spearman(f, y)).collect();
    if ics.len() < 2 {
        return None;
    }
    let (ic, variance) = (mean(&ics), variance_of_mean(&ics, horizon.max(1) - 1));
    let t = (variance > 0.0).then(|| ic / variance.sqrt());
    Some(CrossSection { days: ics.len(), ic, t })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_leave_out_what_is_no_number() {
        let found = Distribution::of([3.0, f64::NAN, 1.0, 5.0, 2.0]).unwrap();
        let wanted = Distribution { symbols: 4, mean: 2.75, median: 2.5, min: 1.0, max: 5.0 };
        assert_eq!(found, wanted);
        assert_eq!(Distribution::of([f64::NAN]), None);
    }

    #[test]
    fn tallies_are_corrected_for_the_number_of_symbols() {
        let test =
            |statistic: f64, p| Comparison { samples: 9, difference: statistic, statistic, p };
        let alone = [test(-2.2, 0.03)];
        assert_eq!(Tally::of(&alone), Tally { symbols: 1, better: 1, worse: 0 });
        let mut many = vec![test(0.1, 0.9); 10];
        many[0] = test(-2.2, 0.03);
        many[1] = test(-4.5, 0.001);
        many[2] = test(4.5, 0.001);
        assert_eq!(Tally::of(&many), Tally { symbols: 10, better: 1, worse: 1 });
        assert_eq!(Tally::of(&[]), Tally::default());
    }

    /// `days` days of six symbols, whose forecasts are made by `forecast` of day, symbol and outcome.
    fn market(days: i64, forecast: impl Fn(i64, i64, f64) -> f64) -> Vec<Vec<Dated>> {
        let outcome = |day: i64, symbol: i64| ((day * 7 + symbol * 5) % 11) as f64;
        let dated = |day, symbol| {
            let outcome = outcome(day, symbol);
            Dated { day, forecast: forecast(day, symbol, outcome), outcome }
        };
        (0..6).map(|symbol| (0..days).map(|day| dated(day, symbol)).collect()).collect()
    }

    #[test]
    fn who_knows_the_order_has_a_coefficient_of_one() {
        let found = cross_section(&market(10, |_, _, outcome| outcome), 1).unwrap();
        assert_eq!((found.days, found.ic, found.t), (10, 1.0, None));
        // On every fourth day the order is upside down: the mean of 1 and -1 is a half.
        let turned = |day: i64, _, outcome: f64| if day % 4 == 0 { -outcome } else { outcome };
        let found = cross_section(&market(40, turned), 1).unwrap();
        assert!((found.ic - 0.5).abs() < 1e-12);
        // sd sqrt(3)/2 over sqrt(40).
        assert!((found.t.unwrap() - 0.5 / (0.75_f64 / 40.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn days_without_an_order_do_not_count() {
        assert_eq!(cross_section(&market(10, |_, _, _| 0.3), 1), None);
        assert_eq!(cross_section(&market(10, |_, _, outcome| outcome)[..4], 1), None);
        assert_eq!(cross_section(&[], 1), None);
    }
}
