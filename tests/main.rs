//! The real binary, end to end: what it prints, what it leaves on disk, how it ends.
//!
//! Training here is real but tiny; every test has a directory of its own.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test ends by panicking, and says on standard output what it skips"
)]

mod backends;
mod book;
mod command;
mod configuration;
mod contention;
mod data;
mod documents;
mod evaluation;
mod faults;
mod formats;

mod golden;
mod junit;
mod layers;
mod logs;
mod metrics;
mod models;
#[cfg(unix)]
mod notify;
mod predict;
mod python;
mod pytorch;
mod report;
#[cfg(unix)]
mod runs;
#[cfg(unix)]
mod screen;
mod series;
mod store;
mod stress;
#[cfg(unix)]
mod supervision;
mod support;
#[cfg(unix)]
mod terminal;
mod trackers;
mod training;
#[cfg(unix)]
mod ui;
