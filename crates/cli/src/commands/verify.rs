//! `mambafleet verify`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mambafleet_artifacts::{Fault, Store, StoreError, SymbolReport};
use mambafleet_metrics::Verification;
use mambafleet_protocol::Symbol;
use rayon::prelude::*;
use serde::Serialize;

use super::failure::Failures;
use super::open_configured;
use crate::args::{Common, VerifyArgs};
use crate::config::{Observe, Overrides};
use crate::error::CliError;
use crate::exit::Exit;
use crate::metrics::{check_textfile, fleet_of_check, leave, textfile};
use crate::output::Output;
use crate::reporters::{bar, count};
use crate::table::bytes;

#[derive(Default, Serialize)]
struct Verified {
    symbols: usize,
    generations: usize,
    bytes: u64,
    faults: Vec<SymbolFault>,
    failures: Failures,
}

#[derive(Serialize)]
struct SymbolFault {
    symbol: Symbol,
    #[serde(flatten)]
    fault: Fault,
}

/// Checks the named symbols, or all of them.
pub(crate) fn run(common: &Common, args: &VerifyArgs, output: Output) -> Result<Exit, CliError> {
    if args.symbols.is_empty() && !args.all {
        let error = CliError::usage("nothing to verify: no symbol is named");
        return Err(error.with_hint("name symbols, or check the whole store with --all"));
    }
    let (store, config) = open_configured(common, Overrides::new())?;
    if let Some(file) = &args.textfile {
        check_file(&config.observe, file)?;
    }
    let started = Instant::now();
    // A symbol that has lost all its generations still has a directory.
    let symbols = if args.all {
        store.known_symbols()?
    } else {
        args.symbols.iter().map(|name| Symbol::new(name.as_str())).collect::<Result<_, _>>()?
    };
    let reports = check(&store, &symbols, args.quiet || output.is_json());
    let mut verified = Verified::default();
    for (symbol, report) in symbols.into_iter().zip(reports) {
        match report {
            Ok(report) if report.generations.is_empty() && report.is_clean() => {
                if !args.all {
                    return Err(CliError::no_generation(&symbol));
                }
            }
            Ok(report) => verified.add(report),
            Err(error) => verified.failures.add(symbol, error, output),
        }
    }
    let left = args.textfile.as_ref().is_none_or(|file| {
        let fleet = fleet_of_check(&config.observe, file);
        let verification = verified.verification(started.elapsed());
        leave(file, |earlier| verification.render_onto(&fleet, earlier))
    });
    output.result("verified", &verified, || text(&verified))?;
    let exit = if verified.faults.is_empty() { verified.failures.exit() } else { Exit::Damaged };
    // Whoever reads the file must not take an old one for new.
    Ok(if exit == Exit::Success && !left { Exit::Internal } else { exit })
}

/// Refuses a file of metrics that could not be written in the end, or that is the runs' own.
fn check_file(observe: &Observe, file: &Path) -> Result<(), CliError> {
    check_textfile("--textfile", file)?;
    let whole = |file: &Path| {
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
        Some(dir.unwrap_or(Path::new(".")).canonicalize().ok()?.join(file.file_name()?))
    };
    if textfile(observe).is_some_and(|of_runs| whole(&of_runs) == whole(file)) {
        let message = format!("--textfile {}: is where runs write theirs", file.display());
        return Err(CliError::usage(message).with_hint("name another file beside it"));
    }
    Ok(())
}

/// Checks all symbols, and draws a bar meanwhile.
fn check(store: &Store, symbols: &[Symbol], quiet: bool) -> Vec<Result<SymbolReport, StoreError>> {
    let bar = bar(quiet, "verifying {bar:24} {pos}/{len} generations, {elapsed}");
    let generations = |symbol| store.symbol(symbol).generations().map_or(0, |all| all.len());
    bar.set_length(symbols.iter().map(generations).sum::<usize>() as u64);
    let reports =
        symbols.par_iter().map(|symbol| store.symbol(symbol).verify_each(&|_| bar.inc(1)));
    let reports = reports.collect();
    bar.finish_and_clear();
    reports
}

impl Verified {
    /// What it comes to in numbers.
    fn verification(&self, took: Duration) -> Verification {
        let damaged = self.faults.iter().map(|at| (&at.symbol, at.fault.generation));
        Verification {
            at: Timestamp::now(),
            seconds: took.as_secs_f64(),
            symbols: self.symbols,
            generations: self.generations,
            bytes: self.bytes,
            damaged: damaged.collect::<BTreeSet<_>>().len(),
            faults: self.faults.len(),
            unread: self.failures.count(),
        }
    }

    fn add(&mut self, report: SymbolReport) {
        self.symbols += 1;
        self.generations += report.generations.len();
        self.bytes += report.bytes;
        let named = report
            .faults
            .into_iter()
            .map(|fault| SymbolFault { symbol: report.symbol.clone(), fault });
        self.faults.extend(named);
    }
}

fn text(verified: &Verified) -> String {
    let scope = format!(
        "{} of {}, {}",
        count(verified.generations, "generation"),
        count(verified.symbols, "symbol"),
        bytes(verified.bytes)
    );
    if verified.faults.is_empty() {
        return match verified.failures.count() {
            0 => format!("{scope}: every byte as committed"),
            unread => format!("{scope}: as committed; {} not read", count(unread, "symbol")),
        };
    }
    let named =
        verified.faults.iter().map(|SymbolFault { symbol, fault }| format!("{symbol}: {fault}"));
    let mut lines: Vec<String> = named.collect();
    lines.push(format!("{scope}: {}", count(verified.faults.len(), "fault")));
    lines.join("\n")
}
