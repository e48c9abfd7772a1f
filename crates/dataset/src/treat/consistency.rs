//! Whether the prices of a day agree with each other.

use mambafleet_protocol::{InconsistentSpec, PolicySpec};

use crate::read::{Problems, Row};

/// How far, as a part of the high, open, close and low may lie outside the range from low to high
/// before a row counts as inconsistent. Files with 6 significant digits, adjusted for dividends by
/// multiplication, are off by up to a tenth of this from rounding alone.
pub const PRICE_TOLERANCE: f64 = 1e-4;

/// Whether the day's range does not hold its prices. If so, it is widened until it does, or named as
/// a problem, as the policy says.
pub(super) fn mend(row: &mut Row, policy: &PolicySpec, problems: &mut Problems) -> bool {
    let [Some(open), Some(high), Some(low), Some(close), _] = row.numbers else { return false };
    let slack = PRICE_TOLERANCE * high;
    let outside = |price: f64| price < low - slack || price > high + slack;
    let inverted = high + slack < low;
    if !inverted && !outside(open) && !outside(close) {
        return false;
    }
    match policy.inconsistent {
        InconsistentSpec::Clip => {
            let prices = [open, high, low, close];
            row.numbers[1] = prices.into_iter().reduce(f64::max);
            row.numbers[2] = prices.into_iter().reduce(f64::min);
        }
        InconsistentSpec::Drop => {}
        InconsistentSpec::Refuse if inverted => problems.add(row.line, Some("high"), || {
            format!("high {high} is below low {low}; correct the row or remove it")
        }),
        InconsistentSpec::Refuse => {
            for (column, price) in [("open", open), ("close", close)] {
                if outside(price) {
                    problems.add(row.line, Some(column), || {
                        format!(
                            "{column} {price} is outside the day's range {low} to {high}; \
                             correct the row or remove it"
                        )
                    });
                }
            }
        }
    }
    true
}
