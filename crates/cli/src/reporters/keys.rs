//! Single keys while a run goes on.

use mambafleet_orchestrator::{Reporter, RunEvent, StampedEvent};

use crate::output::say;
use crate::terminal::Keys;

/// Hands events on to another reporter. Meanwhile the key `t` asks what is running.
pub(super) struct KeyReporter {
    inner: Box<dyn Reporter>,
    keys: Option<Keys>,
}

impl KeyReporter {
    pub(super) fn new(inner: Box<dyn Reporter>) -> Self {
        Self { inner, keys: None }
    }
}

impl Reporter for KeyReporter {
    fn on_event(&mut self, event: &StampedEvent) {
        match &event.event {
            // Not earlier: the signal that a key stands for would end a program that does not heed it.
            RunEvent::RunStarted { .. } => {
                self.keys = Keys::listen();
                if self.keys.is_some() {
                    say("press t to see what is running");
                }
            }
            RunEvent::Resumed { .. } => self.keys.iter().for_each(Keys::resume),
            RunEvent::RunFinished { .. } => self.keys = None,
            _ => {}
        }
        self.inner.on_event(event);
        // Behind this event the process stops, and the terminal belongs to the shell.
        if matches!(event.event, RunEvent::Suspended) {
            self.keys.iter().for_each(Keys::pause);
        }
    }

    fn wants_pulse(&self) -> bool {
        self.inner.wants_pulse()
    }
}
