//! Keys that are heeded without Enter, on a terminal that gets its modes back.

use std::io::{IsTerminal, PipeReader, PipeWriter, pipe, stderr, stdin, stdout};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::process::{Signal, getpgrp, getpid, kill_process};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};

/// How often it is looked whether the terminal is this program's: it is not in the background, and
/// no signal says when it comes to the foreground.
const TICK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Heeds the keys until it is dropped; then the terminal is as it was.
pub(crate) struct Keys {
    modes: Arc<Mutex<Modes>>,
    /// Closing it ends the thread.
    end: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

/// Whose modes the terminal has.
enum Modes {
    /// Not ours.
    Theirs,
    /// Ours; these it had before.
    Ours(Box<Termios>),
    /// Not ours, and they stay so: the process is about to stop, or to end.
    Left,
}

impl Keys {
    /// Starts heeding `t`, which is as good as SIGUSR1; nothing where there is nobody to press it:
    /// input or messages that are no terminal, or output that goes to a program, which may be a
    /// pager that reads keys itself.
    pub(crate) fn listen() -> Option<Self> {
        if !stdin().is_terminal() || !stderr().is_terminal() || is_pipe() {
            return None;
        }
        let modes = Arc::new(Mutex::new(Modes::Theirs));
        let (end_seen, end) = pipe().ok()?;
        take(&modes);
        let shared = Arc::clone(&modes);
        let thread = std::thread::Builder::new().name("keys".to_owned());
        let thread = thread.spawn(move || listen(&shared, &end_seen));
        // Made first, so that it gives the modes back if there is no thread.
        let mut keys = Self { modes, end: Some(end), thread: None };
        keys.thread = Some(thread.ok()?);
        Some(keys)
    }

    /// Gives the terminal back before the process stops.
    pub(crate) fn pause(&self) {
        leave(&self.modes);
    }

    /// Takes the terminal again once the process goes on, if it is in the foreground.
    pub(crate) fn resume(&self) {
        *lock(&self.modes) = Modes::Theirs;
        take(&self.modes);
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        leave(&self.modes);
    }
}

fn listen(modes: &Mutex<Modes>, end: &PipeReader) {
    let stdin = stdin();
    loop {
        let ours = take(modes);
        let mut both = [PollFd::new(end, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
        let watched = if ours { &mut both[..] } else { &mut both[..1] };
        match poll(watched, Some(&TICK)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        if !both[0].revents().is_empty() {
            return;
        }
        let mut pressed = [0; 64];
        // Whoever reads in the background is stopped.
        if !take(modes) {
            continue;
        }
        match rustix::io::read(&stdin, &mut pressed) {
            Ok(0) => return,
            Ok(read) if pressed[..read].contains(&b't') => {
                let _ = kill_process(getpid(), Signal::USR1);
            }
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return,
        }
    }
}

/// Sees to it that keys come without Enter and are not shown; signals are still made of Ctrl-C and
/// Ctrl-Z. Whether it is so now: only in the foreground can it be.
fn take(modes: &Mutex<Modes>) -> bool {
    let mut modes = lock(modes);
    if matches!(*modes, Modes::Left) || !in_foreground() {
        return false;
    }
    let Ok(before) = tcgetattr(stdin()) else { return false };
    // Also after a stop that nobody was told of, when a shell has put its own modes back.
    if before.local_modes.contains(LocalModes::ICANON) {
        let mut single = before.clone();
        single.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        single.special_codes[SpecialCodeIndex::VMIN] = 1;
        single.special_codes[SpecialCodeIndex::VTIME] = 0;
        if tcsetattr(stdin(), OptionalActions::Now, &single).is_err() {
            return false;
        }
        *modes = Modes::Ours(Box::new(before));
    }
    true
}

/// Puts the modes back that the terminal had, and leaves it alone. In the background it is
/// somebody else's, who has put theirs.
fn leave(modes: &Mutex<Modes>) {
    let mut modes = lock(modes);
    if let Modes::Ours(before) = std::mem::replace(&mut *modes, Modes::Left)
        && in_foreground()
    {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
}

fn in_foreground() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
}

fn is_pipe() -> bool {
    fstat(stdout()).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

fn lock(modes: &Mutex<Modes>) -> MutexGuard<'_, Modes> {
    modes.lock().unwrap_or_else(PoisonError::into_inner)
}
