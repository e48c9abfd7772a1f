//! `mambafleet completions`.

use clap_complete::{Shell, generate};
use serde::Serialize;

use crate::args::{Cli, PROGRAM};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

#[derive(Serialize)]
struct Completions {
    shell: String,
    script: String,
}

/// Prints the script for a shell.
pub(crate) fn run(shell: Shell, output: Output) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::visible(), PROGRAM, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let completions = Completions { shell: shell.to_string(), script };
    output.result("completions", &completions, || completions.script.clone())?;
    Ok(Exit::Success)
}
