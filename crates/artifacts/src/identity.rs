//! Who this process is, precisely enough to tell later whether it is gone.
//!
//! Only Linux shows all that is needed for that, under `/proc`. Elsewhere nobody is ever known to
//! be gone, so that what a killed writer had staged stays until somebody removes it by hand.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// The process that wrote a generation or took a lock.
///
/// A process id alone is soon another process's. Together with the machine's boot and the
/// process's start, it names one process for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// The machine's host name.
    pub host: String,
    /// The kernel's identifier of this boot, where there is one.
    pub boot_id: Option<String>,
    /// The process id.
    pub pid: u32,
    /// When the process started, in the kernel's clock ticks since boot, where it tells.
    pub start_time: Option<u64>,
}

impl Writer {
    /// The present process.
    #[must_use]
    pub fn current() -> &'static Self {
        static CURRENT: OnceLock<Writer> = OnceLock::new();
        CURRENT.get_or_init(|| Self {
            host: host_name(),
            boot_id: boot_id(),
            pid: std::process::id(),
            start_time: start_time(),
        })
    }
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

#[cfg(unix)]
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

/// Something under `/proc`. Only Linux is asked: Wine shows the one below it, whose processes have
/// other ids.
fn proc_file(path: &str) -> Option<String> {
    if cfg!(target_os = "linux") { std::fs::read_to_string(path).ok() } else { None }
}

fn boot_id() -> Option<String> {
    Some(proc_file("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn start_time() -> Option<u64> {
    parse_start_time(&proc_file("/proc/self/stat")?)
}

/// Field 22 of `/proc/<pid>/stat`. The second field is the program's name in parentheses, which
/// may itself hold spaces and parentheses, so counting starts after the last one.
fn parse_start_time(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

/// Whether the writer of something that was left behind still exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// It runs.
    Alive,
    /// It is certain never to come back.
    Gone,
    /// It cannot be seen from here.
    Unknown,
}

/// Names a process in few characters, as part of a file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessTag {
    /// The first 32 bits of the boot's identifier; zero where there is none.
    boot: u32,
    /// The inode of the process's pid namespace: ids mean nothing outside of it.
    namespace: u64,
    pid: u32,
    start_time: u64,
}

impl ProcessTag {
    /// The present process.
    pub(crate) fn current() -> Self {
        static CURRENT: OnceLock<ProcessTag> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let Writer { boot_id, pid, start_time, .. } = Writer::current();
            let boot = boot_id.as_ref().and_then(|id| u32::from_str_radix(id.get(..8)?, 16).ok());
            Self {
                boot: boot.unwrap_or(0),
                namespace: pid_namespace().unwrap_or(0),
                pid: *pid,
                start_time: start_time.unwrap_or(0),
            }
        })
    }

    /// Whether that process still exists, as far as this one can tell. On a `local` file system,
    /// one that a single kernel has mounted, whatever an earlier boot left has no writer.
    pub(crate) fn liveness(&self, local: bool) -> Liveness {
        let here = Self::current();
        if here.boot == 0 || self.boot == 0 {
            return Liveness::Unknown;
        }
        if self.boot != here.boot {
            return if local { Liveness::Gone } else { Liveness::Unknown };
        }
        if self.namespace != here.namespace || here.namespace == 0 {
            return Liveness::Unknown;
        }
        if !exists(self.pid) {
            return Liveness::Gone;
        }
        // The id may be another process's by now. Where that cannot be seen, assume that it is not.
        match proc_file(&format!("/proc/{}/stat", self.pid)) {
            Some(stat) if parse_start_time(&stat).is_some_and(|t| t != self.start_time) => {
                Liveness::Gone
            }
            _ => Liveness::Alive,
        }
    }
}

impl fmt::Display for ProcessTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boot, namespace, pid, start_time } = self;
        write!(f, "{boot:08x}-{namespace}-{pid}-{start_time}")
    }
}

impl FromStr for ProcessTag {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = text.split('-').collect();
        let [boot, namespace, pid, start_time] = parts[..] else { return Err(()) };
        Ok(Self {
            boot: u32::from_str_radix(boot, 16).map_err(drop)?,
            namespace: namespace.parse().map_err(drop)?,
            pid: pid.parse().map_err(drop)?,
            start_time: start_time.parse().map_err(drop)?,
        })
    }
}

/// Whether there is a process of this id in this pid namespace, also one of another user.
#[cfg(unix)]
fn exists(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn exists(_pid: u32) -> bool {
    true
}

/// The link reads `pid:[4026531836]`.
fn pid_namespace() -> Option<u64> {
    let link = std::fs::read_link("/proc/self/ns/pid").ok()?;
    link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_comes_back_from_its_text() {
        let tag = ProcessTag::current();
        assert_eq!(tag.to_string().parse(), Ok(tag));
        for bad in ["", "1-2-3", "1-2-3-4-5", "x-2-3-4", "1-2--3-4"] {
            assert_eq!(bad.parse::<ProcessTag>(), Err(()), "{bad:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_what_is_certain_is_called_gone() {
        let here = ProcessTag::current();
        assert_eq!(here.liveness(true), Liveness::Alive);
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let ended = ProcessTag { pid: ended.id(), ..here };
        assert_eq!(ended.liveness(false), Liveness::Gone);
        let recycled = ProcessTag { start_time: here.start_time + 1, ..here };
        assert_eq!(recycled.liveness(false), Liveness::Gone);
        let elsewhere = ProcessTag { namespace: here.namespace + 1, ..ended };
        assert_eq!(elsewhere.liveness(true), Liveness::Unknown);
        let earlier = ProcessTag { boot: here.boot ^ 1, ..here };
        assert_eq!(earlier.liveness(true), Liveness::Gone);
        assert_eq!(earlier.liveness(false), Liveness::Unknown);
        let unknown = ProcessTag { boot: 0, ..ended };
        assert_eq!(unknown.liveness(true), Liveness::Unknown);
    }

    #[test]
    fn the_start_time_is_found_behind_a_strange_program_name() {
        let stat = "42 (a ) 7 (b) S 1 42 42 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 1 0 987654 1 2 3";
        assert_eq!(parse_start_time(stat), Some(987_654));
        assert_eq!(parse_start_time("42 (a) S 1"), None);
    }

    #[test]
    fn the_present_process_is_known() {
        let writer = Writer::current();
        assert_eq!(writer.pid, std::process::id());
        if cfg!(target_os = "linux") {
            assert!(!writer.host.is_empty());
            assert!(writer.boot_id.as_ref().is_some_and(|id| id.len() == 36));
            assert!(writer.start_time.is_some());
        }
    }
}
