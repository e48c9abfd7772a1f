//! Windows of scaled features, and the targets that follow them.

use jiff::civil::Date;
use mambafleet_protocol::ReturnsSpec;

use crate::feature::{Past, Resolved};
use crate::volatility::{WARM_UP, log_ratio};
use crate::{Bars, Scaler, split, volatility};

/// The scaled features of every row behind the warm-up, cut into windows on demand.
///
/// The window of anchor row `t` is `lookback` rows of `n_features` values, row `t` last, row-major.
/// The target of horizon `h` is the future log return in units of trailing volatility,
///
/// ```text
/// ln(C_{t+h} / C_t) / (sigma_t sqrt(h))
/// ```
///
/// computed in `f64` and rounded to `f32`.
#[derive(Debug, Clone)]
pub struct Windows {
    dates: Vec<Date>,
    closes: Vec<f64>,
    sigma: Vec<f64>,
    /// Row-major, the first row being row [`WARM_UP`] of the data.
    scaled: Vec<f32>,
    scaler: Scaler,
    lookback: usize,
    horizons: Vec<usize>,
}

/// The features of every row behind the warm-up, before scaling; row-major.
pub(crate) struct RawFeatures {
    sigma: Vec<f64>,
    values: Vec<f64>,
    columns: usize,
}

impl RawFeatures {
    pub(crate) fn compute(bars: &Bars, halflife: f64, features: &[Resolved]) -> Self {
        let sigma = volatility::trailing(&bars.bars, halflife);
        let mut values = Vec::with_capacity(bars.bars.len() * features.len());
        for t in WARM_UP..bars.bars.len() {
            let past = Past::of_row(&bars.bars, &sigma, t);
            values.extend(features.iter().map(|feature| feature.value(bars, t, &past)));
        }
        Self { sigma, values, columns: features.len() }
    }

    /// The values of each row from row `first` to row `last`, both included.
    pub(crate) fn rows(&self, first: usize, last: usize) -> impl Iterator<Item = &[f64]> + Clone {
        let range = (first - WARM_UP) * self.columns..(last + 1 - WARM_UP) * self.columns;
        self.values[range].chunks_exact(self.columns)
    }
}

impl Windows {
    /// Scales `raw`, the features of `bars`.
    pub(crate) fn new(bars: &Bars, task: &ReturnsSpec, raw: RawFeatures, scaler: Scaler) -> Self {
        let rows = raw.values.chunks_exact(raw.columns);
        let scaled = rows.flat_map(|row| scaler.apply(row)).collect();
        Self {
            dates: bars.bars.iter().map(|bar| bar.date).collect(),
            closes: bars.bars.iter().map(|bar| bar.close).collect(),
            sigma: raw.sigma,
            scaled,
            scaler,
            lookback: task.lookback,
            horizons: task.horizons.clone(),
        }
    }

    /// Rows of data, warm-up included.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.closes.len()
    }

    /// Values per time step.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.scaler.mean.len()
    }

    /// Time steps per window.
    #[must_use]
    pub fn lookback(&self) -> usize {
        self.lookback
    }

    /// The horizons of the targets, ascending.
    #[must_use]
    pub fn horizons(&self) -> &[usize] {
        &self.horizons
    }

    /// The first row with a whole window behind the warm-up.
    #[must_use]
    pub fn first_anchor(&self) -> usize {
        split::first_anchor(self.lookback)
    }

    /// The newest row: its window is the one to forecast from.
    #[must_use]
    pub fn last_anchor(&self) -> usize {
        self.rows() - 1
    }

    /// The date of a row.
    ///
    /// # Panics
    /// If there is no such row; the same holds for [`close`](Self::close) and
    /// [`sigma`](Self::sigma).
    #[must_use]
    pub fn date(&self, row: usize) -> Date {
        self.dates[row]
    }

    /// The closing price of a row.
    #[must_use]
    pub fn close(&self, row: usize) -> f64 {
        self.closes[row]
    }

    /// The trailing [`volatility`] of a row; NaN in the warm-up.
    #[must_use]
    pub fn sigma(&self, row: usize) -> f64 {
        self.sigma[row]
    }

    /// What the features were scaled with.
    #[must_use]
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// The inputs of one anchor: `lookback` rows of `n_features` values. Valid from
    /// [`first_anchor`](Self::first_anchor) to [`last_anchor`](Self::last_anchor).
    ///
    /// # Panics
    /// If the window of `anchor` is not whole.
    #[must_use]
    pub fn window(&self, anchor: usize) -> &[f32] {
        let end = anchor + 1 - WARM_UP;
        &self.scaled[(end - self.lookback) * self.n_features()..end * self.n_features()]
    }

    /// The targets of one anchor, one per horizon.
    ///
    /// # Panics
    /// If a target lies beyond the last row.
    pub fn targets(&self, anchor: usize) -> impl Iterator<Item = f64> + '_ {
        self.horizons.iter().map(move |&h| {
            let log_return = log_ratio(self.closes[anchor + h], self.closes[anchor]);
            log_return / (self.sigma[anchor] * (h as f64).sqrt())
        })
    }

    /// Replaces the content of `inputs` by the windows of `anchors`, `(anchors, lookback,
    /// n_features)` row-major, and of `targets` by their targets, `(anchors, horizons)`.
    ///
    /// # Panics
    /// If an anchor has no whole window or no target; those of a [`Dataset`](crate::Dataset) do.
    pub fn gather(&self, anchors: &[usize], inputs: &mut Vec<f32>, targets: &mut Vec<f32>) {
        inputs.clear();
        targets.clear();
        for &anchor in anchors {
            inputs.extend_from_slice(self.window(anchor));
            targets.extend(self.targets(anchor).map(|target| target as f32));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::{FEATURES, Feature, PEEK};

    /// The bits of a feature's values up to row `t`, with other prices from the next row on or not.
    fn bits(feature: Feature, t: usize, change: bool) -> Vec<u64> {
        let mut bars = crate::synthesize(&"AAPL".parse().unwrap(), 60, 1);
        for bar in bars.bars.iter_mut().skip(t + 1).filter(|_| change) {
            bar.close *= 1.5;
        }
        let raw = RawFeatures::compute(&bars, 20.0, &[Resolved::Formula(feature)]);
        raw.rows(WARM_UP, t).flatten().map(|value| value.to_bits()).collect()
    }

    #[test]
    fn a_feature_that_peeks_is_noticed_and_no_other_one_does() {
        for feature in FEATURES {
            assert_eq!(bits(feature, 40, false), bits(feature, 40, true), "{}", feature.name);
        }
        assert_ne!(bits(PEEK, 40, false), bits(PEEK, 40, true));
    }
}
