//! Arguments of the commands that change the store or look into it, and what their help adds.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::duration;

pub(crate) const LS_HELP: &str = "\
For each symbol: its newest intact generation with age and size, how many generations are kept, what
they take together, and the headline of its metrics. Each newest generation is read and verified.

Example:
  $ mambafleet ls --format json | jq '.symbols[] | {symbol, test_loss: .headline.test_loss}'

JSON (type \"symbols\"): symbols (each with symbol, generation, damaged [whether newer ones are],
skipped [their faults], created_at, age_s, bytes, generations, bytes_on_disk, synthetic, headline
[epochs, first_validation_loss, best_validation_loss, test_loss, baseline_loss; null when its
metrics are not this program's]), failures (symbol, cause, hint).

Exit codes:
    0  listed
    3  some symbols could not be read; the others are listed
    4  there is no store
    6  a newest generation is damaged";

pub(crate) const BACKTEST_HELP: &str = "\
They were made while the generation was evaluated: each by a model that was trained, stopped and shrunk
on what lies before it. A person is shown the newest days, --format csv and json have them all.

Example:
  $ mambafleet backtest AAPL --format csv > AAPL.csv

CSV has a row for each day and horizon: symbol, generation, as_of, fold, close, volatility, horizon (in
bars), point (forecast of the log return), a column for each quantile level (q0.05, ...) and outcome (the
log return that it came to).

JSON (type \"backtest\"): symbol, generation, synthetic, levels, rows (as_of, fold, close, volatility,
horizon, point, log_returns, outcome).

Exit codes:
    0  written
    2  wrong usage or configuration
    3  the generation keeps no such forecasts
    4  there is no store, or no such generation
    6  the newest generation is damaged, and an older one was used; or all are

See `mambafleet help` for the others.";

pub(crate) const SHOW_HELP: &str = "\
Without @GEN it shows the newest intact generation. The generation is read and verified whole; of the
others only the manifests are read.

Example:
  $ mambafleet show AAPL@3

JSON (type \"generation\"): manifest (as on disk), metadata and metrics (as in metadata.json and
metrics.json, or null), skipped (faults of newer generations), history (all generations, oldest
first: generation, created_at, bytes, parent, restored_from, problem).

Exit codes:
    0  shown
    2  wrong usage
    4  there is no such generation
    6  the generation is damaged, or a newer one is and this is the newest intact one";

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The symbol
    #[arg(value_name = "SYMBOL")]
    pub(crate) symbol: String,
    /// One generation
    #[arg(value_name = "A")]
    pub(crate) a: u64,
    /// The other
    #[arg(value_name = "B")]
    pub(crate) b: u64,
    /// Show also what differs between any two trainings: every epoch, the scaler's values, and who
    /// trained when and for how long
    #[arg(long)]
    pub(crate) all: bool,
}

pub(crate) const DIFF_HELP: &str = "\
Compares all JSON files of the two generations leaf by leaf; of other files, such as the weights, it
says whether they differ.

Example:
  $ mambafleet diff AAPL 3 4

JSON (type \"difference\"): symbol, a, b, identical (all files, byte for byte), files (those that
differ: file, change, differences [their number, null when it is not JSON]), changes (file, key,
change, a, b, difference, ratio; null where there is none), left_out (how many more --all would
show). A change is added, removed or changed; difference is b - a, ratio is b / a.

Exit codes:
    0  compared, whether anything differs or not
    2  wrong usage
    4  there is no such generation
    6  a generation is damaged";

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Symbols to check
    #[arg(value_name = "SYMBOL")]
    pub(crate) symbols: Vec<String>,
    /// Check the whole store
    #[arg(long, conflicts_with = "symbols")]
    pub(crate) all: bool,
    /// Draw no progress bar on a terminal
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Write what the check came to to this file, too, for the textfile collector of Prometheus' node
    /// exporter; its name ends in .prom
    #[arg(long, value_name = "FILE", conflicts_with = "symbols")]
    pub(crate) textfile: Option<PathBuf>,
}

pub(crate) const VERIFY_HELP: &str = "\
Reads everything, on all cores, and changes nothing. Checked are the length and the BLAKE3 hash of
each file, the manifests, that no file is superfluous, and that each generation has the parent on
top of which it was committed.

Example:
  $ mambafleet verify --all
  $ mambafleet verify --all --textfile /var/lib/prometheus/node-exporter/mambafleet-verify.prom

JSON (type \"verified\"): symbols, generations (how many were checked), bytes, faults (each with
symbol, generation, file, problem [kind, and what was expected and found]), failures (symbols that
could not be read: symbol, cause, hint).

Exit codes:
    0  every byte is as it was committed
    1  the system refused to write the file of metrics
    2  wrong usage
    3  some symbols could not be read; in the others nothing is damaged
    4  there is no store, or a symbol that is named has no generation
    6  something is damaged";

