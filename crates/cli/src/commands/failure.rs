//! A symbol that failed while others did not.

use mambafleet_protocol::Symbol;
use serde::Serialize;

use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

/// One symbol that a command could not deal with.
#[derive(Serialize)]
pub(super) struct Failure {
    symbol: Symbol,
    cause: String,
    hint: Option<String>,
}

/// The symbols that a command could not deal with.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub(super) struct Failures {
    all: Vec<Failure>,
    #[serde(skip)]
    damaged: bool,
    /// How many of them were busy.
    #[serde(skip)]
    busy: usize,
}

impl Failures {
    /// Takes one in, and says it.
    pub(super) fn add(&mut self, symbol: Symbol, error: impl Into<CliError>, output: Output) {
        let error = error.into();
        self.damaged |= error.exit() == Exit::Damaged;
        self.busy += usize::from(error.exit() == Exit::Busy);
        let (cause, hint) = (error.message().to_owned(), error.hint().map(str::to_owned));
        output.say(&format!("{symbol}: {cause}"));
        if let Some(hint) = &hint {
            output.say(&format!("hint: {hint}"));
        }
        self.all.push(Failure { symbol, cause, hint });
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// How a command ends that did what it could for the others.
    pub(super) fn exit(&self) -> Exit {
        match self.all.len() {
            0 => Exit::Success,
            _ if self.damaged => Exit::Damaged,
            count if count == self.busy => Exit::Busy,
            _ => Exit::SomeFailed,
        }
    }
}
