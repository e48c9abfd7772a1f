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
//!
//! **Walk-forward.** The test part may be cut into `K` blocks, as even as whole samples allow. Block
//! `k` begins at `s_k`, `s_0 = b`. Its fold is divided like the whole: validation is the `b - a`
//! anchors before `s_k`, training what lies before that, both purged. Training begins at the first
//! anchor of all (expanding), or at `s_k - s_0` (rolling). With `K = 1` the only fold is the division
//! above.

use std::ops::Range;

use mambafleet_protocol::{EvaluateSpec, ReturnsSpec, SplitSpec, WindowSpec};

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
pub(crate) fn reach(task: &ReturnsSpec) -> usize {
    task.horizons.last().copied().unwrap_or(1)
}

impl Split {
    /// Divides the samples of `rows` bars, as `fold` of a walk-forward evaluation sees them.
    ///
    /// # Errors
    /// The number of bars it takes, when these are too few for all folds.
    pub(crate) fn fold(
        rows: usize,
        task: &ReturnsSpec,
        evaluate: &EvaluateSpec,
        fold: usize,
    ) -> Result<Self, usize> {
        let overhead = first_anchor(task.lookback) + reach(task);
        let samples = rows.saturating_sub(overhead);
        divide(samples, task, evaluate.folds)
            .map(|whole| whole.of_fold(task, evaluate, fold).shifted(first_anchor(task.lookback)))
            .ok_or_else(|| overhead.saturating_add(samples_needed(task, evaluate.folds)))
    }

    /// The division for one block of the test part of this one.
    fn of_fold(self, task: &ReturnsSpec, evaluate: &EvaluateSpec, fold: usize) -> Self {
        let tested = self.test.len();
        let at = |block: usize| self.test.start + tested * block / evaluate.folds.max(1);
        let (start, end) = (at(fold), at(fold + 1));
        let later = start - self.test.start;
        let begin = match evaluate.window {
            WindowSpec::Expanding => 0,
            WindowSpec::Rolling => later,
        };
        let validated = self.validation.start + later;
        Self {
            train: begin..validated - reach(task),
            validation: validated..start - reach(task),
            test: start..end,
        }
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

/// Divides `samples` anchors counted from 0, if every part gets enough, and so does each block of the
/// test part.
fn divide(samples: usize, task: &ReturnsSpec, folds: usize) -> Option<Split> {
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
        && split.test.len() >= MIN_TEST * folds;
    enough.then_some(split)
}

/// The number of samples from which on every number can be divided (a smaller one now and then
/// can, when rounding happens to favour the smallest part).
fn samples_needed(task: &ReturnsSpec, folds: usize) -> usize {
    /// Steps down from a number that is safely enough; more would only matter for fractions below
    /// a part in ten thousand.
    const STEPS: usize = 100_000;
    let SplitSpec { train, validation } = task.split;
    // Cuts are rounded down, so a part may have a sample less than its fraction.
    let enough = |part: usize, fraction: f64| ((part + 2) as f64 / fraction) as usize;
    let safe = enough(MIN_TRAIN + reach(task), train)
        .max(enough(MIN_VALIDATION + reach(task), validation))
        .max(enough(MIN_TEST * folds, 1.0 - (train + validation)));
    let below = (safe.saturating_sub(STEPS)..safe).rev();
    below.take_while(|n| divide(*n, task, folds).is_some()).last().unwrap_or(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn task(lookback: usize, horizon: usize, train: f64, validation: f64) -> ReturnsSpec {
        ReturnsSpec {
            features: vec!["log_return".into()],
            lookback,
            horizons: vec![1, horizon.max(2)],
            quantiles: vec![0.5],
            volatility_halflife: 20.0,
            split: SplitSpec { train, validation },
        }
    }

    fn whole(rows: usize, task: &ReturnsSpec) -> Result<Split, usize> {
        Split::fold(rows, task, &EvaluateSpec::USUAL, 0)
    }

    #[test]
    fn a_small_example_by_hand() {
        // 400 rows, lookback 16: anchors 35..=394 with H = 5, that is N = 360.
        let split = whole(400, &task(16, 5, 0.5, 0.25)).unwrap();
        assert_eq!(split.train, 35..35 + 180 - 5);
        assert_eq!(split.validation, 35 + 180..35 + 270 - 5);
        assert_eq!(split.test, 35 + 270..395);
        assert_eq!(split.purged(), 10);
    }

    #[test]
    fn folds_walk_forward_through_the_test_part() {
        // As above: N = 360, the test part is 270..360, in blocks of 30.
        let task = task(16, 5, 0.5, 0.25);
        let fold = |window, fold| {
            Split::fold(400, &task, &EvaluateSpec { folds: 3, window, ..EvaluateSpec::USUAL }, fold)
                .unwrap()
        };
        assert_eq!(fold(WindowSpec::Expanding, 0).train, whole(400, &task).unwrap().train);
        let second = fold(WindowSpec::Expanding, 1);
        assert_eq!(second.test, 35 + 300..35 + 330);
        assert_eq!(second.validation, 35 + 210..35 + 300 - 5);
        assert_eq!(second.train, 35..35 + 210 - 5);
        let third = fold(WindowSpec::Rolling, 2);
        assert_eq!(third.test, 35 + 330..395);
        assert_eq!(third.train, 35 + 60..35 + 240 - 5);
    }

    proptest! {
        #[test]
        fn no_target_reaches_into_the_next_part(
            rows in 0_usize..3000, lookback in 1_usize..200, horizon in 2_usize..60,
            train in 0.05_f64..0.9, rest in 0.05_f64..0.95,
        ) {
            let task = task(lookback, horizon, train, (1.0 - train) * rest);
            match whole(rows, &task) {
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
                    prop_assert!((0..50).all(|more| whole(needed + more, &task).is_ok()));
                    prop_assert!(whole(needed - 1, &task).is_err());
                }
            }
        }

        #[test]
        fn every_fold_keeps_to_the_past(
            rows in 0_usize..3000, folds in 1_usize..12, rolling in any::<bool>(),
            horizon in 2_usize..60, train in 0.05_f64..0.9, rest in 0.05_f64..0.95,
        ) {
            let task = task(20, horizon, train, (1.0 - train) * rest);
            let window = if rolling { WindowSpec::Rolling } else { WindowSpec::Expanding };
            let evaluate = EvaluateSpec { folds, window, ..EvaluateSpec::USUAL };
            let fold = |fold| Split::fold(rows, &task, &evaluate, fold);
            match fold(0) {
                Ok(first) => {
                    let mut tested = first.test.start;
                    for k in 0..folds {
                        let Split { train, validation, test } = fold(k).unwrap();
                        prop_assert_eq!(test.start, tested);
                        tested = test.end;
                        prop_assert!(test.len() >= MIN_TEST);
                        prop_assert!(train.end - 1 + horizon < validation.start);
                        prop_assert!(validation.end - 1 + horizon < test.start);
                        prop_assert_eq!(validation.len(), first.validation.len());
                        prop_assert!(train.len() >= first.train.len());
                        prop_assert!(!rolling || train.len() == first.train.len());
                    }
                    prop_assert_eq!(tested + horizon, rows);
                }
                Err(needed) => {
                    prop_assert!(needed > rows);
                    let fits = |rows| Split::fold(rows, &task, &evaluate, 0).is_ok();
                    prop_assert!((0..50).all(|more| fits(needed + more)));
                }
            }
        }
    }
}
