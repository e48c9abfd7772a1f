//! Lines of logs on standard output.

use std::io::{ErrorKind, IsTerminal, Write, stdout};

use mambafleet_protocol::{RunId, Symbol};
use serde::Serialize;

use super::line::{LogLine, tame};
use crate::error::CliError;
use crate::output::{Output, json_line};

/// How much is kept before it is written, in bytes.
const BUFFERED: usize = 64 << 10;

/// Whose line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of<'a> {
    /// The run's own.
    Run,
    /// That of an attempt at a symbol.
    Attempt(&'a Symbol, u32),
}

/// Writes lines in the form that was asked for.
pub(super) struct Printer<'a> {
    run: &'a RunId,
    json: bool,
    terminal: bool,
    buffer: Vec<u8>,
    /// The attempt whose line was the last.
    attempt: Option<u32>,
    closed: bool,
}

#[derive(Serialize)]
struct Printed<'a> {
    run: &'a RunId,
    #[serde(flatten)]
    line: LogLine,
}

impl<'a> Printer<'a> {
    pub(super) fn new(run: &'a RunId, output: Output) -> Self {
        let (json, terminal) = (output.is_json(), stdout().is_terminal());
        Self { run, json, terminal, buffer: Vec::new(), attempt: None, closed: false }
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed || is_deserted()
    }

    /// Takes a line, which [`flush`](Self::flush) prints at the latest.
    pub(super) fn line(&mut self, of: Of<'_>, line: &[u8]) -> Result<(), CliError> {
        if self.json {
            let line = value(of, &String::from_utf8_lossy(line));
            let line = json_line("log_line", Printed { run: self.run, line })?;
            self.buffer.extend_from_slice(line.as_bytes());
        } else {
            self.heading(of);
            match of {
                Of::Run => {
                    let line = LogLine::of_run(&String::from_utf8_lossy(line)).human();
                    self.buffer.extend_from_slice(tame(line.as_bytes()).as_bytes());
                }
                Of::Attempt(..) if self.terminal => {
                    self.buffer.extend_from_slice(tame(line).as_bytes());
                }
                Of::Attempt(..) => self.buffer.extend_from_slice(line),
            }
        }
        self.buffer.push(b'\n');
        if self.buffer.len() >= BUFFERED { self.flush() } else { Ok(()) }
    }

    /// Says which attempt the lines are of that follow, when it is another than before.
    fn heading(&mut self, of: Of<'_>) {
        let Of::Attempt(symbol, attempt) = of else { return };
        if self.attempt.is_some_and(|last| last != attempt) {
            let heading = format!("\n==> {symbol}, attempt {attempt} <==\n");
            self.buffer.extend_from_slice(heading.as_bytes());
        }
        self.attempt = Some(attempt);
    }

    /// Prints what was taken. A reader that has seen enough (`| head`) is no error.
    pub(super) fn flush(&mut self) -> Result<(), CliError> {
        let mut stdout = stdout().lock();
        let written = stdout.write_all(&self.buffer).and_then(|()| stdout.flush());
        self.buffer.clear();
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.closed = true,
            written => written?,
        }
        Ok(())
    }
}

/// What a line says.
fn value(of: Of<'_>, line: &str) -> LogLine {
    match of {
        Of::Run => LogLine::of_run(line),
        Of::Attempt(symbol, attempt) => LogLine {
            symbol: Some(symbol.to_string()),
            attempt: Some(attempt.into()),
            ..LogLine::of_attempt(line)
        },
    }
}

/// Whether standard output is a pipe that nobody reads.
#[cfg(unix)]
fn is_deserted() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = stdout();
    let mut pipe = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut pipe, Some(&now)).is_ok_and(|ready| ready > 0)
        && pipe[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// This is noticed when the next line is written.
#[cfg(not(unix))]
fn is_deserted() -> bool {
    false
}
