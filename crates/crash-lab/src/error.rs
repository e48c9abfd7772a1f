//! What can go wrong in the lab itself, as opposed to what it finds.

use std::io;

use mambafleet_artifacts::StoreError;

/// Why the lab could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The operating system refused an operation.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A program that the lab needs failed.
    #[error("{command} failed: {output}")]
    Command {
        /// The command line.
        command: String,
        /// What it printed.
        output: String,
    },
    /// A log of dm-log-writes cannot be understood.
    #[error("the log makes no sense at byte {at}: {reason}")]
    Log {
        /// Where in the log.
        at: usize,
        /// Why not.
        reason: &'static str,
    },
    /// A mark in the log, or a result in a file, cannot be understood.
    #[error("cannot understand {0:?}")]
    Parse(String),
    /// The store failed where nothing was wrong with the disk.
    #[error("the store failed on a sound disk: {0}")]
    Store(#[from] StoreError),
}

/// Says what was attempted when the operating system refuses.
pub trait Context<T> {
    /// Adds `what` to an error.
    ///
    /// # Errors
    /// [`LabError::Io`] where there was one.
    fn context(self, what: impl FnOnce() -> String) -> Result<T, LabError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, LabError> {
        self.map_err(|source| LabError::Io { what: what(), source: source.into() })
    }
}
