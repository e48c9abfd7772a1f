//! Dividing samples in time order, with purge.
//!
//! A sample is an anchor row `t`: its window is rows `t - lookback + 1 ..= t`, its targets end at
//! row `t + H`, `H` being the largest horizon. Anchors run from the first row whose window lies
//! behind the warm-up to the last whose targets lie inside the data, one per row: `N` of them,
//!
//! ```text
//! first anchor = WARM_UP + lookback - 1        last anchor = rows - 1 - H
//! ```
//!
//! With `a = floor(N * train)` and `b = floor(N * (train + validation))`, the first `a` anchors
//! are for training, those up to `b` for validation and the rest for testing; then the last `H`
//! anchors of training and of validation are purged. So `t + H` is smaller than the first anchor
//! of the next part for every `t` that remains: what a part knows of the future ends before the
//! next part begins.

use std::ops::Range;

use mambafleet_protocol::{SplitSpec, TaskSpec};

use crate::volatility::WARM_UP;

/// Fewest training samples.
pub const MIN_TRAIN: usize = 32;
/// Fewest validation samples.
pub const MIN_VALIDATION: usize = 8;
/// Fewest test samples.
pub const MIN_TEST: usize = 8;

/// The anchors of each part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) train: Range<usize>,
    pub(crate) validation: Range<usize>,
    pub(crate) test: Range<usize>,
}

/// The first row that can be an anchor.
pub(crate) fn first_anchor(lookback: usize) -> usize {
    WARM_UP + lookback - 1
}

/// The largest horizon of a valid task.
pub(crate) fn reach(task: &TaskSpec) -> usize {
    task.horizons.last().copied().unwrap_or(1)
}

impl Split {
    /// Divides the samples of `rows` bars.
    ///
    /// # Errors
    /// The number of bars it takes, when these are too few.
    pub(crate) fn new(rows: usize, task: &TaskSpec) -> Result<Self, usize> {
        let overhead = first_anchor(task.lookback) + reach(task);
        let samples = rows.saturating_sub(overhead);
        divide(samples, task)
            .map(|split| split.shifted(first_anchor(task.lookback)))
            .ok_or_else(|| overhead.saturating_add(samples_needed(task)))
    }

    fn shifted(self, by: usize) -> Self {
        let shift = |part: Range<usize>| part.start + by..part.end + by;
        let Self { train, validation, test } = self;
        Self { train: shift(train), validation: shift(validation), test: shift(test) }
    }

    /// Samples dropped between the parts.
    pub(crate) fn purged(&self) -> usize {
        self.validation.start - self.train.end + (self.test.start - self.validation.end)
    }
}

/// Divides `samples` anchors counted from 0, if every part gets enough.
fn divide(samples: usize, task: &TaskSpec) -> Option<Split> {
    let SplitSpec { train, validation } = task.split;
    let cut = |fraction: f64| (samples as f64 * fraction) as usize;
    let (a, b) = (cut(train), cut(train + validation));
    let split = Split {
        train: 0..a.saturating_sub(reach(task)),
        validation: a..b.saturating_sub(reach(task)),
        test: b..samples,
    };
    let enough = split.train.len() >= MIN_TRAIN
        && split.validation.len() >= MIN_VALIDATION
        && split.test.len() >= MIN_TEST;
    enough.then_some(split)
}

/// The number of samples from which on every number can be divided (a smaller one now and then
/// can, when rounding happens to favour the smallest part).
fn samples_needed(task: &TaskSpec) -> usize {
    /// Steps down from a number that is safely enough; more would only matter for fractions below
    /// a part in ten thousand.
    const STEPS: usize = 100_000;
    let SplitSpec { train, validation } = task.split;
    // Cuts are rounded down, so a part may have a sample less than its fraction.
    let enough = |part: usize, fraction: f64| ((part + 2) as f64 / fraction) as usize;
    let safe = enough(MIN_TRAIN + reach(task), train)
        .max(enough(MIN_VALIDATION + reach(task), validation))
        .max(enough(MIN_TEST, 1.0 - (train + validation)));
    let below = (safe.saturating_sub(STEPS)..safe).rev();
    below.take_while(|n| divide(*n, task).is_some()).last().unwrap_or(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn task(lookback: usize, horizon: usize, train: f64, validation: f64) -> TaskSpec {
        TaskSpec {
            features: vec!["log_return".into()],
            lookback,
            horizons: vec![1, horizon.max(2)],
            quantiles: vec![0.5],
            volatility_halflife: 20.0,
            split: SplitSpec { train, validation },
        }
    }

    #[test]
    fn a_small_example_by_hand() {
        // 400 rows, lookback 16: anchors 35..=394 with H = 5, that is N = 360.
        let split = Split::new(400, &task(16, 5, 0.5, 0.25)).unwrap();
        assert_eq!(split.train, 35..35 + 180 - 5);
        assert_eq!(split.validation, 35 + 180..35 + 270 - 5);
        assert_eq!(split.test, 35 + 270..395);
        assert_eq!(split.purged(), 10);
    }

    proptest! {
        #[test]
        fn no_target_reaches_into_the_next_part(
            rows in 0_usize..3000, lookback in 1_usize..200, horizon in 2_usize..60,
            train in 0.05_f64..0.9, rest in 0.05_f64..0.95,
        ) {
            let task = task(lookback, horizon, train, (1.0 - train) * rest);
            match Split::new(rows, &task) {
                Ok(Split { train, validation, test }) => {
                    prop_assert!(train.start + 1 >= lookback + WARM_UP);
                    prop_assert!(train.end - 1 + horizon < validation.start);
                    prop_assert!(validation.end - 1 + horizon < test.start);
                    prop_assert!(test.end - 1 + horizon < rows);
                    prop_assert_eq!(test.end + horizon, rows);
                    prop_assert!(train.len() >= MIN_TRAIN);
                    prop_assert!(validation.len() >= MIN_VALIDATION && test.len() >= MIN_TEST);
                }
                Err(needed) => {
                    prop_assert!(needed > rows);
                    prop_assert!((0..50).all(|more| Split::new(needed + more, &task).is_ok()));
                    prop_assert!(Split::new(needed - 1, &task).is_err());
                }
            }
        }
    }
}
