//! The signals that a run heeds.

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
    /// The terminal is gone. What runs may finish, however long it takes.
    Hangup,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To end the run.
    End(Interrupt),
    /// To say what is running.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there is no such signal"))]
    Status,
    /// To stop for a while.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there is no such signal"))]
    Suspend,
}

impl Interrupt {
    /// The signal's number, from which exit codes 129, 130 and 143 follow.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Int => 2,
            Self::Term => 15,
            Self::Hangup => 1,
        }
    }

    /// The signal's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Int => "SIGINT",
            Self::Term => "SIGTERM",
            Self::Hangup => "SIGHUP",
        }
    }
}

/// Listens for the signals that a run heeds.
pub(crate) struct Signals {
    int: Int,
    term: Term,
    #[cfg(unix)]
    more: More,
}

/// Signals that other systems lack.
#[cfg(unix)]
struct More {
    hangup: tokio::signal::unix::Signal,
    status: tokio::signal::unix::Signal,
    suspend: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl More {
    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.hangup.recv() => Wish::End(Interrupt::Hangup),
            _ = self.status.recv() => Wish::Status,
            _ = self.suspend.recv() => Wish::Suspend,
        }
    }
}

impl Signals {
    /// Starts listening; from here on the signals no longer end the process by themselves.
    #[cfg(unix)]
    pub(crate) fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let more = More {
            hangup: signal(SignalKind::hangup())?,
            status: signal(SignalKind::user_defined1())?,
            suspend: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
        };
        let (int, term) = (SignalKind::interrupt(), SignalKind::terminate());
        Ok(Self { int: signal(int)?, term: signal(term)?, more })
    }

    /// Starts listening. Ctrl-Break is what other programs can send here.
    #[cfg(windows)]
    pub(crate) fn listen() -> std::io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c};
        Ok(Self { int: ctrl_c()?, term: ctrl_break()? })
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> Wish {
        #[cfg(unix)]
        let more = self.more.next();
        #[cfg(not(unix))]
        let more = std::future::pending();
        tokio::select! {
            _ = self.int.recv() => Wish::End(Interrupt::Int),
            _ = self.term.recv() => Wish::End(Interrupt::Term),
            wish = more => wish,
        }
    }
}
