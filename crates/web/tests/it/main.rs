//! Tests over real sockets: what is refused, and what the others get meanwhile.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test that calls them"
)]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test ends by panicking")]

mod access;
mod clients;
mod shape;
mod streams;
mod support;
