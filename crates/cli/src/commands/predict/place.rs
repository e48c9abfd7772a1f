//! Where forecasts go, and in which form.

use std::io::IsTerminal;
use std::path::Path;

use mambafleet_artifacts::atomic_write;

use crate::args::Format;
use crate::error::CliError;
use crate::place::check_place;

/// The form of forecasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A table for people, or JSON where that was asked for.
    Table,
    /// Comma-separated values.
    Csv,
    /// JSON, whole, in a file.
    Json,
    /// Parquet.
    Parquet,
}

/// Where forecasts go.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// The file; standard output without one.
    pub(super) file: Option<&'a Path>,
    /// The form there.
    pub(super) form: Form,
}

impl<'a> Place<'a> {
    /// What `--output` and `--format` say together: the ending of a file's name decides where the
    /// format does not. Refuses what could not be written in the end.
    pub(super) fn of(file: Option<&'a Path>, format: Format) -> Result<Self, CliError> {
        let form = match (format, file) {
            (Format::Csv, _) => Form::Csv,
            (Format::Parquet, Some(_)) => Form::Parquet,
            (Format::Parquet, None) if std::io::stdout().is_terminal() => {
                let error = CliError::usage("Parquet is not for a terminal");
                return Err(error.with_hint("name a file, as in --output forecasts.parquet"));
            }
            (Format::Parquet, None) => Form::Parquet,
            (Format::Human | Format::Json, None) => Form::Table,
            (Format::Human | Format::Json, Some(file)) => match by_ending(file) {
                Some(form) => form,
                None if format == Format::Json => Form::Json,
                None => {
                    let message = format!("--output {}: in which format?", file.display());
                    let hint = "end the name in .parquet, .csv or .json, or give --format";
                    return Err(CliError::usage(message).with_hint(hint));
                }
            },
        };
        if let Some(file) = file {
            check_place("--output", file)?;
        }
        Ok(Self { file, form })
    }
}

fn by_ending(file: &Path) -> Option<Form> {
    let ending = file.extension()?.to_str()?.to_ascii_lowercase();
    Some(match ending.as_str() {
        "csv" => Form::Csv,
        "json" => Form::Json,
        "parquet" => Form::Parquet,
        _ => return None,
    })
}

/// Replaces the file whole, durably.
pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<(), CliError> {
    atomic_write(file, bytes).map_err(CliError::from)
}
