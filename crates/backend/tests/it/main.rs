//! Tests of the seam: the replay of parity files, by a model written down naively.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

mod dual;
mod files;
mod mutations;
mod naive;
