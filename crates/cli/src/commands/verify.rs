//! `mambafleet verify`.

use mambafleet_artifacts::{Fault, StoreError, SymbolReport};
use mambafleet_protocol::Symbol;
use rayon::prelude::*;
use serde::Serialize;

use super::open_store;
use crate::args::Common;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::reporters::count;
use crate::table::bytes;

#[derive(Serialize)]
struct Verified {
    symbols: usize,
    generations: usize,
    bytes: u64,
    faults: Vec<SymbolFault>,
}

#[derive(Serialize)]
struct SymbolFault {
    symbol: Symbol,
    #[serde(flatten)]
    fault: Fault,
}

/// Checks the named symbols, or all of them.
pub(crate) fn run(
    common: &Common,
    names: &[String],
    all: bool,
    output: Output,
) -> Result<Exit, CliError> {
    if names.is_empty() && !all {
        let error = CliError::usage("nothing to verify: no symbol is named");
        return Err(error.with_hint("name symbols, or check the whole store with --all"));
    }
    let store = open_store(common)?;
    let symbols = if all {
        store.symbols()?
    } else {
        names.iter().map(|name| Symbol::new(name.as_str())).collect::<Result<_, _>>()?
    };
    let reports: Vec<Result<SymbolReport, StoreError>> =
        symbols.par_iter().map(|symbol| store.symbol(symbol).verify_all()).collect();
    let mut verified =
        Verified { symbols: symbols.len(), generations: 0, bytes: 0, faults: Vec::new() };
    for (symbol, report) in symbols.iter().zip(reports) {
        let report = report?;
        if !names.is_empty() && report.generations.is_empty() {
            return Err(CliError::no_generation(symbol));
        }
        verified.generations += report.generations.len();
        verified.bytes += report.bytes;
        let named =
            report.faults.into_iter().map(|fault| SymbolFault { symbol: symbol.clone(), fault });
        verified.faults.extend(named);
    }
    output.result("verified", &verified, || text(&verified))?;
    if verified.faults.is_empty() { Ok(Exit::Success) } else { Ok(Exit::Damaged) }
}

fn text(verified: &Verified) -> String {
    let scope = format!(
        "{} of {}, {}",
        count(verified.generations, "generation"),
        count(verified.symbols, "symbol"),
        bytes(verified.bytes)
    );
    if verified.faults.is_empty() {
        return format!("{scope}: every byte as committed");
    }
    let named =
        verified.faults.iter().map(|SymbolFault { symbol, fault }| format!("{symbol}: {fault}"));
    let mut lines: Vec<String> = named.collect();
    lines.push(format!("{scope}: {}", count(verified.faults.len(), "fault")));
    lines.join("\n")
}
