//! What files of prices are worth: a verdict on each, and what was found in it.
//!
//! [`inspect`] reads a file as training does and says what training would do with it; [`compare`]
//! then adds what only all files of a directory together can tell.

mod calendar;
mod finding;
mod inspect;
mod splits;

pub use calendar::Calendar;
pub use finding::{Effect, Finding, FindingKind, Inspection, Verdict};
pub use inspect::{EXTREME_MOVE, Files, Settings, compare, files, inspect};
pub use splits::{SuspectedSplit, suspected_splits};
