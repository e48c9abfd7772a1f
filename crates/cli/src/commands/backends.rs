//! `mambafleet backends`.

mod check;
mod conform;

use serde::Serialize;

use super::registry;
use crate::args::{BackendsArgs, BackendsCommand, Common};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::table::render;

#[derive(Serialize)]
struct Listing {
    backends: Vec<Row>,
}

/// One backend of this program.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    version: &'static str,
    description: &'static str,
}

/// Carries out the subcommand; without one, lists.
pub(crate) fn run(common: &Common, args: &BackendsArgs, output: Output) -> Result<Exit, CliError> {
    match &args.command {
        None | Some(BackendsCommand::List) => list(output),
        Some(BackendsCommand::Check(args)) => check::run(args, output),
        Some(BackendsCommand::Conform(args)) => conform::run(common, args, output),
    }
}

fn list(output: Output) -> Result<Exit, CliError> {
    let registry = registry()?;
    let rows = registry.iter().map(|backend| Row {
        name: backend.name(),
        version: backend.version(),
        description: backend.description(),
    });
    let listing = Listing { backends: rows.collect() };
    output.result("backends", &listing, || {
        let rows = listing.backends.iter();
        let cells = rows.map(|row| [row.name, row.version, row.description].map(str::to_owned));
        let columns = [("backend", false), ("version", false), ("what it is", false)];
        render(&columns, cells.map(Vec::from).collect())
    })?;
    Ok(Exit::Success)
}
