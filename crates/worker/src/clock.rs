//! How long an attempt and its stages take.

use mambafleet_protocol::{Spent, StageTimes, Stopwatch};

/// Measures an attempt, stage by stage.
pub(crate) struct Clock {
    whole: Stopwatch,
    stage: Stopwatch,
    pub(crate) times: StageTimes,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let whole = Stopwatch::start();
        Self { whole, stage: whole, times: StageTimes::default() }
    }

    /// What has passed since the last stage ended belongs to the one that `stage` picks.
    pub(crate) fn end(&mut self, stage: impl FnOnce(&mut StageTimes) -> &mut Spent) {
        *stage(&mut self.times) += self.stage.lap();
    }

    /// Wall time of the whole, and what its stages took.
    pub(crate) fn stop(mut self) -> (f64, StageTimes) {
        self.end(|times| &mut times.other);
        (self.whole.spent().seconds, self.times)
    }
}
