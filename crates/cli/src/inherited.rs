//! The lock under which this very program runs, when `mambafleet lock` started it.

use std::ffi::OsString;

use mambafleet_artifacts::{SymbolLock, SymbolStore};

/// Tells a command that runs under a lock which symbol is locked.
pub(crate) const SYMBOL_VARIABLE: &str = "MAMBAFLEET_LOCK_SYMBOL";

/// Tells it the lock's fencing token.
pub(crate) const TOKEN_VARIABLE: &str = "MAMBAFLEET_LOCK_TOKEN";

/// Tells it the symbol's directory.
pub(crate) const DIR_VARIABLE: &str = "MAMBAFLEET_SYMBOL_DIR";

/// What a command that runs under `lock` finds in its environment.
pub(crate) fn variables(lock: &SymbolLock, store: &SymbolStore) -> [(&'static str, OsString); 3] {
    [
        (SYMBOL_VARIABLE, lock.symbol().to_string().into()),
        (TOKEN_VARIABLE, lock.token().to_string().into()),
        (DIR_VARIABLE, store.dir().into()),
    ]
}
