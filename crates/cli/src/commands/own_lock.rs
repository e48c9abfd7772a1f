//! Commands that would wait for the lock they run under.

use std::path::Path;

use mambafleet_artifacts::{StoreError, SymbolStore, Wait};

use crate::error::CliError;
use crate::inherited::DIR_VARIABLE;

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
