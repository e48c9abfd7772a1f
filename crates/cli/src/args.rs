//! The command line.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::civil::Date;

use crate::config::{parse_duration, parse_size};
use crate::exit;

mod backends;
mod logs;
mod report;
mod runs;
mod store;
mod train;
mod ui;

pub(crate) use backends::{CheckArgs, ConformArgs};
pub(crate) use logs::LogsArgs;
pub(crate) use report::ReportArgs;
pub(crate) use runs::RunsArgs;
pub(crate) use store::{DiffArgs, ExportArgs, GcArgs, LockArgs, RollbackArgs, VerifyArgs};
pub(crate) use train::TrainArgs;
pub(crate) use ui::UiArgs;

/// The name of the program.
pub(crate) const PROGRAM: &str = "mambafleet";

/// Train one Mamba forecaster per symbol, in parallel worker processes, and commit each model
/// whole or not at all.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, bin_name = PROGRAM, version)]
#[command(after_help = exit::help(), max_term_width = 100)]
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

    /// The command line as people are to know it: without what only the program itself calls.
    pub(crate) fn visible() -> clap::Command {
        let whole = Self::command();
        let shown = whole.get_subcommands().filter(|command| !command.is_hide_set());
        // A command cannot lose any of its subcommands, so this is made anew.
        clap::Command::new(PROGRAM)
            .bin_name(PROGRAM)
            .version(env!("CARGO_PKG_VERSION"))
            .about(whole.get_about().cloned().unwrap_or_default())
            .after_help(whole.get_after_help().cloned().unwrap_or_default())
            .args(whole.get_arguments().cloned())
            .subcommands(shown.cloned().collect::<Vec<_>>())
            .subcommand_required(true)
            .disable_help_subcommand(true)
    }
}

