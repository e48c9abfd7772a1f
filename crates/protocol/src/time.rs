//! What work takes, measured alike on both sides of the pipe.

use std::ops::{Add, AddAssign, Sub};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What some work took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Wall time, in seconds.
    pub seconds: f64,
    /// Processor time of the process, all its threads together, in seconds. Zero where the system
    /// has no such clock. What the programs of the `command` backend use is not in it.
    pub cpu_seconds: f64,
}

impl Add for Spent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            seconds: self.seconds + other.seconds,
            cpu_seconds: self.cpu_seconds + other.cpu_seconds,
        }
    }
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Spent {
    type Output = Self;

    /// What is left, which is never less than nothing.
    fn sub(self, other: Self) -> Self {
        Self {
            seconds: (self.seconds - other.seconds).max(0.0),
            cpu_seconds: (self.cpu_seconds - other.cpu_seconds).max(0.0),
        }
    }
}

/// What attempts took, by stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct StageTimes {
    /// Reading bars and computing features.
    pub load: Spent,
    /// Training steps, and setting the model up for them.
    pub train: Spent,
    /// Validation after each epoch.
    pub validate: Spent,
    /// Evaluation on the test part.
    pub evaluate: Spent,
    /// Staging, waiting for the lock, committing.
    pub commit: Spent,
    /// Anything else, the start of the worker's process among it.
    pub other: Spent,
}

impl StageTimes {
    /// All stages with their names, in the order of an attempt.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Spent); 6] {
        [
            ("load", self.load),
            ("train", self.train),
            ("validate", self.validate),
            ("evaluate", self.evaluate),
            ("commit", self.commit),
            ("other", self.other),
        ]
    }

    /// All stages together.
    #[must_use]
    pub fn total(&self) -> Spent {
        self.named().into_iter().fold(Spent::default(), |sum, (_, spent)| sum + spent)
    }
}

impl AddAssign for StageTimes {
    fn add_assign(&mut self, other: Self) {
        self.load += other.load;
        self.train += other.train;
        self.validate += other.validate;
        self.evaluate += other.evaluate;
        self.commit += other.commit;
        self.other += other.other;
    }
}

/// Measures the wall time and the processor time of this process.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

impl Stopwatch {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { wall: Instant::now(), cpu: process_cpu_time() }
    }

    /// What has been spent since it began.
    #[must_use]
    pub fn spent(&self) -> Spent {
        self.until(&Self::start())
    }

    /// What has been spent since it began or since the last lap, which ends now.
    pub fn lap(&mut self) -> Spent {
        let now = Self::start();
        let spent = self.until(&now);
        *self = now;
        spent
    }

    fn until(&self, end: &Self) -> Spent {
        Spent {
            seconds: end.wall.saturating_duration_since(self.wall).as_secs_f64(),
            cpu_seconds: end.cpu.saturating_sub(self.cpu).as_secs_f64(),
        }
    }
}

/// Processor time that this process has used since it began.
#[must_use]
pub fn process_cpu_time() -> Duration {
    #[cfg(unix)]
    let time = {
        use rustix::time::{ClockId, clock_gettime};
        Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
    };
    #[cfg(not(unix))]
    let time = Duration::ZERO;
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laps_follow_on_one_another_and_sleep_costs_no_processor_time() {
        let whole = Stopwatch::start();
        let mut watch = whole;
        std::thread::sleep(Duration::from_millis(20));
        let slept = watch.lap();
        let after = watch.lap();
        assert!(slept.seconds >= 0.02 && slept.cpu_seconds < 0.5 * slept.seconds, "{slept:?}");
        assert!(whole.spent().seconds >= (slept + after).seconds);
    }

    #[test]
    fn stages_add_up() {
        let spent = |seconds| Spent { seconds, cpu_seconds: 2.0 * seconds };
        let mut times = StageTimes {
            load: spent(1.0),
            train: spent(2.0),
            validate: spent(32.0),
            evaluate: spent(4.0),
            commit: spent(8.0),
            other: spent(16.0),
        };
        assert_eq!(times.total(), spent(63.0));
        times += times;
        assert_eq!((times.total(), times.commit), (spent(126.0), spent(16.0)));
    }
}
