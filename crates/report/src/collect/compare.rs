//! An earlier run beside a run.

use std::collections::BTreeSet;

use mambafleet_artifacts::Store;
use mambafleet_protocol::{RunId, Symbol};
use mambafleet_worker::METRICS_FILE;
use rayon::prelude::*;

use super::generation::{Headlines, json, manifest};
use super::runs;
use crate::model::{Compare, ComparedRow, Row};
use crate::{Num, RunView};

/// Earlier runs that are looked at in search of one with the same symbols.
const TRIED: usize = 50;

/// Compares a run with `other`, or with the newest run before it that has half of its symbols.
pub(super) fn with(
    store: &Store,
    run: &RunId,
    other: Option<&RunId>,
    view: &RunView,
) -> Option<Compare> {
    let other = match other {
        Some(other) => runs::plain(store, other),
        None => newest_before(store, run, view)?,
    };
    let of_both = |symbol: &Symbol| other.place_of(symbol).and_then(|place| other.row(place));
    let shared: Vec<(usize, &Symbol, Row)> = view
        .symbols()
        .enumerate()
        .filter_map(|(place, symbol)| Some((place, symbol, of_both(symbol)?)))
        .collect();
    let rows =
        shared.into_par_iter().map(|(place, symbol, row)| compared(store, place, symbol, row));
    let lacks = |of: &RunView, symbol: &Symbol| of.place_of(symbol).is_none();
    let names = |of: &RunView, others: &RunView| {
        of.symbols().filter(|symbol| lacks(others, symbol)).map(ToString::to_string).collect()
    };
    Some(Compare {
        run: other.run().id,
        started_at: other.run().started_at,
        missing: names(&other, view),
        added: names(view, &other),
        rows: rows.collect(),
    })
}

/// The newest run before this one that has half of its symbols, or else the one that has most of them: a
/// symbol that was trained by hand in between is no night to compare with.
fn newest_before(store: &Store, run: &RunId, view: &RunView) -> Option<RunView> {
    let symbols: BTreeSet<&Symbol> = view.symbols().collect();
    let earlier = runs::all(store).into_iter().filter(|earlier| earlier < run);
    let mut best: Option<(usize, RunView)> = None;
    for earlier in earlier.take(TRIED).map(|earlier| runs::plain(store, &earlier)) {
        let shared = earlier.symbols().filter(|symbol| symbols.contains(symbol)).count();
        if shared > best.as_ref().map_or(0, |(most, _)| *most) {
            best = Some((shared, earlier));
        }
        if 2 * shared >= symbols.len() {
            break;
        }
    }
    best.map(|(_, earlier)| earlier)
}

fn compared(store: &Store, place: usize, symbol: &Symbol, row: Row) -> ComparedRow {
    let mut losses = row.test.zip(row.base).map(|(test, base)| (test.0, base.0));
    // What was current already has its numbers in the store.
    if losses.is_none() && row.state.is_good() {
        let store = store.symbol(symbol);
        let manifest = row.generation.and_then(|generation| manifest(&store, generation));
        let read = manifest.and_then(|of| json::<Headlines>(&store, &of, METRICS_FILE).ok());
        losses = read.map(|of| (of.headline.test_loss, of.headline.baseline_loss));
    }
    let skill = losses.filter(|(_, base)| *base > 0.0).map(|(test, base)| 1.0 - test / base);
    ComparedRow {
        i: place,
        outcome: row.state,
        generation: row.generation,
        test: losses.map(|(test, _)| Num(test)),
        skill: skill.map(Num),
        seconds: row.seconds,
    }
}
