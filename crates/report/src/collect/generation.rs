//! Generations, as far as a page shows them.

use mambafleet_artifacts::{Manifest, StoreError, SymbolStore};
use mambafleet_dataset::Reading;
use mambafleet_protocol::{Headline, cause_chain};
use mambafleet_worker::{METADATA_FILE, METRICS_FILE};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::provenance::notes;
use crate::model::{Before, Row};
use crate::view::millis;
use crate::{Known, Num};

/// Older generations that are looked at in search of one that can be read.
const TRIED: usize = 5;

/// What every version's `metrics.json` has.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Headlines {
    pub(super) headline: Headline,
    #[serde(default)]
    pub(super) best_epoch: Option<usize>,
    #[serde(default)]
    pub(super) epochs: Vec<Epoch>,
}

/// The losses of an epoch.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Epoch {
    pub(super) train_loss: f64,
    pub(super) validation_loss: f64,
}

/// What a page needs of `metadata.json` beside [`Metadata`](mambafleet_worker::Metadata), which other
/// versions may have written in another way.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct About {
    pub(super) provenance: Origin,
    pub(super) data: Option<AboutData>,
}

/// Who trained, and for how long.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Origin {
    pub(super) run: Option<String>,
    pub(super) seconds: Option<Seconds>,
}

/// Wall time by stage.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Seconds {
    load: f64,
    train: f64,
    evaluate: f64,
}

impl Seconds {
    pub(super) fn total(self) -> f64 {
        self.load + self.train + self.evaluate
    }
}

/// What the file was.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct AboutData {
    #[serde(default)]
    pub(super) reading: Option<Reading>,
}

/// A JSON file of a generation.
pub(super) fn json<T: DeserializeOwned>(
    store: &SymbolStore,
    manifest: &Manifest,
    name: &str,
) -> Result<T, String> {
    let bytes = store.file(manifest, name).map_err(|error| cause_chain(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{name}: {error}"))
}

/// An intact manifest.
pub(super) fn manifest(store: &SymbolStore, generation: u64) -> Option<Manifest> {
    store.manifest(generation).ok()?.ok()
}

/// The numbers of all generations, newest first.
pub(super) fn newest_first(store: &SymbolStore) -> Vec<u64> {
    let listed: Result<Vec<u64>, StoreError> = store.generations();
    let mut generations = listed.unwrap_or_default();
    generations.reverse();
    generations
}

/// The newest generation below `limit` whose metrics can be read.
fn before(store: &SymbolStore, limit: Option<u64>) -> Option<(Manifest, Headlines)> {
    let older = newest_first(store).into_iter();
    let older = older.filter(|generation| limit.is_none_or(|limit| *generation < limit));
    older.take(TRIED).find_map(|generation| {
        let manifest = manifest(store, generation)?;
        let headlines = json(store, &manifest, METRICS_FILE).ok()?;
        Some((manifest, headlines))
    })
}

/// What the store says of a symbol to its row.
pub(super) fn known(store: &SymbolStore, row: &Row) -> Known {
    let current = current(store, row);
    let previous = before(store, current.as_ref().map(|current| current.generation));
    let mut known = Known {
        prev: previous.as_ref().map(|(manifest, headlines)| Before {
            generation: manifest.generation,
            test: Some(Num(headlines.headline.test_loss)),
            base: Some(Num(headlines.headline.baseline_loss)),
        }),
        last_success: previous.map(|(manifest, _)| millis(manifest.created_at)),
        ..Known::default()
    };
    let Some(manifest) = current else { return known };
    known.generation = Some(manifest.generation);
    known.last_success = Some(millis(manifest.created_at));
    known.bytes = Some(manifest.total_length());
    let about: About = json(store, &manifest, METADATA_FILE).unwrap_or_default();
    known.notes = about.data.and_then(|data| data.reading).map_or(0, |of| notes(&of).len());
    let read: Option<Headlines> = json(store, &manifest, METRICS_FILE).ok();
    if let Some(Headlines { headline, epochs, .. }) = read {
        known.headline = Some(headline);
        known.curve = epochs.iter().map(|epoch| epoch.validation_loss).collect();
    }
    known
}

/// The generation that a row is about: that of the run, or the newest where the run has come to an end with
/// the symbol and made none. None while it may yet make one.
fn current(store: &SymbolStore, row: &Row) -> Option<Manifest> {
    match row.generation {
        _ if !row.state.is_settled() => None,
        Some(generation) => manifest(store, generation),
        None => before(store, None).map(|(manifest, _)| manifest),
    }
}
