//! What a tracker was given, and what arrived.

use std::fmt;
use std::ops::AddAssign;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mambafleet_orchestrator::RunEvent;

/// Numbers of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Epochs.
    pub(crate) epochs: u64,
    /// Everything else that is tracked: beginnings, ends, what was read and stored.
    pub(crate) others: u64,
}

impl Counts {
    /// What one event counts for; `None` if no tracker has a use for it.
    pub(crate) fn of(event: &RunEvent) -> Option<Self> {
        match event {
            RunEvent::Progress(_) => Some(Self { epochs: 1, others: 0 }),
            RunEvent::RunStarted { .. }
            | RunEvent::AttemptStarted { .. }
            | RunEvent::Loaded(_)
            | RunEvent::Stored(_)
            | RunEvent::AttemptEnded { .. }
            | RunEvent::AttemptFailed { .. }
            | RunEvent::SymbolFinished { .. }
            | RunEvent::RunFinished { .. } => Some(Self { epochs: 0, others: 1 }),
            RunEvent::WorkerStarted { .. }
            | RunEvent::WorkerLost { .. }
            | RunEvent::Stray { .. }
            | RunEvent::Slow { .. }
            | RunEvent::Status(_)
            | RunEvent::Pulse(_)
            | RunEvent::Suspended
            | RunEvent::Resumed { .. }
            | RunEvent::Draining { .. }
            | RunEvent::Killing { .. }
            | RunEvent::Notified(_) => None,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.epochs += more.epochs;
        self.others += more.others;
    }
}

/// The account of a tracker. Its thread may hang, so others can look at it any time.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    given: Counts,
    arrived: Counts,
    trouble: Option<String>,
}

impl Tally {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tracker was given so much.
    pub(crate) fn given(&self, counts: Counts) {
        self.state().given += counts;
    }

    /// So much of it is where it belongs.
    pub(crate) fn arrived(&self, counts: Counts) {
        self.state().arrived += counts;
    }

    /// Notes what stands in the way.
    pub(crate) fn trouble(&self, what: impl fmt::Display) {
        self.state().trouble = Some(what.to_string());
    }

    /// What is missing, and why; `None` if nothing is.
    pub(crate) fn missing(&self) -> Option<String> {
        let State { given, arrived, trouble } = &*self.state();
        let parts = [
            (given.epochs, arrived.epochs, "epochs"),
            (given.others, arrived.others, "other events"),
        ];
        let missing = parts.into_iter().filter(|(given, arrived, _)| arrived < given);
        let missing = missing
            .map(|(given, arrived, what)| format!("{} of {given} {what}", given - arrived))
            .collect::<Vec<_>>()
            .join(" and ");
        let why = trouble.as_deref().unwrap_or("there was no time left");
        (!missing.is_empty()).then(|| format!("{missing} are missing: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_counted_and_explained() {
        let tally = Tally::default();
        assert_eq!(tally.missing(), None);
        tally.given(Counts { epochs: 5, others: 2 });
        tally.arrived(Counts { epochs: 3, others: 2 });
        let missing = tally.missing().unwrap();
        assert_eq!(missing, "2 of 5 epochs are missing: there was no time left");
        tally.given(Counts { epochs: 0, others: 1 });
        tally.trouble("no room");
        let missing = tally.missing().unwrap();
        assert_eq!(missing, "2 of 5 epochs and 1 of 3 other events are missing: no room");
        tally.arrived(Counts { epochs: 2, others: 1 });
        assert_eq!(tally.missing(), None);
    }
}
