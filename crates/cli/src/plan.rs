//! From the configuration and a selection of symbols to a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Zoned;
use mambafleet_artifacts::Store;
use mambafleet_backend_command::CommandBackend;
use mambafleet_orchestrator::{
    Limits, RetryPolicy, RunPlan, RunPolicy, new_run_id, threads_per_worker,
};
use mambafleet_protocol::{
    DataSource, InvalidSpec, JobSpec, ProgramSpec, Symbol, TrainSpec, symbol_seed,
};
use mambafleet_worker::{METADATA_FILE, Metadata, StageSeconds};

use crate::args::{Common, Selection};
use crate::config::{Choice, Config, Loaded, Overrides, Settled};
use crate::error::CliError;
use crate::exit::Exit;
use crate::search::trials;

/// The name and version that generations and runs record.
pub(crate) const PROGRAM: &str = concat!("mambafleet ", env!("CARGO_PKG_VERSION"));

/// Reads the configuration as it applies to a call with these arguments. `more` are the values
/// that the command's own flags set.
pub(crate) fn configuration(common: &Common, more: Overrides) -> Result<Loaded, CliError> {
    Ok(crate::config::load(choice(common), overrides(common, more)?)?)
}

/// What all flags of a call set. `more` are the values that the command's own flags set.
pub(crate) fn overrides(common: &Common, more: Overrides) -> Result<Overrides, CliError> {
    let mut overrides = Overrides::new();
    for assignment in &common.set {
        let (key, value) = assignment
            .split_once('=')
            .ok_or_else(|| crate::config::ConfigError::Assignment(assignment.clone()))?;
        overrides.push((key.trim().into(), value.trim().into(), "--set".to_owned()));
    }
    if let Some(dir) = &common.store {
        overrides.push(path_override("store.dir", dir, "--store")?);
    }
    overrides.extend(more);
    Ok(overrides)
}

/// The files and the profile that a call names.
pub(crate) fn choice(common: &Common) -> Choice<'_> {
    Choice { file: common.config.as_deref(), profile: common.profile.as_deref() }
}

/// A flag that sets a path. Configuration is text, so the path must be UTF-8.
pub(crate) fn path_override(
    key: &str,
    path: &Path,
    flag: &str,
) -> Result<(String, String, String), CliError> {
    let Some(text) = path.to_str() else {
        return Err(CliError::usage(format!("{flag}: {} is not valid UTF-8", path.display())));
    };
    if text.is_empty() {
        return Err(CliError::usage(format!("{flag}: the path is empty")));
    }
    Ok((key.to_owned(), text.to_owned(), flag.to_owned()))
}

/// The settings of each symbol. Refuses data that are not there, before a hundred symbols
/// fail of it one by one.
pub(crate) fn settle(loaded: &Loaded, symbols: &[Symbol]) -> Result<Vec<Settled>, CliError> {
    let settled = symbols.iter().map(|symbol| loaded.of_symbol(symbol));
    let settled = settled.collect::<Result<Vec<_>, _>>()?;
    for Settled { config, merged, .. } in &settled {
        if let DataSource::Csv { dir, .. } = config.data.source()
            && !dir.is_dir()
            && !dir.is_file()
        {
            let message = format!("{} is not a directory, nor a file", dir.display());
            return Err(merged.locate(InvalidSpec { key: "data.dir", message }).into());
        }
    }
    Ok(settled)
}

