//! How long to wait for a lock that somebody else holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::holder::Holder;
use crate::vfs::Vfs;

/// The least that [`Wait::Auto`] waits for a sign of life.
const LEAST: Duration = Duration::from_secs(10);

/// What [`Wait::Auto`] allows for one hold while nothing is known of how long holds last.
const UNKNOWN_HOLD: Duration = Duration::from_secs(2);

/// How many times as long as usual a hold may last before it counts as stuck.
const SLACK: u32 = 8;

/// The queue that is assumed where the system does not show it.
const UNKNOWN_QUEUE: u32 = 8;

/// How long to wait for a lock that somebody else holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    Fail,
    /// At most this long.
    Until(Duration),
    /// As long as the queue moves: until nothing has been heard of any holder for many times as
    /// long as a hold of this lock usually lasts, times the number of those who wait, and for ten
    /// seconds at least. A holder is heard of when it takes the lock, lets it go, or
    /// [beats](crate::FileLock::beat).
    Auto,
}

/// Deals out the time that a caller is ready to wait, slice by slice.
pub(crate) struct Patience {
    wait: Wait,
    vfs: Arc<dyn Vfs>,
    lock: PathBuf,
    note: PathBuf,
    /// What was last heard of the holder.
    heard: Option<Holder>,
    begun: bool,
}

impl Patience {
    pub(crate) fn new(wait: Wait, vfs: Arc<dyn Vfs>, lock: PathBuf, note: PathBuf) -> Self {
        Self { wait, vfs, lock, note, heard: None, begun: false }
    }

    /// How long to wait until this is asked again; `None` when it is time to give up.
    pub(crate) fn next(&mut self) -> Option<Duration> {
        let begun = std::mem::replace(&mut self.begun, true);
        match self.wait {
            Wait::Fail => None,
            Wait::Until(patience) => (!begun).then_some(patience),
            Wait::Auto => {
                let now = Holder::read(&*self.vfs, &self.note);
                let stuck = begun && now == self.heard;
                self.heard = now;
                (!stuck).then(|| self.slice())
            }
        }
    }

    fn slice(&self) -> Duration {
        let hold = self.heard.as_ref().and_then(Holder::typical_hold).unwrap_or(UNKNOWN_HOLD);
        let queue = waiting(&self.lock).unwrap_or(UNKNOWN_QUEUE).saturating_add(1);
        hold.saturating_mul(SLACK).saturating_mul(queue).max(LEAST)
    }
}

/// How many wait for the lock on this file, where the kernel shows it.
#[cfg(target_os = "linux")]
fn waiting(lock: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let inode = std::fs::metadata(lock).ok()?.ino();
    Some(count_waiting(&std::fs::read_to_string("/proc/locks").ok()?, inode))
}

#[cfg(not(target_os = "linux"))]
fn waiting(_lock: &Path) -> Option<u32> {
    None
}

/// Counts lines such as `7: -> FLOCK  ADVISORY  WRITE 4242 fe:00:131 0 EOF`: the arrow marks one
/// who waits, and the last number between colons is the file's inode.
#[cfg(target_os = "linux")]
fn count_waiting(locks: &str, inode: u64) -> u32 {
    let suffix = format!(":{inode}");
    let waits = |line: &&str| {
        line.contains("-> FLOCK") && line.split_whitespace().any(|word| word.ends_with(&suffix))
    };
    u32::try_from(locks.lines().filter(waits).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holder::Note;
    use crate::vfs::RealVfs;

    fn patience(wait: Wait, dir: &Path) -> Patience {
        Patience::new(wait, Arc::new(RealVfs), dir.join("lock"), dir.join("note"))
    }

    fn record(holder: &Holder, dir: &Path) {
        Note::open(&RealVfs, dir.join("note")).record(holder);
    }

    #[test]
    fn a_deadline_is_one_slice_and_failing_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(patience(Wait::Fail, dir.path()).next(), None);
        let mut once = patience(Wait::Until(LEAST), dir.path());
        assert_eq!((once.next(), once.next()), (Some(LEAST), None));
    }

    #[test]
    fn auto_goes_on_while_something_is_heard_and_then_gives_up() {
        let dir = tempfile::tempdir().unwrap();
        let mut auto = patience(Wait::Auto, dir.path());
        assert!(auto.next().is_some(), "nothing known yet");
        let mut holder = Holder::begin(1, None);
        for sign in 0..4 {
            match sign {
                0 => {}
                1 => holder.beat = Some(jiff::Timestamp::now()),
                2 => holder.end(Duration::from_secs(3600)),
                _ => holder = Holder::begin(2, Some(&holder)),
            }
            record(&holder, dir.path());
            assert!(auto.next().is_some(), "sign {sign}");
        }
        assert_eq!(auto.next(), None, "nothing new was heard");
    }

    #[test]
    fn auto_knows_how_long_holds_last_and_who_else_waits() {
        let dir = tempfile::tempdir().unwrap();
        RealVfs.lock_file(&dir.path().join("lock")).unwrap();
        let mut holder = Holder::begin(1, None);
        holder.end(Duration::from_millis(1));
        record(&holder, dir.path());
        assert_eq!(patience(Wait::Auto, dir.path()).next(), Some(LEAST));
        holder.typical_hold_ms = Some(60e3);
        record(&holder, dir.path());
        let slice = patience(Wait::Auto, dir.path()).next().unwrap();
        assert!(slice >= SLACK * Duration::from_secs(60), "{slice:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_s_list_of_locks_is_read() {
        let locks = "1: FLOCK  ADVISORY  WRITE 10 fe:00:131 0 EOF\n\
                     1: -> FLOCK  ADVISORY  WRITE 11 fe:00:131 0 EOF\n\
                     1: -> FLOCK  ADVISORY  WRITE 12 fe:00:131 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 13 fe:00:1311 0 EOF\n\
                     3: -> POSIX  ADVISORY  WRITE 14 fe:00:131 0 EOF\n";
        assert_eq!(count_waiting(locks, 131), 2);
        assert_eq!(count_waiting(locks, 7), 0);
    }
}
