//! Tells somebody how a run ended: by a command, by a post to a URL, or by both at once.
//!
//! Nothing here may cost a run anything but time, and that is limited: what goes wrong is reported,
//! never returned as an error.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use mambafleet_artifacts::append_log;
use mambafleet_protocol::cause_chain;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};

use crate::http::{HttpError, HttpUrl};
use crate::process::{WorkerCommand, cause_of_death};
use crate::{RunError, RunSummary};

/// How long a killed command may take to be gone.
const DEATH: Duration = Duration::from_secs(1);

/// So much of the command's output is kept: the disk is there for models.
const OUTPUT_KEPT: u64 = 64 << 10;

/// How long output is waited for when the command has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The log of the command, in `logs/` of the run's record.
pub(crate) const NOTIFY_LOG: &str = "notify.log";

/// Whom to tell, and how long that may take.
#[derive(Debug, Clone)]
pub struct Notification {
    /// What takes longer is killed, or given up.
    pub timeout: Duration,
    /// A program, which finds the message on its standard input and in its environment.
    pub command: Option<WorkerCommand>,
    /// Where to post the message to.
    pub url: Option<HttpUrl>,
}

/// What is told.
#[derive(Debug, Clone)]
pub struct Message {
    /// One JSON value.
    pub json: String,
    /// Environment variables of the command.
    pub variables: Vec<(&'static str, String)>,
}

/// A notification for the end of a run.
pub struct Notify<'a> {
    /// Whom to tell.
    pub notification: Notification,
    /// What to tell of a run that ended like this; `None` for nothing.
    pub compose: &'a dyn Fn(&RunSummary) -> Option<Message>,
}

/// A way of telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A command was run.
    Command,
    /// A URL was posted to.
    Url,
}

/// What came of telling somebody in one way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The way.
    pub by: Channel,
    /// What it took, in seconds.
    pub seconds: f64,
    /// What went wrong, if something did.
    pub failure: Option<String>,
}

/// Why nobody was told.
#[derive(Debug, thiserror::Error)]
enum NotifyError {
    #[error("cannot be started")]
    Start(#[source] std::io::Error),
    #[error("{0}")]
    Ended(String),
    #[error("{url} {}", cause_chain(.error))]
    Post { url: HttpUrl, error: HttpError },
    #[error("was given up: {0}")]
    Stopped(String),
}

/// Tells somebody outside of any run.
///
/// # Errors
/// [`RunError::System`] when the event loop cannot be started.
pub fn tell(notification: &Notification, message: &Message) -> Result<Vec<Told>, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|source| RunError::System { what: "start the event loop", source })?;
    Ok(runtime.block_on(deliver(notification, message, None, std::future::pending())))
}

/// Tells in all ways at once. Gives up at the time-out, or when `enough` is over. What the command
/// writes goes to `log`.
pub(crate) async fn deliver(
    notification: &Notification,
    message: &Message,
    log: Option<&Path>,
    enough: impl Future<Output = ()>,
) -> Vec<Told> {
    let (stop, stopped) = watch::channel(None);
    let by_command = notification.command.as_ref();
    let by_command = by_command.map(|command| run(command, message, log, stopped.clone()));
    let by_url = notification.url.as_ref();
    let by_url = by_url.map(|url| post(url, &message.json, notification.timeout, stopped));
    let both = async {
        tokio::join!(measure(Channel::Command, by_command), measure(Channel::Url, by_url))
    };
    tokio::pin!(both);
    let why = tokio::select! {
        told = &mut both => return told.0.into_iter().chain(told.1).collect(),
        () = tokio::time::sleep(notification.timeout) => {
            format!("it took longer than {} s (notify.timeout)", notification.timeout.as_secs_f64())
        }
        () = enough => "a signal came".to_owned(),
    };
    // Both ways hold a receiver, and end now.
    let _ = stop.send(Some(why));
    let told = both.await;
    told.0.into_iter().chain(told.1).collect()
}

/// Carries one way out, if it is wanted.
async fn measure(
    by: Channel,
    way: Option<impl Future<Output = Result<(), NotifyError>>>,
) -> Option<Told> {
    let began = Instant::now();
    let failure = way?.await.err().map(|error| cause_chain(&error));
    Some(Told { by, seconds: began.elapsed().as_secs_f64(), failure })
}

/// Waits until telling is to be given up, and says why.
async fn why(mut stopped: watch::Receiver<Option<String>>) -> NotifyError {
    let why = stopped.wait_for(Option::is_some).await;
    let why = why.ok().and_then(|why| why.clone());
    NotifyError::Stopped(why.unwrap_or_default())
}

