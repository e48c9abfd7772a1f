//! The subcommands.

mod config;
mod list;
mod predict;
mod show;
mod stress;
mod synth;
mod train;
mod verify;
mod worker;

use mambafleet_artifacts::Store;
use mambafleet_backend::Registry;
use mambafleet_backend_native::NativeBackend;

use crate::args::{Cli, Command, Common, ConfigCommand, DataCommand};
use crate::config::Overrides;
use crate::error::CliError;
use crate::exit::Exit;
use crate::logging;
use crate::output::Output;
use crate::plan::configuration;

/// Carries out one call.
pub(crate) fn run(cli: Cli, output: Output) -> Result<Exit, CliError> {
    match cli.command {
        Command::Worker => logging::init("info", true),
        _ => logging::init("warn", false),
    }
    let common = cli.common;
    match cli.command {
        Command::Train(args) => train::run(&common, &args, output),
        Command::Ls => list::run(&common, output),
        Command::Show { target } => show::run(&common, &target, output),
        Command::Verify { symbols, all } => verify::run(&common, &symbols, all, output),
        Command::Predict(args) => predict::run(&common, &args, output),
        Command::Config(ConfigCommand::Show { origin }) => config::show(&common, origin, output),
        Command::Data(DataCommand::Synth { dir, selection }) => {
            synth::run(&common, &dir, &selection, output)
        }
        Command::Stress(args) => stress::run(&common, &args, output),
        Command::Worker => worker::run(),
        Command::StressMember => stress::member(),
    }
}

/// The backends this program was built with.
fn registry() -> Registry {
    Registry::default().with(NativeBackend)
}

/// The store that the configuration names, which must exist.
fn open_store(common: &Common) -> Result<Store, CliError> {
    let loaded = configuration(common, Overrides::new())?;
    Ok(Store::open(&loaded.config.store.dir)?)
}
