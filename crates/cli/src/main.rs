//! The binary `mambafleet`: arguments, configuration, what people and programs see.

mod args;
mod child;
mod commands;
mod config;
mod error;
mod exit;
mod inherited;
mod logging;
mod metrics;
mod notify;
mod output;
mod place;
mod plan;
mod reporters;
mod search;
mod since;
mod style;
mod table;
#[cfg(unix)]
mod terminal;
mod tracking;
mod variables;
mod verdict;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Format};
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let output = Output::new(cli.format());
    match commands::run(cli, output) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output.error(&error);
            error.exit().into()
        }
    }
}

/// Ends a call whose arguments are wrong, or that asked for help or the version.
fn refuse(error: &clap::Error) -> ExitCode {
    let args: Vec<_> = std::env::args_os().take_while(|arg| arg != "--").collect();
    let asked_for_json = args.iter().any(|arg| arg == "--format=json")
        || args.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json");
    if error.use_stderr() && asked_for_json {
        let error = error::CliError::usage(error.to_string().trim().to_owned());
        Output::new(Format::Json).error(&error);
        return error.exit().into();
    }
    error.exit()
}
