//! The contention test: processes that save and read models on one store, all at once, and proof
//! of what came of it; the same load on the naive ways of saving, and what each way costs.
//!
//! A *set* is three files that one writer saves together. Every file names the save that made it
//! ([`Set`]), so any set of files can be judged without knowing who wrote what ([`judge`]): whole,
//! torn, or mixed. Readers judge what they read while others write; in the end everything that is
//! there is judged, and compared with what the writers were told is saved.
//!
//! [`run`] carries out a [`Test`]. It starts each writer and each reader as a process of its own
//! (the program itself, with a hidden subcommand that calls [`serve`]), waits until all are ready,
//! and fires the starting gun. A process that dies or hangs is counted and named, and ends nothing
//! but itself: writers are waited for until a deadline.
//!
//! Three [`Way`]s of saving bear the load: the artifact store; truncating and writing in place;
//! and three renames in a row, as durable as the store. [`cost::measure`] compares their cost when
//! nobody else is there, in turns, so that noise hits all of them alike.
//!
//! # The ideal queueing time
//!
//! In a closed loop of W writers on S symbols, each asks for the lock again as soon as it can. At
//! worst a writer finds all others of its symbol in front of it, and if it is then served in turn
//! it waits for W/S - 1 of them: the ideal is `(W / S - 1) x` the mean time that the lock is held,
//! from having it to being rid of it. A 99th percentile near it means that the lock is handed on
//! without delay and in turn; a lock that lets writers starve shows a multiple of it.

pub mod cost;
mod error;
mod fleet;
mod member;
mod plan;
mod process;
mod report;
mod set;
mod signals;
mod stats;
mod tally;
mod test;
mod ways;
mod wire;

pub use error::StressError;
pub use member::serve;
pub use plan::Workload;
pub use process::MemberCommand;
pub use report::{LockWait, Report, Turns, WayReport};
pub use set::{Contents, FILES, Set, Verdict, judge};
pub use signals::Signals;
pub use stats::Percentiles;
pub use test::{Observer, Progress, Test, run};
pub use ways::{Checked, Loaded, LockTimes, Receipt, SaveError, Saved, Saver, Way};