/// How a command is called, in a line.
pub(crate) fn usage(command: &clap::Command) -> String {
    let usage = command.clone().render_usage().to_string();
    usage.trim_start_matches("Usage: ").to_owned()
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
    /// Profile of the configuration: a [profile.NAME] of its files [environment variable:
    /// MAMBAFLEET_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Set any configuration key, as in --set train.batch_size=32 (repeatable)
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Form of the output
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    /// Log more to standard error: -v what is noteworthy, -vv every step, -vvv everything [environment
    /// variable: MAMBAFLEET_LOG]
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables and plain lines
    Human,
    /// JSON with a schema version: one value, or a line per event while training
    Json,
    /// Comma-separated values, for what `predict` and `backtest` print
    Csv,
    /// Parquet, for what `predict` writes
    Parquet,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train symbols and commit a generation of each
    #[command(after_help = train::help())]
    Train(TrainArgs),
    /// List the symbols of the store with their newest generations
    #[command(after_help = store::LS_HELP)]
    Ls,
    /// List the runs of the store, or show one as at its end
    #[command(after_help = runs::RUNS_HELP)]
    Runs(RunsArgs),
    /// Show one generation: metrics, provenance, file hashes, history
    #[command(after_help = store::SHOW_HELP)]
    Show {
        /// A symbol, or one of its generations as SYMBOL@NUMBER
        #[arg(value_name = "SYMBOL[@GEN]", allow_hyphen_values = true)]
        target: String,
    },
    /// Compare two generations of a symbol: metrics and configuration
    #[command(after_help = store::DIFF_HELP)]
    Diff(DiffArgs),
    /// Check every byte of every generation against its manifest
    #[command(after_help = store::VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Bring the content of an older generation back, as a new generation
    #[command(after_help = store::ROLLBACK_HELP)]
    Rollback(RollbackArgs),
    /// Remove old generations
    #[command(after_help = store::GC_HELP)]
    Gc(GcArgs),
    /// Copy a generation, verified, to a new directory
    #[command(after_help = store::EXPORT_HELP)]
    Export(ExportArgs),
    /// Run any command while holding a symbol's lock
    #[command(after_help = store::LOCK_HELP)]
    Lock(LockArgs),
    /// Print the log of a run, or of the attempts at one of its symbols
    #[command(after_help = logs::LOGS_HELP)]
    Logs(LogsArgs),
    /// Forecast from the newest bars with the newest generations
    #[command(after_help = PREDICT_HELP)]
    Predict(PredictArgs),
    /// Write the out-of-sample forecasts that a generation keeps beside what happened
    #[command(after_help = store::BACKTEST_HELP)]
    Backtest {
        /// A symbol, or one of its generations as SYMBOL@NUMBER
        #[arg(value_name = "SYMBOL[@GEN]", allow_hyphen_values = true)]
        target: String,
    },
    /// Show the store and its runs in a browser, as they go on
    #[command(after_help = ui::UI_HELP)]
    Ui(UiArgs),
    /// Write a page about a run: one HTML file
    #[command(after_help = report::REPORT_HELP)]
    Report(ReportArgs),
    /// Test the store under contention, beside the naive way of saving
    #[command(after_help = STRESS_HELP)]
    Stress(StressArgs),
    /// List the backends that this program has, or check one
    Backends(BackendsArgs),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Work with price data
    #[command(subcommand)]
    Data(DataCommand),
    /// Print a script that completes commands and options in a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Write the man pages: one for the program, one for each command
    #[command(after_help = MAN_HELP)]
    Man {
        /// Directory to write to; made if it does not exist, and pages in it are replaced
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    /// Print the reference page in Markdown, as in docs/reference.md
    #[command(hide = true)]
    Reference,
    /// Be a worker process: jobs on standard input, events on standard output
    #[command(hide = true)]
    Worker,
    /// Be the guard of a program that trains
    #[command(hide = true)]
    Guard(GuardArgs),
    /// Be a process of the contention test
    #[command(hide = true)]
    StressMember,
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
pub(crate) struct GuardArgs {
    /// Directory to remove in the end
    #[arg(long, value_name = "DIR")]
    pub(crate) staging: Option<PathBuf>,
    /// Become the program, and end with this process
    #[arg(long, value_name = "PID")]
    pub(crate) under: Option<u32>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    pub(crate) program: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Directory with one file per symbol, or one file with all symbols; without it, the data each
    /// generation was trained on, read anew
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Forecast as of this day: from the newest bar up to and including it, knowing nothing later
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) as_of: Option<Date>,
    /// Warn if the newest bar is older than this many calendar days, or "none" [configuration key:
    /// predict.max_age_days]
    #[arg(long, value_name = "DAYS")]
    pub(crate) max_age: Option<String>,
    /// Write to this file, whole, instead of standard output; its ending tells the format (.parquet,
    /// .csv, .json) where --format does not
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StressArgs {
    /// Processes that save
    #[arg(long, value_name = "N", default_value = "10", value_parser = at_least_one)]
    pub(crate) workers: NonZeroU32,
    /// Sets that each of them saves
    #[arg(long, value_name = "N", default_value = "10", value_parser = at_least_one)]
    pub(crate) iterations: NonZeroU32,
    /// Symbols that they share
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least_one)]
    pub(crate) symbols: NonZeroU32,
    /// Size of the weights in each set, such as 300KB, 10MB or 2GiB
    #[arg(long, value_name = "SIZE", default_value = "300KB", value_parser = set_size)]
    pub(crate) bytes: usize,
    /// Processes that read all the while, each some hundred times per second
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) readers: u32,
    /// Put the naive way under the same load: open, truncate, write, no lock
    #[arg(long = "unsafe")]
    pub(crate) in_place: bool,
    /// Compare with the naive way and with three renames that are as durable as the store; measure
    /// what one commit costs in each way
    #[arg(long)]
    pub(crate) compare: bool,
    /// Where to make the directory to work in [default: beside the configured store]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Longest wait for a symbol's lock
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub(crate) lock_timeout: Duration,
    /// Break each way off after this time
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub(crate) deadline: Duration,
}