/// The symbols that a call selects: from its flags, or else from the configuration, with groups
/// resolved, each once, in the order in which they were first named.
pub(crate) fn select(selection: &Selection, config: &Config) -> Result<Vec<Symbol>, CliError> {
    let (names, place) = match (&selection.symbols, &selection.symbols_file) {
        (Some(names), _) => (names.clone(), "--symbols".to_owned()),
        (None, Some(file)) => (read_list(file)?, format!("--symbols-file {}", file.display())),
        (None, None) => (config.run.symbols.clone(), "run.symbols".to_owned()),
    };
    let mut seen = BTreeSet::new();
    let mut selected = Vec::new();
    for name in names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
        for symbol in expand(name, config).map_err(|e| CliError::usage(format!("{place}: {e}")))? {
            if seen.insert(symbol.clone()) {
                selected.push(symbol);
            }
        }
    }
    if selected.is_empty() {
        let error = CliError::new(Exit::NothingSelected, format!("{place} selects no symbol"));
        return Err(error.with_hint("name some, as in --symbols AAPL,MSFT"));
    }
    Ok(selected)
}

/// One symbol per line; empty lines and what follows a `#` that begins a word are comments.
fn read_list(file: &Path) -> Result<Vec<String>, CliError> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| CliError::usage(format!("{}: {error}", file.display())))?;
    let uncommented = |line: &str| {
        let end = line.match_indices('#').map(|(at, _)| at);
        let mut comments =
            end.filter(|at| line[..*at].chars().next_back().is_none_or(|c| c == ' '));
        line[..comments.next().unwrap_or(line.len())].trim().to_owned()
    };
    Ok(text.lines().map(uncommented).filter(|line| !line.is_empty()).collect())
}

/// A symbol, or the symbols of an `@group`.
fn expand(name: &str, config: &Config) -> Result<Vec<Symbol>, String> {
    let Some(group) = name.strip_prefix('@') else {
        return Ok(vec![Symbol::new(name).map_err(|error| error.to_string())?]);
    };
    let Some(members) = config.groups.get(group) else {
        let known: Vec<_> = config.groups.keys().map(|name| format!("@{name}")).collect();
        return Err(format!("there is no group @{group}; there is {}", known.join(", ")));
    };
    let parse = |member: &String| {
        Symbol::new(member.as_str()).map_err(|error| format!("groups.{group}: {error}"))
    };
    members.iter().map(parse).collect()
}

/// What is done whatever speaks against it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Force {
    /// Train what is up to date.
    pub(crate) train: bool,
    /// Commit models that are worse than the newest generation.
    pub(crate) promote: bool,
}

/// Makes the plan: one fully resolved job per symbol, with the settings of each.
pub(crate) fn make(
    config: &Config,
    symbols: Vec<Symbol>,
    settled: &[Settled],
    force: Force,
) -> Result<RunPlan, CliError> {
    let run = new_run_id()?;
    let store = absolute(&config.store.dir)?;
    let parallel = config.run.parallel.or(cores);
    let threads = threads_per_worker(cores(), parallel.min(symbols.len()));
    let millis = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let lock_timeout_ms = config.lock.timeout.0.map(millis);
    let job = |(symbol, settled): (Symbol, &Settled)| -> Result<_, CliError> {
        let config = &settled.config;
        let data = match config.data.source() {
            DataSource::Csv { dir, policy } => DataSource::Csv { dir: absolute(&dir)?, policy },
            source @ DataSource::Synthetic { .. } => source,
        };
        let train = config.train.spec();
        let by_program = train.backend == CommandBackend::NAME;
        Ok(JobSpec {
            run: run.clone(),
            attempt: 1,
            store: store.clone(),
            data,
            task: config.task.spec(),
            model: config.model.spec(),
            program: if by_program { program(config)? } else { None },
            train: TrainSpec { seed: symbol_seed(config.train.seed, &symbol), ..train },
            evaluate: config.evaluate,
            search: trials(settled, &symbol)?,
            promote: config.promote(force.promote),
            threads,
            force: force.train,
            resumes: Vec::new(),
            check_only: false,
            learning_rate_scale: 1.0,
            expected_seconds: None,
            lock_timeout_ms,
            log: PathBuf::new(),
            symbol,
        })
    };
    let jobs = symbols.into_iter().zip(settled).map(job).collect::<Result<_, _>>()?;
    Ok(RunPlan::new(run, PROGRAM.to_owned(), store, policy(config)?, jobs))
}

