//! Moving a model's forecast towards a harmless one, as far as validation asks for.

use serde::{Deserialize, Serialize};

use crate::quantiles;
use crate::special::student_critical;
use crate::statistics::{effective, mean, variance_of_mean};

/// Steps from 0 to 1 that are tried for either weight.
const STEPS: usize = 20;

/// The chance that a point forecast is believed which is none, on either side.
const DOUBT: f64 = 0.025;

/// How much of a model is believed at one horizon.
///
/// With `q` the model's quantiles and `b` the baseline's, in units of volatility, the final quantiles are
///
/// ```text
/// f_i = (1 - spread) b_i + spread q_i
/// ```
///
/// Both ascend, and so does every mixture of the two: final quantiles cannot cross. The final point
/// forecast is `location q_m`, `q_m` being the model's median. It is not the final median: prices drift,
/// so that the best median is seldom zero, but whoever squares errors is safest with zero until there is
/// proof. With both weights at 0 the forecast is harmless: "no change", around it the quantiles that the
/// baseline has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shrinkage {
    /// The horizon in bars.
    pub horizon: usize,
    /// How much of the model's median becomes the point forecast, from 0 to 1.
    pub location: f64,
    /// How much of the model's quantiles is kept, from 0 to 1.
    pub spread: f64,
    /// The baseline's quantiles, ascending, in units of volatility.
    pub baseline: Vec<f64>,
}

/// A final forecast of one sample and horizon, in units of volatility.
#[derive(Debug, Clone, PartialEq)]
pub struct Shrunk {
    /// The point forecast.
    pub point: f32,
    /// One quantile per level, ascending.
    pub quantiles: Vec<f32>,
}

/// The position of the median among `levels`: that of 0.5, or the middle one.
#[must_use]
pub fn median_of(levels: &[f64]) -> usize {
    levels.iter().position(|level| *level == 0.5).unwrap_or(levels.len() / 2)
}

impl Shrinkage {
    /// Believes all of a model.
    #[must_use]
    pub fn none(horizon: usize, baseline: Vec<f64>) -> Self {
        Self { horizon, location: 1.0, spread: 1.0, baseline }
    }

    /// Chooses both weights on validation samples alone; `model` is (samples, levels) row-major, both it
    /// and `outcomes` in units of volatility.
    ///
    /// `spread`: of the mixtures with a spread of 0, 0.05 ... 1 the one with the smallest pinball loss,
    /// averaged with the equal mixture, which is hard to beat when weights must be estimated (Bates &
    /// Granger 1969, Operational Research Quarterly 20(4); Smith & Wallis 2009, Oxford Bulletin of
    /// Economics and Statistics 71(3)). Where no mixture beats the baseline, it is 0.
    ///
    /// `location`: of the weights 0, 0.05 ... 1 the one whose gain in squared error over the forecast
    /// zero has the largest lower bound, `mean - t sqrt(V)` with `V` the [`variance_of_mean`] over `h - 1`
    /// lags and `t` the 97.5 % quantile of Student's t at `n / h - 1` degrees of freedom. The bound of
    /// the weight 0 is 0, so that a median without significant skill is not believed at all.
    #[must_use]
    pub fn choose(
        horizon: usize,
        levels: &[f64],
        baseline: Vec<f64>,
        model: &[f64],
        outcomes: &[f64],
    ) -> Self {
        let count = levels.len().max(1);
        let medians = model.chunks_exact(count).map(|row| row[median_of(levels).min(count - 1)]);
        let medians: Vec<f64> = medians.collect();
        let location = choose_location(horizon, &medians, outcomes);
        let spread = choose_spread(levels, &baseline, model, outcomes);
        Self { horizon, location, spread, baseline }
    }

    /// The final forecast for a sample, from the model's quantiles for it; computed in `f64` and
    /// rounded, which keeps the order.
    #[must_use]
    pub fn apply(&self, levels: &[f64], model: &[f32]) -> Shrunk {
        let mixed =
            |(q, b): (&f32, &f64)| ((1.0 - self.spread) * b + self.spread * f64::from(*q)) as f32;
        let median = model.get(median_of(levels)).copied().unwrap_or(0.0);
        Shrunk {
            point: (self.location * f64::from(median)) as f32,
            quantiles: model.iter().zip(&self.baseline).map(mixed).collect(),
        }
    }
}

/// The weights that are tried, from 0 to 1.
fn weights() -> impl Iterator<Item = f64> {
    (0..=STEPS).map(|step| step as f64 / STEPS as f64)
}

fn choose_location(horizon: usize, medians: &[f64], outcomes: &[f64]) -> f64 {
    let freedom = effective(outcomes.len(), horizon) - 1.0;
    if freedom < 2.0 {
        return 0.0;
    }
    let t = student_critical(2.0 * DOUBT, freedom);
    let bound = |weight: f64| {
        let gain = |(m, y): (&f64, &f64)| weight * m * (2.0 * y - weight * m);
        let gains: Vec<f64> = medians.iter().zip(outcomes).map(gain).collect();
        mean(&gains) - t * variance_of_mean(&gains, horizon.max(1) - 1).sqrt()
    };
    best(weights().map(|weight| (weight, -bound(weight))), 0.0)
}