#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The symbol
    #[arg(value_name = "SYMBOL")]
    pub(crate) symbol: String,
    /// The generation whose content to bring back [default: the newest intact one before the
    /// newest]
    #[arg(long, value_name = "GEN")]
    pub(crate) to: Option<u64>,
    /// Longest wait for the symbol's lock, such as 90s, or "auto" to wait as long as the queue moves
    /// [configuration key: lock.timeout]
    #[arg(long, value_name = "DURATION")]
    pub(crate) lock_timeout: Option<String>,
}

pub(crate) const ROLLBACK_HELP: &str = "\
History only grows: the old content is committed once more, as the newest generation, and nothing is
taken away. Without --to, a second rollback therefore undoes the first. The next training run keeps
the symbol only if data and settings are still those of the old content; otherwise it trains anew.

Example:
  $ mambafleet rollback AAPL --to 3

JSON (type \"rolled_back\"): symbol, generation (the new one), restored_from (where its content comes
from), replaced (the newest intact one until now, or null), created_at, bytes, lock_waited_ms.

Exit codes:
    0  committed
    2  wrong usage or configuration
    4  there is no such generation, or none to go back to
    5  busy: another process holds the lock, or committed meanwhile
    6  the generation is damaged";

#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Symbols to collect; all of the store when none is named
    #[arg(value_name = "SYMBOL")]
    pub(crate) symbols: Vec<String>,
    /// How many of the newest intact generations of each symbol to keep, from 1
    #[arg(long, value_name = "K")]
    pub(crate) keep: NonZeroUsize,
    /// Keep also what is younger than this
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub(crate) min_age: Duration,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

pub(crate) const GC_HELP: &str = "\
The newest K generations that verify stay, and so does everything newer than the oldest of them:
damaged generations never push out intact ones. Only the oldest are removed, without leaving a gap.
Whoever is reading one can read it to the end. What dead writers left unfinished goes too. Each
symbol is collected under its lock, so that a backup under `mambafleet lock` sees nothing vanish
[configuration key: lock.timeout].

Example:
  $ mambafleet gc --keep 5 --min-age 168h --dry-run

JSON (type \"collected\"): dry_run, keep, min_age_s, bytes (freed in all), symbols (each with symbol,
removed [generation, bytes, created_at], kept, leftovers [name, state], bytes), failures (each with
symbol, cause, hint).

Exit codes:
    0  collected, if there was anything to collect
    2  wrong usage
    3  some symbols failed, the others are collected
    4  a symbol that is named has no generation
    5  busy: another process holds the lock of a symbol; the others are collected";

#[derive(Debug, Args)]
pub(crate) struct LockArgs {
    /// The symbol; it need not have a generation yet
    #[arg(value_name = "SYMBOL")]
    pub(crate) symbol: String,
    /// Longest wait for the lock, such as 90s, or "auto" to wait as long as the queue moves
    /// [configuration key: lock.timeout]
    #[arg(long, visible_alias = "lock-timeout", value_name = "DURATION|auto")]
    pub(crate) wait: Option<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

pub(crate) const LOCK_HELP: &str = "\
The command has this program's input, output and environment, and besides:
  MAMBAFLEET_LOCK_SYMBOL  the symbol
  MAMBAFLEET_LOCK_TOKEN   the fencing token: above that of every earlier holder
  MAMBAFLEET_SYMBOL_DIR   the symbol's directory in the store

The lock is held until the command has ended; what the command started and left running does not
hold it. SIGTERM, SIGHUP, SIGINT and SIGQUIT are passed on, and waited out. Should mambafleet itself
be killed (kill -9), the system frees the lock although the command may run on.

Example:
  $ mambafleet lock AAPL --wait 5m -- sh -c 'rsync -a \"$MAMBAFLEET_SYMBOL_DIR\"/ backup:AAPL/'

JSON (type \"command_ended\", one line, the last on standard output, after what the command wrote):
symbol, token, lock_waited_ms, held_s, exit_code (null when a signal killed it), signal (or null).

Exit codes: the command's own, or 128 + N when signal N killed it. Without a run of the command:
    2  wrong usage or configuration; the command is not found or cannot be executed
    4  there is no store
    5  busy: another process holds the lock";

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// A symbol, for its newest intact generation, or one generation as SYMBOL@NUMBER
    #[arg(value_name = "SYMBOL[@GEN]")]
    pub(crate) target: String,
    /// The directory to make; it must not exist yet, the one above it must
    #[arg(value_name = "DEST")]
    pub(crate) dest: PathBuf,
}

pub(crate) const EXPORT_HELP: &str = "\
All files and the manifest appear at DEST at once, each byte checked against the manifest; or
nothing does.

Example:
  $ mambafleet export AAPL@3 /srv/models/AAPL

JSON (type \"exported\"): symbol, generation, path, files (their number, the manifest included),
bytes, skipped (faults of newer generations that were passed over).

Exit codes:
    0  copied
    2  wrong usage; DEST exists already, lies in the store or cannot be written
    4  there is no such generation
    6  the generation is damaged, or a newer one is and this is the newest intact one";
