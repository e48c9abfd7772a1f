//! Tests over real sockets: what is refused, and what the others get meanwhile.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test ends by panicking")]

mod access;
mod clients;
mod shape;
mod streams;
mod support;