/// The largest set: larger ones test the disk, not the store.
const MAX_SET: u64 = 4 << 30;

fn at_least_one(text: &str) -> Result<NonZeroU32, String> {
    let expected = || "expected a whole number from 1, such as 10".to_owned();
    text.parse().map_err(|_| expected())
}

fn set_size(text: &str) -> Result<usize, String> {
    let size = parse_size(text)?;
    if (1..=MAX_SET).contains(&size) {
        return usize::try_from(size).map_err(|error| error.to_string());
    }
    Err("expected a size from 1B to 4GiB".to_owned())
}

fn date(text: &str) -> Result<Date, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = text.parse().ok().filter(|_| digits && text.len() == 10);
    date.ok_or_else(|| "expected a date, such as 2024-12-31".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a duration with its unit, such as 90s or 20m".to_owned();
    parse_duration(text).ok_or_else(expected)
}

/// What the help says about `stress` beyond its options.
const STRESS_HELP: &str = "\
Real processes save sets of three files to one store and read them at once, in a temporary
directory that is removed in the end unless the store turns out damaged; never in the store itself.
Afterwards every generation is verified: hashes, JSON, and that its files are one writer's own.
The disk needs room for workers x iterations sets.

  torn reads     a file was cut short, undecodable, or held what nobody wrote
  mixed reads    each file was whole, but they were different writers'
  corrupt files  files in the end that are not what any one writer wrote
  ideal wait     (workers / symbols - 1) x the mean time that the lock is held: what a worker waits
                 that finds all others of its symbol in front of it and is then served in turn

Exit codes:
    0  nothing went wrong with the store
    2  wrong usage
    3  saves or reads failed, or a process died or was killed at the deadline
    5  saves gave up waiting for the lock, and nothing else went wrong
    6  the store tore, mixed, corrupted or lost something
  130  interrupted (SIGINT)
  143  terminated (SIGTERM)
What goes wrong with the other ways changes no exit code.";

#[derive(Debug, Args)]
pub(crate) struct BackendsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<BackendsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackendsCommand {
    /// List the backends, each with its version; what `backends` alone does too
    #[command(after_help = PRINTED_HELP)]
    List,
    /// Compare a backend with what a reference implementation has computed
    #[command(after_help = backends::CHECK_HELP)]
    Check(CheckArgs),
    /// Hold a backend, such as a program of your own, to what every backend must do
    #[command(after_help = backends::CONFORM_HELP)]
    Conform(ConformArgs),
}

/// What the help says about commands that print what they know.
const PRINTED_HELP: &str = "\
Exit codes:
    0  printed
    2  wrong usage or configuration";

/// What the help says about `data check`.
const DATA_CHECK_HELP: &str = "\
Blemishes are treated as the keys of [data] say, and each line says what training would do:

  clean    take the prices as they are
  notes    the same; gaps, days without volume and the like are facts to know
  mended   leave out, sort or clip some rows, and record that beside the model
  refused  fail the symbol

  gaps     sessions that most of the files have, and this one has not
  stale    days with all prices of the day before, or the same close as the two days before
  splits?  steps that look like a split nobody adjusted for
  extreme  days on which the close moved by more than 35 % up or 26 % down

Examples:
  $ mambafleet data check prices
  $ mambafleet data check all.csv.gz --format json

JSON (type \"data_checked\"): symbols (each with symbol, file, verdict, bars, first, last, reading,
findings, cause, hint), other_files. A finding has kind, count, effect and detail.

Exit codes:
    0  training would take everything, mended or not
    1  the system refused to read the directory
    2  wrong usage or configuration
    3  training would refuse some of it
    4  there are no files of prices";

/// What the help says about `data synth`.
const SYNTH_HELP: &str = "\
Exit codes:
    0  written, or there already
    1  the system refused to write
    2  wrong usage or configuration; a file is there that is something else
    4  nothing is selected";

