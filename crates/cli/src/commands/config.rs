//! `mambafleet config`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::args::Common;
use crate::config::Overrides;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::plan::configuration;

#[derive(Serialize)]
struct Shown {
    config: toml::Table,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    origins: BTreeMap<String, String>,
}

/// Prints the configuration as it applies here: TOML, or with `origin` a line per value.
pub(crate) fn show(common: &Common, origin: bool, output: Output) -> Result<Exit, CliError> {
    let merged = configuration(common, Overrides::new())?.merged;
    let table = merged.table();
    let text = if origin {
        let lines =
            merged.iter().map(|(key, value, origin)| format!("{key} = {value}  # {origin}"));
        lines.collect::<Vec<_>>().join("\n")
    } else {
        toml::to_string(&table).map_err(|error| {
            CliError::new(Exit::Internal, format!("cannot write the configuration: {error}"))
        })?
    };
    let origins = merged.iter().map(|(key, _, origin)| (key.to_owned(), origin.to_string()));
    let origins = if origin { origins.collect() } else { BTreeMap::new() };
    output.result("config", Shown { config: table, origins }, || text)?;
    Ok(Exit::Success)
}
