//! Several reporters that see the same run.

use mambafleet_orchestrator::{Reporter, RunEvent, StampedEvent};

/// Hands every event to each of its reporters, in order; a pulse to those that want one.
pub(crate) struct Tee<'a> {
    reporters: Vec<Box<dyn Reporter + 'a>>,
}

impl<'a> Tee<'a> {
    /// What these do, in their order.
    pub(crate) fn new(reporters: Vec<Box<dyn Reporter + 'a>>) -> Self {
        Self { reporters }
    }
}

impl Reporter for Tee<'_> {
    fn on_event(&mut self, event: &StampedEvent) {
        let pulse = matches!(event.event, RunEvent::Pulse(_));
        for reporter in &mut self.reporters {
            if !pulse || reporter.wants_pulse() {
                reporter.on_event(event);
            }
        }
    }

    fn wants_pulse(&self) -> bool {
        self.reporters.iter().any(|reporter| reporter.wants_pulse())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use mambafleet_orchestrator::Status;

    use super::*;

    /// Notes what it was handed.
    struct Notes<'a> {
        name: &'static str,
        pulse: bool,
        seen: &'a RefCell<Vec<(&'static str, RunEvent)>>,
    }

    impl Reporter for Notes<'_> {
        fn on_event(&mut self, event: &StampedEvent) {
            self.seen.borrow_mut().push((self.name, event.event.clone()));
        }

        fn wants_pulse(&self) -> bool {
            self.pulse
        }
    }

    #[test]
    fn all_see_every_event_and_those_a_pulse_that_want_one() {
        let seen = RefCell::default();
        let notes = |name, pulse| Box::new(Notes { name, pulse, seen: &seen }) as Box<dyn Reporter>;
        assert!(!Tee::new(vec![notes("a", false), notes("b", false)]).wants_pulse());
        let mut tee = Tee::new(vec![notes("a", false), notes("b", true)]);
        assert!(tee.wants_pulse());
        let pulse = RunEvent::Pulse(Status { running: Vec::new(), waiting: 3 });
        tee.on_event(&StampedEvent::now(RunEvent::Suspended));
        tee.on_event(&StampedEvent::now(pulse.clone()));
        drop(tee);
        let expected = [("a", RunEvent::Suspended), ("b", RunEvent::Suspended), ("b", pulse)];
        assert_eq!(seen.into_inner(), expected);
    }
}
