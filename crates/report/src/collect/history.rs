//! The generations of a symbol.

use mambafleet_artifacts::SymbolStore;
use mambafleet_protocol::cause_chain;
use mambafleet_worker::{METADATA_FILE, METRICS_FILE};

use super::generation::{About, Headlines, json, newest_first};
use crate::Num;
use crate::model::Past;
use crate::view::millis;

/// Generations that a page shows.
const SHOWN: usize = 50;

/// The newest generations, oldest first.
pub(super) fn of(store: &SymbolStore) -> Vec<Past> {
    let newest = newest_first(store).into_iter().take(SHOWN);
    let mut all: Vec<Past> = newest.filter_map(|generation| one(store, generation)).collect();
    all.reverse();
    all
}

/// A generation; nothing if it is gone.
fn one(store: &SymbolStore, generation: u64) -> Option<Past> {
    let bare = Past { generation, ..Past::default() };
    let damaged = |why: String| Some(Past { damaged: Some(why), ..bare.clone() });
    let manifest = match store.manifest(generation) {
        Ok(Ok(manifest)) => manifest,
        Ok(Err(fault)) => return damaged(format!("{}: {}", fault.file, fault.problem)),
        Err(mambafleet_artifacts::StoreError::NotFound { .. }) => return None,
        Err(error) => return damaged(cause_chain(&error)),
    };
    let about: About = json(store, &manifest, METADATA_FILE).unwrap_or_default();
    let mut past = Past {
        created_at: Some(millis(manifest.created_at)),
        seconds: about.provenance.seconds.map(|seconds| Num(seconds.total())),
        run: about.provenance.run,
        from: manifest.restored_from.as_ref().map(|from| from.generation),
        ..bare
    };
    match json::<Headlines>(store, &manifest, METRICS_FILE) {
        Ok(Headlines { headline: of, .. }) => {
            past.val = Some(Num(of.best_validation_loss));
            past.test = Some(Num(of.test_loss));
            past.base = Some(Num(of.baseline_loss));
        }
        Err(why) => past.damaged = Some(why),
    }
    Some(past)
}
