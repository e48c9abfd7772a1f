//! What can go wrong, and what can be wrong with a generation.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mambafleet_protocol::Symbol;
use serde::Serialize;

use crate::holder::holder_text;
use crate::{Digest, Holder};

/// Why an operation on a store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused an operation.
    #[error("cannot {op} {}", .path.display())]
    Io {
        /// What was attempted, as a verb: "open", "sync".
        op: &'static str,
        /// The file or directory concerned.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no store at this path.
    #[error("{} is not a store: it has no store.json", .path.display())]
    NotAStore {
        /// The directory that was opened.
        path: PathBuf,
    },
    /// The file that names the store's format cannot be understood.
    #[error("{} is damaged: {reason}", .path.display())]
    BadStoreFile {
        /// The path of `store.json`.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The store was written by a newer version of this program.
    #[error(
        "the store {} has format version {found}; this program knows up to {supported}: use a newer one",
        .path.display()
    )]
    FormatVersion {
        /// The store's root directory.
        path: PathBuf,
        /// The version that `store.json` names.
        found: u32,
        /// The newest version that this program can use.
        supported: u32,
    },
    /// The generation does not exist, or was removed while it was read.
    #[error("{symbol} has no generation {generation}")]
    NotFound {
        /// The symbol.
        symbol: Symbol,
        /// The generation asked for.
        generation: u64,
    },
    /// Generations were removed again and again while one was being read.
    #[error("gave up reading {symbol}: its generations vanished {attempts} times while being read")]
    Unstable {
        /// The symbol.
        symbol: Symbol,
        /// How often the read was started.
        attempts: u32,
    },
    /// A generation does not verify.
    #[error("generation {generation} of {symbol} is damaged: {file}: {problem}")]
    Corrupt {
        /// The symbol.
        symbol: Symbol,
        /// The damaged generation.
        generation: u64,
        /// The file in it that is damaged.
        file: String,
        /// What was expected and what was found.
        problem: Box<Problem>,
    },
    /// A generation holds no file of this name.
    #[error("generation {generation} of {symbol} has no file {file}")]
    NoFile {
        /// The symbol.
        symbol: Symbol,
        /// The generation.
        generation: u64,
        /// The file asked for.
        file: String,
    },
    /// A file is intact, but does not hold what the caller asked for.
    #[error("{file} in generation {generation} of {symbol} cannot be decoded: {reason}")]
    Decode {
        /// The symbol.
        symbol: Symbol,
        /// The generation.
        generation: u64,
        /// The file.
        file: String,
        /// Why not.
        reason: String,
    },
    /// A value cannot be written as JSON.
    #[error("cannot encode {what} as JSON")]
    Encode {
        /// The file it was meant for.
        what: String,
        /// What the serialiser said.
        source: serde_json::Error,
    },
    /// The name cannot be a file of a generation.
    #[error("{name:?} cannot be a file of a generation: {reason}")]
    InvalidName {
        /// The offending name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A tensor cannot be stored.
    #[error("tensor {name:?} cannot be stored: {reason}")]
    InvalidTensor {
        /// The tensor's name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// The transaction holds no file, so there is nothing to commit.
    #[error("the transaction of {symbol} holds no file")]
    Empty {
        /// The symbol.
        symbol: Symbol,
    },
    /// An earlier write to this transaction failed, so it cannot be committed.
    #[error("an earlier write to this transaction of {symbol} failed; begin a new one")]
    Abandoned {
        /// The symbol.
        symbol: Symbol,
    },
    /// The guard given to a commit belongs to another symbol or store.
    #[error("the lock {} does not guard {symbol} in {}", .guard.display(), .directory.display())]
    WrongLock {
        /// The symbol to be committed.
        symbol: Symbol,
        /// Its directory.
        directory: PathBuf,
        /// The lock file of the guard.
        guard: PathBuf,
    },
    /// The symbol's lock did not become free in time.
    #[error(
        "{symbol} is busy: waited {waited:.1?} for {}, held by {}; \
         to wait longer, raise lock.timeout (--lock-timeout)",
        .path.display(), holder_text(.holder.as_deref())
    )]
    LockTimeout {
        /// The symbol.
        symbol: Symbol,
        /// Its lock file.
        path: PathBuf,
        /// How long this caller waited.
        waited: Duration,
        /// Who holds it, as far as is known.
        holder: Option<Box<Holder>>,
    },
    /// A later holder of the lock has already committed: this one's hold was lost.
    #[error(
        "the lock on {symbol} was lost: generation {generation} was committed with fencing token \
         {found}, above this writer's {token}"
    )]
    Fenced {
        /// The symbol.
        symbol: Symbol,
        /// The newest generation.
        generation: u64,
        /// Its fencing token.
        found: u64,
        /// The token of the lock given to the commit.
        token: u64,
    },
    /// The commit asked for a given parent, and another generation is the newest.
    #[error(
        "{symbol}: expected {} to be the newest, found {}: another writer was quicker",
        generation_text(*.expected), generation_text(*.found)
    )]
    Conflict {
        /// The symbol.
        symbol: Symbol,
        /// The parent asked for; none when there should have been no generation.
        expected: Option<u64>,
        /// The newest intact generation, if there is one.
        found: Option<u64>,
    },
    /// Other writers took every generation number that this commit tried.
    #[error(
        "{symbol}: other writers took {attempts} generation numbers in a row, up to {generation}; \
         does the lock work on this file system?"
    )]
    Contended {
        /// The symbol.
        symbol: Symbol,
        /// The last number tried.
        generation: u64,
        /// How many were tried.
        attempts: u32,
    },
    /// There is not enough room for a file, so that writing it was not begun.
    #[error(
        "no room in {}: {needed} bytes are needed, {available} are free",
        .path.display()
    )]
    NoSpace {
        /// The directory.
        path: PathBuf,
        /// The bytes needed, with some to spare.
        needed: u64,
        /// The bytes that this user may still write.
        available: u64,
    },
    /// There is something already where a new directory should go.
    #[error("{} exists already", .path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// A copy of a generation inside the store would be taken for a part of it.
    #[error("{} lies inside the store", .path.display())]
    InsideStore {
        /// The path.
        path: PathBuf,
    },
    /// The file system ignores locks.
    #[error(
        "locks do nothing in {}: two handles of one file were locked at once",
        .path.display()
    )]
    LocksDoNothing {
        /// The store's root directory.
        path: PathBuf,
    },
    /// The generation is visible, but it could not be made sure that it survives a power cut.
    #[error(
        "generation {generation} of {symbol} is visible but may not survive a power cut; \
         verify it, or commit again"
    )]
    CommitUncertain {
        /// The symbol.
        symbol: Symbol,
        /// The generation in doubt.
        generation: u64,
        /// The sync that failed.
        source: Box<StoreError>,
    },
}

