//! Three ways to watch a run.

mod json;
mod plain;
mod progress;
mod stress;
mod summary;

use std::io::IsTerminal;

use mambafleet_orchestrator::Reporter;

pub(crate) use plain::{count, fleet};
pub(crate) use stress::stress_text;
pub(crate) use summary::summary_table;

use crate::output::Output;

/// The reporter that fits: JSON lines on standard output if asked for, live bars if standard
/// error is a terminal, a plain line per event otherwise.
pub(crate) fn choose(output: Output) -> Box<dyn Reporter> {
    if output.is_json() {
        Box::new(json::JsonReporter::new(output))
    } else if std::io::stderr().is_terminal()
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
    {
        Box::new(progress::ProgressReporter::new())
    } else {
        Box::new(plain::PlainReporter)
    }
}
