//! One JSON line per event on standard output.

use mambafleet_orchestrator::{Reporter, RunEvent, StampedEvent};
use serde::Serialize;

use super::Judge;
use crate::output::Output;
use crate::verdict::Verdict;

/// What the forecasts are worth; it has the version of its layout.
#[derive(Serialize)]
struct Evaluation<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

/// Writes every event as it stands in the event log, and what the forecasts are worth before the last.
pub(crate) struct JsonReporter<'a> {
    output: Output,
    judge: &'a Judge<'a>,
    /// Nobody can read us any more, which was said once.
    broken: bool,
}

impl<'a> JsonReporter<'a> {
    pub(crate) fn new(output: Output, judge: &'a Judge<'a>) -> Self {
        Self { output, judge, broken: false }
    }

    fn print(&mut self, line: Result<String, serde_json::Error>) {
        if let Err(error) = line.map_err(Into::into).and_then(|line| self.output.line(&line))
            && !self.broken
        {
            self.broken = true;
            tracing::error!(error = error.message(), "cannot report an event");
        }
    }
}

impl Reporter for JsonReporter<'_> {
    fn on_event(&mut self, event: &StampedEvent) {
        if let RunEvent::RunFinished { summary } = &event.event
            && let Some(verdict) = (self.judge)(summary)
        {
            self.print(serde_json::to_string(&Evaluation {
                kind: "evaluation",
                verdict: &verdict,
            }));
        }
        self.print(serde_json::to_string(event));
    }
}
