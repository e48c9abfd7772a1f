//! Exit codes.

use std::process::ExitCode;

/// How the program ends; part of the command line's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All symbols are trained, up to date or kept; the command did what it was asked.
    Success,
    /// The operating system refused something, or an internal error.
    Internal,
    /// A backend deviates from the reference by more than is allowed.
    Deviates,
    /// Wrong arguments or configuration.
    Usage,
    /// Some symbols failed; the others are committed.
    SomeFailed,
    /// Nothing was selected.
    NothingSelected,
    /// Somebody else holds a lock.
    Busy,
    /// The store is damaged.
    Damaged,
    /// The deadline came before all symbols were done.
    Deadline,
    /// The terminal went away (SIGHUP); what ran has finished.
    Hangup,
    /// Interrupted by SIGINT; everything finished so far is committed.
    Interrupted,
    /// Interrupted by SIGTERM; everything finished so far is committed.
    Terminated,
    /// The exit code of a command that was run on the user's behalf.
    Command(u8),
}

impl Exit {
    /// The code as the shell sees it.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Internal | Self::Deviates => 1,
            Self::Usage => 2,
            Self::SomeFailed => 3,
            Self::NothingSelected => 4,
            Self::Busy => 5,
            Self::Damaged => 6,
            Self::Deadline => 7,
            Self::Hangup => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::Command(code) => code,
        }
    }
}

impl Exit {
    /// The name that errors in JSON have for it.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Internal => "internal",
            Self::Deviates => "deviates",
            Self::Usage => "usage",
            Self::SomeFailed => "failed",
            Self::NothingSelected => "nothing_selected",
            Self::Busy => "busy",
            Self::Damaged => "damaged",
            Self::Deadline => "deadline",
            Self::Hangup | Self::Interrupted | Self::Terminated => "interrupted",
            Self::Command(_) => "command",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Every code that the program itself ends with, and what it means: what help, man pages and the
/// reference page say.
pub(crate) const MEANINGS: [(Exit, &str); 11] = [
    (Exit::Success, "all symbols trained, up to date or kept; the command did what it was asked"),
    (Exit::Internal, "the system refused something, or an internal error"),
    (Exit::Usage, "wrong usage or configuration"),
    (Exit::SomeFailed, "some symbols failed, the others are committed"),
    (Exit::NothingSelected, "nothing selected"),
    (Exit::Busy, "busy: another process holds the lock, or another run has the same symbols"),
    (Exit::Damaged, "the store is damaged"),
    (Exit::Deadline, "the deadline came before all symbols were done, the others are committed"),
    (Exit::Hangup, "the terminal went away (SIGHUP), what ran has finished and is committed"),
    (Exit::Interrupted, "interrupted (SIGINT), everything finished so far is committed"),
    (Exit::Terminated, "terminated (SIGTERM), everything finished so far is committed"),
];

/// The section of `--help` that documents the exit codes.
pub(crate) fn help() -> String {
    let line = |(exit, meaning): &(Exit, &str)| format!("\n{:>5}  {meaning}", exit.code());
    let lines: String = MEANINGS.iter().map(line).collect();
    format!("Exit codes:{lines}")
}
