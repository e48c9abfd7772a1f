//! What run records and the store say, as a page shows it. What cannot be read is left out.

mod compare;
mod detail;
mod fan;
mod follow;
mod generation;
mod history;
mod metrics;
mod provenance;
mod runs;
mod tail;

use mambafleet_artifacts::Store;
use mambafleet_protocol::RunId;

pub use follow::{EVALUATION_FILE, Follower};

use crate::model::{Detail, Page};

/// Everything about a run of the store: the page, and the details of all symbols in the order of its rows;
/// nothing if there is no such run. It is compared with `compare`, or with the newest run before it that
/// has half of its symbols.
#[must_use]
pub fn everything(
    store: &Store,
    run: &RunId,
    compare: Option<&RunId>,
) -> Option<(Page, Vec<Detail>)> {
    let follower = Follower::open(store, run)?;
    Some((follower.page(compare), follower.details()))
}
