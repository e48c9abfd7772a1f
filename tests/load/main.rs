//! What the live page costs a run, and how soon it shows what happens: `just bench-ui`.
//!
//! Runs of synthetic symbols are trained in turns: alone, with the live page and clients that listen, and
//! with clients besides that do what they should not. Printed are ratios, and the time from an event to its
//! arrival at a client. `--rounds N --symbols N --workers N --clients N --epochs N` change the load.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a program that measures, and ends when it cannot"
)]

#[cfg(target_os = "linux")]
mod bad;
#[cfg(target_os = "linux")]
mod clients;
#[cfg(target_os = "linux")]
mod run;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this needs /proc");
}

#[cfg(target_os = "linux")]
fn main() {
    let load = run::Load::from_args(std::env::args().skip(1));
    println!("{load}");
    let mut all: Vec<run::Measured> = Vec::new();
    for round in 0..load.rounds {
        // In another order each time, so that what drifts hits all of them.
        for step in 0..run::KINDS.len() {
            let kind = run::KINDS[(round + step) % run::KINDS.len()];
            let measured = run::measure(kind, &load);
            println!("{measured}");
            all.push(measured);
        }
    }
    run::report(&all);
}
