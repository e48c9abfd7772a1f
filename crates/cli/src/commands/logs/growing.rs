//! A file of lines that grows while it is read.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;

use mambafleet_protocol::cause_chain;

use crate::error::CliError;
use crate::exit::Exit;

/// The longest line; of a longer one, pieces of this length are lines.
const MAX_LINE: usize = 1 << 20;

/// Takes one line, without its end.
pub(super) type Take<'a> = dyn FnMut(&[u8]) -> Result<(), CliError> + 'a;

/// A file that is read from its beginning on, line by line. It may be made anew under its name, or cut
/// short: then it is read from its beginning once more.
pub(super) struct Growing {
    path: PathBuf,
    file: Option<File>,
    /// What has been read of the file, in bytes.
    position: u64,
    /// The line that has no end yet.
    rest: Vec<u8>,
}

impl Growing {
    /// Nothing is opened yet, and it need not exist.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None, position: 0, rest: Vec::new() }
    }

    /// Hands on every line that has come to its end since the last time.
    ///
    /// # Errors
    /// [`Exit::Internal`] when the file is there and cannot be read, and what `take` fails of.
    pub(super) fn read_on(&mut self, take: &mut Take<'_>) -> Result<(), CliError> {
        let mut chunk = vec![0; 64 << 10];
        while self.open()? {
            let read = match &mut self.file {
                Some(file) => file.read(&mut chunk),
                None => return Ok(()),
            };
            match read {
                Ok(0) if self.is_replaced() => {
                    self.finish(take)?;
                    self.file = None;
                }
                Ok(0) => return Ok(()),
                Ok(read) => {
                    self.position += read as u64;
                    self.cut(&chunk[..read], take)?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unreadable(&error)),
            }
        }
        Ok(())
    }

    /// Hands on the last line although it has no end.
    pub(super) fn finish(&mut self, take: &mut Take<'_>) -> Result<(), CliError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        take(without_return(&std::mem::take(&mut self.rest)))
    }

    /// Opens the file if that has not been done; tells whether it is there.
    fn open(&mut self) -> Result<bool, CliError> {
        if self.file.is_none() {
            match File::open(&self.path) {
                Ok(file) => (self.file, self.position) = (Some(file), 0),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(self.unreadable(&error)),
            }
        }
        Ok(self.file.is_some())
    }

    /// Whether there is more under the file's name than in the file that is open.
    fn is_replaced(&mut self) -> bool {
        let Some(file) = &mut self.file else { return false };
        let (Ok(open), Ok(named)) = (file.metadata(), self.path.metadata()) else { return false };
        if is_other(&open, &named) {
            return true;
        }
        open.len() < self.position && file.seek(SeekFrom::Start(0)).is_ok()
    }

    /// Hands on the lines that end in `bytes`.
    fn cut(&mut self, bytes: &[u8], take: &mut Take<'_>) -> Result<(), CliError> {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            self.rest.extend_from_slice(piece);
            take(without_return(&self.rest))?;
            self.rest.clear();
        }
        self.rest.extend_from_slice(last);
        if self.rest.len() >= MAX_LINE { self.finish(take) } else { Ok(()) }
    }

    fn unreadable(&self, error: &std::io::Error) -> CliError {
        let message = format!("cannot read {}: {}", self.path.display(), cause_chain(error));
        CliError::new(Exit::Internal, message)
    }
}

/// Programs of Windows end lines with a carriage return too.
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(unix)]
fn is_other(open: &std::fs::Metadata, named: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (open.dev(), open.ino()) != (named.dev(), named.ino())
}

/// The standard library does not tell; a file that was cut short is noticed all the same.
#[cfg(not(unix))]
fn is_other(_open: &std::fs::Metadata, _named: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use mambafleet_artifacts::append_log;

    use super::*;

    struct Log {
        dir: tempfile::TempDir,
        growing: Growing,
    }

    impl Log {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let growing = Growing::new(dir.path().join("log"));
            Self { dir, growing }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("log")
        }

        fn add(&self, bytes: &[u8]) {
            append_log(&self.path()).unwrap().write_all(bytes).unwrap();
        }

        fn lines(&mut self) -> Vec<String> {
            let mut lines = Vec::new();
            let mut take = |line: &[u8]| {
                lines.push(String::from_utf8_lossy(line).into_owned());
                Ok(())
            };
            self.growing.read_on(&mut take).unwrap();
            lines
        }

        fn last(&mut self) -> Vec<String> {
            let mut lines = Vec::new();
            let mut take = |line: &[u8]| {
                lines.push(String::from_utf8_lossy(line).into_owned());
                Ok(())
            };
            self.growing.finish(&mut take).unwrap();
            lines
        }
    }

    #[test]
    fn lines_come_when_they_have_ended_and_characters_in_one_piece() {
        let mut log = Log::new();
        assert!(log.lines().is_empty());
        let word = "größe".as_bytes();
        log.add(b"one\r\ntwo\n");
        log.add(&word[..3]);
        assert_eq!(log.lines(), ["one", "two"]);
        log.add(&word[3..]);
        assert!(log.lines().is_empty());
        log.add(b"\n\nend");
        assert_eq!(log.lines(), ["größe", ""]);
        assert_eq!((log.last(), log.last()), (vec!["end".to_owned()], vec![]));
    }

    #[test]
    fn a_file_that_was_cut_short_is_read_from_its_beginning() {
        let mut log = Log::new();
        log.add(b"a long first line\n");
        assert_eq!(log.lines(), ["a long first line"]);
        File::options().write(true).open(log.path()).unwrap().set_len(0).unwrap();
        log.add(b"short\n");
        assert_eq!(log.lines(), ["short"]);
        log.add(b"more\n");
        assert_eq!(log.lines(), ["more"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_took_its_place_is_read_after_the_rest_of_the_old_one() {
        let mut log = Log::new();
        log.add(b"old\n");
        assert_eq!(log.lines(), ["old"]);
        log.add(b"last words");
        mambafleet_artifacts::atomic_write(&log.path(), b"new and longer than the old one\n")
            .unwrap();
        assert_eq!(log.lines(), ["last words", "new and longer than the old one"]);
        std::fs::remove_file(log.path()).unwrap();
        assert!(log.lines().is_empty());
    }

    #[test]
    fn a_line_without_end_is_handed_on_in_pieces() {
        let mut log = Log::new();
        log.add(&vec![b'x'; MAX_LINE + 5]);
        let lines = log.lines();
        let length: usize = lines.iter().map(String::len).sum();
        assert_eq!((lines.len(), length + log.last()[0].len()), (1, MAX_LINE + 5));
    }
}
