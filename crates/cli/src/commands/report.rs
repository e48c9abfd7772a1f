//! `mambafleet report`: a page about a run.

use std::path::{Path, PathBuf};

use mambafleet_artifacts::{Store, atomic_write};
use mambafleet_orchestrator::RunRecord;
use mambafleet_protocol::{RunId, cause_chain};
use mambafleet_report::{everything, html};
use serde::Serialize;

use super::open_store;
use super::run_name::find_run;
use crate::args::{Common, ReportArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::place::{check_outside, check_place};

/// The page in a run's record.
const REPORT_FILE: &str = "report.html";

/// A page that was written.
#[derive(Serialize)]
struct Written<'a> {
    path: &'a Path,
    run: &'a RunId,
    bytes: usize,
    symbols: usize,
}

/// A page, not written yet.
struct Report {
    html: String,
    symbols: usize,
}

/// Writes the page about a run, and says where it lies.
pub(crate) fn run(common: &Common, args: &ReportArgs, output: Output) -> Result<Exit, CliError> {
    let store = open_store(common)?;
    if let Some(file) = args.output.as_deref().filter(|file| *file != Path::new("-")) {
        check_place("--output", file)?;
        check_outside("--output", file, store.root())?;
    }
    let runs = store.runs_dir();
    let run = find_run(&runs, &args.run)?;
    let other = args.compare.as_deref().map(|name| find_run(&runs, name)).transpose()?;
    let report = make(&store, &run, other.as_ref())?;
    let path = args.output.clone().unwrap_or_else(|| place(&store, &run));
    if path == Path::new("-") {
        output.bytes(report.html.as_bytes())?;
        return Ok(Exit::Success);
    }
    atomic_write(&path, report.html.as_bytes())?;
    let (bytes, symbols) = (report.html.len(), report.symbols);
    let written = Written { path: &path, run: &run, bytes, symbols };
    output.result("report", written, || path.display().to_string())?;
    Ok(Exit::Success)
}

/// Writes the page of a run that has just ended to its record. A run is none the worse without one.
pub(super) fn leave(store: &Store, run: &RunId) -> Option<PathBuf> {
    let path = place(store, run);
    let written =
        make(store, run, None).and_then(|report| Ok(atomic_write(&path, report.html.as_bytes())?));
    match written {
        Ok(()) => Some(path),
        Err(error) => {
            tracing::warn!(error = error.message(), "there is no report");
            None
        }
    }
}

/// The page that a run has left, if it has.
pub(super) fn page_of(store: &Store, run: &RunId) -> Option<PathBuf> {
    Some(place(store, run)).filter(|path| path.is_file())
}

/// The line that says where a page lies.
pub(super) fn where_it_lies(path: &Path) -> String {
    format!("report: {}", path.display())
}

/// Where the page about a run lies unless somebody wants it elsewhere.
fn place(store: &Store, run: &RunId) -> PathBuf {
    RunRecord::dir_of(&store.runs_dir(), run).join(REPORT_FILE)
}

fn make(store: &Store, run: &RunId, other: Option<&RunId>) -> Result<Report, CliError> {
    let gone = || CliError::new(Exit::NothingSelected, format!("there is no run {run} any more"));
    let (page, details) = everything(store, run, other).ok_or_else(gone)?;
    let html = html(&page, &details)
        .map_err(|error| CliError::new(Exit::Internal, cause_chain(&error)))?;
    Ok(Report { html, symbols: details.len() })
}
