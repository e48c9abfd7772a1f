//! The lock of a symbol: the right to commit, with a fencing token.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use mambafleet_protocol::Symbol;

use crate::file_lock::{FileLock, LockError};
use crate::holder::Holder;
use crate::symbol_store::{Head, SymbolStore};
use crate::{StoreError, Wait};

/// The lock file: empty and permanent. Deleting it would give the lock two holders.
const LOCK_FILE: &str = ".lock";

/// Tells who took the lock last.
const OWNER_FILE: &str = ".owner.json";

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
    /// What was the newest when the lock was taken, until a commit has made use of it.
    head: Mutex<Option<Head>>,
}

impl SymbolLock {
    pub(crate) fn acquire(store: &SymbolStore, wait: Wait) -> Result<Self, StoreError> {
        let symbol = store.symbol().clone();
        let (path, note) = (store.dir().join(LOCK_FILE), store.dir().join(OWNER_FILE));
        let mut lock = match FileLock::acquire_in(store.vfs().clone(), &path, note, wait) {
            Ok(lock) => lock,
            Err(LockError::Timeout { path, waited, holder }) => {
                store.metrics().lock_timed_out(&symbol, waited);
                return Err(StoreError::LockTimeout { symbol, path, waited, holder });
            }
            Err(LockError::Io { path, source }) => {
                return Err(StoreError::Io { op: "lock", path, source });
            }
        };
        store.metrics().locked(&symbol, lock.waited());
        let head = store.head()?;
        lock.raise_token(head.manifest.as_ref().map_or(0, |newest| newest.fencing_token));
        Ok(Self { lock, symbol, head: Mutex::new(Some(head)) })
    }

    /// The symbol whose lock this is.
    #[must_use]
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// The fencing token.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.lock.token()
    }

    /// How long the lock was waited for.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.lock.waited()
    }

    /// How long it took to take the lock beyond [waiting](Self::waited) for it, without finding out
    /// what the newest generation is: that the commit needs, not the lock.
    #[must_use]
    pub fn overhead(&self) -> Duration {
        self.lock.overhead()
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.lock.path()
    }

    /// Notes that the holder is making progress; see [`FileLock::beat`].
    pub fn beat(&mut self) {
        self.lock.beat();
    }

    /// What was the newest generation when the lock was taken, for the first who asks. Should it be
    /// outdated, because the lock does nothing here, the next number turns out to be taken.
    pub(crate) fn take_head(&self) -> Option<Head> {
        self.head.lock().ok()?.take()
    }

    /// The fencing token that the next holder will draw, if the lock is free now.
    pub(crate) fn next_token(store: &SymbolStore, head: &Head) -> Option<u64> {
        let last = Holder::read(&**store.vfs(), &store.dir().join(OWNER_FILE));
        if last.as_ref().is_some_and(|last| last.released.is_none()) {
            return None;
        }
        let newest = head.manifest.as_ref().map_or(0, |newest| newest.fencing_token);
        Some(last.map_or(0, |last| last.token).max(newest).saturating_add(1))
    }

    /// Whether this is the lock of the symbol that lives in `dir`.
    pub(crate) fn guards(&self, dir: &Path) -> bool {
        self.path().parent() == Some(dir)
    }
}
