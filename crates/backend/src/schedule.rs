//! The course of the learning rate.

use std::f64::consts::PI;

use mambafleet_protocol::{ScheduleSpec, TrainSpec};

/// Where a cosine schedule ends, as a fraction of its peak.
const COSINE_END: f64 = 0.1;

/// Where one cycle begins, as a fraction of its peak.
const CYCLE_BEGIN: f64 = 1.0 / 25.0;

/// Where one cycle ends, as a fraction of where it began.
const CYCLE_END: f64 = 1e-4;

/// Gives every step its learning rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    kind: ScheduleSpec,
    peak: f64,
    /// Steps of the rise.
    warmup: usize,
    /// Steps in all.
    total: usize,
}

impl Schedule {
    pub(crate) fn new(train: &TrainSpec, steps_per_epoch: usize) -> Self {
        let total = train.epochs.saturating_mul(steps_per_epoch);
        let warmup = (train.warmup * total as f64) as usize;
        Self { kind: train.schedule, peak: train.learning_rate, warmup, total }
    }

    /// The learning rate of a step, counted from 0.
    pub(crate) fn rate(&self, step: usize) -> f64 {
        let rising = step < self.warmup;
        let risen = (step + 1) as f64 / (self.warmup + 1) as f64;
        let left = (self.total - self.warmup.min(self.total)).max(1);
        let fallen = (step.saturating_sub(self.warmup) as f64 / left as f64).min(1.0);
        self.peak
            * match self.kind {
                ScheduleSpec::Cosine | ScheduleSpec::Constant if rising => risen,
                ScheduleSpec::Constant => 1.0,
                ScheduleSpec::Cosine => half_cosine(1.0, COSINE_END, fallen),
                ScheduleSpec::OneCycle if rising => {
                    half_cosine(CYCLE_BEGIN, 1.0, step as f64 / self.warmup as f64)
                }
                ScheduleSpec::OneCycle => half_cosine(1.0, CYCLE_BEGIN * CYCLE_END, fallen),
            }
    }
}

/// From `from` at 0 to `to` at 1, flat at both ends.
fn half_cosine(from: f64, to: f64, at: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (PI * at).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(kind: ScheduleSpec, warmup: usize) -> Vec<f64> {
        let schedule = Schedule { kind, peak: 2.0, warmup, total: 100 };
        (0..100).map(|step| schedule.rate(step)).collect()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn every_course_rises_to_the_peak_and_does_not_rise_again() {
        for kind in [ScheduleSpec::Cosine, ScheduleSpec::OneCycle, ScheduleSpec::Constant] {
            let rates = rates(kind, 10);
            assert!(rates[..11].is_sorted(), "{kind:?}");
            assert!(rates[10..].is_sorted_by(|a, b| a >= b), "{kind:?}");
            assert!(rates[0] > 0.0 && close(rates[10], 2.0), "{kind:?}");
        }
    }

    #[test]
    fn each_course_has_its_own_end() {
        assert!((0.2..0.202).contains(&rates(ScheduleSpec::Cosine, 10)[99]));
        assert!(rates(ScheduleSpec::Constant, 10)[10..].iter().all(|rate| close(*rate, 2.0)));
        let cycle = rates(ScheduleSpec::OneCycle, 30);
        assert!(close(cycle[0], 2.0 / 25.0) && cycle[99] < 2e-3, "{} {}", cycle[0], cycle[99]);
        // Half-way up and half-way down along a cosine.
        assert!(close(cycle[15], (2.0 / 25.0 + 2.0) / 2.0));
        assert!(close(cycle[65], (2.0 + 2.0 / 25.0 * 1e-4) / 2.0));
    }

    #[test]
    fn a_schedule_of_one_step_or_of_warm_up_alone_has_a_rate() {
        for kind in [ScheduleSpec::Cosine, ScheduleSpec::OneCycle, ScheduleSpec::Constant] {
            for (warmup, total) in [(0, 1), (0, 0), (5, 5), (9, 5)] {
                let rate = Schedule { kind, peak: 1.0, warmup, total }.rate(total);
                assert!(rate > 0.0 && rate <= 1.0, "{kind:?} {warmup} {total}: {rate}");
            }
        }
    }
}
