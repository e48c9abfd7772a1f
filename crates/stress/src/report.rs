//! What a test found.

use serde::Serialize;

use crate::cost::Costs;
use crate::plan::Workload;
use crate::stats::Percentiles;
use crate::ways::Way;

/// What a test found. As JSON, the findings about the store stand at the top, those about the
/// other ways in objects of their own.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The load.
    pub workload: Workload,
    /// The store.
    #[serde(flatten)]
    pub ours: WayReport,
    /// Three renames in a row, if they were tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub three_renames: Option<WayReport>,
    /// The naive way, if it was tried.
    #[serde(rename = "unsafe", skip_serializing_if = "Option::is_none")]
    pub in_place: Option<WayReport>,
    /// What one commit costs, if it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub costs: Option<Costs>,
}

impl Report {
    /// The ways that were tried, ours first.
    pub fn ways(&self) -> impl Iterator<Item = &WayReport> {
        std::iter::once(&self.ours).chain(&self.three_renames).chain(&self.in_place)
    }
}

/// What a test found about one way of saving.
#[derive(Debug, Clone, Serialize)]
pub struct WayReport {
    /// Which.
    pub way: Way,
    /// Saves that were acknowledged to their writer.
    pub commits: u64,
    /// Saves and reads that failed, and processes that died or had to be killed.
    pub errors: u64,
    /// Saves that gave up waiting for the lock.
    pub timeouts: u64,
    /// Sets that readers read while others wrote.
    pub reads: u64,
    /// Those of them with a file that nobody wrote: cut short, undecodable, with a wrong hash.
    pub torn_reads: u64,
    /// Those of them whose files are whole, but different writers'.
    pub mixed_reads: u64,
    /// Sets that were there in the end, and checked.
    pub sets_checked: u64,
    /// Files in them that are not what any one writer wrote.
    pub corrupt_files: u64,
    /// Those of the sets whose files are whole, but different writers'.
    pub mixed_sets: u64,
    /// Acknowledged saves that should be there and are not.
    pub lost_commits: u64,
    /// From the starting gun to the last writer's end.
    pub seconds: f64,
    /// Acknowledged saves in each of these seconds.
    pub commits_per_s: f64,
    /// How long an acknowledged save took its writer, wait included.
    pub commit_ms: Option<Percentiles>,
    /// Waits for the lock, where there is one.
    pub lock_wait_ms: Option<LockWait>,
    /// Some of what went wrong, in words.
    pub faults: Vec<String>,
}

impl WayReport {
    /// Whether something was saved or read that nobody wrote, or was lost.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        let counts = [
            self.torn_reads,
            self.mixed_reads,
            self.corrupt_files,
            self.mixed_sets,
            self.lost_commits,
        ];
        counts.iter().any(|&count| count > 0)
    }
}

/// How often others come in between. Served in turn, each of W/S workers on a symbol comes once;
/// unlike the waits, this does not depend on how fast the disk is just then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Turns {
    /// No more than this, half of the times.
    pub p50: u64,
    /// No more than this, 99 of 100 times.
    pub p99: u64,
    /// The most.
    pub max: u64,
}

/// Waits for the lock, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LockWait {
    /// The waits.
    #[serde(flatten)]
    pub waited: Percentiles,
    /// How long the lock was held.
    pub held: Percentiles,
    /// The ideal queueing time: see [`Workload::ideal_wait`].
    pub ideal: f64,
    /// The 99th percentile of the waits as a multiple of the ideal, where there is a queue.
    pub p99_to_ideal: Option<f64>,
    /// How many commits of others lie between one worker's commit and its next on the same symbol.
    pub others_between: Option<Turns>,
}
