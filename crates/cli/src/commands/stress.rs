//! `mambafleet stress`, and the hidden side of it.

use std::io::{BufReader, stdin, stdout};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use mambafleet_orchestrator::WorkerCommand;
use mambafleet_stress::{MemberCommand, Progress, Report, Test, Workload};
use tempfile::TempDir;

use super::train::myself;
use super::worker::parent_gone;
use crate::args::{Common, StressArgs};
use crate::config::Overrides;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::plan::configuration;
use crate::reporters::{bar, stress_text};

/// Takes part in a test.
pub(crate) fn member() -> Result<Exit, CliError> {
    mambafleet_stress::serve(BufReader::new(stdin()), stdout(), parent_gone)?;
    Ok(Exit::Success)
}

/// Tests and reports.
pub(crate) fn run(common: &Common, args: &StressArgs, output: Output) -> Result<Exit, CliError> {
    let scratch = scratch(&place(common, args)?)?;
    output.say(&format!("working in {}", scratch.path().display()));
    let WorkerCommand { program, args: arguments } = myself("stress-member")?;
    let test = Test {
        workload: workload(args),
        in_place: args.in_place,
        compare: args.compare,
        root: scratch.path().to_owned(),
        command: MemberCommand { program, args: arguments },
    };
    let bar = bar(output.is_json(), "{msg:<24} {bar:24} {pos}/{len}, {elapsed}");
    let report = mambafleet_stress::run(&test, &mut |progress| show(&bar, progress));
    bar.finish_and_clear();
    let report = report?;
    output.result("stress", &report, || stress_text(&report))?;
    if report.ours.is_damaged() {
        output.say(&format!("the evidence is kept in {}", scratch.keep().display()));
    }
    Ok(exit(&report))
}

fn workload(args: &StressArgs) -> Workload {
    Workload {
        workers: args.workers,
        iterations: args.iterations,
        symbols: args.symbols,
        bytes: args.bytes,
        readers: args.readers,
        lock_timeout: args.lock_timeout,
        deadline: args.deadline,
    }
}

/// The directory in which the test makes its own: on the file system that the store is on, or will
/// be on.
fn place(common: &Common, args: &StressArgs) -> Result<PathBuf, CliError> {
    if let Some(dir) = &args.dir {
        return Ok(dir.clone());
    }
    let store = configuration(common, Overrides::new())?.config.store.dir;
    let store = std::path::absolute(&store)
        .map_err(|error| CliError::usage(format!("{}: {error}", store.display())))?;
    let beside = store.ancestors().skip(1).find(|dir| dir.is_dir());
    Ok(beside.unwrap_or(Path::new(".")).to_owned())
}

fn scratch(place: &Path) -> Result<TempDir, CliError> {
    tempfile::Builder::new().prefix("mambafleet-stress-").tempdir_in(place).map_err(|error| {
        CliError::usage(format!("cannot make a directory in {}: {error}", place.display()))
            .with_hint("name a directory that can be written with --dir")
    })
}

fn show(bar: &ProgressBar, progress: Progress) {
    match progress {
        Progress::Saving(way, tried, saves) => {
            if tried == 0 {
                bar.reset();
                bar.set_length(saves);
                bar.set_message(format!("{}: saving", way.name()));
            }
            bar.set_position(tried);
        }
        Progress::Checking(way) => bar.set_message(format!("{}: checking", way.name())),
        Progress::Measuring => bar.set_message("measuring one commit"),
    }
}

fn exit(report: &Report) -> Exit {
    match &report.ours {
        ours if ours.is_damaged() => Exit::Damaged,
        ours if ours.errors > 0 => Exit::SomeFailed,
        ours if ours.timeouts > 0 => Exit::Busy,
        _ => Exit::Success,
    }
}
