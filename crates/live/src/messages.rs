//! Server-sent events.

use mambafleet_report::model::{Counts, Row, RunLine, Time, Timeline};
use mambafleet_web::Bytes;
use serde::Serialize;

/// What a client gets at once: when to come back after a loss, in milliseconds.
pub(crate) const HELLO: &[u8] = b"retry: 2000\n\n";

/// Load the page anew.
pub(crate) const PAGE: &[u8] = b"event: page\ndata: {}\n\n";

/// Nothing, so that whatever lies between does not take the connection for dead.
pub(crate) const KEEP: &[u8] = b": keep\n\n";

/// What has changed of a page.
#[derive(Serialize)]
pub(crate) struct Update<'a> {
    pub(crate) v: u64,
    pub(crate) run: &'a str,
    pub(crate) counts: Counts,
    pub(crate) rows: &'a [(usize, Row)],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeline: Option<&'a Timeline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time: Option<&'a Time>,
}

#[derive(Serialize)]
struct Runs<'a> {
    runs: &'a [RunLine],
}

/// The message that says what has changed.
pub(crate) fn update(update: &Update<'_>) -> Bytes {
    message("update", update)
}

/// The message that says which runs there are.
pub(crate) fn runs(runs: &[RunLine]) -> Bytes {
    message("runs", &Runs { runs })
}

/// JSON without line breaks, as a message wants it.
fn message(event: &str, data: &impl Serialize) -> Bytes {
    match serde_json::to_string(data) {
        Ok(json) => format!("event: {event}\ndata: {json}\n\n").into(),
        Err(error) => {
            tracing::error!(%error, event, "cannot write JSON");
            Bytes::from_static(PAGE)
        }
    }
}
