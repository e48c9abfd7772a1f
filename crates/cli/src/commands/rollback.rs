//! `mambafleet rollback`.

use jiff::Timestamp;
use mambafleet_artifacts::{Commit, StoreError, SymbolStore};
use mambafleet_protocol::Symbol;
use serde::Serialize;

use super::open_configured;
use crate::args::{Common, RollbackArgs};
use crate::commands::own_lock::refuse_own;
use crate::config::Overrides;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

#[derive(Serialize)]
struct RolledBack {
    symbol: Symbol,
    generation: u64,
    restored_from: Option<u64>,
    replaced: Option<u64>,
    created_at: Timestamp,
    bytes: u64,
    lock_waited_ms: f64,
}

/// Commits the content of an older generation as the newest one.
pub(crate) fn run(common: &Common, args: &RollbackArgs, output: Output) -> Result<Exit, CliError> {
    let symbol = Symbol::new(args.symbol.as_str())?;
    let mut overrides = Overrides::new();
    if let Some(timeout) = &args.lock_timeout {
        overrides.push(("lock.timeout".into(), timeout.clone(), "--lock-timeout".into()));
    }
    let (store, config) = open_configured(common, overrides)?;
    let store = store.symbol(&symbol);
    refuse_own(&store)?;
    let wait = config.lock.wait();
    let commit = store.rollback(args.to, wait).map_err(|error| explain(error, &store, args.to))?;
    let rolled_back = rolled_back(symbol, commit);
    output.result("rolled_back", &rolled_back, || text(&rolled_back))?;
    Ok(Exit::Success)
}

fn rolled_back(symbol: Symbol, commit: Commit) -> RolledBack {
    let Commit { generation, manifest, lock_waited, .. } = commit;
    RolledBack {
        symbol,
        generation,
        restored_from: manifest.restored_from.as_ref().map(|from| from.generation),
        replaced: manifest.parent.as_ref().map(|parent| parent.generation),
        created_at: manifest.created_at,
        bytes: manifest.total_length(),
        lock_waited_ms: lock_waited.as_secs_f64() * 1e3,
    }
}

/// Without a generation that was asked for, the store names one that there never was.
fn explain(error: StoreError, store: &SymbolStore, to: Option<u64>) -> CliError {
    let newest = store.generations().ok().and_then(|all| all.last().copied());
    match (error, to, newest) {
        (StoreError::NotFound { symbol, .. }, None, Some(newest)) => {
            let message =
                format!("{symbol} has no intact generation before {newest} to go back to");
            CliError::new(Exit::NothingSelected, message)
        }
        (StoreError::NotFound { symbol, .. }, None, None) => CliError::no_generation(&symbol),
        (error, ..) => error.into(),
    }
}

fn text(done: &RolledBack) -> String {
    let RolledBack { symbol, generation, .. } = done;
    let from = done.restored_from.map_or_else(String::new, |from| format!(" {from}"));
    let before = done.replaced.map_or_else(
        || "before, none was intact".to_owned(),
        |replaced| format!("before, generation {replaced} was the newest"),
    );
    format!("{symbol}: generation {generation} holds the content of generation{from}; {before}")
}
