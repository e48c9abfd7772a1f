//! Who this process is, precisely enough to tell later whether it is gone.

use std::fmt;
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

fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

fn start_time() -> Option<u64> {
    parse_start_time(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// Field 22 of `/proc/<pid>/stat`. The second field is the program's name in parentheses, which
/// may itself hold spaces and parentheses, so counting starts after the last one.
fn parse_start_time(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
