//! The guard of a program: a process between it and whoever asked for it.
//!
//! A program that never looks at its standard input would outlive a worker that is killed. So the
//! worker starts a guard, which leads a process group of its own, starts the program in it and hands
//! on requests. When the guard's own standard input ends, nobody wants the program any more, for
//! whatever reason: the program gets [`GRACE`] to leave, and then the guard kills the whole group,
//! itself included. Its number is the group's, so that no other group can be meant. On Linux the
//! program dies with its guard, too.

use std::ffi::OsString;
use std::io::{self, Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::message::{End, encode_end};

/// How long a program may take to leave once its standard input has ended.
pub(crate) const GRACE: Duration = Duration::from_millis(500);

/// How often a program is asked at most whether it has ended; at first it is asked more often.
const POLL: Duration = Duration::from_millis(100);

/// How to start a guard: a program and its arguments, which must end up in [`Orders::carry_out`].
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// The program.
    pub program: PathBuf,
    /// Its first arguments; `--staging DIR -- PROGRAM ...` follows.
    pub args: Vec<OsString>,
}

/// What a guard has been told.
#[derive(Debug, Clone)]
pub struct Orders {
    /// How to start a guard, for what must happen in a process of its own.
    pub guard: Guard,
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// A directory that is removed in the end.
    pub staging: Option<PathBuf>,
    /// The process that this one must not outlive; then it becomes the program itself.
    pub under: Option<u32>,
}

impl Orders {
    /// Starts the program and watches over it to its end. Where there are process groups, this does
    /// not return once the program was started: the group ends, and this process is in it.
    ///
    /// # Errors
    /// When the system refuses to start a thread or the program.
    pub fn carry_out(self) -> io::Result<()> {
        match self.under {
            Some(parent) => self.become_program(parent),
            None => self.watch(),
        }
    }

    fn watch(&self) -> io::Result<()> {
        let (sender, requests) = channel();
        let (deserted, desertion) = channel();
        std::thread::Builder::new().name("requests".into()).spawn(move || {
            take_requests(&sender);
            // Nobody listens only when this process is about to end.
            let _ = deserted.send(());
        })?;
        let mut child = match self.start() {
            Ok(child) => child,
            Err(error) => {
                report(&End::NotStarted(error.to_string()));
                return Err(error);
            }
        };
        if let Some(pipe) = child.stdin.take() {
            let hand_on = move || hand_on(pipe, &requests);
            if let Err(error) = std::thread::Builder::new().spawn(hand_on) {
                end(&mut child);
                return Err(error);
            }
        }
        report(&attend(&mut child, &desertion));
        // Whoever asked may still be reading what is in the directory.
        let _ = desertion.recv();
        if let Some(staging) = &self.staging {
            // Usually it is gone already.
            let _ = std::fs::remove_dir_all(staging);
        }
        kill_own_group()
    }

    /// The program, in this process' group.
    fn start(&self) -> io::Result<Child> {
        let mut command = if cfg!(target_os = "linux") {
            let mut command = Command::new(&self.guard.program);
            command.args(&self.guard.args).arg("--under").arg(std::process::id().to_string());
            command.arg("--").args(&self.argv);
            command
        } else {
            self.program()?
        };
        command.stdin(Stdio::piped()).spawn()
    }

    fn program(&self) -> io::Result<Command> {
        let (program, args) = self.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(args);
        Ok(command)
    }

    /// Becomes the program, and will be killed when its parent dies.
    #[cfg(target_os = "linux")]
    fn become_program(&self, parent: u32) -> io::Result<()> {
        use rustix::process::{Signal, getppid, set_parent_process_death_signal};
        use std::os::unix::process::CommandExt;
        set_parent_process_death_signal(Some(Signal::KILL))?;
        let alive = getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
        if alive != Some(parent) {
            return Err(io::Error::other("the guard is gone"));
        }
        let error = self.program()?.exec();
        report(&End::NotStarted(error.to_string()));
        Err(error)
    }

    #[cfg(not(target_os = "linux"))]
    fn become_program(&self, _parent: u32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Reads requests until there will be no more.
fn take_requests(requests: &Sender<Vec<u8>>) {
    let mut buffer = [0; 8192];
    let mut input = stdin().lock();
    loop {
        match input.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            // A program that reads nothing any more still needs a guard.
            Ok(read) => drop(requests.send(buffer[..read].to_vec())),
        }
    }
}

/// Hands requests on, in a thread of its own: a program that does not read must not keep its guard
/// from noticing that nobody is there any more.
fn hand_on(mut pipe: ChildStdin, requests: &Receiver<Vec<u8>>) {
    for part in requests {
        if pipe.write_all(&part).and_then(|()| pipe.flush()).is_err() {
            return;
        }
    }
}

/// Waits for the program's end, and brings it about some time after `desertion`.
fn attend(child: &mut Child, desertion: &Receiver<()>) -> End {
    let started = Instant::now();
    let mut deserted: Option<Instant> = None;
    loop {
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => return of(status),
            Err(_) => return End::Unknown,
        }
        if deserted.is_some_and(|since| since.elapsed() >= GRACE) {
            return end(child);
        }
        let since = deserted.unwrap_or(started).elapsed();
        let wait = (since / 10).clamp(Duration::from_millis(1), POLL);
        match deserted {
            Some(_) => std::thread::sleep(wait),
            None => match desertion.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => deserted = Some(Instant::now()),
            },
        }
    }
}

fn end(child: &mut Child) -> End {
    // It may have ended in this moment.
    let _ = child.kill();
    child.wait().map_or(End::Unknown, of)
}

fn of(status: ExitStatus) -> End {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return End::Signal(signal);
    }
    status.code().map_or(End::Unknown, End::Code)
}

/// Says how the program ended, after everything that it said itself.
fn report(end: &End) {
    if let Ok(line) = encode_end(end) {
        let mut out = stdout().lock();
        // Nobody may be there to hear it.
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }
}

#[cfg(unix)]
fn kill_own_group() -> io::Result<()> {
    use rustix::process::{Signal, getpgrp, getpid, kill_current_process_group};
    // Started by hand, it leads no group, and must not kill that of a shell.
    if getpgrp() == getpid() {
        kill_current_process_group(Signal::KILL)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn kill_own_group() -> io::Result<()> {
    Ok(())
}

/// The command that starts a guard of `argv` in `dir`.
pub(crate) fn command(guard: &Guard, argv: &[String], dir: &Path, staging: &Path) -> Command {
    let mut command = Command::new(&guard.program);
    command.args(&guard.args).arg("--staging").arg(staging).arg("--").args(argv).current_dir(dir);
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0).arg0("mambafleet");
    }
    command
}
