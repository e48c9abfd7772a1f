//! Steps of the price that look like a split nobody adjusted for.

use std::fmt;

use jiff::civil::Date;
use serde::Serialize;

use crate::Bar;

/// A step that looks like a split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SuspectedSplit {
    /// The first day after it.
    pub date: Date,
    /// New shares...
    pub new: u32,
    /// ... for this many old ones.
    pub old: u32,
    /// The day's close divided by the close before.
    pub step: f64,
}

impl fmt::Display for SuspectedSplit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, new, old, step } = self;
        write!(f, "on {date} the close is {step:.3} times the one before, and volume moved the ")?;
        write!(f, "other way: a {new}-for-{old} split that is not adjusted for?")
    }
}

/// Whole numbers of shares that splits give for one; the first one stands for 3 for 2.
const SHARES: [f64; 13] = [1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 50.0, 100.0];

/// How far, in logarithms, the step overnight or that of the closes may be from the ratio of a split:
/// the nearer of the two, and the other one. Tesla rose by 12 % on the day of its split of 2020.
const NEAR: f64 = 0.06;
const FAR: f64 = 0.16;

/// Days on each side whose median volumes are compared.
const SIDE: usize = 10;

/// Steps that look like splits: by the whole-number ratio or its inverse, with the volume of the days
/// around it moving the other way by more than two fifths of as much. A crash may halve a price, too,
/// and many trade then; but on the day itself far more than on those after it.
#[must_use]
pub fn suspected_splits(bars: &[Bar]) -> Vec<SuspectedSplit> {
    let pairs = bars.windows(2).enumerate();
    pairs.filter_map(|(before, pair)| suspect(bars, before, &pair[0], &pair[1])).collect()
}

fn suspect(bars: &[Bar], before: usize, old: &Bar, new: &Bar) -> Option<SuspectedSplit> {
    let step = new.close / old.close;
    // Most days end here.
    if (0.75..1.33).contains(&step) {
        return None;
    }
    let (overnight, closes) = (-libm::log(new.open / old.close), -libm::log(step));
    let ratios = SHARES.iter().flat_map(|shares| [libm::log(*shares), -libm::log(*shares)]);
    let distance = |ratio: f64| {
        let (a, b) = ((overnight - ratio).abs(), (closes - ratio).abs());
        (a.min(b), a.max(b))
    };
    let ratio = ratios.min_by(|a, b| distance(*a).0.total_cmp(&distance(*b).0))?;
    let (near, far) = distance(ratio);
    // By a third, prices fall on bad days, too.
    let bound = if ratio.abs() < 0.5 { NEAR } else { FAR };
    if near > NEAR || far > bound || !volume_agrees(bars, before, ratio, far) {
        return None;
    }
    let shares = libm::exp(ratio.abs());
    let (many, few) = if shares < 1.9 { (3, 2) } else { (shares.round() as u32, 1) };
    let (new_shares, old_shares) = if ratio > 0.0 { (many, few) } else { (few, many) };
    Some(SuspectedSplit { date: new.date, new: new_shares, old: old_shares, step })
}

/// Whether volume moves as in a split whose ratio has this logarithm. Where none is known, the prices
/// must tell alone, and better.
fn volume_agrees(bars: &[Bar], before: usize, ratio: f64, far: f64) -> bool {
    let first = before + 1;
    let earlier = median(&bars[first.saturating_sub(SIDE)..first]);
    let later = median(&bars[first..bars.len().min(first + SIDE)]);
    if earlier <= 0.0 || later <= 0.0 {
        return far <= NEAR && ratio.abs() > 0.5;
    }
    let moved = libm::log(later / earlier) / ratio;
    let burst = bars[first].volume / later;
    moved > 0.4 && moved < 2.5 && burst < 4.0
}

fn median(bars: &[Bar]) -> f64 {
    let mut volumes: Vec<f64> = bars.iter().map(|bar| bar.volume).collect();
    volumes.sort_by(f64::total_cmp);
    volumes.get(volumes.len() / 2).copied().unwrap_or(0.0)
}
