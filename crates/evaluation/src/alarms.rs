//! Skill that is too good to be true.
//!
//! Daily returns can hardly be forecast: over out-of-sample years, an R2 of one percent would be
//! remarkable (Campbell & Thompson 2008, Review of Financial Studies 21(4)). A model that explains
//! half of them has seen the future: a feature that is computed from later rows, a file whose rows are
//! shifted, prices that were repaired with hindsight. So each measure of skill has a limit, and a model
//! that is above it *beyond doubt* raises an alarm: what is compared with the limit is the lower end of
//! an interval of the measure that luck leaves once in a thousand times, so that few samples raise none.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::point::{Direction, skill, wilson};
use crate::special::student_critical;
use crate::statistics::{effective, mean, spearman, variance_of_mean};

/// The chance that a measure is smaller than its lower end.
const DOUBT: f64 = 0.001;

/// The quantile of the normal distribution that belongs to it.
const NORMAL: f64 = 3.090_232_306_167_813;

/// The largest skill that is believed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Of the point forecast, `1 - MSE / MSE` of the better of zero and the training mean.
    pub point_skill: f64,
    /// Of the share of right signs, where it is also above that of saying the more frequent sign always.
    pub directional_accuracy: f64,
    /// Of the information coefficient, whatever its sign.
    pub information_coefficient: f64,
    /// Of the quantiles, `1 - pinball / pinball` of the EWMA-volatility quantiles.
    pub pinball_skill: f64,
}

impl Limits {
    /// The usual limits.
    pub const USUAL: Self = Self {
        point_skill: 0.05,
        directional_accuracy: 0.6,
        information_coefficient: 0.2,
        pinball_skill: 0.2,
    };
}

/// What can be too good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// [`Limits::point_skill`].
    PointSkill,
    /// [`Limits::directional_accuracy`].
    DirectionalAccuracy,
    /// [`Limits::information_coefficient`].
    InformationCoefficient,
    /// [`Limits::pinball_skill`].
    PinballSkill,
}

impl Measure {
    /// Its name, which is that of its limit.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PointSkill => "point_skill",
            Self::DirectionalAccuracy => "directional_accuracy",
            Self::InformationCoefficient => "information_coefficient",
            Self::PinballSkill => "pinball_skill",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A measure above its limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// What is too good.
    pub measure: Measure,
    /// The horizon in bars.
    pub horizon: usize,
    /// Its value.
    pub value: f64,
    /// What it is at least, but for one chance in a thousand; above the limit.
    pub low: f64,
    /// The limit.
    pub limit: f64,
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measure, horizon, value, low, limit } = self;
        write!(f, "{measure} {value:.3} at horizon {horizon} (at least {low:.3}, limit {limit})")
    }
}

/// What is known of the forecasts of one horizon; all slices are of the same samples.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The horizon in bars.
    pub horizon: usize,
    /// Point forecasts.
    pub points: &'a [f64],
    /// What happened, in the same unit.
    pub outcomes: &'a [f64],
    /// The mean outcome of the training part, in that unit, for every sample.
    pub train_mean: &'a [f64],
    /// Pinball losses.
    pub losses: &'a [f64],
    /// Those of the EWMA-volatility quantiles.
    pub baseline_losses: &'a [f64],
}

/// Every measure that is above its limit.
#[must_use]
pub fn check(evidence: &Evidence<'_>, limits: &Limits) -> Vec<Alarm> {
    let found = [
        (Measure::PointSkill, point_skill(evidence), limits.point_skill),
        (Measure::DirectionalAccuracy, direction(evidence), limits.directional_accuracy),
        (Measure::InformationCoefficient, rank(evidence), limits.information_coefficient),
        (Measure::PinballSkill, pinball_skill(evidence), limits.pinball_skill),
    ];
    let horizon = evidence.horizon;
    let alarm = |(measure, found, limit): (Measure, Option<(f64, f64)>, f64)| {
        let (value, low) = found?;
        (low > limit).then_some(Alarm { measure, horizon, value, low, limit })
    };
    found.into_iter().filter_map(alarm).collect()
}

/// The skill against the better of zero and the training mean, and its lower end.
fn point_skill(evidence: &Evidence<'_>) -> Option<(f64, f64)> {
    let squared = |forecasts: &[f64]| -> Vec<f64> {
        forecasts.iter().zip(evidence.outcomes).map(|(f, y)| (y - f) * (y - f)).collect()
    };
    let zero: Vec<f64> = evidence.outcomes.iter().map(|y| y * y).collect();
    let drift = squared(evidence.train_mean);
    let reference = if mean(&drift) < mean(&zero) { drift } else { zero };
    skill_interval(&squared(evidence.points), &reference, evidence.horizon)
}

fn pinball_skill(evidence: &Evidence<'_>) -> Option<(f64, f64)> {
    skill_interval(evidence.losses, evidence.baseline_losses, evidence.horizon)
}

