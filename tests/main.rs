//! The real binary, end to end: what it prints, what it leaves on disk, how it ends.
//!
//! Training here is real but tiny; every test has a directory of its own.

mod configuration;
mod contention;
mod data;
mod faults;
mod golden;
mod python;
mod support;
mod training;