impl StoreError {
    /// Whether stored data or the store itself is damaged.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::BadStoreFile { .. })
    }

    /// Whether somebody else held the symbol's lock for too long.
    #[must_use]
    pub fn is_lock_timeout(&self) -> bool {
        matches!(self, Self::LockTimeout { .. })
    }

    /// What the user can do about it, where the error itself does not say.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match self {
            Self::NoSpace { .. } => Some(FREE_SPACE),
            Self::LocksDoNothing { .. } => Some(
                "put the store on a file system with working locks: without them generations stay \
                 whole, but writers race for numbers",
            ),
            Self::CommitUncertain { source, .. } => source.advice(),
            Self::Io { source, .. } => match source.kind() {
                StorageFull => Some(FREE_SPACE),
                QuotaExceeded => Some("raise the disk quota, or remove old generations with gc"),
                PermissionDenied => Some("check who owns the store, and its permissions"),
                ReadOnlyFilesystem => Some("the file system is mounted read-only; remount it"),
                _ if too_many_files(source) => Some("raise the limit of open files (ulimit -n)"),
                _ if source.raw_os_error() == Some(UNREADABLE) => {
                    Some("the disk reports errors: check the kernel's log, and verify the store")
                }
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn corrupt(symbol: &Symbol, fault: Fault) -> Self {
        let Fault { generation, file, problem } = fault;
        Self::Corrupt { symbol: symbol.clone(), generation, file, problem: Box::new(problem) }
    }
}

const FREE_SPACE: &str = "free some space, for instance by removing old generations with gc";

/// What the system says of a bad sector or a checksum of its own that does not fit.
#[cfg(unix)]
pub(crate) const UNREADABLE: i32 = rustix::io::Errno::IO.raw_os_error();
#[cfg(not(unix))]
pub(crate) const UNREADABLE: i32 = 23; // ERROR_CRC

#[cfg(unix)]
fn too_many_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let codes = [Errno::MFILE.raw_os_error(), Errno::NFILE.raw_os_error()];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(not(unix))]
fn too_many_files(error: &io::Error) -> bool {
    error.raw_os_error() == Some(4) // ERROR_TOO_MANY_OPEN_FILES
}

fn generation_text(generation: Option<u64>) -> String {
    generation.map_or_else(|| "no generation".to_owned(), |number| format!("generation {number}"))
}

/// One thing that is wrong with one file of one generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("generation {generation}: {file}: {problem}")]
pub struct Fault {
    /// The generation.
    pub generation: u64,
    /// The file in it.
    pub file: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a file of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Problem {
    /// The file is not there.
    #[error("missing")]
    Missing,
    /// The manifest does not list the file.
    #[error("not listed in the manifest")]
    Extra,
    /// A directory, link or device stands where a file should.
    #[error("not a regular file")]
    NotAFile,
    /// The disk cannot read the file back.
    #[error("unreadable: {reason}")]
    Unreadable {
        /// What the operating system said.
        reason: String,
    },
    /// The file is shorter or longer than it was.
    #[error("expected {expected} bytes, found {found}")]
    Length {
        /// The length in the manifest.
        expected: u64,
        /// The length on disk.
        found: u64,
    },
    /// The content is not what was written.
    #[error("expected BLAKE3 {expected}, found {found}")]
    Hash {
        /// The hash in the manifest.
        expected: Digest,
        /// The hash of the content.
        found: Digest,
    },
    /// The manifest cannot be understood.
    #[error("not a manifest: {reason}")]
    NotAManifest {
        /// Why not.
        reason: String,
    },
    /// The manifest says the right thing in other bytes than those that were written.
    #[error("not in the form in which it was written")]
    NotCanonical,
    /// The manifest belongs to another symbol or generation.
    #[error("it describes {found}, not {expected}")]
    Misplaced {
        /// Symbol and generation that the directory names.
        expected: String,
        /// Symbol and generation that the manifest names.
        found: String,
    },
    /// The manifest names a parent that is not the generation before.
    #[error("its parent is {recorded}, but {found}")]
    Parent {
        /// The parent in the manifest.
        recorded: String,
        /// What stands there instead.
        found: String,
    },
}

/// Adds what was attempted, and where, to an error of the operating system.
pub(crate) trait IoContext<T> {
    fn at(self, op: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, op: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Io { op, path: path.to_owned(), source })
    }
}
