//! What the parent and the members of a test say to each other, as JSON lines.

use std::path::PathBuf;
use std::time::Duration;

use mambafleet_protocol::Symbol;
use serde::{Deserialize, Serialize};

use crate::ways::{LockTimes, Receipt, Way};

/// What the parent says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ToMember {
    /// What to do; the first line.
    Orders(Orders),
    /// The starting gun.
    Go,
    /// The end, for readers.
    Stop,
}

/// What a member is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) role: Role,
    /// The member's number among those of its role, from 0.
    pub(crate) number: u32,
    pub(crate) way: Way,
    pub(crate) dir: PathBuf,
    pub(crate) symbols: Vec<Symbol>,
    pub(crate) lock_timeout: Duration,
}

/// Writer or reader.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Saves so many sets with so many bytes of weights; `writers` do so at once.
    Writer { iterations: u32, bytes: usize, writers: u32 },
    /// Reads until told to stop.
    Reader,
}

/// What a member says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum FromMember {
    /// Waiting for the starting gun.
    Ready,
    /// A set was saved.
    Saved { symbol: Symbol, receipt: Receipt, lock: Option<LockTimes>, took: Duration },
    /// A set was not saved.
    Failed { timeout: bool, cause: String },
    /// What a reader saw, after it was stopped.
    Observed(Observations),
    /// All was tried; the last word of a writer.
    Done,
}

/// What a reader saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Observations {
    /// Sets read.
    pub(crate) reads: u64,
    /// Those with a file that nobody wrote.
    pub(crate) torn: u64,
    /// Those of several writers.
    pub(crate) mixed: u64,
    /// Reads that failed.
    pub(crate) errors: u64,
    /// Some of what was wrong, in words.
    pub(crate) faults: Vec<String>,
}
