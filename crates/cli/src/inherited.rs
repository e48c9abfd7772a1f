//! The lock under which this very program runs, when `mambafleet lock` started it.

use std::ffi::OsString;
use std::path::Path;

use mambafleet_artifacts::{StoreError, SymbolLock, SymbolStore, Wait};

use crate::error::CliError;

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

/// Refuses to wait for a lock that an ancestor of this process holds until this process ends.
///
/// The variable alone proves nothing: a process that outlived `mambafleet lock` has it too.
pub(crate) fn refuse_own(store: &SymbolStore) -> Result<(), CliError> {
    let own = std::env::var_os(DIR_VARIABLE).is_some_and(|dir| Path::new(&dir) == store.dir());
    if !own {
        return Ok(());
    }
    match store.lock(Wait::Fail) {
        Err(error @ StoreError::LockTimeout { .. }) => Err(CliError::from(error).with_hint(
            format!("`mambafleet lock {}` holds it until this command ends", store.symbol()),
        )),
        result => result.map(drop).map_err(Into::into),
    }
}
