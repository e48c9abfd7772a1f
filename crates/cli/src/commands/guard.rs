//! `mambafleet guard`: the hidden side of the command backend.

use mambafleet_backend_command::{Guard, Orders};
use mambafleet_orchestrator::WorkerCommand;

use super::train::myself;
use crate::args::GuardArgs;
use crate::error::CliError;
use crate::exit::Exit;

/// How to start this very program as a guard.
pub(crate) fn command() -> Result<Guard, CliError> {
    let WorkerCommand { program, args } = myself("guard")?;
    Ok(Guard { program, args })
}

/// How to start a program that ends with this process.
pub(crate) fn guarded<'a>(
    argv: impl IntoIterator<Item = &'a str>,
) -> Result<WorkerCommand, CliError> {
    let mut command = myself("guard")?;
    let under = ["--under".to_owned(), std::process::id().to_string(), "--".to_owned()];
    command.args.extend(under.map(Into::into));
    command.args.extend(argv.into_iter().map(Into::into));
    Ok(command)
}

/// Starts a program and watches over it, or becomes it.
pub(crate) fn run(args: GuardArgs) -> Result<Exit, CliError> {
    let GuardArgs { staging, under, program: argv } = args;
    let orders = Orders { guard: command()?, argv, staging, under };
    let failed = |error| CliError::new(Exit::Internal, format!("cannot run a program: {error}"));
    orders.carry_out().map_err(failed)?;
    Ok(Exit::Success)
}
