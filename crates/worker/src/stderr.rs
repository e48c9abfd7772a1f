//! Standard error goes to the log of the attempt at hand.

use std::path::Path;

use mambafleet_artifacts::append_file;

/// Sends standard error to `log` from now on: tracing lines, panic messages and whatever native
/// code prints last before it takes the process down. If that fails, it stays where it was.
pub(crate) fn redirect(log: &Path) {
    match append_file(log) {
        Ok(file) => replace(&file, log),
        Err(error) => tracing::warn!(log = %log.display(), %error, "cannot open the log"),
    }
}

#[cfg(unix)]
fn replace(file: &std::fs::File, log: &Path) {
    if let Err(error) = rustix::stdio::dup2_stderr(file) {
        tracing::warn!(log = %log.display(), %error, "cannot redirect standard error");
    }
}

#[cfg(not(unix))]
fn replace(_file: &std::fs::File, log: &Path) {
    tracing::info!(log = %log.display(), "the log of this attempt follows here");
}
