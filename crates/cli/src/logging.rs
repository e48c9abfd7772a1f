//! Tracing lines on standard error.

use tracing_subscriber::EnvFilter;

use crate::reporters::line_writer;
use crate::style::Look;

/// Environment variable that chooses what is logged, in tracing's filter syntax.
pub(crate) const LOG_VARIABLE: &str = "MAMBAFLEET_LOG";

/// Sends tracing lines to standard error. `default` applies unless [`LOG_VARIABLE`] says
/// otherwise. `timed` lines carry the time and the module they come from, as logs do.
pub(crate) fn init(default: &str, timed: bool) {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(default));
    let colour = Look::of_stderr().colour;
    // A log that cannot be written (a full disk, a closed terminal) must not end the program.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_writer(line_writer)
        .log_internal_errors(false);
    if timed {
        lines.init();
    } else {
        lines.without_time().with_target(false).init();
    }
}