fn choose_spread(levels: &[f64], baseline: &[f64], model: &[f64], outcomes: &[f64]) -> f64 {
    let loss = |weight: f64| {
        let mixed = model.iter().zip(baseline.iter().cycle());
        let mixed: Vec<f64> = mixed.map(|(q, b)| (1.0 - weight) * b + weight * q).collect();
        mean(&quantiles::losses(&mixed, outcomes, levels))
    };
    let found = best(weights().map(|weight| (weight, loss(weight))), loss(0.0));
    if found > 0.0 { 0.5 * (found + 0.5) } else { 0.0 }
}

/// The weight with the smallest loss, if it is below `of_zero`; else 0.
fn best(losses: impl Iterator<Item = (f64, f64)>, of_zero: f64) -> f64 {
    let mut best = (0.0, of_zero);
    for (weight, loss) in losses {
        if loss < best.1 {
            best = (weight, loss);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEVELS: [f64; 3] = [0.1, 0.5, 0.9];
    const BASELINE: [f64; 3] = [-0.8, 0.1, 1.0];

    /// Outcomes that swing wide and narrow by turns, as volatility does, around `drift`.
    fn outcomes(drift: f64) -> Vec<f64> {
        let swing = |i: usize| if i.is_multiple_of(2) { 1.5 } else { 0.5 };
        (0..400).map(|i| drift + swing(i) * (((i * 37) % 101) as f64 / 50.0 - 1.0)).collect()
    }

    /// Quantiles around `centre` whose width is that of the swing, times `factor`.
    fn model(centre: f64, factor: f64) -> Vec<f64> {
        let width = |i: usize| factor * if i.is_multiple_of(2) { 1.5 } else { 0.5 };
        (0..400).flat_map(|i| [-0.8, 0.0, 0.8].map(|q| centre + q * width(i))).collect()
    }

    fn choose(model: &[f64], outcomes: &[f64]) -> Shrinkage {
        Shrinkage::choose(1, &LEVELS, BASELINE.to_vec(), model, outcomes)
    }

    #[test]
    fn a_model_that_knows_the_spread_is_believed_and_one_that_errs_is_not() {
        let good = choose(&model(0.0, 1.0), &outcomes(0.0));
        assert!(good.spread > 0.7, "{good:?}");
        let useless = choose(&model(0.0, 9.0), &outcomes(0.0));
        assert_eq!(useless.spread, 0.0);
    }

    #[test]
    fn a_point_forecast_needs_proof() {
        let proven = choose(&model(0.6, 1.0), &outcomes(0.6));
        assert!(proven.location > 0.8, "{proven:?}");
        // Right on average, but a few of these samples would make that by chance.
        let unproven = choose(&model(0.04, 1.0), &outcomes(0.04));
        assert_eq!(unproven.location, 0.0);
        let wrong = choose(&model(-0.6, 1.0), &outcomes(0.6));
        assert_eq!(wrong.location, 0.0);
    }

    #[test]
    fn overlap_asks_for_more_proof() {
        // Blocks of twenty samples that go up or down together are twenty samples, not four hundred.
        let outcomes: Vec<f64> =
            (0..400).map(|i| if (i / 20) % 3 == 0 { -0.6 } else { 0.9 }).collect();
        let model = model(0.4, 1.0);
        let fit = |horizon| {
            Shrinkage::choose(horizon, &LEVELS, BASELINE.to_vec(), &model, &outcomes).location
        };
        assert!(fit(1) > fit(20), "{} {}", fit(1), fit(20));
    }

    #[test]
    fn nothing_to_choose_by_leaves_the_harmless_forecast() {
        let none = choose(&[], &[]);
        assert_eq!((none.location, none.spread), (0.0, 0.0));
        let shrunk = none.apply(&LEVELS, &[-9.0, 5.0, 7.0]);
        assert_eq!(shrunk, Shrunk { point: 0.0, quantiles: vec![-0.8, 0.1, 1.0] });
    }

    #[test]
    fn a_believed_model_is_left_as_it_is() {
        let all = Shrinkage::none(5, BASELINE.to_vec());
        let shrunk = all.apply(&LEVELS, &[-2.0, 0.25, 3.0]);
        assert_eq!(shrunk, Shrunk { point: 0.25, quantiles: vec![-2.0, 0.25, 3.0] });
    }

    proptest! {
        #[test]
        fn final_quantiles_never_cross(
            start in -9_f64..9.0, steps in prop::collection::vec(0_f64..3.0, 4),
            first in -9_f32..9.0, rises in prop::collection::vec(0_f32..3.0, 4),
            spread in 0_f64..=1.0, location in 0_f64..=1.0,
        ) {
            let mut baseline = vec![start];
            let mut model = vec![first];
            for (step, rise) in steps.iter().zip(&rises) {
                baseline.push(baseline[baseline.len() - 1] + step);
                model.push(model[model.len() - 1] + rise);
            }
            let shrinkage = Shrinkage { horizon: 1, location, spread, baseline };
            let found = shrinkage.apply(&[0.05, 0.25, 0.5, 0.75, 0.95], &model);
            prop_assert_eq!(found.quantiles.len(), 5);
            prop_assert!(found.quantiles.is_sorted(), "{:?}", found);
            prop_assert!(found.point.abs() <= model[2].abs());
        }

        #[test]
        fn chosen_weights_are_weights(
            model in prop::collection::vec(-5_f64..5.0, 90),
            outcomes in prop::collection::vec(-5_f64..5.0, 30),
            horizon in 1_usize..40,
        ) {
            let found = Shrinkage::choose(horizon, &LEVELS, BASELINE.to_vec(), &model, &outcomes);
            prop_assert!((0.0..=1.0).contains(&found.location));
            prop_assert!((0.0..=1.0).contains(&found.spread));
        }
    }
}
