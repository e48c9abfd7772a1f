//! The event file of one attempt.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use mambafleet_artifacts::{StoreError, append_file, create_dir_durable};

use super::event::{Event, What};
use super::record::frame;

/// An event file, open for writing. Every event is one write, so whoever follows the file sees it at
/// once.
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
}

/// An event file cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// It or its directory cannot be made.
    #[error(transparent)]
    Create(#[from] StoreError),
    /// An event cannot be added.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl EventFile {
    /// Creates the file, its directory too, and writes what every file begins with. TensorBoard reads
    /// the files of a directory in the order of their names.
    pub(super) fn create(dir: &Path, name: &str, wall_time: f64) -> Result<Self, FileError> {
        create_dir_durable(dir)?;
        let path = dir.join(name);
        let file = append_file(&path)?;
        let mut new = Self { path, file };
        new.write(wall_time, 0, What::Version)?;
        new.write(wall_time, 0, What::Start)?;
        Ok(new)
    }

    /// Adds an event.
    pub(super) fn write(
        &mut self,
        wall_time: f64,
        step: usize,
        what: What<'_>,
    ) -> Result<(), FileError> {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let record = frame(&Event { wall_time, step, what }.encode());
        let written = self.file.write_all(&record);
        written.map_err(|source| FileError::Write { path: self.path.clone(), source })
    }
}

#[cfg(all(test, target_os = "linux"))]
impl EventFile {
    /// A file on a disk that is full.
    pub(super) fn full_disk() -> Result<Self, StoreError> {
        let path = PathBuf::from("/dev/full");
        append_file(&path).map(|file| Self { path, file })
    }
}
