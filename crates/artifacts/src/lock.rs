//! The lock of a symbol: the right to commit, with a fencing token.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mambafleet_protocol::Symbol;
use serde::{Deserialize, Serialize};

use crate::error::IoContext;
use crate::file_lock::FileLock;
use crate::manifest::encode_json;
use crate::symbol_store::SymbolStore;
use crate::{StoreError, Writer, durable};

/// The lock file: empty and permanent. Deleting it would give the lock two holders.
const LOCK_FILE: &str = ".lock";

/// Tells who took the lock last.
const OWNER_FILE: &str = ".owner.json";

/// How long to wait for a lock that somebody else holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    Fail,
    /// At most this long.
    Until(Duration),
}

/// Who took a symbol's lock last: diagnostics, nothing relies on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub writer: Writer,
    /// When it got the lock.
    pub since: Timestamp,
    /// The fencing token it drew.
    pub token: u64,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} since {:.0}", self.writer, self.since)
    }
}

/// The right to commit generations of one symbol, held until this is dropped.
///
/// The lock lies on a file of the symbol's directory and is freed by the kernel when the process
/// dies. Each holder draws a *fencing token* above all earlier ones; a holder whose lock was lost
/// without its knowing is recognised by a token that is too low, and is refused.
#[derive(Debug)]
#[must_use = "the lock is freed as soon as this is dropped"]
pub struct SymbolLock {
    lock: FileLock,
    symbol: Symbol,
    token: u64,
    waited: Duration,
}

impl SymbolLock {
    pub(crate) fn acquire(store: &SymbolStore, wait: Wait) -> Result<Self, StoreError> {
        let symbol = store.symbol();
        let path = store.dir().join(LOCK_FILE);
        let started = Instant::now();
        let lock = FileLock::acquire(&path, wait).at("lock", &path)?;
        let waited = started.elapsed();
        let owner_file = store.dir().join(OWNER_FILE);
        let Some(lock) = lock else {
            let holder = read_holder(&owner_file).map(Box::new);
            return Err(StoreError::LockTimeout { symbol: symbol.clone(), path, waited, holder });
        };
        let committed = store.head()?.manifest.map_or(0, |newest| newest.fencing_token);
        let drawn = read_holder(&owner_file).map_or(0, |holder| holder.token);
        let token = committed.max(drawn).saturating_add(1);
        record_holder(&owner_file, token);
        tracing::debug!(%symbol, token, ?waited, "locked");
        Ok(Self { lock, symbol: symbol.clone(), token, waited })
    }

    /// The symbol whose lock this is.
    #[must_use]
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// The fencing token.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }

    /// How long the lock was waited for.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.lock.path()
    }

    /// Whether this is the lock of the symbol that lives in `dir`.
    pub(crate) fn guards(&self, dir: &Path) -> bool {
        self.path().parent() == Some(dir)
    }
}

/// The last holder, when the file tells; it may be missing, torn or from another version.
fn read_holder(path: &Path) -> Option<Holder> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Best effort: a commit must not fail because its diagnostics cannot be written.
fn record_holder(path: &Path, token: u64) {
    let holder = Holder { writer: Writer::current().clone(), since: Timestamp::now(), token };
    let written = encode_json(&holder)
        .map_err(std::io::Error::from)
        .and_then(|bytes| durable::overwrite_hint(path, &bytes));
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "cannot record the holder of the lock");
    }
}
