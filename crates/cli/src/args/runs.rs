//! Arguments of `runs`, and what its help adds.

use std::num::NonZeroUsize;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// Show this run, as at its end; "latest" is the newest one
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// List so many runs at most, the newest first
    #[arg(long, value_name = "N", default_value = "20", conflicts_with = "run")]
    pub(crate) limit: NonZeroUsize,
    /// Print a row for each symbol of RUN, however many there are
    #[arg(long, requires = "run")]
    pub(crate) all: bool,
}

pub(crate) const RUNS_HELP: &str = "\
Each run of `train` leaves a record in runs/ of the store.

  running      it goes on
  finished     it ended by itself, whatever became of its symbols
  interrupted  a signal ended it
  died         it did not come to its end, and nothing of it runs: train --resume goes on with it

Of a run that has not ended, what its events say so far is shown.

Examples:
  $ mambafleet runs --limit 5
  $ mambafleet runs latest --all | grep failed

JSON (type \"runs\"): runs (each with run, state, started_at, finished_at, seconds, signal, deadline,
resumes, workers, symbols, counts by outcome, synthetic), unreadable (run, cause), older (how many
are not listed). With RUN (type \"run\"): run (as in the list), summary (as in summary.json; null if it
has not ended), outcomes (of a run that has not ended, by symbol), running, changes (symbol, old, new,
old_loss, new_loss, common_samples).

Exit codes:
    0  listed
    2  wrong usage or configuration
    3  some records could not be read; the others are listed
    4  there is no store, or no such run";
