//! `mambafleet data synth`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mambafleet_artifacts::{atomic_write, create_dir_durable};
use mambafleet_dataset::{csv_path, synthesize, write_csv};
use mambafleet_protocol::Symbol;
use serde::Serialize;

use crate::args::{Common, Selection};
use crate::config::Overrides;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::plan::{configuration, select};
use crate::reporters::count;

#[derive(Serialize)]
struct Written {
    files: Vec<PathBuf>,
}

/// Writes the bars that training without `--data` would use, one CSV file per symbol.
pub(crate) fn run(
    common: &Common,
    dir: &Path,
    selection: &Selection,
    output: Output,
) -> Result<Exit, CliError> {
    let loaded = configuration(common, Overrides::new())?;
    let symbols = select(selection, &loaded.config)?;
    create_dir_durable(dir)?;
    let write = |symbol: &Symbol| -> Result<PathBuf, CliError> {
        let settings = loaded.of_symbol(symbol)?.config.data.synthetic;
        let mut text = Vec::new();
        write_csv(&synthesize(symbol, settings.bars, settings.seed), &mut text)?;
        let path = csv_path(dir, symbol);
        match std::fs::read(&path) {
            Ok(there) if there == text => {}
            Err(error) if error.kind() == ErrorKind::NotFound => atomic_write(&path, &text)?,
            _ => {
                let message = format!("{} is there already, and is no such data", path.display());
                return Err(CliError::usage(message)
                    .with_hint("name another directory: prices are never overwritten"));
            }
        }
        Ok(path)
    };
    let files = symbols.iter().map(write).collect::<Result<Vec<_>, _>>()?;
    let written = Written { files };
    output.result("written", &written, || {
        let files = count(written.files.len(), "file");
        format!("{files} of synthetic demo data in {}", dir.display())
    })?;
    Ok(Exit::Success)
}
