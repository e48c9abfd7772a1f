//! The signals that end what goes on until then.

#[cfg(unix)]
use tokio::signal::unix::{Signal as Int, Signal as Term};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak as Term, CtrlC as Int};

/// Listens for SIGINT and SIGTERM, or for Ctrl-C and Ctrl-Break on Windows. From then on they no longer end
/// the process by themselves.
#[derive(Debug)]
pub struct Signals {
    int: Int,
    term: Term,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// What the system says if it refuses handlers.
    #[cfg(unix)]
    pub fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { int: signal(SignalKind::interrupt())?, term: signal(SignalKind::terminate())? })
    }

    /// Begins to listen.
    ///
    /// # Errors
    /// What the system says if it refuses handlers.
    #[cfg(windows)]
    pub fn listen() -> std::io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c};
        Ok(Self { int: ctrl_c()?, term: ctrl_break()? })
    }

    /// The number of the next signal: 2 or 15.
    pub async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.int.recv() => 2,
            _ = self.term.recv() => 15,
        }
    }
}
