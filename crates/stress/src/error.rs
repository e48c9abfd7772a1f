//! What can go wrong with a test, as opposed to what the test finds.

use std::path::PathBuf;

use mambafleet_artifacts::StoreError;

/// Why a test could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StressError {
    /// The operating system refused an operation.
    #[error("cannot {op} {}", .path.display())]
    Io {
        /// What was attempted, as a verb.
        op: &'static str,
        /// The file or directory concerned.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The store refused an operation.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The processes could not be run.
    #[error("cannot run the processes of the test")]
    Processes(#[source] std::io::Error),
    /// A file of a set could not be laid out.
    #[error("cannot lay out a file: {0}")]
    Encode(String),
    /// A member of the test was told what it does not understand.
    #[error("a member of the contention test got orders that it does not understand: {0}")]
    Orders(String),
    /// The test was interrupted; its processes are gone.
    #[error("interrupted by signal {signal}; all processes of the test are gone")]
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
}

/// Adds what was attempted, and where, to an error of the operating system.
pub(crate) trait IoContext<T> {
    fn at(self, op: &'static str, path: &std::path::Path) -> Result<T, StressError>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn at(self, op: &'static str, path: &std::path::Path) -> Result<T, StressError> {
        self.map_err(|source| StressError::Io { op, path: path.to_owned(), source })
    }
}
