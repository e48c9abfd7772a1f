//! Adjustment for splits and dividends.
//!
//! With an adjusted close, every price of a day is multiplied by `adjusted close / close`: total
//! return, as the vendor computes it. Without one, but with splits or dividends as they happened, it
//! is the product of what every later day `t` takes from the prices before it, with `S` new shares
//! for an old one, a dividend `D` for each new one and the close `C` of the session before:
//!
//! ```text
//! 1 / S(t) - D(t) / C(t-1)
//! ```
//!
//! which is how CRSP computes its total returns ("CRSP US Stock & US Index Databases: Data
//! Descriptions Guide", returns). Volume is multiplied by the splits of all later days where the file
//! states them. Coefficients close to 1 are price factors of spin-offs; nobody gets shares of the
//! same kind, so they leave volume alone.

use mambafleet_protocol::AdjustSpec;

use super::{Adjustment, Reading};
use crate::Bar;
use crate::read::{Has, MAX_VOLUME, PRICES, Problems, Row};

/// Split coefficients in here are price factors of spin-offs.
const SPIN_OFFS: std::ops::Range<f64> = 0.8..1.2;

/// What a day's numbers are multiplied with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factors {
    price: f64,
    volume: f64,
}

impl Factors {
    /// The row as a bar; none if a cell of it is blank, or adjustment takes it beyond all bounds.
    pub(super) fn bar(self, row: &Row, problems: &mut Problems) -> Option<Bar> {
        let [open, high, low, close, volume] = row.numbers;
        let price = |value: Option<f64>| Some(value? * self.price);
        let bar = Bar {
            date: row.date,
            open: price(open)?,
            high: price(high)?,
            low: price(low)?,
            close: price(close)?,
            volume: volume? * self.volume,
        };
        let fits = [bar.open, bar.high, bar.low, bar.close].iter().all(|p| PRICES.contains(p));
        if fits && bar.volume <= MAX_VOLUME {
            return Some(bar);
        }
        problems.add(row.line, None, || {
            "adjusted for splits and dividends, the prices or the volume are implausibly large or \
             small; check the adjusted closes and splits, or set data.adjust = \"none\""
                .to_owned()
        });
        None
    }
}

/// The factors of each row; `rows` are in the order of their days.
pub(super) fn factors(
    rows: &[Row],
    has: Has,
    policy: AdjustSpec,
    reading: &mut Reading,
    problems: &mut Problems,
) -> Vec<Factors> {
    let mut factors = vec![Factors { price: 1.0, volume: 1.0 }; rows.len()];
    if policy == AdjustSpec::None || !(has.adjusted || has.split || has.dividend) {
        return factors;
    }
    reading.adjustment = if has.adjusted { Adjustment::AdjustedClose } else { Adjustment::Stated };
    let (mut price, mut volume) = (1.0, 1.0);
    for (index, row) in rows.iter().enumerate().rev() {
        let of_day = match (has.adjusted, row.adjusted, row.numbers[3]) {
            // Equal closes must not become unequal by rounding.
            (true, Some(adjusted), Some(close)) if adjusted == close => 1.0,
            (true, Some(adjusted), Some(close)) => adjusted / close,
            (true, ..) => 1.0,
            (false, ..) => price,
        };
        factors[index] = Factors { price: of_day, volume };
        reading.splits += usize::from(row.split != 1.0 && !SPIN_OFFS.contains(&row.split));
        reading.dividends += usize::from(row.dividend > 0.0);
        if !SPIN_OFFS.contains(&row.split) {
            volume *= row.split;
        }
        let before = rows[..index].iter().rev().find_map(|row| row.numbers[3]);
        if let (false, Some(before)) = (has.adjusted, before) {
            let step = 1.0 / row.split - row.dividend / before;
            if step > 0.0 {
                price *= step;
            } else {
                problems.add(row.line, Some("dividend"), || {
                    format!(
                        "{} is no less than the price before, {before}; correct the row",
                        row.dividend
                    )
                });
            }
        }
    }
    factors
}
