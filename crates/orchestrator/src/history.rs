//! When it last went well, as the store and the records of earlier runs say.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use mambafleet_artifacts::{Manifest, SymbolStore};
use mambafleet_protocol::{RunId, Symbol, cause_chain};

use crate::{CompleteRun, RecordError, RunRecord};

/// When the content of the symbol's newest intact generation was first committed; `None` when there
/// is no such generation. The one that is up to date has just been read by a worker, so its manifest
/// is enough. A store that cannot be read is logged.
pub(crate) fn last_success(store: &SymbolStore, up_to_date: Option<u64>) -> Option<Timestamp> {
    if let Some(Ok(Ok(manifest))) = up_to_date.map(|generation| store.manifest(generation)) {
        return Some(origin(store, &manifest));
    }
    match store.latest() {
        Ok(snapshot) => snapshot.map(|snapshot| origin(store, snapshot.manifest())),
        Err(error) => {
            let error = cause_chain(&error);
            tracing::warn!(symbol = %store.symbol(), error, "cannot tell when it was last trained");
            None
        }
    }
}

/// When the content of a generation was first committed: to go back to an old generation is not to
/// train it. Where the old one is gone, the oldest that is left says it as well as can be.
fn origin(store: &SymbolStore, newest: &Manifest) -> Timestamp {
    if newest.restored_from.is_none() {
        return newest.created_at;
    }
    let history = store.history().unwrap_or_default();
    let mut at = newest;
    while let Some(from) = &at.restored_from {
        let older = history.iter().filter_map(|entry| entry.manifest.as_ref().ok());
        let mut older = older.filter(|older| older.generation < at.generation);
        match older.find(|older| older.hash == from.manifest_hash) {
            Some(older) => at = older,
            None => break,
        }
    }
    at.created_at
}

/// The newest earlier run in which all of these symbols went well, whatever others it had. Each summary of
/// exactly these names the one before it, so none older than that has to be looked at. With `until`, runs after that one are left out.
///
/// # Errors
/// [`RecordError`] when the directory of all runs cannot be read.
pub fn last_complete_run(
    runs: &Path,
    symbols: &BTreeSet<&Symbol>,
    until: Option<&RunId>,
) -> Result<Option<CompleteRun>, RecordError> {
    if symbols.is_empty() {
        return Ok(None);
    }
    let all = RunRecord::newest_first(runs)?.into_iter();
    for run in all.filter(|run| until.is_none_or(|until| run <= until)) {
        // One that cannot be read is no answer, and no obstacle.
        let Ok(Some(summary)) = RunRecord::summary(runs, &run) else { continue };
        let of_run: BTreeSet<_> = summary.symbols.iter().map(|symbol| &symbol.symbol).collect();
        if !of_run.is_superset(symbols) {
            continue;
        }
        let mut ours = summary.symbols.iter().filter(|symbol| symbols.contains(&symbol.symbol));
        if ours.all(|symbol| symbol.outcome.is_good()) {
            return Ok(Some(CompleteRun { run, finished_at: summary.finished_at }));
        }
        if of_run == *symbols {
            return Ok(summary.last_successful_run);
        }
    }
    Ok(None)
}
