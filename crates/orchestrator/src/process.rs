//! One worker process: started, written to, listened to, killed, reaped.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mambafleet_artifacts::append_log;
use mambafleet_protocol::codec::{self, Line, MAX_LINE};
use mambafleet_protocol::{WorkerEvent, WorkerRequest};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::Instrument;

/// How to start a worker process: the program itself with the hidden worker subcommand.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// What comes from a worker process.
#[derive(Debug)]
pub(crate) enum FromWorker {
    /// A message.
    Event(WorkerEvent),
    /// Text on its standard output that is no message.
    Stray(String),
    /// A message of another protocol version.
    Version(u32),
    /// The process is gone and reaped; the last thing that comes from it.
    Gone(Death),
}

/// What a process died of.
#[derive(Debug)]
pub(crate) struct Death {
    /// The cause as a predicate: "was killed by signal 9 (SIGKILL)".
    pub(crate) cause: String,
    /// Whether it was SIGKILL, which is also what the system ends a process with for want of memory.
    pub(crate) killed: bool,
}

/// A worker's number within the run and what it sent.
pub(crate) type Tagged = (u64, FromWorker);

/// The parent's side of a running worker process. Dropping it closes the worker's standard
/// input, which the worker takes for the end of its parent.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: Option<u32>,
    requests: UnboundedSender<WorkerRequest>,
    kill: Arc<Notify>,
}

/// How long the output of a dead process is still read: a grandchild may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Gives a process a console of its own, without a window.
#[cfg(windows)]
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

impl Process {
    /// Starts worker number `id` in a process group, or a console, of its own: Ctrl-C is the
    /// parent's to handle. Its standard error goes to
    /// `log` until a job redirects it. Everything it sends arrives on `sink`, tagged.
    pub(crate) fn spawn(
        id: u64,
        command: &WorkerCommand,
        log: &Path,
        sink: UnboundedSender<Tagged>,
    ) -> std::io::Result<Self> {
        let stderr = append_log(log).map_or_else(
            |error| {
                tracing::warn!(worker = id, log = %log.display(), %error, "a worker starts without its log");
                Stdio::null()
            },
            Stdio::from,
        );
        let mut builder = Command::new(&command.program);
        builder
            .args(&command.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true);
        #[cfg(unix)]
        builder.process_group(0).arg0("mambafleet");
        #[cfg(windows)]
        builder.creation_flags(CREATE_NO_WINDOW);
        let mut child = builder.spawn()?;
        let pid = child.id();
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("the worker has no standard input or output"));
        };
        let (requests, inbox) = unbounded_channel();
        let kill = Arc::new(Notify::new());
        let killed = Arc::clone(&kill);
        let listener = tokio::spawn(listen(id, stdout, sink.clone()));
        let attended = async move {
            let status = tokio::select! {
                status = attend(&mut child, stdin, inbox) => status,
                () = killed.notified() => end(&mut child).await,
            };
            // What it said before it died comes before the news of its death.
            let _ = tokio::time::timeout(LAST_WORDS, listener).await;
            let _ = sink.send((id, FromWorker::Gone(status)));
        };
        tokio::spawn(attended.instrument(tracing::info_span!("worker", worker = id)));
        Ok(Self { pid, requests, kill })
    }

    /// Sends a request. To a dying worker it is lost; the news of its death follows.
    pub(crate) fn send(&self, request: WorkerRequest) {
        let _ = self.requests.send(request);
    }

    /// Stops the worker's process group, or lets it go on, where there are such groups.
    pub(crate) fn pause(&self, paused: bool) {
        #[cfg(unix)]
        if let Some(pid) = self.pid {
            use rustix::process::Signal;
            signal_group(pid, if paused { Signal::STOP } else { Signal::CONT });
        }
        #[cfg(not(unix))]
        let _ = paused;
    }

    /// Kills the worker and everything in its process group, where there are such groups.
    pub(crate) fn kill(&self) {
        #[cfg(unix)]
        if let Some(pid) = self.pid {
            signal_group(pid, rustix::process::Signal::KILL);
        }
        self.kill.notify_one();
    }
}

/// Kills the process, and says what it ended of.
async fn end(child: &mut Child) -> Death {
    if let Err(error) = child.start_kill() {
        tracing::debug!(%error, "a worker was gone before it could be killed");
    }
    cause_of_death(child.wait().await)
}

