//! Arguments of `report`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The run: its id, a beginning that no other id has, or "latest"
    #[arg(value_name = "RUN", default_value = "latest")]
    pub(crate) run: String,
    /// File to write, whole, in place of report.html in the run's record; - for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The run to compare with [default: the newest before it that has half of its symbols]
    #[arg(long, value_name = "RUN")]
    pub(crate) compare: Option<String>,
}

pub(crate) const REPORT_HELP: &str = "\
One HTML file that needs nothing else: outcomes; a table of the symbols; of each symbol its learning
curves, forecasts beside what happened, metrics beside baselines, history and log; who trained what
when; an earlier run beside this one. `train` writes it at the end of a run unless observe.report is
false. A run that still goes on, or that died, is shown as far as it came. What cannot be read is
left out.

Examples:
  $ mambafleet report
  $ mambafleet report 20261128 --output friday.html

JSON (type \"report\"): path, run, bytes, symbols (their number). With --output - the page itself is
printed, whatever --format says.

Exit codes:
    0  written
    1  the system refused to write; the old file is untouched
    2  wrong usage; several runs begin like RUN
    4  there is no store, or no such run";
