//! Tests of the seam: the suites that hold backends to it, run on backends made to keep or to break
//! what they ask for.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends by panicking, and says what it has seen"
)]

mod conformance;
mod dual;
mod files;
mod fit;
mod mutations;
mod naive;
