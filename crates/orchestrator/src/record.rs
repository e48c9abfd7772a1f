//! The directory of a run: `runs/<run-id>/`.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mambafleet_artifacts::{
    FileLock, LockError, StoreError, Wait, append_file, append_log, atomic_write_json,
    create_dir_durable,
};
use mambafleet_protocol::RunId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{RunPlan, RunSummary, StampedEvent};

/// File of a run's record with a [`StampedEvent`] per line.
pub(crate) const EVENTS_FILE: &str = "events.jsonl";

/// File that is locked as long as the run goes on.
const LOCK_FILE: &str = ".lock";

/// The directory of a run, open for writing. `plan.json` is written at its creation,
/// `events.jsonl` grows by one line per event, `summary.json` appears when the run has ended,
/// and `logs/` holds one file per attempt.
#[derive(Debug)]
pub struct RunRecord {
    dir: PathBuf,
    events: File,
    healthy: bool,
    /// Held as long as the run goes on, so that others can tell.
    _running: FileLock,
}

/// A run's record cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A directory or file cannot be made.
    #[error("cannot write the run's record: {0}")]
    Write(#[from] StoreError),
    /// The run's own lock cannot be taken or looked at.
    #[error("cannot lock the run's record: {0}")]
    Lock(#[from] LockError),
    /// A file or directory cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// What cannot be read.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error("{} is not what this version writes there", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// The content of a JSON file; `None` if it is not there.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RecordError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(RecordError::Read { path: path.to_owned(), source }),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| RecordError::Content { path: path.to_owned(), source })
}

impl RunRecord {
    /// Where the record of a run lies.
    #[must_use]
    pub fn dir_of(runs: &Path, run: &RunId) -> PathBuf {
        runs.join(run.as_str())
    }

    /// Makes the directory below `runs` and writes the plan.
    ///
    /// # Errors
    /// [`RecordError`] when a directory or file cannot be written.
    pub fn create(runs: &Path, plan: &RunPlan) -> Result<Self, RecordError> {
        let dir = Self::dir_of(runs, &plan.run);
        create_dir_durable(&dir.join("logs"))?;
        let running = FileLock::acquire(dir.join(LOCK_FILE), Wait::Fail)?;
        atomic_write_json(&dir.join("plan.json"), plan)?;
        let events = append_file(&dir.join(EVENTS_FILE))?;
        Ok(Self { dir, events, healthy: true, _running: running })
    }

    /// Whether the run still goes on, that is whether a process lives that carries it out.
    ///
    /// # Errors
    /// [`RecordError::Lock`] where locks do not work.
    pub fn is_running(runs: &Path, run: &RunId) -> Result<bool, RecordError> {
        Ok(FileLock::is_held(&Self::dir_of(runs, run).join(LOCK_FILE))?)
    }

    /// The plan of an earlier run; `None` if there is no such run.
    ///
    /// # Errors
    /// [`RecordError`] when the plan is there and cannot be read.
    pub fn plan(runs: &Path, run: &RunId) -> Result<Option<RunPlan>, RecordError> {
        read_json(&Self::dir_of(runs, run).join("plan.json"))
    }

    /// The newest run that did not end well: it has no summary, or one with a symbol that has no
    /// current generation.
    ///
    /// # Errors
    /// [`RecordError`] when the directory of all runs or a summary cannot be read.
    pub fn unfinished(runs: &Path) -> Result<Option<RunId>, RecordError> {
        for run in Self::newest_first(runs)? {
            if !Self::dir_of(runs, &run).join("plan.json").is_file() {
                continue;
            }
            let summary = Self::summary(runs, &run)?;
            if !summary.is_some_and(|summary| summary.all_good()) {
                return Ok(Some(run));
            }
        }
        Ok(None)
    }

    /// All runs, the newest first.
    ///
    /// # Errors
    /// [`RecordError`] when the directory of all runs is there and cannot be read.
    pub fn newest_first(runs: &Path) -> Result<Vec<RunId>, RecordError> {
        let unreadable = |source| RecordError::Read { path: runs.to_owned(), source };
        let entries = match std::fs::read_dir(runs) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut ids: Vec<RunId> = names.filter_map(|name| name.parse().ok()).collect();
        // They begin with the time.
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    /// What remains of an earlier run; `None` if it has not ended, or there is no such run.
    ///
    /// # Errors
    /// [`RecordError`] when the summary is there and cannot be read.
    pub fn summary(runs: &Path, run: &RunId) -> Result<Option<RunSummary>, RecordError> {
        read_json(&Self::dir_of(runs, run).join("summary.json"))
    }

    /// The run's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Adds one event. A record that can no longer be written (a full disk) must not cost a
    /// symbol its model: the loss is logged once and the run goes on.
    pub fn append(&mut self, event: &StampedEvent) {
        let written = line(event).and_then(|line| self.events.write_all(line.as_bytes()));
        match written {
            Ok(()) => self.healthy = true,
            Err(error) if self.healthy => {
                self.healthy = false;
                tracing::error!(dir = %self.dir.display(), %error, "cannot write the event log");
            }
            Err(_) => {}
        }
    }

    /// Adds a line about what went wrong to an attempt's log, which also holds what its worker writes to
    /// standard error. A log that cannot be written is no reason to stop.
    pub fn note(log: &Path, text: &str) {
        let line = format!("{:.6} ERROR {}: {text}\n", Timestamp::now(), module_path!());
        let written = append_log(log)
            .map_err(std::io::Error::other)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            tracing::warn!(log = %log.display(), %error, "cannot write an attempt's log");
        }
    }

    /// Writes `summary.json`.
    ///
    /// # Errors
    /// [`RecordError`] when it cannot be written.
    pub fn finish(&self, summary: &RunSummary) -> Result<(), RecordError> {
        Ok(atomic_write_json(&self.dir.join("summary.json"), summary)?)
    }
}

/// One line of the log, written in a single call so that readers never see half of it on a
/// healthy file system.
fn line(event: &impl Serialize) -> std::io::Result<String> {
    let mut line = serde_json::to_string(event)?;
    line.push('\n');
    Ok(line)
}
