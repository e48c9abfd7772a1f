//! A meter fed with events, and what it says read by a strict parser.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by panicking"
)]

mod earlier;
mod events;
mod page;
mod properties;
mod sequences;
