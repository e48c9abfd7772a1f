//! Out-of-sample forecasts beside what happened.

use std::collections::BTreeMap;

use mambafleet_artifacts::Tensor;
use mambafleet_protocol::ReturnsSpec;

use crate::Num;
use crate::model::{Calibration, Fan};

/// Decimals of a value in per cent.
const DECIMALS: i32 = 3;

/// The forecasts that a generation keeps: quantiles of the final forecast and of the baseline, and what
/// happened, in units of the volatility times the root of the horizon.
pub(super) struct Forecasts<'a> {
    horizons: &'a [usize],
    levels: &'a [f64],
    days: &'a [f32],
    volatility: &'a [f32],
    model: &'a [f32],
    baseline: &'a [f32],
    outcomes: &'a [f32],
}

impl<'a> Forecasts<'a> {
    /// The forecasts in `tensors`; nothing if they do not fit together, or there are none.
    pub(super) fn new(
        task: &'a ReturnsSpec,
        tensors: &'a BTreeMap<String, Tensor>,
    ) -> Option<Self> {
        let get = |name: &str| tensors.get(name).map(|(_, values)| values.as_slice());
        let (horizons, levels) = (task.horizons.as_slice(), task.quantiles.as_slice());
        let days = get("day")?;
        let samples = days.len();
        let of = |name, count: usize| get(name).filter(|values| values.len() == count);
        let per_horizon = samples * horizons.len();
        let per_level = per_horizon * levels.len();
        (per_level > 0).then_some(())?;
        Some(Self {
            horizons,
            levels,
            days,
            volatility: of("volatility", samples)?,
            model: of("forecasts", per_level)?,
            baseline: of("baseline", per_level)?,
            outcomes: of("outcomes", per_horizon)?,
        })
    }

    /// The newest `most` samples.
    pub(super) fn fan(&self, most: usize) -> Fan {
        let samples = self.days.len();
        let shown = samples.saturating_sub(most)..samples;
        let horizons = 0..self.horizons.len();
        let of_sample = |h: usize, s: usize| -> Vec<Num> {
            let value = |level: usize| self.percent(s, h, self.model[self.at(s, h, level)]);
            (0..self.levels.len()).map(value).collect()
        };
        let of_horizon = |h: usize| shown.clone().map(|s| of_sample(h, s)).collect();
        let outcome = |s: usize, h: usize| self.percent(s, h, self.outcomes[self.place(s, h)]);
        Fan {
            days: self.days[shown.clone()].iter().map(|day| *day as i64).collect(),
            horizons: self.horizons.to_vec(),
            levels: self.levels.to_vec(),
            samples,
            q: horizons.clone().map(of_horizon).collect(),
            y: horizons.map(|h| shown.clone().map(|s| outcome(s, h)).collect()).collect(),
        }
    }

    /// How often outcomes stayed at or below each quantile, over all samples.
    pub(super) fn calibration(&self) -> Vec<Calibration> {
        let samples = self.days.len();
        let share = |of: &[f32], h: usize, level: usize| {
            let below = |s: &usize| self.outcomes[self.place(*s, h)] <= of[self.at(*s, h, level)];
            Num((0..samples).filter(below).count() as f64 / samples as f64)
        };
        let all = |of: &[f32], h| (0..self.levels.len()).map(|l| share(of, h, l)).collect();
        let of_horizon = |(h, horizon): (usize, &usize)| Calibration {
            h: *horizon,
            n: samples,
            levels: self.levels.to_vec(),
            model: all(self.model, h),
            base: all(self.baseline, h),
        };
        self.horizons.iter().enumerate().map(of_horizon).collect()
    }

    /// Where the outcome of a sample at a horizon stands.
    fn place(&self, sample: usize, horizon: usize) -> usize {
        sample * self.horizons.len() + horizon
    }

    /// Where a quantile of it stands.
    fn at(&self, sample: usize, horizon: usize, level: usize) -> usize {
        self.place(sample, horizon) * self.levels.len() + level
    }

    /// A value as log return in per cent.
    fn percent(&self, sample: usize, horizon: usize, scaled: f32) -> Num {
        let unit = f64::from(self.volatility[sample]) * (self.horizons[horizon] as f64).sqrt();
        Num(100.0 * f64::from(scaled) * unit).decimals(DECIMALS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> ReturnsSpec {
        ReturnsSpec { horizons: vec![1, 4], quantiles: vec![0.25, 0.5], ..ReturnsSpec::usual() }
    }

    fn tensors() -> BTreeMap<String, Tensor> {
        let of = |values: &[f32]| (vec![values.len()], values.to_vec());
        BTreeMap::from([
            ("day".to_owned(), of(&[10.0, 11.0, 14.0])),
            ("volatility".to_owned(), of(&[0.01, 0.02, 0.01])),
            // By sample: two horizons of two levels.
            ("forecasts".to_owned(), of(&[-1., 0., -2., 0., -1., 1., 0., 1., -1., 2., 0., 3.])),
            ("baseline".to_owned(), of(&[-9.; 12])),
            ("outcomes".to_owned(), of(&[-1.5, 0.5, 0.5, 1.5, 2.0, 0.0])),
        ])
    }

    #[test]
    fn values_are_log_returns_in_per_cent() {
        let (task, tensors) = (task(), tensors());
        let fan = Forecasts::new(&task, &tensors).unwrap().fan(2);
        assert_eq!((fan.samples, fan.days), (3, vec![11, 14]));
        let numbers = |values: &[f64]| values.iter().copied().map(Num).collect::<Vec<_>>();
        assert_eq!(fan.q[0], [numbers(&[-2.0, 2.0]), numbers(&[-1.0, 2.0])]);
        // The root of four bars doubles it.
        assert_eq!(fan.q[1], [numbers(&[0.0, 4.0]), numbers(&[0.0, 6.0])]);
        assert_eq!(fan.y, [numbers(&[1.0, 2.0]), numbers(&[6.0, 0.0])]);
    }

    #[test]
    fn calibration_counts_outcomes_at_or_below_each_quantile() {
        let (task, tensors) = (task(), tensors());
        let all = Forecasts::new(&task, &tensors).unwrap().calibration();
        let third = |n: f64| Num(n / 3.0);
        assert_eq!((all[0].h, all[1].h, all[0].n), (1, 4, 3));
        assert_eq!(all[0].model, [third(1.0), third(3.0)]);
        assert_eq!(all[1].model, [third(1.0), third(1.0)]);
        assert_eq!(all[0].base, [third(0.0), third(0.0)]);
    }

    #[test]
    fn what_does_not_fit_together_is_no_forecast() {
        let task = task();
        for name in ["day", "volatility", "forecasts", "baseline", "outcomes"] {
            let mut without = tensors();
            without.remove(name);
            assert!(Forecasts::new(&task, &without).is_none(), "{name}");
            let mut short = tensors();
            short.get_mut(name).unwrap().1.pop();
            assert!(Forecasts::new(&task, &short).is_none(), "{name}");
        }
        let none = tensors().into_keys().map(|name| (name, (vec![0], vec![]))).collect();
        assert!(Forecasts::new(&task, &none).is_none());
    }
}
