//! The directory of a run: `runs/<run-id>/`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mambafleet_artifacts::{StoreError, append_file, atomic_write_json, create_dir_durable};
use serde::Serialize;

use crate::{RunPlan, RunSummary, StampedEvent};

/// The directory of a run, open for writing. `plan.json` is written at its creation,
/// `events.jsonl` grows by one line per event, `summary.json` appears when the run has ended,
/// and `logs/` holds one file per attempt.
#[derive(Debug)]
pub struct RunRecord {
    dir: PathBuf,
    events: File,
    healthy: bool,
}

/// A run's directory could not be made or completed.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the run's record: {0}")]
pub struct RecordError(#[from] StoreError);

impl RunRecord {
    /// Where the record of a run lies.
    #[must_use]
    pub fn dir_of(runs: &Path, plan: &RunPlan) -> PathBuf {
        runs.join(plan.run.as_str())
    }

    /// Makes the directory below `runs` and writes the plan.
    ///
    /// # Errors
    /// [`RecordError`] when a directory or file cannot be written.
    pub fn create(runs: &Path, plan: &RunPlan) -> Result<Self, RecordError> {
        let dir = Self::dir_of(runs, plan);
        create_dir_durable(&dir.join("logs"))?;
        atomic_write_json(&dir.join("plan.json"), plan)?;
        let events = append_file(&dir.join("events.jsonl"))?;
        Ok(Self { dir, events, healthy: true })
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

    /// Adds a line to an attempt's log, which also holds what its worker writes to standard
    /// error. A log that cannot be written is no reason to stop.
    pub fn note(log: &Path, text: &str) {
        let line = format!("{} {text}\n", Timestamp::now());
        let written = append_file(log)
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