/// How the configuration wants a run to be carried out that begins now.
fn policy(config: &Config) -> Result<RunPolicy, CliError> {
    let run = &config.run;
    let deadline = run.deadline.moment(&Zoned::now());
    let deadline = deadline.map_err(|error| CliError::usage(format!("run.deadline: {error}")))?;
    Ok(RunPolicy {
        parallel: run.parallel.or(cores),
        retry: RetryPolicy {
            retries: run.retries,
            by_kind: config.retries.by_kind(),
            backoff: run.backoff.0,
            backoff_max: run.backoff_max.0,
        },
        limits: Limits {
            timeout: run.timeout.0,
            stall_timeout: run.stall_timeout.0,
            memory: run.memory_limit.0,
            jobs_per_worker: run.jobs_per_worker.0.filter(|jobs| *jobs > 0),
        },
        grace: run.grace.0,
        diverged_learning_rate: config.retries.diverged_learning_rate,
        deadline,
        max_failures: run.max_failures.0.filter(|limit| *limit > 0),
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The plan of a run that goes on with an earlier one: the same jobs, carried out as the
/// configuration says now. What the earlier one has committed is up to date.
pub(crate) fn resume(config: &Config, earlier: RunPlan) -> Result<RunPlan, CliError> {
    let (run, policy) = (new_run_id()?, policy(config)?);
    let threads = threads_per_worker(cores(), policy.parallel.min(earlier.jobs.len()));
    let RunPlan { run: earlier, store, mut jobs, .. } = earlier;
    for job in &mut jobs {
        job.resumes.push(earlier.clone());
        (job.run, job.threads) = (run.clone(), threads);
    }
    let mut plan = RunPlan::new(run, PROGRAM.to_owned(), store, policy, jobs);
    plan.resumes = Some(earlier);
    Ok(plan)
}

/// Puts the jobs into the order in which they are to be started: first what the configuration
/// names, then what took longest the last time. What was never trained is taken to be long.
pub(crate) fn arrange(
    plan: &mut RunPlan,
    store: Option<&Store>,
    config: &Config,
) -> Result<(), CliError> {
    let mut rank = BTreeMap::new();
    for name in &config.run.first {
        for symbol in
            expand(name, config).map_err(|e| CliError::usage(format!("run.first: {e}")))?
        {
            let next = rank.len();
            rank.entry(symbol).or_insert(next);
        }
    }
    for job in &mut plan.jobs {
        job.expected_seconds = store.and_then(|store| last_duration(store, &job.symbol));
    }
    let length = |job: &JobSpec| job.expected_seconds.unwrap_or(f64::INFINITY);
    let rank = |job: &JobSpec| rank.get(&job.symbol).copied().unwrap_or(usize::MAX);
    plan.jobs.sort_by(|a, b| rank(a).cmp(&rank(b)).then(length(b).total_cmp(&length(a))));
    Ok(())
}

/// What the symbol's newest generation took to train, in seconds.
fn last_duration(store: &Store, symbol: &Symbol) -> Option<f64> {
    let snapshot = store.symbol(symbol).latest().ok()??;
    let metadata: Metadata = snapshot.json(METADATA_FILE).ok()?;
    let StageSeconds { load, train, evaluate } = metadata.provenance.seconds;
    Some(load + train + evaluate)
}

/// The program that trains and forecasts in the place of a backend, if one is configured.
pub(crate) fn program(config: &Config) -> Result<Option<ProgramSpec>, CliError> {
    Ok(config.train.program(absolute(Path::new("."))?))
}

/// Workers run elsewhere later on: no path may depend on the current directory.
fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    let absolute = std::path::absolute(path)
        .map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?;
    if absolute.to_str().is_none() {
        return Err(CliError::usage(format!("{} is not valid UTF-8", absolute.display())));
    }
    Ok(absolute)
}
