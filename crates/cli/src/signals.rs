//! The signals that end a command which goes on until then.

#[cfg(unix)]
use tokio::signal::unix::{Signal as Int, Signal as Term};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak as Term, CtrlC as Int};

use crate::exit::Exit;

/// Listens for them. From then on they no longer end the process by themselves.
pub(crate) struct Signals {
    int: Int,
    term: Term,
}

impl Signals {
    #[cfg(unix)]
    pub(crate) fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { int: signal(SignalKind::interrupt())?, term: signal(SignalKind::terminate())? })
    }

    #[cfg(windows)]
    pub(crate) fn listen() -> std::io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c};
        Ok(Self { int: ctrl_c()?, term: ctrl_break()? })
    }

    /// How a command ends that the next signal ends.
    pub(crate) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.int.recv() => Exit::Interrupted,
            _ = self.term.recv() => Exit::Terminated,
        }
    }
}
