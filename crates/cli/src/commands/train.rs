//! `mambafleet train`.

use std::path::PathBuf;

use mambafleet_artifacts::{Store, StoreError};
use mambafleet_orchestrator::{RunPlan, RunRecord, RunSummary, WorkerCommand};
use mambafleet_protocol::{DataSource, FailureKind, JobSpec, Outcome, cause_chain};
use serde::Serialize;

use super::registry;
use crate::args::{Common, TrainArgs};
use crate::commands::own_lock::refuse_own;
use crate::config::{Overrides, Settled};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::plan::{configuration, make, path_override, select, settle};
use crate::reporters::{choose, fleet, summary_table};
use crate::table::render;

/// Plans, trains and reports.
pub(crate) fn run(common: &Common, args: &TrainArgs, output: Output) -> Result<Exit, CliError> {
    let loaded = configuration(common, overrides(args)?)?;
    let config = &loaded.config;
    let symbols = select(&args.selection, config)?;
    let settled = settle(&loaded, &symbols)?;
    let registry = registry();
    for Settled { config, .. } in &settled {
        registry.get(&config.train.backend).map_err(|error| CliError::usage(error.to_string()))?;
    }
    let plan = make(config, symbols, &settled, args.force)?;
    if args.dry_run {
        return dry_run(&plan, &settled, output);
    }
    let store = Store::open_or_create(&plan.store).map_err(unusable)?;
    for job in &plan.jobs {
        refuse_own(&store.symbol(&job.symbol))?;
    }
    let mut reporter = choose(output);
    let summary =
        mambafleet_orchestrator::run(&plan, &store, myself("worker")?, reporter.as_mut())?;
    if !output.is_json() {
        let record = RunRecord::dir_of(&store.runs_dir(), &plan);
        let synthetic = plan.jobs.iter().any(JobSpec::is_synthetic);
        output.line(&summary_table(&summary, &record, synthetic))?;
    }
    Ok(exit(&summary))
}

/// A store that cannot be made where the configuration wants it is a mistake there.
fn unusable(error: StoreError) -> CliError {
    if !matches!(error, StoreError::Io { .. }) {
        return error.into();
    }
    CliError::usage(cause_chain(&error))
        .with_hint("name a directory that can be written with --store or store.dir")
}

/// What the flags of `train` set in the configuration.
fn overrides(args: &TrainArgs) -> Result<Overrides, CliError> {
    let mut overrides = Overrides::new();
    let texts = [
        ("run.parallel", "--parallel", args.parallel.clone()),
        ("train.backend", "--backend", args.backend.clone()),
        ("train.epochs", "--epochs", args.epochs.map(|n| n.to_string())),
        ("train.seed", "--seed", args.seed.map(|n| n.to_string())),
        ("lock.timeout", "--lock-timeout", args.lock_timeout.clone()),
    ];
    for (key, flag, text) in texts {
        if let Some(text) = text {
            overrides.push((key.to_owned(), text, flag.to_owned()));
        }
    }
    if let Some(dir) = &args.data {
        overrides.push(path_override("data.dir", dir, "--data")?);
    }
    Ok(overrides)
}

/// How to start this very program as a worker. On Linux the running image is named, so that
/// replacing the file (a rebuild during a long run) does not mix versions.
pub(crate) fn myself(subcommand: &str) -> Result<WorkerCommand, CliError> {
    let program = if cfg!(target_os = "linux") {
        PathBuf::from("/proc/self/exe")
    } else {
        std::env::current_exe().map_err(|error| {
            CliError::new(Exit::Internal, format!("cannot find this program's file: {error}"))
        })?
    };
    Ok(WorkerCommand { program, args: vec![subcommand.into()] })
}

fn exit(summary: &RunSummary) -> Exit {
    match summary.signal {
        _ if summary.all_good() => Exit::Success,
        Some(15) => Exit::Terminated,
        Some(_) => Exit::Interrupted,
        None if only_busy(summary) => Exit::Busy,
        None => Exit::SomeFailed,
    }
}

/// Whether nothing stood in the way but locks that others held.
fn only_busy(summary: &RunSummary) -> bool {
    let busy = |outcome: &Outcome| {
        matches!(outcome, Outcome::Failed { kind: FailureKind::LockBusy, .. }) || outcome.is_good()
    };
    summary.symbols.iter().all(|symbol| busy(&symbol.outcome))
}

#[derive(Serialize)]
struct DryRun<'a> {
    plan: &'a RunPlan,
}

fn dry_run(plan: &RunPlan, settled: &[Settled], output: Output) -> Result<Exit, CliError> {
    output.result("plan", DryRun { plan }, || {
        let rows = plan.jobs.iter().zip(settled).map(|(job, settled)| {
            let JobSpec { symbol, train, .. } = job;
            vec![symbol.to_string(), source(job), train.epochs.to_string(), own(settled)]
        });
        let mut columns =
            vec![("symbol", false), ("data", false), ("epochs", true), ("its own settings", false)];
        if settled.iter().all(|settled| settled.own.is_empty()) {
            columns.pop();
        }
        let table = render(&columns, rows.collect());
        let threads = plan.jobs.first().map_or(1, |job| job.threads);
        let fleet = fleet(plan.workers(), threads);
        format!("{table}\n\ndry run: {fleet} would commit to {}", plan.store.display())
    })?;
    Ok(Exit::Success)
}

/// Where a job's bars come from.
fn source(job: &JobSpec) -> String {
    match &job.data {
        DataSource::Csv { dir } => {
            mambafleet_dataset::csv_path(dir, &job.symbol).display().to_string()
        }
        DataSource::Synthetic { bars, .. } => format!("synthetic demo data, {bars} bars"),
    }
}

/// What a symbol does not share with all the others.
fn own(settled: &Settled) -> String {
    let values = settled.own.iter().filter_map(|key| Some((key, settled.merged.get(key)?)));
    values.map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
}
