//! The one error of the command line: what happened, why, what to do, and the exit code.

use mambafleet_artifacts::StoreError;
use mambafleet_dataset::DataError;
use mambafleet_orchestrator::{RecordError, RunError};
use mambafleet_protocol::{InvalidRunId, InvalidSymbol, Symbol, cause_chain};
use mambafleet_stress::StressError;
use mambafleet_worker::{BacktestError, ForecastError, ServeError};

use crate::config::{ConfigError, Mistakes};
use crate::exit::Exit;

/// Where to look when something is not there.
const LISTED: &str =
    "`mambafleet ls` lists the symbols, `mambafleet show SYMBOL` the generations of one";

/// What ends a command early.
#[derive(Debug)]
pub(crate) struct CliError {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl CliError {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// A symbol that was named has no generation.
    pub(crate) fn no_generation(symbol: &Symbol) -> Self {
        Self::new(Exit::NothingSelected, format!("{symbol} has no generation")).with_hint(LISTED)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        use StoreError as E;
        let exit = match &error {
            e if e.is_corrupt() => Exit::Damaged,
            e if e.is_lock_timeout() => Exit::Busy,
            E::Conflict { .. } | E::Contended { .. } | E::Fenced { .. } => Exit::Busy,
            E::NotAStore { .. } | E::NotFound { .. } => Exit::NothingSelected,
            E::Exists { .. }
            | E::InsideStore { .. }
            | E::LocksDoNothing { .. }
            | E::FormatVersion { .. } => Exit::Usage,
            _ => Exit::Internal,
        };
        let hint = match &error {
            E::NotAStore { .. } => Some("train something first, or name the store with --store"),
            E::NotFound { .. } => Some(LISTED),
            E::Exists { .. } => Some("name a directory that does not exist yet"),
            E::InsideStore { .. } => Some("name a directory elsewhere"),
            error => error.advice(),
        };
        Self { exit, message: cause_chain(&error), hint: hint.map(str::to_owned) }
    }
}

impl From<DataError> for CliError {
    fn from(error: DataError) -> Self {
        Self { exit: Exit::SomeFailed, message: cause_chain(&error), hint: error.hint() }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let hint = error.hint();
        Self { exit: Exit::Usage, message: cause_chain(&error), hint }
    }
}

/// The first mistake; a person mends one after the other, and may ask for all.
impl From<Mistakes> for CliError {
    fn from(mistakes: Mistakes) -> Self {
        let more = mistakes.len().saturating_sub(1);
        let Some(first) = mistakes.into_iter().next() else {
            return Self::new(Exit::Internal, "the configuration cannot be read");
        };
        let mut error = Self::from(first);
        if more > 0 {
            let verb = if more == 1 { "is" } else { "are" };
            let more = format!("there {verb} {more} more: `mambafleet config check` names all");
            let hint = error.hint.take();
            error.hint =
                Some(hint.map_or_else(|| more.clone(), |hint| format!("{hint}\nhint: {more}")));
        }
        error
    }
}

impl From<InvalidSymbol> for CliError {
    fn from(error: InvalidSymbol) -> Self {
        Self::usage(cause_chain(&error))
    }
}

impl From<InvalidRunId> for CliError {
    fn from(error: InvalidRunId) -> Self {
        Self::new(Exit::Internal, cause_chain(&error))
    }
}

impl From<RecordError> for CliError {
    fn from(error: RecordError) -> Self {
        Self::new(Exit::Internal, cause_chain(&error))
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        Self::new(Exit::Internal, cause_chain(&error))
    }
}

impl From<ServeError> for CliError {
    fn from(error: ServeError) -> Self {
        Self::new(Exit::Internal, cause_chain(&error))
    }
}

impl From<ForecastError> for CliError {
    fn from(error: ForecastError) -> Self {
        match error {
            ForecastError::Store(error) => error.into(),
            ForecastError::Data(error) => error.into(),
            error @ ForecastError::NoProgram { .. } => {
                Self::new(Exit::SomeFailed, error.to_string())
                    .with_hint("set train.command to the program that forecasts")
            }
            error @ ForecastError::NoBarYet { .. } => {
                Self::new(Exit::SomeFailed, error.to_string())
                    .with_hint("give a later day to --as-of")
            }
            error => Self::new(Exit::SomeFailed, cause_chain(&error)),
        }
    }
}

impl From<BacktestError> for CliError {
    fn from(error: BacktestError) -> Self {
        match error {
            BacktestError::Store(error) => error.into(),
            error @ BacktestError::None { .. } => Self::new(Exit::SomeFailed, error.to_string())
                .with_hint("train the symbol again: since then generations of returns keep them"),
            error @ BacktestError::Shape { .. } => Self::new(Exit::Damaged, error.to_string()),
        }
    }
}

impl From<StressError> for CliError {
    fn from(error: StressError) -> Self {
        match error {
            StressError::Interrupted { signal: 15 } => {
                Self::new(Exit::Terminated, error.to_string())
            }
            StressError::Interrupted { .. } => Self::new(Exit::Interrupted, error.to_string()),
            StressError::Store(error) => error.into(),
            error => Self::new(Exit::Internal, cause_chain(&error)),
        }
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Internal, format!("cannot write the output: {error}"))
    }
}

impl From<serde_json::Error> for CliError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(Exit::Internal, format!("cannot write JSON: {error}"))
    }
}
