//! What processes take of the machine's memory, as far as the system says.

use std::collections::BTreeMap;

/// Resident memory, in bytes, of each of these processes with everything that descends from it.
/// A process that is gone, or a system that does not say, gives nothing.
#[cfg(target_os = "linux")]
pub(crate) fn resident(pids: &[u32]) -> BTreeMap<u32, u64> {
    let mut parents = BTreeMap::new();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(parent) = field(pid, "PPid:") {
            parents.insert(pid, parent);
        }
    }
    let mut sums = BTreeMap::new();
    for pid in parents.keys() {
        let mut ancestor = Some(u64::from(*pid));
        // A chain of parents ends; should processes change under us, this does too.
        for _ in 0..parents.len() {
            let Some(at) = ancestor.and_then(|at| u32::try_from(at).ok()) else { break };
            if pids.contains(&at) {
                *sums.entry(at).or_default() += field(*pid, "VmRSS:").unwrap_or_default() * 1024;
                break;
            }
            ancestor = parents.get(&at).copied();
        }
    }
    sums
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn resident(_pids: &[u32]) -> BTreeMap<u32, u64> {
    BTreeMap::new()
}

/// The most resident memory that a process has had so far, in bytes; without its children.
#[cfg(target_os = "linux")]
pub(crate) fn peak(pid: u32) -> Option<u64> {
    field(pid, "VmHWM:").map(|kilobytes| kilobytes * 1024)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn peak(_pid: u32) -> Option<u64> {
    None
}

/// A number in `/proc/<pid>/status`.
#[cfg(target_os = "linux")]
fn field(pid: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How many processes the system has killed so far for want of memory, where it says so.
pub(crate) fn out_of_memory_kills() -> Option<u64> {
    let vmstat = std::fs::read_to_string("/proc/vmstat").ok()?;
    let line = vmstat.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
    line.trim().parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_counts_with_its_children() {
        let me = std::process::id();
        let alone = resident(&[me])[&me];
        assert!(alone > 100_000, "{alone}");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let both = resident(&[me, child.id()]);
        assert!(both[&child.id()] > 0 && both[&child.id()] < both[&me], "{both:?}");
        assert!(resident(&[1_u32])[&1] >= alone);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(resident(&[u32::MAX]).is_empty());
    }
}
