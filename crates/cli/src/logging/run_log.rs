//! The log of a run: JSON lines in its record.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mambafleet_artifacts::append_log;
use tracing::Subscriber;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt};

/// Its name in the run's record.
pub(crate) const RUN_LOG: &str = "log.jsonl";

/// Where the lines go.
enum Place {
    /// Nowhere: there is no run yet.
    None,
    /// To this file, as soon as the directory that it is in exists.
    Named(PathBuf),
    /// To this one.
    Open(File),
}

static PLACE: Mutex<Place> = Mutex::new(Place::None);

/// Writes the lines from now on to `log`; those before the run's record exists are lost.
pub(crate) fn record_to(log: PathBuf) {
    *place() = Place::Named(log);
}

fn place() -> MutexGuard<'static, Place> {
    PLACE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line as one JSON object: what the event says, and below `spans` what it belongs to.
pub(super) fn layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(true)
        .with_writer(|| Lines)
        .log_internal_errors(false)
}

/// Takes whole lines.
struct Lines;

impl Write for Lines {
    /// Tells of success also where there is no file: a log is no reason to fail.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut place = place();
        if let Place::Named(path) = &*place
            && let Ok(file) = append_log(path)
        {
            *place = Place::Open(file);
        }
        if let Place::Open(file) = &mut *place {
            file.write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
