//! What a run and a check of a store come to, as metrics in Prometheus' text format (0.0.4).
//!
//! A [`Meter`] is fed with the events of a run and reads nothing itself. What it counts is asked for while the
//! run goes on ([`Meter::render`]), and laid down when it has ended: in a file that a node exporter reads
//! ([`Meter::render_onto`]). Such a file is read back by the next run ([`Earlier`]), for its counters go on
//! and what went well once stays known.
//!
//! [`families`] is the one table of all metrics.

mod kept;
mod meter;
mod samples;
mod slots;
mod table;
mod text;
mod verification;

pub use kept::{Earlier, Unreadable};
pub use meter::Meter;
pub use table::{Family, Kind, families};
pub use text::CONTENT_TYPE;
pub use verification::Verification;

use std::path::Path;

/// The label that every series has: which fleet it is of. Files beside one another must not hold the same
/// series, so it is what the file is called.
pub const FLEET: &str = "fleet";

/// The fleet whose metrics are in a file: `nightly` for `/var/lib/node-exporter/nightly.prom`.
#[must_use]
pub fn fleet_of(file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    stem.filter(|stem| !stem.is_empty()).unwrap_or_else(|| "mambafleet".to_owned())
}
