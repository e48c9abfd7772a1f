//! An operating-system lock on a file, with a deadline.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use fs4::{FileExt, TryLockError};

use crate::Wait;
use crate::durable;

/// Where blocking is not supported, the lock is tried again after a random time up to this.
const MAX_POLL: Duration = Duration::from_millis(50);

/// An exclusive lock on a file. The kernel frees it when the process dies, however it dies.
///
/// Two threads exclude each other like two processes do: each has the file opened for itself.
/// Children do not inherit it, because the file is closed when another program is executed.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
    /// Takes the lock, or returns `None` when it is not free in time.
    pub(crate) fn acquire(path: &Path, wait: Wait) -> io::Result<Option<Self>> {
        let file = durable::open_lock_file(path)?;
        let locked = if try_lock(&file)? {
            Some(file)
        } else {
            match wait {
                Wait::Fail => None,
                Wait::Until(patience) => lock_within(file, patience)?,
            }
        };
        Ok(locked.map(|file| Self { file, path: path.to_owned() }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for FileLock {
    /// Unlocks explicitly: closing alone would not do while a child process that is just being
    /// started still shares the open file.
    fn drop(&mut self) {
        if let Err(error) = FileExt::unlock(&self.file) {
            tracing::warn!(path = %self.path.display(), %error, "cannot unlock; closing instead");
        }
    }
}

/// Waits in a thread of its own, because a blocking lock knows no deadline. A waiter that gets the
/// lock too late finds nobody to hand it to, and gives it back at once.
///
/// Blocking matters: the kernel wakes the next waiter at once and in order. With ten processes on
/// one lock the 99th percentile was 20 ms, against 124 ms for polling every 1 to 50 ms.
fn lock_within(file: File, patience: Duration) -> io::Result<Option<File>> {
    let give_up = Instant::now() + patience;
    let (hand_over, receive) = sync_channel(0);
    thread::Builder::new().name("lock-waiter".to_owned()).spawn(move || {
        let result = lock_blocking(&file, give_up).map(|locked| locked.then_some(file));
        // A failure to send drops the file here, and the lock with it.
        drop(hand_over.send(result));
    })?;
    match receive.recv_timeout(patience) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the lock's waiter died")),
    }
}

/// Blocks until the lock is there; false only where polling had to stand in for it and time ran
/// out.
fn lock_blocking(file: &File, give_up: Instant) -> io::Result<bool> {
    loop {
        match FileExt::lock(file) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Unsupported
                ) =>
            {
                return poll(|| try_lock(file), give_up);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Tries again and again, after random pauses, so that waiters do not march in step.
fn poll(mut attempt: impl FnMut() -> io::Result<bool>, give_up: Instant) -> io::Result<bool> {
    while !attempt()? {
        let left = give_up.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        thread::sleep(left.min(MAX_POLL.mul_f64(rand::random_range(0.02..1.0))));
    }
    Ok(true)
}

/// Whether the lock was free and is now held.
fn try_lock(file: &File) -> io::Result<bool> {
    loop {
        match FileExt::try_lock(file) {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polling_ends_with_the_lock_or_with_the_deadline() {
        let soon = Instant::now() + Duration::from_millis(80);
        assert!(!poll(|| Ok(false), soon).unwrap());
        assert!(Instant::now() >= soon);

        let mut attempts = 0;
        let third = || {
            attempts += 1;
            Ok(attempts == 3)
        };
        assert!(poll(third, Instant::now() + Duration::from_secs(60)).unwrap());
        assert_eq!(attempts, 3);

        let refused = || Err(io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(poll(refused, soon).is_err());
    }

    #[test]
    fn a_waiter_that_is_late_gives_the_lock_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = FileLock::acquire(&path, Wait::Fail).unwrap().unwrap();
        let late = FileLock::acquire(&path, Wait::Until(Duration::from_millis(30))).unwrap();
        assert!(late.is_none());
        drop(held);
        // The late waiter is still queued; it must not keep what it gets.
        let patient = Wait::Until(Duration::from_secs(10));
        assert!(FileLock::acquire(&path, patient).unwrap().is_some());
    }
}
