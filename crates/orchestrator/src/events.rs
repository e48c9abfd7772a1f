//! Reading the events of a run, also while they are written.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use mambafleet_protocol::RunId;

use crate::record::EVENTS_FILE;
use crate::{RecordError, RunRecord, StampedEvent};

/// The most that is read at a time.
const CHUNK: u64 = 16 << 20;

/// A reader of `events.jsonl` that goes on where it stopped.
///
/// A line that is not complete yet is left for the next time. Lines that are no events of this
/// version, such as those of a later one, are counted and left out.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    /// What has been taken in so far, in bytes.
    position: u64,
    foreign: usize,
}

impl EventLog {
    /// The log of a run, from its beginning. Nothing is opened yet.
    #[must_use]
    pub fn of(runs: &Path, run: &RunId) -> Self {
        let path = RunRecord::dir_of(runs, run).join(EVENTS_FILE);
        Self { path, position: 0, foreign: 0 }
    }

    /// Lines so far that are no events of this version.
    #[must_use]
    pub fn foreign(&self) -> usize {
        self.foreign
    }

    /// Everything that was added since the last time; nothing while there is no such file. Of a log that
    /// grew by more than some megabytes at once, the rest is left for the next time.
    ///
    /// # Errors
    /// [`RecordError::Read`] when the file is there and cannot be read.
    pub fn read_on(&mut self) -> Result<Vec<StampedEvent>, RecordError> {
        let unreadable = |source| RecordError::Read { path: self.path.clone(), source };
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        file.seek(SeekFrom::Start(self.position)).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(CHUNK).read_to_end(&mut bytes).map_err(unreadable)?;
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        self.position += end as u64 + 1;
        let lines = bytes[..end].split(|byte| *byte == b'\n');
        let mut events = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(event) => events.push(event),
                Err(_) => self.foreign += 1,
            }
        }
        Ok(events)
    }

    /// Everything there is from here on.
    ///
    /// # Errors
    /// [`RecordError::Read`] when the file is there and cannot be read.
    pub fn read_all(&mut self) -> Result<Vec<StampedEvent>, RecordError> {
        let mut all = Vec::new();
        loop {
            let before = self.position;
            all.extend(self.read_on()?);
            if self.position == before {
                return Ok(all);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use mambafleet_artifacts::{append_file, create_dir_durable};

    use super::*;
    use crate::{RunEvent, new_run_id};

    #[test]
    fn a_growing_log_is_read_line_by_line_and_never_half_a_line() {
        let runs = tempfile::tempdir().unwrap();
        let run = new_run_id().unwrap();
        let mut log = EventLog::of(runs.path(), &run);
        assert_eq!(log.read_on().unwrap(), []);
        let dir = RunRecord::dir_of(runs.path(), &run);
        create_dir_durable(&dir).unwrap();
        let mut file = append_file(&dir.join(EVENTS_FILE)).unwrap();
        let event = |seconds| StampedEvent::now(RunEvent::Resumed { seconds });
        let (one, two) = (event(1.0), event(2.0));
        let text = |event: &StampedEvent| serde_json::to_string(event).unwrap();
        let second = text(&two);
        write!(file, "{}\n{}", text(&one), &second[..20]).unwrap();
        assert_eq!(log.read_on().unwrap(), [one]);
        assert_eq!(log.read_on().unwrap(), []);
        write!(file, "{}\n{{\"type\":\"of_tomorrow\"}}\n\nrubbish\n", &second[20..]).unwrap();
        assert_eq!(log.read_all().unwrap(), [two]);
        assert_eq!(log.foreign(), 2);
    }
}
