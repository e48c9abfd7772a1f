//! A running program: spoken to, listened to, and gone in the end.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use mambafleet_backend::BackendError;
use mambafleet_protocol::ProgramSpec;
use mambafleet_protocol::codec::MAX_LINE;

use crate::message::{Answer, Line, Request, decode, encode};

/// How often somebody is asked whether the result is still wanted.
const POLL: Duration = Duration::from_millis(50);

/// How long a program may take to end once it has closed its standard output, or has been told to.
const FAREWELL: Duration = Duration::from_secs(5);

/// Lines that are read ahead.
const AHEAD: usize = 64;

/// Stray lines that are logged; the rest is dropped.
const MAX_STRAY: usize = 1000;

/// Variables that numeric libraries take their number of threads from.
const THREADS: [&str; 3] = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"];

/// A running program. Dropping it kills it, and everything in its process group.
pub(crate) struct Process {
    /// What errors call it.
    title: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    timeout: Duration,
    stray: usize,
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
}

impl Process {
    /// Starts the program, and waits until it has said hello.
    pub(crate) fn start(
        spec: &ProgramSpec,
        threads: usize,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, BackendError> {
        let name = spec.argv.join(" ");
        let Some((program, args)) = spec.argv.split_first() else {
            return Err(BackendError::Config("train.command is empty".to_owned()));
        };
        let cannot = |error| BackendError::Failed(format!("cannot start {name}: {error}"));
        let mut builder = Command::new(program);
        builder.args(args).current_dir(&spec.dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        builder.envs(THREADS.map(|name| (name, threads.to_string())));
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut builder, 0);
        let mut child = builder.spawn().map_err(cannot)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (sender, lines) = sync_channel(AHEAD);
        let timeout = Duration::from_millis(spec.timeout_ms);
        let title = name.clone();
        let (stray, version) = (0, None);
        let mut process = Self { title, child, stdin, lines, timeout, stray, name: None, version };
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
                Err(RecvTimeoutError::Timeout) if heard.elapsed() < self.timeout => continue,
                Err(RecvTimeoutError::Timeout) => {
                    let (title, seconds) = (&self.title, self.timeout.as_secs_f64());
                    let why = "raise train.command_timeout if it needs longer";
                    return Err(BackendError::Lost(format!(
                        "{title}: printed nothing for {seconds} s and was killed; {why}"
                    )));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            };
            heard = Instant::now();
            match decode(&line) {
                Line::Message(Answer::Error { kind, message }) => {
                    let program = self.title.clone();
                    return Err(BackendError::Reported { program, kind, message });
                }
                Line::Message(answer) => return Ok(answer),
                Line::Broken(why) => return Err(self.fault(&why)),
                Line::Stray(text) => self.note(&text),
            }
        }
    }

    /// Ends the conversation, and waits a while for the program to leave.
    pub(crate) fn leave(mut self) {
        self.stdin = None;
        if self.wait().is_none() {
            tracing::warn!(program = self.title, "the program did not end and is killed");
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
        self.stray += 1;
        if self.stray <= MAX_STRAY && !text.is_empty() {
            tracing::info!(program = self.title, text, "stray text");
        }
    }

    /// What a program ended of that has closed its standard output without an answer.
    fn ended(&mut self) -> BackendError {
        let title = self.title.clone();
        let Some(status) = self.wait() else {
            return self.fault("closed its standard output without an answer, and was killed");
        };
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return BackendError::Lost(format!("{title}: was killed by signal {signal}"));
        }
        let code = status.code().map_or_else(|| "no code".to_owned(), |code| code.to_string());
        BackendError::Failed(format!("{title}: exited with code {code} before its answer"))
    }

    /// Waits a while for the end.
    fn wait(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + FAREWELL;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(POLL / 10);
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stdin = None;
        #[cfg(unix)]
        kill_group(self.child.id());
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Kills what is left in the program's process group.
#[cfg(unix)]
fn kill_group(pid: u32) {
    use rustix::process::{Pid, Signal, kill_process_group};
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw)
        && let Err(error) = kill_process_group(pid, Signal::KILL)
    {
        tracing::debug!(%error, "the program's group was gone before it could be killed");
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
