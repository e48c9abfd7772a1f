//! The subcommands.

mod backends;
mod backtest;
mod completions;
mod config;
mod data_check;
mod diff;
mod export;
mod failure;
#[cfg(debug_assertions)]
mod faulty;
mod gc;
mod guard;
mod list;
mod lock;
mod logs;
mod man;
mod own_lock;
mod predict;
mod reference;
mod report;
mod rollback;
mod run_name;
mod runs;
mod series;
mod show;
mod stress;
mod synth;
mod target;
mod train;
mod ui;
mod verify;
mod worker;

pub(crate) use guard::guarded;

use mambafleet_artifacts::Store;
use mambafleet_backend::Registry;
use mambafleet_backend_command::CommandBackend;
use mambafleet_backend_native::NativeBackend;

use crate::args::{Cli, Command, Common, DataCommand, Format};
use crate::config::{Config, Overrides};
use crate::error::CliError;
use crate::exit::Exit;
use crate::logging::{self, Logs};
use crate::output::Output;
use crate::plan::configuration;
#[cfg(debug_assertions)]
use crate::variables;

/// Carries out one call.
pub(crate) fn run(cli: Cli, output: Output) -> Result<Exit, CliError> {
    let common = cli.common;
    let logs = match cli.command {
        Command::Worker | Command::Guard(_) => Logs::Attempt,
        Command::Train(_) => Logs::Run,
        _ => Logs::Person,
    };
    logging::init(common.verbose, logs);
    let fits = match common.format {
        Format::Human | Format::Json => true,
        Format::Csv => matches!(cli.command, Command::Predict(_) | Command::Backtest { .. }),
        Format::Parquet => matches!(cli.command, Command::Predict(_)),
    };
    if !fits {
        let error = CliError::usage(
            "only `predict` has forecasts to give as CSV or Parquet, and `backtest` as CSV",
        );
        return Err(error.with_hint("leave --format out, or say --format json"));
    }
    match cli.command {
        Command::Train(args) => train::run(&common, &args, output),
        Command::Ls => list::run(&common, output),
        Command::Runs(args) => runs::run(&common, &args, output),
        Command::Show { target } => show::run(&common, &target, output),
        Command::Diff(args) => diff::run(&common, &args, output),
        Command::Verify(args) => verify::run(&common, &args, output),
        Command::Logs(args) => logs::run(&common, &args, output),
        Command::Lock(args) => lock::run(&common, &args, output),
        Command::Rollback(args) => rollback::run(&common, &args, output),
        Command::Gc(args) => gc::run(&common, &args, output),
        Command::Export(args) => export::run(&common, &args, output),
        Command::Predict(args) => predict::run(&common, &args, output),
        Command::Backtest { target } => backtest::run(&common, &target, output),
        Command::Ui(args) => ui::run(&common, &args, output),
        Command::Report(args) => report::run(&common, &args, output),
        Command::Config(command) => config::run(&common, &command, output),
        Command::Backends(args) => backends::run(&common, &args, output),
        Command::Data(DataCommand::Check { path }) => {
            data_check::run(&common, path.as_deref(), output)
        }
        Command::Data(DataCommand::Synth { dir, selection }) => {
            synth::run(&common, &dir, &selection, output)
        }
        Command::Completions { shell } => completions::run(shell, output),
        Command::Man { dir } => man::run(&dir, output),
        Command::Stress(args) => stress::run(&common, &args, output),
        Command::Reference => reference::run(output),
        Command::Worker => worker::run(),
        Command::Guard(args) => guard::run(args),
        Command::StressMember => stress::member(),
    }
}

/// The backends this program was built with.
fn registry() -> Result<Registry, CliError> {
    let command = CommandBackend::new(guard::command()?);
    let registry = Registry::default().with(NativeBackend).with(command);
    #[cfg(debug_assertions)]
    let registry = match std::env::var_os(variables::TEST_BACKENDS) {
        Some(_) => registry.with(faulty::FaultyBackend),
        None => registry,
    };
    Ok(registry)
}

/// The store that the configuration names, which must exist.
fn open_store(common: &Common) -> Result<Store, CliError> {
    Ok(open_configured(common, Overrides::new())?.0)
}

/// The same with the configuration. `more` are the values that the command's own flags set.
fn open_configured(common: &Common, more: Overrides) -> Result<(Store, Config), CliError> {
    let config = configuration(common, more)?.config;
    Ok((Store::open(&config.store.dir)?, config))
}
