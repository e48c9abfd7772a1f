//! `mambafleet ls`.

use jiff::Timestamp;
use mambafleet_artifacts::{Snapshot, Store, StoreError};
use mambafleet_protocol::{Headline, Symbol};
use mambafleet_worker::{METADATA_FILE, METRICS_FILE, Metadata, Metrics};
use rayon::prelude::*;
use serde::Serialize;

use super::open_store;
use crate::args::Common;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::table::{against, bytes, number, render, seconds};

/// One symbol of the store.
#[derive(Serialize)]
struct Row {
    symbol: Symbol,
    generation: u64,
    /// The newest generation was damaged, and this is an older one.
    damaged: bool,
    created_at: Timestamp,
    bytes: u64,
    synthetic: bool,
    headline: Option<Headline>,
}

#[derive(Serialize)]
struct Listing {
    symbols: Vec<Row>,
}

/// Lists the symbols of the store. Ends as damaged when one of them cannot be read.
pub(crate) fn run(common: &Common, output: Output) -> Result<Exit, CliError> {
    let store = open_store(common)?;
    let read: Vec<_> =
        store.symbols()?.into_par_iter().map(|symbol| read(&store, symbol)).collect();
    let mut symbols = Vec::new();
    let mut exit = Exit::Success;
    for row in read {
        match row {
            Ok(Some(row)) => {
                if row.damaged {
                    exit = Exit::Damaged;
                }
                symbols.push(row);
            }
            Ok(None) => {}
            Err(error) if error.is_corrupt() => {
                exit = Exit::Damaged;
                output.say(&format!("error: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let listing = Listing { symbols };
    output.result("symbols", &listing, || table(&listing.symbols))?;
    Ok(exit)
}

fn read(store: &Store, symbol: Symbol) -> Result<Option<Row>, StoreError> {
    let Some(snapshot) = store.symbol(&symbol).latest()? else { return Ok(None) };
    Ok(Some(row(symbol, &snapshot)))
}

fn row(symbol: Symbol, snapshot: &Snapshot) -> Row {
    let manifest = snapshot.manifest();
    let metadata = snapshot.json::<Metadata>(METADATA_FILE).ok();
    Row {
        symbol,
        generation: snapshot.generation(),
        damaged: !snapshot.skipped().is_empty(),
        created_at: manifest.created_at,
        bytes: manifest.total_length(),
        synthetic: metadata.is_some_and(|m| m.is_synthetic()),
        headline: snapshot.json::<Metrics>(METRICS_FILE).ok().map(|metrics| metrics.headline),
    }
}

fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "the store holds no generation yet".to_owned();
    }
    let now = Timestamp::now();
    let columns = [
        ("symbol", false),
        ("gen", true),
        ("age", true),
        ("size", true),
        ("validation loss", true),
        ("test loss", true),
        ("vs baseline", true),
        ("note", false),
    ];
    let cells = rows.iter().map(|row| {
        let shown = |f: fn(&Headline) -> String| row.headline.as_ref().map_or_else(String::new, f);
        let note = match (row.damaged, row.synthetic) {
            (true, _) => "newer generation damaged",
            (false, true) => "synthetic demo data",
            (false, false) => "",
        };
        vec![
            row.symbol.to_string(),
            row.generation.to_string(),
            seconds(now.duration_since(row.created_at).as_secs_f64()),
            bytes(row.bytes),
            shown(|h| number(h.best_validation_loss)),
            shown(|h| number(h.test_loss)),
            shown(|h| against(h.test_loss, h.baseline_loss)),
            note.to_owned(),
        ]
    });
    render(&columns, cells.collect())
}
