//! `mambafleet ls`.

use jiff::Timestamp;
use mambafleet_artifacts::{Fault, Manifest, StoreError, SymbolStore};
use mambafleet_protocol::{Headline, Symbol};
use mambafleet_worker::{METADATA_FILE, Metadata};
use rayon::prelude::*;
use serde::Serialize;

use super::failure::Failures;
use super::open_store;
use crate::args::Common;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::since::headline_of;
use crate::style::Page;
use crate::table::{Table, against, bytes, number, seconds};

/// One symbol of the store.
#[derive(Serialize)]
struct Row {
    symbol: Symbol,
    generation: u64,
    /// The newest generation was damaged, and this is an older one.
    damaged: bool,
    /// What is wrong with newer generations.
    skipped: Vec<Fault>,
    created_at: Timestamp,
    age_s: f64,
    bytes: u64,
    /// How many generations there are.
    generations: usize,
    /// The length of the files of all of them.
    bytes_on_disk: u64,
    synthetic: bool,
    headline: Option<Headline>,
}

#[derive(Default, Serialize)]
struct Listing {
    symbols: Vec<Row>,
    failures: Failures,
}

/// Lists the symbols of the store. Ends as damaged when the newest generation of one of them is.
pub(crate) fn run(common: &Common, output: Output) -> Result<Exit, CliError> {
    let store = open_store(common)?;
    let symbols = store.known_symbols()?;
    let read: Vec<_> = symbols.par_iter().map(|symbol| read(&store.symbol(symbol))).collect();
    let mut listing = Listing::default();
    for (symbol, row) in symbols.into_iter().zip(read) {
        match row {
            Ok(row) => listing.symbols.extend(row),
            Err(error) => listing.failures.add(symbol, error, output),
        }
    }
    output.result("symbols", &listing, || text(&listing))?;
    let damaged = listing.symbols.iter().any(|row| row.damaged);
    if damaged { Ok(Exit::Damaged) } else { Ok(listing.failures.exit()) }
}

fn read(store: &SymbolStore) -> Result<Option<Row>, StoreError> {
    let Some(snapshot) = store.latest()? else { return Ok(None) };
    let history = store.history()?;
    let manifests = history.iter().filter_map(|entry| entry.manifest.as_ref().ok());
    let manifest = snapshot.manifest();
    let metadata = snapshot.json::<Metadata>(METADATA_FILE).ok();
    Ok(Some(Row {
        symbol: store.symbol().clone(),
        generation: snapshot.generation(),
        damaged: !snapshot.skipped().is_empty(),
        skipped: snapshot.skipped().to_vec(),
        created_at: manifest.created_at,
        age_s: Timestamp::now().duration_since(manifest.created_at).as_secs_f64().max(0.0),
        bytes: manifest.total_length(),
        generations: history.len(),
        bytes_on_disk: manifests.map(Manifest::total_length).sum(),
        synthetic: metadata.is_some_and(|m| m.is_synthetic()),
        headline: headline_of(&snapshot),
    }))
}

fn text(Listing { symbols, failures }: &Listing) -> String {
    match (symbols.as_slice(), failures.count()) {
        ([], 0) => "the store holds no generation yet".to_owned(),
        ([], _) => "no symbol can be read".to_owned(),
        (rows, _) => table(rows),
    }
}

fn table(rows: &[Row]) -> String {
    let columns = [
        ("symbol", false),
        ("gen", true),
        ("age", true),
        ("size", true),
        ("kept", true),
        ("on disk", true),
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
            seconds(row.age_s),
            bytes(row.bytes),
            row.generations.to_string(),
            bytes(row.bytes_on_disk),
            shown(|h| number(h.best_validation_loss)),
            shown(|h| number(h.test_loss)),
            shown(|h| against(h.test_loss, h.baseline_loss)),
            note.to_owned(),
        ]
    });
    let spare = ["on disk", "kept", "size", "validation loss", "note", "age"];
    Table::new(&columns, cells.collect()).spare(&spare).lay_out(Page::stdout())
}
