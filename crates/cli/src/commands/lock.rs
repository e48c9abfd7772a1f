//! `mambafleet lock`.

use std::ffi::OsString;
use std::io;
use std::process::Command;
use std::time::Instant;

use mambafleet_protocol::Symbol;
use serde::Serialize;

use super::open_configured;
use crate::args::{Common, LockArgs};
use crate::child;
use crate::commands::own_lock::refuse_own;
use crate::config::Overrides;
use crate::error::CliError;
use crate::exit::Exit;
use crate::inherited::variables;
use crate::output::Output;

#[derive(Serialize)]
struct CommandEnded {
    symbol: Symbol,
    token: u64,
    lock_waited_ms: f64,
    held_s: f64,
    exit_code: Option<i32>,
    signal: Option<i32>,
}

/// Runs a command while holding the lock of a symbol, and ends as the command ended.
pub(crate) fn run(common: &Common, args: &LockArgs, output: Output) -> Result<Exit, CliError> {
    let symbol = Symbol::new(args.symbol.as_str())?;
    let mut overrides = Overrides::new();
    if let Some(wait) = &args.wait {
        overrides.push(("lock.timeout".into(), wait.clone(), "--wait".into()));
    }
    let (store, config) = open_configured(common, overrides)?;
    let store = store.symbol(&symbol);
    refuse_own(&store)?;
    let mut lock = store.lock(config.lock.wait())?;
    let taken = Instant::now();
    let (token, waited) = (lock.token(), lock.waited());
    let Some((program, arguments)) = args.command.split_first() else {
        return Err(CliError::usage("no command is named"));
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(variables(&lock, &store));
    let status = child::run(command, || lock.beat()).map_err(|error| not_run(program, &error))?;
    drop(lock);
    let ended = CommandEnded {
        symbol,
        token,
        lock_waited_ms: waited.as_secs_f64() * 1e3,
        held_s: taken.elapsed().as_secs_f64(),
        exit_code: status.code(),
        signal: child::signal(status),
    };
    output.last_line("command_ended", &ended)?;
    Ok(Exit::Command(child::shell_code(status)))
}

fn not_run(program: &OsString, error: &io::Error) -> CliError {
    use io::ErrorKind::{InvalidInput, NotFound, PermissionDenied};
    let message = format!("cannot run {}: {error}", program.display());
    match error.kind() {
        NotFound => CliError::usage(message)
            .with_hint("name a program on the PATH or a file; `sh -c '...'` runs a shell's line"),
        PermissionDenied | InvalidInput => CliError::usage(message),
        _ => CliError::new(Exit::Internal, message),
    }
}
