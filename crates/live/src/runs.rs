//! Which runs there are.

use std::collections::BTreeMap;
use std::path::Path;

use mambafleet_orchestrator::{EventLog, RecordError, RunEvent, RunPlan, RunRecord};
use mambafleet_protocol::RunId;
use mambafleet_report::model::{RunLine, RunState};

/// Runs that a page lists at most.
const LISTED: usize = 50;

/// The newest runs. What has ended is read once.
#[derive(Default)]
pub(crate) struct Runs {
    known: BTreeMap<RunId, Known>,
    lines: Vec<RunLine>,
    newest: Option<RunId>,
    version: u64,
}

/// What is known of a run, and needs not be read again.
#[derive(Clone)]
struct Known {
    line: RunLine,
    /// Whether it has left its summary.
    ended: bool,
}

impl Runs {
    /// Looks again.
    pub(crate) fn look(&mut self, runs: &Path) -> Result<(), RecordError> {
        let mut lines = Vec::new();
        let mut newest = None;
        for run in RunRecord::newest_first(runs)? {
            let Some(line) = self.line(runs, &run) else { continue };
            lines.push(line);
            newest.get_or_insert(run);
            if lines.len() == LISTED {
                break;
            }
        }
        if lines == self.lines {
            return Ok(());
        }
        self.known.retain(|run, _| lines.iter().any(|line| line.id == run.as_str()));
        (self.lines, self.newest) = (lines, newest);
        self.version += 1;
        Ok(())
    }

    /// The runs, newest first.
    pub(crate) fn lines(&self) -> &[RunLine] {
        &self.lines
    }

    /// The newest run.
    pub(crate) fn newest(&self) -> Option<&RunId> {
        self.newest.as_ref()
    }

    /// Grows with every change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// A run; `None` for what is no run of this version, or has not begun. A run that has no plan yet is
    /// not touched: asking for its lock could keep it from beginning.
    fn line(&mut self, runs: &Path, run: &RunId) -> Option<RunLine> {
        if let Some(known) = self.known.get(run).filter(|known| known.ended) {
            return Some(known.line.clone());
        }
        let known = match RunRecord::summary(runs, run).ok().flatten() {
            Some(summary) => Known { line: RunLine::from(&summary), ended: true },
            None => {
                let line = match self.known.remove(run) {
                    Some(known) => known.line,
                    None => begun(&RunRecord::plan(runs, run).ok()??),
                };
                Known { line: going_on(line, runs, run), ended: false }
            }
        };
        let line = known.line.clone();
        self.known.insert(run.clone(), known);
        Some(line)
    }
}

/// A run without a summary as it is now. Of one that died, symbols are counted once.
fn going_on(mut line: RunLine, runs: &Path, run: &RunId) -> RunLine {
    let state = state(runs, run);
    if state == RunState::Died && line.state != RunState::Died {
        for event in EventLog::of(runs, run).read_all().unwrap_or_default() {
            if let RunEvent::SymbolFinished { outcome, .. } = event.event {
                line.good += usize::from(outcome.is_good());
                line.failed += usize::from(outcome.label() == "failed");
            }
        }
    }
    RunLine { state, ..line }
}

/// Whether somebody carries a run out that has left no summary.
fn state(runs: &Path, run: &RunId) -> RunState {
    // Where locks do not work, nobody can tell.
    RunState::of(None, RunRecord::is_running(runs, run).unwrap_or(true))
}

fn begun(plan: &RunPlan) -> RunLine {
    RunLine {
        id: plan.run.to_string(),
        started_at: plan.created_at.as_millisecond(),
        symbols: plan.jobs.len(),
        ..RunLine::default()
    }
}
