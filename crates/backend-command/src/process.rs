//! A running program: spoken to, listened to, and gone in the end.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use mambafleet_backend::BackendError;
use mambafleet_protocol::codec::MAX_LINE;
use mambafleet_protocol::{ProgramSpec, signal_name};
use tempfile::TempDir;

use crate::guard::{self, GRACE, Guard};
use crate::message::{Answer, End, Line, Request, decode, encode};

/// How often somebody is asked whether the result is still wanted.
const POLL: Duration = Duration::from_millis(50);

/// How long a guard may take to end what it guards, and itself.
const GUARD_GRACE: Duration = GRACE.saturating_add(Duration::from_secs(1));

/// How long the last lines of a dead guard may take.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Lines that are read ahead.
const AHEAD: usize = 64;

/// Stray lines that are logged; the rest is dropped.
const MAX_STRAY: usize = 1000;

/// Characters of a stray line that are logged.
const MAX_STRAY_LENGTH: usize = 1000;

/// Variables that numeric libraries take their number of threads from.
const THREADS: [&str; 3] = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"];

/// A running program. Dropping it ends it, and everything in its process group.
pub(crate) struct Process {
    /// What errors call it.
    title: String,
    guard: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    timeout: Duration,
    stray: usize,
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    /// Files for it and from it.
    staging: TempDir,
}

impl Process {
    /// Starts the program, and waits until it has said hello. `staging` is removed with it.
    pub(crate) fn start(
        guard: &Guard,
        spec: &ProgramSpec,
        staging: TempDir,
        threads: usize,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, BackendError> {
        let title = spec.argv.join(" ");
        let cannot = |error| BackendError::Failed(format!("cannot start {title}: {error}"));
        let mut builder = guard::command(guard, &spec.argv, &spec.dir, staging.path());
        builder.stdin(Stdio::piped()).stdout(Stdio::piped());
        builder.envs(THREADS.map(|name| (name, threads.to_string())));
        let mut guard = builder.spawn().map_err(cannot)?;
        let (stdin, stdout) = (guard.stdin.take(), guard.stdout.take());
        let (sender, lines) = sync_channel(AHEAD);
        let mut process = Self {
            title: title.clone(),
            guard,
            stdin,
            lines,
            timeout: Duration::from_millis(spec.timeout_ms),
            stray: 0,
            name: None,
            version: None,
            staging,
        };
        if let Some(stdout) = stdout {
            let reader = std::thread::Builder::new().name("program".into());
            reader.spawn(move || listen(stdout, &sender)).map_err(cannot)?;
        }
        match process.answer(is_cancelled)? {
            Answer::Hello { name, version } => {
                (process.name, process.version) = (name, version);
                Ok(process)
            }
            other => Err(process.out_of_turn(&other)),
        }
    }

    /// The directory of its files.
    pub(crate) fn staging(&self) -> &Path {
        self.staging.path()
    }

    /// Sends a request.
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Result<(), BackendError> {
        let line = encode(request).map_err(|error| self.fault(&error.to_string()))?;
        let Some(stdin) = &mut self.stdin else { return Err(self.fault("hears nothing any more")) };
        if let Err(error) = stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()) {
            // Its end, if it has ended, says more.
            tracing::warn!(program = self.title, %error, "the program does not read its request");
        }
        Ok(())
    }

