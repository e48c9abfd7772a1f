//! Three ways to watch a run.

mod json;
mod junit;
#[cfg(unix)]
mod keys;
mod plain;
mod progress;
mod stress;
mod summary;
mod tee;
mod verdict;

use std::io::IsTerminal;

use indicatif::ProgressBar;
use mambafleet_orchestrator::{Reporter, RunPlan, RunSummary};

pub(crate) use junit::{junit, junit_error};
pub(crate) use plain::{compared, count, finished, fleet};
pub(crate) use progress::{line_writer, put_above};
pub(crate) use stress::stress_text;
pub(crate) use summary::{Closing, counts, last_complete, summary_table};
pub(crate) use tee::Tee;
pub(crate) use verdict::verdict_table;

use crate::output::Output;
use crate::verdict::Verdict;

/// Says what the forecasts of a run are worth.
pub(crate) type Judge<'a> = dyn Fn(&RunSummary) -> Option<Verdict> + 'a;

/// The reporter that fits: JSON lines on standard output if asked for, a live display if standard
/// error is a terminal, a plain line per event otherwise. People are heard too.
pub(crate) fn choose<'a>(
    output: Output,
    plan: &RunPlan,
    judge: &'a Judge<'a>,
) -> Box<dyn Reporter + 'a> {
    if output.is_json() {
        return Box::new(json::JsonReporter::new(output, judge));
    }
    let reporter: Box<dyn Reporter> = if is_drawn_on() {
        Box::new(progress::ProgressReporter::new(plan))
    } else {
        Box::new(plain::PlainReporter)
    };
    #[cfg(unix)]
    let reporter = Box::new(keys::KeyReporter::new(reporter));
    reporter
}

/// A bar on standard error; one that is never drawn if it is not wanted, or that is no terminal.
pub(crate) fn bar(unwanted: bool, template: &str) -> ProgressBar {
    if unwanted || !is_drawn_on() {
        return ProgressBar::hidden();
    }
    ProgressBar::new(0).with_style(progress::style(template))
}

/// Whether standard error is a terminal on which lines can be drawn anew.
fn is_drawn_on() -> bool {
    let term = std::env::var_os("TERM").filter(|term| !term.is_empty());
    std::io::stderr().is_terminal() && term.map_or(cfg!(windows), |term| term != "dumb")
}
