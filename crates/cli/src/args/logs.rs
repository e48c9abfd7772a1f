//! Arguments of `logs`, and what its help adds.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The run: its id, a beginning that no other id has, or "latest"
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// The symbol; without it, the log of the run itself
    #[arg(value_name = "SYMBOL", allow_hyphen_values = true)]
    pub(crate) symbol: Option<String>,
    /// Print only this attempt, from 1
    #[arg(long, value_name = "N", requires = "symbol")]
    pub(crate) attempt: Option<u32>,
    /// Go on as the log grows, into the next attempts too, until the symbol or the run has ended
    #[arg(long, short)]
    pub(crate) follow: bool,
}

pub(crate) const LOGS_HELP: &str = "\
The log of an attempt holds what its worker and the programs under it said; all attempts at a symbol
are printed, the newest last. The log of a run holds what the orchestrator did and met. Both lie in
the run's record: logs/SYMBOL.N.log, and log.jsonl, whose lines are printed as people read them.

To a pipe or a file the lines of an attempt go as they are. On a terminal, control characters and
what is no UTF-8 are shown as \\u{1b} and \\xff, so that no program can play tricks on it.

Examples:
  $ mambafleet logs latest AAPL
  $ mambafleet logs latest --follow
  $ mambafleet logs 20261125-12 AAPL --attempt 1 --format json

JSON (type \"log_line\"), a value on each line: run, symbol and attempt (null for the run's own lines
that are about none), at, level, target (null where a program wrote the line), text, fields (only of
the run's log).

Exit codes:
    0  printed, with --follow to the end
    1  the system refused to read the log
    2  wrong usage or configuration; several runs begin like RUN
    4  there is no store, no such run, symbol or attempt, or the run is too old to have a log
  130  interrupted (SIGINT)
  143  terminated (SIGTERM)";
