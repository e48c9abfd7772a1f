//! The signals that end a run.

#[cfg(unix)]
use tokio::signal::unix::{Signal as Int, Signal as Term};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak as Term, CtrlC as Int};

/// A signal that asks the run to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Ctrl-C.
    Int,
    /// A polite request to end, as from a service manager.
    Term,
}

impl Interrupt {
    /// The signal's number, from which exit codes 130 and 143 follow.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Int => 2,
            Self::Term => 15,
        }
    }

    /// The signal's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Int => "SIGINT",
            Self::Term => "SIGTERM",
        }
    }
}

/// Listens for the signals that end a run.
pub(crate) struct Signals {
    int: Int,
    term: Term,
}

impl Signals {
    /// Starts listening; from here on the signals no longer end the process by themselves.
    #[cfg(unix)]
    pub(crate) fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { int: signal(SignalKind::interrupt())?, term: signal(SignalKind::terminate())? })
    }

    /// Starts listening. Ctrl-Break is what other programs can send here.
    #[cfg(windows)]
    pub(crate) fn listen() -> std::io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c};
        Ok(Self { int: ctrl_c()?, term: ctrl_break()? })
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> Interrupt {
        tokio::select! {
            _ = self.int.recv() => Interrupt::Int,
            _ = self.term.recv() => Interrupt::Term,
        }
    }
}
