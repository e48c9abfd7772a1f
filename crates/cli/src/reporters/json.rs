//! One JSON line per event on standard output.

use mambafleet_orchestrator::{Reporter, StampedEvent};

use crate::output::Output;

/// Writes every event as it stands in the event log.
pub(crate) struct JsonReporter {
    output: Output,
    /// Nobody can read us any more, which was said once.
    broken: bool,
}

impl JsonReporter {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, broken: false }
    }
}

impl Reporter for JsonReporter {
    fn on_event(&mut self, event: &StampedEvent) {
        let line = serde_json::to_string(event).map_err(Into::into);
        if let Err(error) = line.and_then(|line| self.output.line(&line))
            && !self.broken
        {
            self.broken = true;
            tracing::error!(error = error.message(), "cannot report an event");
        }
    }
}
