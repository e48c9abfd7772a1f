//! Standard error goes to the log of the attempt at hand.

use std::fs::File;
use std::io::{Write, stderr};
use std::path::Path;

use mambafleet_artifacts::append_log;

/// Sends standard error to `log` from now on: tracing lines, panic messages and whatever native code
/// prints last before it takes the process down; on Windows, tracing lines alone. If that fails, it
/// stays where it was.
pub(crate) fn redirect(log: &Path) {
    match append_log(log) {
        Ok(file) => replace(file, log),
        Err(error) => tracing::warn!(log = %log.display(), %error, "cannot open the log"),
    }
}

#[cfg(unix)]
fn replace(file: File, log: &Path) {
    if let Err(error) = rustix::stdio::dup2_stderr(file) {
        tracing::warn!(log = %log.display(), %error, "cannot redirect standard error");
    }
}

/// Where tracing lines go: to standard error, wherever that leads by now.
#[cfg(unix)]
pub fn log_writer() -> impl Write {
    stderr()
}

/// The log of the attempt at hand, once there was one: standard error itself cannot be exchanged
/// here.
#[cfg(windows)]
static LOG: std::sync::RwLock<Option<File>> = std::sync::RwLock::new(None);

#[cfg(windows)]
fn replace(file: File, _log: &Path) {
    *LOG.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(file);
}

/// Where tracing lines go: to the log of the attempt at hand, and to standard error before the
/// first one.
#[cfg(windows)]
pub fn log_writer() -> Box<dyn Write> {
    let log = LOG.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    match log.as_ref().map(File::try_clone) {
        Some(Ok(file)) => Box::new(file),
        None | Some(Err(_)) => Box::new(stderr()),
    }
}