/// Writes requests until the process ends, and says what it ended of.
async fn attend(
    child: &mut Child,
    stdin: ChildStdin,
    mut inbox: UnboundedReceiver<WorkerRequest>,
) -> Death {
    let mut stdin = Some(stdin);
    loop {
        tokio::select! {
            status = child.wait() => return cause_of_death(status),
            request = inbox.recv(), if stdin.is_some() => {
                let Some(request) = request else {
                    stdin = None;
                    continue;
                };
                if let Some(pipe) = &mut stdin
                    && let Err(error) = write_request(pipe, &request).await
                {
                    tracing::debug!(%error, "a worker no longer reads its requests");
                    stdin = None;
                }
            }
        }
    }
}

async fn write_request(pipe: &mut ChildStdin, request: &WorkerRequest) -> std::io::Result<()> {
    let line = codec::encode(request).map_err(std::io::Error::other)?;
    pipe.write_all(line.as_bytes()).await?;
    pipe.flush().await
}

/// Passes on everything the worker writes to its standard output.
async fn listen(id: u64, stdout: ChildStdout, sink: UnboundedSender<Tagged>) {
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        match read_line(&mut reader, &mut line).await {
            Ok(true) => {}
            Ok(false) | Err(_) => return,
        }
        let (stray, message) = match codec::decode::<WorkerEvent>(&line) {
            Line::Message { message, stray } => (stray, Some(FromWorker::Event(message))),
            Line::Stray(text) => (text, None),
            Line::Version(version) => (String::new(), Some(FromWorker::Version(version))),
        };
        let stray = (!stray.trim().is_empty()).then_some(FromWorker::Stray(stray));
        for item in [stray, message].into_iter().flatten() {
            if sink.send((id, item)).is_err() {
                return;
            }
        }
    }
}

/// Reads one line; what exceeds [`MAX_LINE`] bytes is dropped. `false` at the end.
async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> std::io::Result<bool> {
    loop {
        let available = reader.fill_buf().await?;
        if available.is_empty() {
            return Ok(!line.is_empty());
        }
        let newline = available.iter().position(|byte| *byte == b'\n');
        let used = newline.map_or(available.len(), |at| at + 1);
        let kept = used.min(MAX_LINE - line.len());
        line.extend_from_slice(&available[..kept]);
        reader.consume(used);
        if newline.is_some() {
            return Ok(true);
        }
    }
}

/// What a process died of.
pub(crate) fn cause_of_death(status: std::io::Result<ExitStatus>) -> Death {
    let natural = |cause: String| Death { cause, killed: false };
    let status = match status {
        Ok(status) => status,
        Err(error) => return natural(format!("ended unobserved: {error}")),
    };
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = mambafleet_protocol::signal_name(signal)
            .map_or_else(String::new, |name| format!(" ({name})"));
        let killed = signal == rustix::process::Signal::KILL.as_raw();
        return Death { cause: format!("was killed by signal {signal}{name}"), killed };
    }
    natural(match status.code() {
        Some(101) => "panicked (exit code 101)".to_owned(),
        Some(code) => format!("exited with code {code}"),
        None => "ended for an unknown reason".to_owned(),
    })
}

/// Sends a signal to a process group.
#[cfg(unix)]
pub(crate) fn signal_group(pid: u32, signal: rustix::process::Signal) {
    use rustix::process::{Pid, kill_process_group};
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw)
        && let Err(error) = kill_process_group(pid, signal)
    {
        tracing::debug!(%error, "a process group was gone before it could be signalled");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<Vec<u8>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut reader = BufReader::with_capacity(7, input);
            let mut lines = Vec::new();
            let mut line = Vec::new();
            while read_line(&mut reader, &mut line).await.unwrap() {
                lines.push(std::mem::take(&mut line));
            }
            lines
        })
    }

    #[test]
    fn lines_are_read_whole_and_endless_ones_are_cut() {
        assert_eq!(
            lines(b"one\ntwo and more\nthree"),
            [b"one\n".to_vec(), b"two and more\n".to_vec(), b"three".to_vec(),]
        );
        let mut endless = vec![b'x'; 3 * MAX_LINE];
        endless.extend_from_slice(b"\nnext\n");
        let read = lines(&endless);
        assert_eq!((read[0].len(), read[1].as_slice()), (MAX_LINE, b"next\n".as_slice()));
    }
}
