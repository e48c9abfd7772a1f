//! The arguments of `train`.

use std::path::PathBuf;

use clap::Args;

use super::Selection;
use crate::exit;

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Worker processes, or "auto" for one per core [configuration key: run.parallel]
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<String>,
    /// Directory with one file per symbol, or one file with all symbols; without it, synthetic demo
    /// data [configuration key: data.dir]
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Backend that trains [configuration key: train.backend]
    #[arg(long, value_name = "NAME")]
    pub(crate) backend: Option<String>,
    /// Passes over the training samples at most [configuration key: train.epochs]
    #[arg(long, value_name = "N")]
    pub(crate) epochs: Option<u32>,
    /// Seed of weights and sample order [configuration key: train.seed]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u32>,
    /// Longest wait for a symbol's lock, such as 90s, or "auto" to wait as long as the queue moves
    /// [configuration key: lock.timeout]
    #[arg(long, value_name = "DURATION")]
    pub(crate) lock_timeout: Option<String>,
    /// Train also what is up to date
    #[arg(long)]
    pub(crate) force: bool,
    /// Commit new models also where promote.when = "not_worse" would keep the old generation; that is
    /// recorded
    #[arg(long)]
    pub(crate) force_promote: bool,
    /// Go on with an earlier run: its failed and unfinished symbols, and what has changed since.
    /// Without RUN, the newest one that did not finish well
    #[arg(
        long,
        value_name = "RUN",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with_all = ["symbols", "symbols_file", "data", "backend", "epochs", "seed", "force", "force_promote"]
    )]
    pub(crate) resume: Option<String>,
    /// Train nothing that cannot be done by then: the next 06:00, local time, or a duration
    /// [configuration key: run.deadline]
    #[arg(long, value_name = "TIME")]
    pub(crate) deadline: Option<String>,
    /// Start nothing new after so many failed symbols [configuration key: run.max_failures]
    #[arg(long, value_name = "N")]
    pub(crate) max_failures: Option<u32>,
    /// Go on with the other symbols when some fail; this is the default
    #[arg(long, conflicts_with = "max_failures")]
    pub(crate) keep_going: bool,
    /// Wait for another run of the same symbols to end, instead of giving up
    #[arg(long)]
    pub(crate) wait: bool,
    /// Write how each symbol ended to this file, too, as JUnit XML
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(crate) junit: Option<PathBuf>,
    /// Answer Prometheus at this address while the run goes on, as in 127.0.0.1:9464
    /// [configuration key: observe.metrics]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<String>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What the help says about `train`.
pub(super) fn help() -> String {
    format!("{WHILE_TRAINING}\n\n{}", exit::help())
}

const WHILE_TRAINING: &str = "\
While it runs, the key t on the terminal, or SIGUSR1 (kill -USR1), says what is running, for how
long, and what was last heard of it. On Windows there is neither. Ctrl-Z stops the workers and the
clocks too. The first Ctrl-C lets what runs finish within run.grace, the second one kills it.";
