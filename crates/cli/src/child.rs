//! Another program, run in the foreground on the user's behalf.

use std::io;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often the caller is told that the program is still running.
const BEAT: Duration = Duration::from_secs(1);

/// Runs a command to its end and calls `beat` every second meanwhile. Signals that ask this
/// process to end are the command's: it is given them, and waited for.
pub(crate) fn run(command: Command, mut beat: impl FnMut()) -> io::Result<ExitStatus> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before the start: a signal must never find a command and nobody who passes it on.
        let mut signals = Signals::listen()?;
        let mut child = tokio::process::Command::from(command).spawn()?;
        let mut beats = interval_at(Instant::now() + BEAT, BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                status = child.wait() => return status,
                signal = signals.next() => signals.pass_on(signal, &child),
                _ = beats.tick() => beat(),
            }
        }
    })
}

/// The code that a shell would report: 128 + N for death by signal N.
pub(crate) fn shell_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| signal(status).map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The signal that ended a program, if one did.
#[cfg(unix)]
pub(crate) fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

/// The signal that ended a program: there are none here.
#[cfg(not(unix))]
pub(crate) fn signal(_status: ExitStatus) -> Option<i32> {
    None
}

#[cfg(unix)]
use unix::Signals;

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::future::poll_fn;
    use std::io;
    use std::task::Poll;

    use rustix::process::{Pid, Signal, getpgrp, kill_process};
    use rustix::termios::tcgetpgrp;
    use tokio::process::Child;
    use tokio::signal::unix::{SignalKind, signal};

    /// The signals that ask a process to end.
    const SIGNALS: [Signal; 4] = [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT];

    /// Listens for those signals, except for such as this process was started to ignore: listening
    /// would make the command hear what its caller (`nohup`, a shell's `&`) wanted it not to.
    pub(super) struct Signals(Vec<(Signal, tokio::signal::unix::Signal)>);

    impl Signals {
        pub(super) fn listen() -> io::Result<Self> {
            let ignored = ignored();
            let heard = SIGNALS.into_iter().filter(|signal| !is_in(ignored, *signal));
            let listen = |one: Signal| Ok((one, signal(SignalKind::from_raw(one.as_raw()))?));
            heard.map(listen).collect::<io::Result<_>>().map(Self)
        }

        pub(super) async fn next(&mut self) -> Signal {
            poll_fn(|context| {
                for (signal, received) in &mut self.0 {
                    if received.poll_recv(context).is_ready() {
                        return Poll::Ready(*signal);
                    }
                }
                Poll::Pending
            })
            .await
        }

        /// Gives the command a signal, unless it has it already: the terminal sends its own to all
        /// processes in the foreground.
        pub(super) fn pass_on(&self, signal: Signal, child: &Child) {
            let of_terminal = matches!(signal, Signal::INT | Signal::QUIT);
            if of_terminal && in_foreground() {
                return;
            }
            // No identifier: it has been waited for, and has ended.
            let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
            if let Some(pid) = pid
                && let Err(error) = kill_process(pid, signal)
            {
                tracing::warn!(%error, ?signal, "cannot pass a signal on");
            }
        }
    }

    fn in_foreground() -> bool {
        let terminal = File::open("/dev/tty");
        terminal.is_ok_and(|terminal| tcgetpgrp(&terminal).is_ok_and(|group| group == getpgrp()))
    }

    /// The signals that this process ignores, as a bit mask; none where the system does not tell.
    fn ignored() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    }

    fn is_in(mask: u64, signal: Signal) -> bool {
        u32::try_from(signal.as_raw() - 1).is_ok_and(|bit| mask >> bit & 1 == 1)
    }
}

#[cfg(not(unix))]
use elsewhere::Signals;

#[cfg(not(unix))]
mod elsewhere {
    use std::io;

    use tokio::process::Child;

    /// Listens for Ctrl-C, which reaches the command by itself, and only must not end this process
    /// before it.
    pub(super) struct Signals;

    impl Signals {
        pub(super) fn listen() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn next(&mut self) {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }

        pub(super) fn pass_on(&self, (): (), _child: &Child) {}
    }
}
