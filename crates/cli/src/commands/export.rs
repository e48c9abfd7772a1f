//! `mambafleet export`.

use std::path::{Path, PathBuf};

use mambafleet_artifacts::{Fault, Manifest, StoreError, SymbolStore};
use mambafleet_protocol::{Symbol, cause_chain};
use serde::Serialize;

use super::open_store;
use super::target::Target;
use crate::args::{Common, ExportArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::reporters::count;
use crate::table::bytes;

#[derive(Serialize)]
struct Exported {
    symbol: Symbol,
    generation: u64,
    path: PathBuf,
    files: usize,
    bytes: u64,
    /// What was wrong with newer generations.
    skipped: Vec<Fault>,
}

/// Copies one generation to a new directory. Ends as damaged when it had to be an older one.
pub(crate) fn run(common: &Common, args: &ExportArgs, output: Output) -> Result<Exit, CliError> {
    let Target { symbol, generation } = Target::parse(&args.target)?;
    let path = destination(&args.dest)?;
    let store = open_store(common)?.symbol(&symbol);
    let mut skipped = Vec::new();
    let manifest = match generation {
        Some(generation) => store.export(generation, &path).map(Some),
        None => newest(&store, &path, &mut skipped),
    };
    let manifest = manifest.map_err(|error| explain(error, &store, &path))?;
    let manifest = manifest.ok_or_else(|| CliError::no_generation(&symbol))?;
    let exported = Exported {
        symbol,
        generation: manifest.generation,
        files: manifest.files.len() + 1,
        bytes: manifest.total_length(),
        path,
        skipped,
    };
    output.result("exported", &exported, || text(&exported))?;
    if exported.skipped.is_empty() { Ok(Exit::Success) } else { Ok(Exit::Damaged) }
}

/// The directory to make, as an absolute path. The one above it must be there.
fn destination(dest: &Path) -> Result<PathBuf, CliError> {
    let usage = |error| CliError::usage(format!("{}: {error}", dest.display()));
    let path = std::path::absolute(dest).map_err(usage)?;
    match path.parent() {
        Some(above) if !above.is_dir() => {
            let message = format!("{} is not a directory", above.display());
            Err(CliError::usage(message).with_hint("make it first, or name another place"))
        }
        _ => Ok(path),
    }
}

/// Copies the newest generation that verifies; `None` when there is no generation.
fn newest(
    store: &SymbolStore,
    path: &Path,
    skipped: &mut Vec<Fault>,
) -> Result<Option<Manifest>, StoreError> {
    for generation in store.generations()?.into_iter().rev() {
        match store.export(generation, path) {
            Err(StoreError::Corrupt { generation, file, problem, .. }) => {
                skipped.push(Fault { generation, file, problem: *problem });
            }
            Err(StoreError::NotFound { .. }) => {}
            result => return result.map(Some),
        }
    }
    let Some(Fault { generation, file, problem }) = skipped.drain(..).next() else {
        return Ok(None);
    };
    let (symbol, problem) = (store.symbol().clone(), Box::new(problem));
    Err(StoreError::Corrupt { symbol, generation, file, problem })
}

/// What cannot be written where the caller wants it is a mistake of the call.
fn explain(error: StoreError, store: &SymbolStore, path: &Path) -> CliError {
    let above = path.parent().unwrap_or(path);
    match &error {
        StoreError::Io { path: at, .. }
            if at.starts_with(above) && !at.starts_with(store.dir()) =>
        {
            CliError::usage(cause_chain(&error)).with_hint("name a place that can be written")
        }
        _ => error.into(),
    }
}

fn text(exported: &Exported) -> String {
    let Exported { symbol, generation, path, .. } = exported;
    let mut lines: Vec<String> = exported
        .skipped
        .iter()
        .map(|fault| format!("{symbol}: skipped, because it is damaged: {fault}"))
        .collect();
    lines.push(format!(
        "{symbol}: generation {generation} copied to {}: {}, {}, each as committed",
        path.display(),
        count(exported.files, "file"),
        bytes(exported.bytes)
    ));
    lines.join("\n")
}
