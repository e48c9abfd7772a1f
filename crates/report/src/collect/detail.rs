//! One symbol in detail.

use std::path::Path;

use mambafleet_artifacts::{Manifest, SymbolStore};
use mambafleet_protocol::TaskSpec;
use mambafleet_worker::{
    FORECASTS_FILE, METADATA_FILE, METRICS_FILE, Metadata, Metrics, SeriesMetrics,
};

use super::generation::{About, Headlines, json, manifest, newest_first};
use super::{fan, history, metrics, provenance, tail};
use crate::model::{AttemptLine, Curves, Detail};
use crate::view::millis;
use crate::{Num, RunView};

/// The symbol in a place of a run, with so many samples in its fan at most.
pub(super) fn of(
    store: &SymbolStore,
    record: &Path,
    view: &RunView,
    place: usize,
    samples: usize,
) -> Detail {
    let row = view.row(place).unwrap_or_default();
    let attempts = attempts(store, view, place);
    let mut detail = Detail {
        s: row.s.clone(),
        history: history::of(store),
        log: attempts.last().and_then(|attempt| tail::of(record, &attempt.log)),
        attempts,
        ..Detail::default()
    };
    if let Some(manifest) = chosen(store, row.generation) {
        describe(&mut detail, store, &manifest, samples);
    }
    detail
}

/// The generation of the run, if it can still be read, and the newest that can otherwise.
fn chosen(store: &SymbolStore, wanted: Option<u64>) -> Option<Manifest> {
    let readable = |generation: u64| {
        let manifest = manifest(store, generation)?;
        store.file(&manifest, METRICS_FILE).is_ok().then_some(manifest)
    };
    let wanted = wanted.and_then(readable);
    wanted.or_else(|| newest_first(store).into_iter().find_map(readable))
}

/// Adds what a generation says.
fn describe(detail: &mut Detail, store: &SymbolStore, manifest: &Manifest, samples: usize) {
    detail.generation = Some(manifest.generation);
    detail.created_at = Some(millis(manifest.created_at));
    let metadata: Option<Metadata> = json(store, manifest, METADATA_FILE).ok();
    let about: About = json(store, manifest, METADATA_FILE).unwrap_or_default();
    let reading = about.data.and_then(|data| data.reading);
    detail.quality = reading.as_ref().map(provenance::notes).unwrap_or_default();
    detail.provenance = provenance::of(manifest, metadata.as_ref());
    if let Ok(of) = json::<Headlines>(store, manifest, METRICS_FILE) {
        detail.curves = Curves {
            train: of.epochs.iter().map(|epoch| Num(epoch.train_loss)).collect(),
            val: of.epochs.iter().map(|epoch| Num(epoch.validation_loss)).collect(),
            best: of.best_epoch.filter(|epoch| *epoch > 0),
        };
    }
    if let Ok(of) = json::<Metrics>(store, manifest, METRICS_FILE) {
        detail.metrics = of.test.horizons.iter().flat_map(metrics::of_horizon).collect();
    } else if let Ok(of) = json::<SeriesMetrics>(store, manifest, METRICS_FILE) {
        detail.series = Some(metrics::of_series(&of));
    }
    if let Some(TaskSpec::Returns(task)) = metadata.map(|metadata| metadata.task)
        && let Ok(tensors) = store.tensors(manifest, FORECASTS_FILE)
        && let Some(forecasts) = fan::Forecasts::new(&task, &tensors)
    {
        detail.fan = Some(forecasts.fan(samples));
        detail.calibration = forecasts.calibration();
    }
}

/// The attempts of the run at a symbol.
fn attempts(store: &SymbolStore, view: &RunView, place: usize) -> Vec<AttemptLine> {
    let name = store.symbol().dir_name();
    let spans = view.lanes().attempts(place).into_iter();
    let line = |(worker, span): (u64, &crate::model::Span)| AttemptLine {
        attempt: span.attempt,
        worker,
        from: span.from,
        to: span.to,
        kind: span.kind,
        cause: span.cause.clone(),
        log: format!("{name}.{}.log", span.attempt),
    };
    spans.map(line).collect()
}
