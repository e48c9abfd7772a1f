//! The signals that break a test off.

#[cfg(unix)]
use tokio::signal::unix::{Signal as Int, Signal as Term};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak as Term, CtrlC as Int};

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

    /// The number of the next signal.
    pub(crate) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.int.recv() => 2,
            _ = self.term.recv() => 15,
        }
    }
}
