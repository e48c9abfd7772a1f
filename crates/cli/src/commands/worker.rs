//! `mambafleet worker`: the hidden side of the orchestrator.

use std::io::{BufReader, stdin, stdout};
use std::time::Duration;

use mambafleet_worker::serve;

use super::registry;
use crate::error::CliError;
use crate::exit::Exit;
use crate::plan::PROGRAM;

/// How long running work may take to notice that the orchestrator is gone.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves jobs from standard input until told to stop.
pub(crate) fn run() -> Result<Exit, CliError> {
    serve(&registry()?, PROGRAM, BufReader::new(stdin()), stdout(), parent_gone)?;
    Ok(Exit::Success)
}

/// Ends the process if it has not ended by itself. A commit that this cuts short is no loss: it
/// is whole or invisible at every moment.
#[expect(clippy::disallowed_methods, reason = "the one place that must end a busy process")]
pub(crate) fn parent_gone() {
    std::thread::sleep(FAREWELL);
    std::process::exit(i32::from(Exit::Interrupted.code()));
}