/// What the help says about `predict`.
const PREDICT_HELP: &str = "\
Warnings, on standard error and in JSON, change no exit code:

  old_bars   the newest bar is older than predict.max_age_days, as of today or --as-of
  old_model  the bars that the generation was trained on end more than predict.max_model_age_days
             before the newest one
  in_sample  as of that day, weights were fitted or chosen on what is forecast

Examples:
  $ mambafleet predict --symbols AAPL,MSFT --data prices
  $ mambafleet predict --as-of 2024-06-28 --format csv
  $ mambafleet predict --output forecasts.parquet

CSV and Parquet have a row for each symbol, horizon and quantile level: symbol, generation, as_of
(day of the bar it is made from), close, volatility, horizon (in bars), level, log_return, price,
synthetic.

JSON (type \"predictions\"): as_of (the day asked for), forecasts (each with symbol, generation,
skipped, as_of, close, volatility, synthetic, trained_to, unseen_from, levels, horizons, warnings),
failures. With --output (type \"predictions_written\"): file, forecasts, rows, warnings, failures.

Exit codes:
    0  forecast
    1  the system refused to write
    2  wrong usage or configuration
    3  some symbols could not be forecast, the others are
    4  there is no store, or nothing is selected
    6  a newest generation is damaged, also if an older one forecasts in its place";

/// What the help says about `completions`.
const COMPLETIONS_HELP: &str = "\
Examples:
  $ mambafleet completions bash > ~/.local/share/bash-completion/completions/mambafleet
  $ mambafleet completions zsh > ~/.zfunc/_mambafleet          # with ~/.zfunc in fpath
  $ mambafleet completions fish > ~/.config/fish/completions/mambafleet.fish

JSON (type \"completions\"): shell, script.

Exit codes:
    0  printed
    2  wrong usage";

/// What the help says about `man`.
const MAN_HELP: &str = "\
Examples:
  $ mambafleet man ~/.local/share/man/man1
  $ man mambafleet-train

JSON (type \"written\"): files.

Exit codes:
    0  written
    1  the system refused to write; each page is whole, the old one or the new one
    2  wrong usage";

/// What the help says about `config check`.
const CHECK_HELP: &str = "\
Your own file, the environment and the flags are checked with it. Whether data and symbols exist is
seen when training begins.

Example:
  $ mambafleet config check nightly.toml

JSON (type \"config_checked\"): files, profiles, symbols (those with settings of their own, and
@groups), mistakes (each with file, line, key, message, hint; null where there is none).

Exit codes:
    0  there is no mistake
    2  there are some";

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the configuration as it applies here
    #[command(after_help = PRINTED_HELP)]
    Show {
        /// Say for each value which layer it came from
        #[arg(long)]
        origin: bool,
        /// Show what applies to one symbol
        #[arg(long, value_name = "SYMBOL", allow_hyphen_values = true)]
        symbol: Option<String>,
    },
    /// Name every mistake in the configuration: all profiles, all symbols' settings
    #[command(after_help = CHECK_HELP)]
    Check {
        /// File to check, in place of a mambafleet.toml in this directory or above
        #[arg(value_name = "FILE", conflicts_with = "config")]
        file: Option<PathBuf>,
    },
    /// Print a JSON schema of the configuration files
    #[command(after_help = PRINTED_HELP)]
    Schema,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Say what files of prices are worth, and what training would do with them
    #[command(after_help = DATA_CHECK_HELP)]
    Check {
        /// Directory with one file per symbol, or one file with all symbols [default: data.dir]
        #[arg(value_name = "DIR|FILE")]
        path: Option<PathBuf>,
    },
    /// Write the built-in generator's bars as CSV files
    #[command(after_help = SYNTH_HELP)]
    Synth {
        /// Directory to write to; made if it does not exist
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        #[command(flatten)]
        selection: Selection,
    },
}
