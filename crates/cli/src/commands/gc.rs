//! `mambafleet gc`.

use mambafleet_artifacts::{
    Collected, Leftover, LeftoverState, Retention, Store, SymbolStore, Wait,
};
use mambafleet_protocol::Symbol;
use rayon::prelude::*;
use serde::Serialize;

use super::failure::Failures;
use super::open_configured;
use super::own_lock::refuse_own;
use crate::args::{Common, GcArgs};
use crate::config::Overrides;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::reporters::count;
use crate::table::{bytes, ranges, render};

#[derive(Serialize)]
struct Collection {
    dry_run: bool,
    keep: usize,
    min_age_s: f64,
    symbols: Vec<OfSymbol>,
    bytes: u64,
    failures: Failures,
}

#[derive(Serialize)]
struct OfSymbol {
    #[serde(flatten)]
    collected: Collected,
    bytes: u64,
}

/// Collects old generations of the named symbols, or of all.
pub(crate) fn run(common: &Common, args: &GcArgs, output: Output) -> Result<Exit, CliError> {
    let (store, config) = open_configured(common, Overrides::new())?;
    let symbols = symbols(&store, &args.symbols)?;
    let retention = Retention { keep: args.keep, min_age: args.min_age };
    let results: Vec<_> = symbols
        .par_iter()
        .map(|symbol| {
            let symbol = store.symbol(symbol);
            let wait = (!args.dry_run).then(|| config.lock.wait());
            collect(&symbol, &retention, wait)
        })
        .collect();
    let mut collection = Collection {
        dry_run: args.dry_run,
        keep: args.keep.get(),
        min_age_s: args.min_age.as_secs_f64(),
        symbols: Vec::new(),
        bytes: 0,
        failures: Failures::default(),
    };
    for (symbol, result) in symbols.into_iter().zip(results) {
        match result {
            Ok(collected) => {
                let bytes = collected.bytes();
                collection.bytes += bytes;
                collection.symbols.push(OfSymbol { collected, bytes });
            }
            Err(error) => collection.failures.add(symbol, error, output),
        }
    }
    output.result("collected", &collection, || text(&collection))?;
    Ok(collection.failures.exit())
}

/// Collects under the symbol's lock: to whoever else holds it, a backup for instance, nothing
/// vanishes. Only a dry run has nothing to wait for.
fn collect(
    symbol: &SymbolStore,
    retention: &Retention,
    wait: Option<Wait>,
) -> Result<Collected, CliError> {
    let Some(wait) = wait else { return Ok(symbol.gc(retention, true)?) };
    refuse_own(symbol)?;
    let _lock = symbol.lock(wait)?;
    Ok(symbol.gc(retention, false)?)
}

/// The symbols named, which must be there, or all.
fn symbols(store: &Store, names: &[String]) -> Result<Vec<Symbol>, CliError> {
    if names.is_empty() {
        return Ok(store.known_symbols()?);
    }
    let named = names.iter().map(|name| {
        let symbol = Symbol::new(name.as_str())?;
        let known = store.symbol(&symbol).dir().is_dir();
        if known { Ok(symbol) } else { Err(CliError::no_generation(&symbol)) }
    });
    named.collect()
}

fn text(collection: &Collection) -> String {
    let columns = if collection.dry_run {
        ["symbol", "would remove", "would keep", "would free"]
    } else {
        ["symbol", "removed", "kept", "freed"]
    };
    let [symbol, removed, kept, freed] = columns;
    let columns = [(symbol, false), (removed, false), (kept, false), (freed, true)];
    let rows = collection.symbols.iter().map(|OfSymbol { collected, bytes: freed }| {
        let removed = collected.removed.iter().map(|removed| removed.generation);
        vec![
            collected.symbol.to_string(),
            ranges(removed),
            ranges(collected.kept.iter().copied()),
            bytes(*freed),
        ]
    });
    let table = render(&columns, rows.collect());
    let left = collection.symbols.iter().flat_map(|one| {
        let Collected { symbol, leftovers, .. } = &one.collected;
        leftovers.iter().filter_map(move |left| leftover(symbol, left, collection.dry_run))
    });
    let left: String = left.map(|line| line + "\n").collect();
    format!("{table}\n\n{left}{}", summary(collection))
}

fn summary(collection: &Collection) -> String {
    let removed = collection.symbols.iter().map(|one| one.collected.removed.len()).sum();
    let removed = count(removed, "generation");
    let bytes = bytes(collection.bytes);
    if collection.dry_run {
        format!("dry run: would remove {removed} and free {bytes}")
    } else {
        format!("removed {removed}, freed {bytes}")
    }
}

/// What happens to something that a writer left; nothing to say while that writer is at work.
fn leftover(symbol: &Symbol, left: &Leftover, dry_run: bool) -> Option<String> {
    let name = &left.name;
    match left.state {
        LeftoverState::Dead if dry_run => {
            Some(format!("{symbol}: would remove {name}, which a dead writer left"))
        }
        LeftoverState::Dead => Some(format!("{symbol}: removed {name}, which a dead writer left")),
        LeftoverState::Unknown => {
            Some(format!("{symbol}: kept {name}: whether its writer is dead cannot be told here"))
        }
        LeftoverState::InUse => None,
    }
}
