//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit;

/// Train one Mamba forecaster per symbol, in parallel worker processes, and commit each model
/// whole or not at all.
#[derive(Debug, Parser)]
#[command(name = "mambafleet", version, after_help = exit::HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    pub(crate) fn format(&self) -> Format {
        self.common.format
    }
}

/// What every command understands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Common {
    /// Directory of the artifact store [configuration key: store.dir]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Configuration file, in place of a mambafleet.toml in this directory or above
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set any configuration key, as in --set train.batch_size=32 (repeatable)
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Form of the output
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables and plain lines
    Human,
    /// JSON with a schema version: one value, or a line per event while training
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train symbols and commit a generation of each
    #[command(after_help = exit::HELP)]
    Train(TrainArgs),
    /// List the symbols of the store with their newest generations
    Ls,
    /// Show one generation: metrics, provenance, file hashes
    Show {
        /// A symbol, or one of its generations as SYMBOL@NUMBER
        #[arg(value_name = "SYMBOL[@GEN]", allow_hyphen_values = true)]
        target: String,
    },
    /// Check every byte of every generation against its manifest
    Verify {
        /// Symbols to check
        #[arg(value_name = "SYMBOL")]
        symbols: Vec<String>,
        /// Check the whole store
        #[arg(long, conflicts_with = "symbols")]
        all: bool,
    },
    /// Forecast from the newest bars with the newest generations
    Predict(PredictArgs),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Work with price data
    #[command(subcommand)]
    Data(DataCommand),
    /// Be a worker process: jobs on standard input, events on standard output
    #[command(hide = true)]
    Worker,
}

/// Which symbols.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Symbols and @groups, separated by commas [configuration key: run.symbols]
    #[arg(long, value_name = "LIST", value_delimiter = ',', allow_hyphen_values = true)]
    pub(crate) symbols: Option<Vec<String>>,
    /// File with symbols or @groups, one per line; # begins a comment
    #[arg(long, value_name = "FILE", conflicts_with = "symbols")]
    pub(crate) symbols_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Worker processes, or "auto" for one per core [configuration key: run.parallel]
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<String>,
    /// Directory with one CSV file per symbol; without it, synthetic demo data [configuration
    /// key: data.dir]
    #[arg(long, value_name = "DIR")]
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
    /// Longest wait for a symbol's lock, such as 90s [configuration key: lock.timeout]
    #[arg(long, value_name = "DURATION")]
    pub(crate) lock_timeout: Option<String>,
    /// Train also what is up to date
    #[arg(long)]
    pub(crate) force: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Directory with one CSV file per symbol; without it, the data each generation was trained
    /// on, read anew
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the configuration as it applies here
    Show {
        /// Say for each value which layer it came from
        #[arg(long)]
        origin: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Write the built-in generator's bars as CSV files
    Synth {
        /// Directory to write to; made if it does not exist
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        #[command(flatten)]
        selection: Selection,
    },
}