/// `1 - loss / reference` and its lower end, from the standard error of the mean difference.
fn skill_interval(losses: &[f64], reference: &[f64], horizon: usize) -> Option<(f64, f64)> {
    let freedom = effective(losses.len(), horizon) - 1.0;
    let level = mean(reference);
    if freedom < 2.0 || level.is_nan() || level <= 0.0 {
        return None;
    }
    let gains: Vec<f64> = reference.iter().zip(losses).map(|(r, l)| r - l).collect();
    let error = variance_of_mean(&gains, horizon.max(1) - 1).sqrt();
    let value = skill(mean(losses), level);
    Some((value, value - student_critical(2.0 * DOUBT, freedom) * error / level))
}

/// The share of right signs and its lower end, where that is above what one sign alone would get.
fn direction(evidence: &Evidence<'_>) -> Option<(f64, f64)> {
    let found = Direction::new(evidence.points, evidence.outcomes, evidence.horizon)?;
    let one_sign = found.always_up.max(1.0 - found.always_up);
    let (low, _) = wilson(found.accuracy, effective(found.samples, evidence.horizon), NORMAL);
    (low > one_sign).then_some((found.accuracy, low))
}

/// The size of the rank correlation and its lower end, by the transformation of Fisher (1915), Biometrika
/// 10(4): `atanh` of it has a standard error of about `1 / sqrt(m - 3)`.
fn rank(evidence: &Evidence<'_>) -> Option<(f64, f64)> {
    let size = spearman(evidence.points, evidence.outcomes)?.abs();
    let samples = effective(evidence.outcomes.len(), evidence.horizon);
    if samples <= 4.0 {
        return None;
    }
    let low = libm::tanh(libm::atanh(size) - NORMAL / (samples - 3.0).sqrt());
    Some((size, low))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns without any order, between -1 and 1.
    fn noise(n: usize, seed: u64) -> Vec<f64> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    fn alarms(points: &[f64], outcomes: &[f64], losses: (f64, f64)) -> Vec<Measure> {
        let flat = vec![0.0; outcomes.len()];
        let wave =
            |level: f64| -> Vec<f64> { outcomes.iter().map(|y| level * (1.0 + 0.1 * y)).collect() };
        let (of_model, of_baseline) = (wave(losses.0), wave(losses.1));
        let evidence = Evidence {
            horizon: 1,
            points,
            outcomes,
            train_mean: &flat,
            losses: &of_model,
            baseline_losses: &of_baseline,
        };
        check(&evidence, &Limits::USUAL).into_iter().map(|alarm| alarm.measure).collect()
    }

    #[test]
    fn who_sees_a_part_of_the_future_trips_every_alarm() {
        let outcomes = noise(300, 1);
        let points: Vec<f64> =
            outcomes.iter().zip(noise(300, 2)).map(|(y, e)| 0.5 * (y + 0.5 * e)).collect();
        let all = [
            Measure::PointSkill,
            Measure::DirectionalAccuracy,
            Measure::InformationCoefficient,
            Measure::PinballSkill,
        ];
        assert_eq!(alarms(&points, &outcomes, (0.5, 1.0)), all);
        // Who is always wrong knows as much.
        let against: Vec<f64> = points.iter().map(|p| -p).collect();
        assert_eq!(alarms(&against, &outcomes, (1.0, 1.0)), [Measure::InformationCoefficient]);
    }

    #[test]
    fn luck_trips_none() {
        for seed in 1..200 {
            for n in [10, 40, 600] {
                let (points, outcomes) = (noise(n, 2 * seed), noise(n, 2 * seed + 1));
                let small: Vec<f64> = points.iter().map(|p| 0.05 * p).collect();
                let found = alarms(&small, &outcomes, (0.95, 1.0));
                assert_eq!(found, [], "seed {seed}, {n} samples");
            }
        }
    }

    #[test]
    fn a_market_that_only_rises_is_no_leak() {
        // Always "up", and right nine times out of ten: so is who knows nothing.
        let outcomes: Vec<f64> = noise(400, 3).iter().map(|e| 0.8 + e).collect();
        let points = vec![0.8; 400];
        let flat = vec![0.7; 400];
        let ones = vec![1.0; 400];
        let evidence = Evidence {
            horizon: 20,
            points: &points,
            outcomes: &outcomes,
            train_mean: &flat,
            losses: &ones,
            baseline_losses: &ones,
        };
        assert_eq!(check(&evidence, &Limits::USUAL), []);
        let zeros = vec![0.0; 400];
        let blind = Evidence { horizon: 1, train_mean: &zeros, ..evidence };
        let found = check(&blind, &Limits::USUAL);
        assert_eq!(found.len(), 1, "{found:?}");
        let said = found[0].to_string();
        assert!(said.starts_with("point_skill 0.") && said.contains("limit 0.05"), "{said}");
    }

    #[test]
    fn nothing_at_all_trips_none() {
        assert_eq!(alarms(&[], &[], (0.0, 1.0)), []);
        assert_eq!(alarms(&[0.1], &[0.1], (0.0, 1.0)), []);
    }
}
