//! One member process, from outside.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use mambafleet_protocol::codec::{self, Line};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::wire::{FromMember, ToMember};

/// How to start a member: the program itself with a hidden subcommand that calls
/// [`serve`](crate::serve).
#[derive(Debug, Clone)]
pub struct MemberCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// News of a member.
pub(crate) enum News {
    /// It said something.
    Said(FromMember),
    /// It said what no member says.
    Rubbish(String),
    /// It is gone and reaped: whether it ended by itself and well, and how it ended.
    Gone { well: bool, how: String },
}

/// How long the output of a dead process is still read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running member. Dropping it kills the process.
pub(crate) struct Process {
    stdin: ChildStdin,
    kill: Option<oneshot::Sender<()>>,
}

impl Process {
    /// Starts member number `index`. Its news arrive on `sink`, with that number.
    pub(crate) fn spawn(
        index: usize,
        command: &MemberCommand,
        sink: UnboundedSender<(usize, News)>,
    ) -> std::io::Result<Self> {
        let mut builder = Command::new(&command.program);
        builder.args(&command.args).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C at the terminal is the parent's to handle.
        #[cfg(unix)]
        builder.process_group(0).arg0("mambafleet");
        #[cfg(windows)]
        builder.creation_flags(0x0800_0000); // CREATE_NO_WINDOW: a console of its own
        let mut child = builder.spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("the process has no standard input or output"));
        };
        let (kill, killed) = oneshot::channel();
        let listener = tokio::spawn(listen(index, stdout, sink.clone()));
        tokio::spawn(async move {
            let status = attend(&mut child, killed).await;
            // What it said before it died comes before the news of its death.
            let _ = tokio::time::timeout(LAST_WORDS, listener).await;
            let well = status.as_ref().is_ok_and(ExitStatus::success);
            let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            let _ = sink.send((index, News::Gone { well, how }));
        });
        Ok(Self { stdin, kill: Some(kill) })
    }

    /// Says something to the member. To a dying one it is lost; the news of its death follows.
    pub(crate) async fn say(&mut self, message: &ToMember) {
        if let Ok(line) = codec::encode(message) {
            let _ = self.stdin.write_all(line.as_bytes()).await;
            let _ = self.stdin.flush().await;
        }
    }

    /// Kills the member; the news of its death follows.
    pub(crate) fn kill(&mut self) {
        if let Some(kill) = self.kill.take() {
            let _ = kill.send(());
        }
    }
}

/// Waits for the end of the process, which comes at once when it is to be killed.
async fn attend(child: &mut Child, killed: oneshot::Receiver<()>) -> std::io::Result<ExitStatus> {
    tokio::select! {
        status = child.wait() => return status,
        // A sender that was dropped wants the same.
        _ = killed => {}
    }
    child.kill().await?;
    child.wait().await
}

async fn listen(index: usize, stdout: ChildStdout, sink: UnboundedSender<(usize, News)>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let news = match codec::decode(line.as_bytes()) {
            Line::Message { message, .. } => News::Said(message),
            Line::Stray(text) => News::Rubbish(text),
            Line::Version(version) => News::Rubbish(format!("protocol version {version}")),
        };
        if sink.send((index, news)).is_err() {
            return;
        }
    }
}