    /// Waits for the next message. [`Answer::Error`] becomes an error.
    pub(crate) fn answer(
        &mut self,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Answer, BackendError> {
        let mut heard = Instant::now();
        loop {
            if is_cancelled() {
                return Err(BackendError::Cancelled);
            }
            let line = match self.lines.recv_timeout(POLL.min(self.timeout)) {
                Ok(line) => line,
                // Its last words may be on their way. Others may hold the stream open.
                Err(_) if self.is_over() => {
                    self.lines.recv_timeout(LAST_WORDS).map_err(|_| self.unguarded())?
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.unguarded()),
                Err(RecvTimeoutError::Timeout) if heard.elapsed() < self.timeout => continue,
                Err(RecvTimeoutError::Timeout) => return Err(self.silent()),
            };
            heard = Instant::now();
            match decode(&line) {
                Line::Message(Answer::Error { kind, message }) => {
                    let program = self.title.clone();
                    return Err(BackendError::Reported { program, kind, message });
                }
                Line::Message(answer) => return Ok(answer),
                Line::Broken(why) => return Err(self.fault(&why)),
                Line::Ended(end) => return Err(self.ended(end)),
                Line::Stray(text) => self.note(&text),
            }
        }
    }

    /// The program did something wrong.
    pub(crate) fn fault(&self, what: &str) -> BackendError {
        BackendError::Failed(format!("{}: {what}", self.title))
    }

    /// The program said something that nobody asked.
    pub(crate) fn out_of_turn(&self, answer: &Answer) -> BackendError {
        self.fault(&format!("said something out of turn: {answer:?}"))
    }

    fn note(&mut self, text: &str) {
        if text.is_empty() || self.stray == MAX_STRAY {
            return;
        }
        self.stray += 1;
        let text: String = text.chars().take(MAX_STRAY_LENGTH).collect();
        tracing::info!(program = self.title, text, "stray text");
        if self.stray == MAX_STRAY {
            tracing::warn!(program = self.title, "no more of its stray text is logged");
        }
    }

    /// What a program ended of without an answer.
    fn ended(&self, end: End) -> BackendError {
        let title = &self.title;
        match end {
            End::Signal(signal) => {
                let name = signal_name(signal).map_or(String::new(), |name| format!(" ({name})"));
                BackendError::Lost(format!("{title}: was killed by signal {signal}{name}"))
            }
            End::Code(code) => self.fault(&format!("exited with code {code} before its answer")),
            End::NotStarted(why) => BackendError::Failed(format!("cannot start {title}: {why}")),
            End::Unknown => BackendError::Lost(format!("{title}: ended unobserved")),
        }
    }

    fn silent(&self) -> BackendError {
        let (title, seconds) = (&self.title, self.timeout.as_secs_f64());
        BackendError::Lost(format!(
            "{title}: printed nothing for {seconds} s and was killed; raise \
             train.command_timeout if it needs longer"
        ))
    }

    fn unguarded(&self) -> BackendError {
        BackendError::Lost(format!("{}: its guard died", self.title))
    }

    /// Whether the guard has ended. Where there are process groups its number stays taken, and
    /// with it the group's.
    fn is_over(&mut self) -> bool {
        #[cfg(unix)]
        {
            use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
            let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            waitid(WaitId::Pid(Pid::from_child(&self.guard)), how)
                .is_ok_and(|status| status.is_some())
        }
        #[cfg(not(unix))]
        {
            self.guard.try_wait().is_ok_and(|status| status.is_some())
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stdin = None;
        // Nothing that is still said is listened to, nor waits to be.
        self.lines = sync_channel(0).1;
        let deadline = Instant::now() + GUARD_GRACE;
        while !self.is_over() && Instant::now() < deadline {
            std::thread::sleep(POLL / 10);
        }
        // The guard has done this, unless it was killed itself.
        #[cfg(unix)]
        kill_group(&self.guard);
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

/// Kills what is left in a guard's process group. The guard must not have been waited for: until
/// then no other group can have its number.
#[cfg(unix)]
fn kill_group(guard: &Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    if let Err(error) = kill_process_group(Pid::from_child(guard), Signal::KILL) {
        tracing::debug!(%error, "a program's group was gone before it could be killed");
    }
}

/// Passes on every line; what exceeds [`MAX_LINE`] bytes is another line.
fn listen(stdout: ChildStdout, lines: &SyncSender<Vec<u8>>) {
    let mut reader = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match reader.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if lines.send(line).is_err() => return,
            Ok(_) => {}
        }
    }
}
