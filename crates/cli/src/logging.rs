//! Tracing: lines for people on standard error or in an attempt's log, JSON lines in a run's record.

mod line;
mod run_log;

use std::sync::atomic::{AtomicU8, Ordering};

use mambafleet_orchestrator::TRAIL;
use tracing_subscriber::filter::{EnvFilter, FilterExt, LevelFilter};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt};

pub(crate) use run_log::{RUN_LOG, record_to};

use line::Line;

use crate::reporters::line_writer;
use crate::style::Look;

/// Environment variable that chooses what is logged, in tracing's filter syntax.
pub(crate) const LOG_VARIABLE: &str = "MAMBAFLEET_LOG";

/// What a run's log holds at least.
const RECORDED: LevelFilter = LevelFilter::DEBUG;

/// What an attempt's log holds at least.
const OF_ATTEMPTS: LevelFilter = LevelFilter::INFO;

/// How often `-v` was given.
static VERBOSE: AtomicU8 = AtomicU8::new(0);

/// Where this process logs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logs {
    /// Standard error, for the person who called.
    Person,
    /// The same, and the log of the run that is carried out.
    Run,
    /// The log of the attempt at hand, which standard error leads to.
    Attempt,
}

/// Begins to log. What is shown is said by `verbose`, the number of times that `-v` was given, or else by
/// [`LOG_VARIABLE`]; what lies in a run's record has its own least level, whatever these say.
pub(crate) fn init(verbose: u8, logs: Logs) {
    VERBOSE.store(verbose, Ordering::Relaxed);
    let said = std::env::var(LOG_VARIABLE).ok().filter(|said| verbose == 0 && !said.is_empty());
    let usual = usual(verbose, logs);
    let chosen = said.as_deref().map(EnvFilter::try_new);
    let (filter, mistake) = match chosen {
        Some(Ok(filter)) => (filter, None),
        Some(Err(mistake)) => (EnvFilter::new(&usual), Some(mistake)),
        None => (EnvFilter::new(&usual), None),
    };
    let people = match logs {
        Logs::Attempt => lines(true).with_filter(filter.or(OF_ATTEMPTS)).boxed(),
        Logs::Person | Logs::Run => lines(false).with_filter(filter).boxed(),
    };
    let record = (logs == Logs::Run).then(|| run_log::layer().with_filter(RECORDED));
    tracing_subscriber::registry().with(people).with(record).init();
    // A worker is started with the same variable, and its parent has said it.
    if let Some(mistake) = mistake
        && logs != Logs::Attempt
    {
        tracing::warn!("{LOG_VARIABLE} is no filter ({mistake}); \"{usual}\" is used");
    }
}

/// The flag that has another process of this program log as much.
pub(crate) fn flag() -> Option<String> {
    let verbose = usize::from(VERBOSE.load(Ordering::Relaxed));
    (verbose > 0).then(|| format!("-{}", "v".repeat(verbose)))
}

/// The filter if nobody says anything else. The events of a run are told by its reporter already.
fn usual(verbose: u8, logs: Logs) -> String {
    match (verbose, logs) {
        (0, Logs::Attempt) => "info".to_owned(),
        (0, _) => format!("warn,{TRAIL}=off"),
        (1, _) => format!("info,{TRAIL}=off"),
        (2, _) => "debug".to_owned(),
        _ => "trace".to_owned(),
    }
}

/// Lines for people. `timed` ones carry the time and the module they come from, as logs do.
fn lines<S>(timed: bool) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let colour = Look::of_stderr().colour;
    // A log that cannot be written (a full disk, a closed terminal) must not end the program.
    fmt::layer()
        .event_format(Line { timed })
        .with_ansi(colour)
        .with_writer(line_writer)
        .log_internal_errors(false)
}
