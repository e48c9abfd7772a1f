//! What the models of a run are worth beside the generations before them.

use mambafleet_artifacts::{Snapshot, Store};
use mambafleet_orchestrator::{RunSummary, SymbolSummary};
use mambafleet_protocol::{Headline, Outcome, Symbol};
use mambafleet_worker::{METADATA_FILE, METRICS_FILE, Metadata};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// A model and the one before it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Change {
    pub(crate) symbol: Symbol,
    /// The generation before.
    pub(crate) old: u64,
    /// The new one; none where the old one stayed.
    pub(crate) new: Option<u64>,
    pub(crate) old_loss: f64,
    pub(crate) new_loss: f64,
    /// Samples that both were judged on, and neither had seen. None where each loss is that of the test
    /// part of its own training, which may be other days.
    pub(crate) common_samples: Option<usize>,
}

impl Change {
    /// By what share the loss has risen.
    pub(crate) fn rise(&self) -> f64 {
        self.new_loss / self.old_loss - 1.0
    }
}

/// What metrics of every kind of task have.
#[derive(Deserialize)]
struct AnyMetrics {
    headline: Headline,
}

/// Every symbol with a new model of which there was one before, as far as the store still has both; the
/// one whose loss rose most comes first. Models that were compared before the commit are judged by that,
/// others by their test losses.
pub(crate) fn changes(store: &Store, summary: &RunSummary) -> Vec<Change> {
    let mut changes: Vec<_> =
        summary.symbols.par_iter().filter_map(|symbol| change(store, symbol)).collect();
    changes.retain(|change| change.rise().is_finite());
    changes.sort_by(|a, b| b.rise().total_cmp(&a.rise()));
    changes
}

fn change(store: &Store, SymbolSummary { symbol, outcome, .. }: &SymbolSummary) -> Option<Change> {
    let compared = |new, comparison: &mambafleet_protocol::Comparison| Change {
        symbol: symbol.clone(),
        old: comparison.generation,
        new,
        old_loss: comparison.old_loss,
        new_loss: comparison.new_loss,
        common_samples: Some(comparison.samples),
    };
    let (generation, headline) = match outcome {
        Outcome::Kept { comparison, .. } => return Some(compared(None, comparison)),
        Outcome::Trained { generation, headline, .. } => (*generation, headline),
        _ => return None,
    };
    let store = store.symbol(symbol);
    let snapshot = store.snapshot(generation).ok()?;
    let comparison = snapshot.json::<Metadata>(METADATA_FILE).ok().and_then(|metadata| {
        let promotion = metadata.promotion?;
        promotion.comparison
    });
    if let Some(comparison) = comparison {
        return Some(compared(Some(generation), &comparison));
    }
    let old = snapshot.manifest().parent.as_ref()?.generation;
    Some(Change {
        symbol: symbol.clone(),
        old,
        new: Some(generation),
        old_loss: headline_of(&store.snapshot(old).ok()?)?.test_loss,
        new_loss: headline.test_loss,
        common_samples: None,
    })
}

/// The few numbers of a generation that every kind of task has.
pub(crate) fn headline_of(snapshot: &Snapshot) -> Option<Headline> {
    snapshot.json::<AnyMetrics>(METRICS_FILE).ok().map(|metrics| metrics.headline)
}