/// Runs the command in a process group of its own.
async fn run(
    command: &WorkerCommand,
    message: &Message,
    log: Option<&Path>,
    stopped: watch::Receiver<Option<String>>,
) -> Result<(), NotifyError> {
    let mut builder = Command::new(&command.program);
    builder.args(&command.args).envs(message.variables.iter().map(|(name, text)| (name, text)));
    builder.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    builder.stderr(if log.is_some() { Stdio::piped() } else { Stdio::inherit() });
    #[cfg(unix)]
    builder.process_group(0);
    let mut child = builder.spawn().map_err(NotifyError::Start)?;
    let pid = child.id();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let kept = async {
        tokio::join!(keep(stdout, log), keep(stderr, log));
    };
    let status = tokio::select! {
        status = attend(&mut child, message.json.as_bytes(), kept) => status,
        error = why(stopped) => {
            end(&mut child, pid).await;
            return Err(error);
        }
    };
    if status.as_ref().is_ok_and(ExitStatus::success) {
        return Ok(());
    }
    let place = log.map_or_else(String::new, |log| format!("; its output is in {}", log.display()));
    Err(NotifyError::Ended(format!("{}{place}", cause_of_death(status).cause)))
}

/// Reads all of the command's output, and keeps the beginning in the log.
async fn keep(output: Option<impl AsyncRead + Unpin>, log: Option<&Path>) {
    let Some(mut output) = output else { return };
    let file = log.map(append_log).transpose();
    let mut file = file.ok().flatten().map(tokio::fs::File::from_std);
    if let Some(file) = &mut file {
        let copied = tokio::io::copy(&mut (&mut output).take(OUTPUT_KEPT), file).await;
        let flushed = file.flush().await;
        if let Err(error) = copied.and(flushed) {
            tracing::warn!(%error, "cannot write the log of the notification's command");
        }
    }
    let _ = tokio::io::copy(&mut output, &mut tokio::io::sink()).await;
}

/// Hands the message over, sees to the output, and waits for the command's end. It need not read the
/// message.
async fn attend(
    child: &mut Child,
    message: &[u8],
    kept: impl Future<Output = ()>,
) -> std::io::Result<ExitStatus> {
    let stdin = child.stdin.take();
    let hand_over = async move {
        if let Some(mut stdin) = stdin
            && let Err(error) = stdin.write_all(message).await
        {
            tracing::debug!(%error, "the notification's command does not read the message");
        }
    };
    tokio::pin!(hand_over, kept);
    let (mut handed_over, mut silent) = (false, false);
    loop {
        tokio::select! {
            status = child.wait() => {
                if !silent {
                    // What is in the pipes is read still; others may hold them open for ever.
                    let _ = tokio::time::timeout(LAST_WORDS, kept).await;
                }
                return status;
            }
            () = &mut hand_over, if !handed_over => handed_over = true,
            () = &mut kept, if !silent => silent = true,
        }
    }
}

/// Kills the command with its process group, and waits for its end. It has not been waited for yet,
/// so that no other group can have its number.
async fn end(child: &mut Child, pid: Option<u32>) {
    #[cfg(unix)]
    if let Some(pid) = pid {
        crate::process::signal_group(pid, rustix::process::Signal::KILL);
    }
    #[cfg(not(unix))]
    let _ = pid;
    if let Err(error) = child.start_kill() {
        tracing::debug!(%error, "the notification's command was gone before it could be killed");
    }
    let _ = tokio::time::timeout(DEATH, child.wait()).await;
}

/// Posts in a thread, which is left to itself when it takes too long: looking up a name cannot be
/// broken off.
async fn post(
    url: &HttpUrl,
    json: &str,
    patience: Duration,
    stopped: watch::Receiver<Option<String>>,
) -> Result<(), NotifyError> {
    let (sender, answer) = oneshot::channel();
    let (to, json) = (url.clone(), json.to_owned());
    let thread = std::thread::Builder::new().name("notify".into());
    // Whoever waits here gives up first, and says so.
    let patience = patience.saturating_mul(2);
    let posted = thread.spawn(move || drop(sender.send(to.post(&json, patience))));
    posted.map_err(NotifyError::Start)?;
    tokio::select! {
        error = why(stopped) => Err(error),
        Ok(answer) = answer => {
            answer.map_err(|error| NotifyError::Post { url: url.clone(), error })
        }
    }
}
