//! `mambafleet train`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mambafleet_artifacts::{
    FileLock, LockError, Store, StoreError, Wait, atomic_write, atomic_write_json,
    create_dir_durable,
};
use mambafleet_orchestrator::{Notify, RunPlan, RunRecord, RunSummary, WorkerCommand};
use mambafleet_protocol::{
    DataSource, FailureKind, JobSpec, Outcome, SkipReason, Symbol, cause_chain,
};
use mambafleet_report::EVALUATION_FILE;
use mambafleet_trackers::Feed;
use serde::Serialize;

use super::registry;
use super::report::{leave, where_it_lies};
use super::run_name::find_run;
use crate::args::{Common, TrainArgs};
use crate::commands::own_lock::refuse_own;
use crate::config::{Loaded, Overrides, Settled};
use crate::error::CliError;
use crate::exit::Exit;
use crate::logging::{self, RUN_LOG};
use crate::metrics::Metrics;
use crate::notify::Herald;
use crate::output::Output;
use crate::place::check_place;
use crate::plan::{Force, arrange, configuration, make, path_override, resume, select, settle};
use crate::reporters::{
    Closing, Tee, choose, fleet, junit, junit_error, summary_table, verdict_table,
};
use crate::since::changes;
use crate::style::Page;
use crate::table::render;
use crate::tracking::Tracking;
use crate::verdict::{Verdict, verdict};

/// Plans, trains and reports. Whoever is to be told how a run ended is told also when none could
/// begin.
pub(crate) fn run(common: &Common, args: &TrainArgs, output: Output) -> Result<Exit, CliError> {
    if let Some(file) = &args.junit {
        check_place("--junit", file)?;
    }
    let loaded = configuration(common, overrides(args)?)?;
    let herald = Herald::new(&loaded.config)?.filter(|_| !args.dry_run);
    let mut metrics = None;
    let wanted = if args.dry_run { Ok(None) } else { Metrics::wanted(&loaded.config) };
    let ended = wanted.and_then(|wanted| {
        metrics = wanted;
        train(&loaded, args, herald.as_ref(), metrics.as_ref(), output)
    });
    if let Err(error) = &ended {
        if let Some(metrics) = &metrics {
            metrics.not_begun();
        }
        if let Some(file) = &args.junit {
            // What an earlier run has left there would be taken for this one's.
            write_junit(file, &junit_error(error));
        }
        if let Some(herald) = &herald {
            herald.tell_error(error, &loaded.config.store.dir);
        }
    }
    ended
}

/// Writes JUnit XML whole or not at all; tells whether that went well.
fn write_junit(file: &Path, xml: &str) -> bool {
    let written = atomic_write(file, xml.as_bytes());
    if let Err(error) = &written {
        tracing::warn!(error = cause_chain(error), "there is no JUnit file");
    }
    written.is_ok()
}

fn train(
    loaded: &Loaded,
    args: &TrainArgs,
    herald: Option<&Herald>,
    metrics: Option<&Metrics>,
    output: Output,
) -> Result<Exit, CliError> {
    let config = &loaded.config;
    let mut own = BTreeMap::new();
    let mut plan = match &args.resume {
        Some(run) => resume(config, earlier(&config.store.dir, run)?)?,
        None => {
            let symbols = select(&args.selection, config)?;
            let settled = settle(loaded, &symbols)?;
            own.extend(symbols.iter().cloned().zip(settled.iter().map(own_settings)));
            let force = Force { train: args.force, promote: args.force_promote };
            make(config, symbols, &settled, force)?
        }
    };
    let registry = registry()?;
    for job in &plan.jobs {
        registry.get(&job.train.backend).map_err(|error| CliError::usage(error.to_string()))?;
    }
    if args.dry_run {
        let store = Store::open(&plan.store).ok();
        arrange(&mut plan, store.as_ref(), config)?;
        return dry_run(&plan, &own, output);
    }
    let _server = match metrics {
        Some(metrics) => metrics.listen(output)?,
        None => None,
    };
    let store = Store::open_or_create(&plan.store).map_err(unusable)?;
    for job in &plan.jobs {
        refuse_own(&store.symbol(&job.symbol))?;
    }
    let _alone = own_set(&store, &plan, args.wait, output)?;
    arrange(&mut plan, Some(&store), config)?;
    let record = RunRecord::dir_of(&store.runs_dir(), &plan.run);
    let (feed, tracking) = Tracking::start(&config.observe, &plan, &record)?;
    let watch = Watch {
        herald,
        metrics,
        junit: args.junit.as_deref(),
        tracking: &tracking,
        report: config.observe.report,
    };
    let ended = carry_out(&plan, &store, &watch, feed, output);
    tracking.finish(output);
    ended
}

/// Everybody who is told of a run, beside the person at the terminal.
#[derive(Clone, Copy)]
struct Watch<'a> {
    herald: Option<&'a Herald>,
    metrics: Option<&'a Metrics>,
    /// File for JUnit XML.
    junit: Option<&'a Path>,
    tracking: &'a Tracking,
    /// Whether the run is to leave a page about it.
    report: bool,
}

/// Carries out the plan, and reports.
fn carry_out(
    plan: &RunPlan,
    store: &Store,
    watch: &Watch<'_>,
    feed: Feed,
    output: Output,
) -> Result<Exit, CliError> {
    let Watch { herald, metrics, junit: junit_file, tracking, report } = *watch;
    let runs = store.runs_dir();
    let synthetic = plan.jobs.iter().any(JobSpec::is_synthetic);
    let compose = |summary: &RunSummary| {
        herald?.message(summary, exit(summary), &plan.store, &runs, synthetic)
    };
    let notification = herald.map(|herald| herald.notification.clone());
    let notify = notification.map(|notification| Notify { notification, compose: &compose });
    let record = RunRecord::dir_of(&runs, &plan.run);
    logging::record_to(record.join(RUN_LOG));
    let judge = |summary: &RunSummary| judge(store, summary, &record);
    let mut reporters = vec![choose(output, plan, &judge), Box::new(feed)];
    reporters.extend(metrics.map(Metrics::reporter));
    let mut reporter = Tee::new(reporters);
    let worker = myself("worker")?;
    let summary =
        mambafleet_orchestrator::run(plan, store, worker, notify.as_ref(), &mut reporter)?;
    drop(reporter);
    let xml = junit(&summary);
    write_junit(&record.join(JUNIT_FILE), &xml);
    let left = metrics.is_none_or(Metrics::leave);
    let written = junit_file.is_none_or(|file| write_junit(file, &xml)) && left;
    // A terminal that is gone takes nothing from the run, nor from what is told of it.
    let shown = output.is_json() || {
        let page = Page::stdout();
        let verdict =
            judge(&summary).map(|verdict| page.wrap(&verdict_table(&verdict), 2) + "\n\n");
        let changes = changes(store, &summary);
        let closing = Closing {
            summary: &summary,
            record: &record,
            synthetic,
            changes: &changes,
            whole: false,
        };
        // Away from what has scrolled by.
        let gap = if page.is_terminal() { "\n" } else { "" };
        let mut table =
            gap.to_owned() + &verdict.unwrap_or_default() + &summary_table(&closing, page);
        table.extend(tracking.told(&summary).into_iter().flat_map(|told| ["\n".to_owned(), told]));
        output.line(&table).map_err(|error| output.error(&error)).is_ok()
    };
    // Nobody waits for the page to see how the run ended.
    if report
        && let Some(path) = leave(store, &plan.run)
        && !output.is_json()
    {
        let _ = output.line(&where_it_lies(&path));
    }
    Ok(match exit(&summary) {
        // Whoever reads a file must not take an old one for new.
        Exit::Success if !written || !shown => Exit::Internal,
        exit => exit,
    })
}

/// Judges the forecasts of all symbols that are current, and writes that to the run's record.
fn judge(store: &Store, summary: &RunSummary, record: &Path) -> Option<Verdict> {
    let outcomes = summary.symbols.iter().map(|symbol| (&symbol.symbol, &symbol.outcome));
    let verdict = verdict(store, outcomes)?;
    if let Err(error) = atomic_write_json(&record.join(EVALUATION_FILE), &verdict) {
        tracing::warn!(error = cause_chain(&error), "the evaluation is not in the run's record");
    }
    Some(verdict)
}

/// The JUnit file in the run's record.
const JUNIT_FILE: &str = "junit.xml";

/// The plan of the run to go on with: the one that is named, or the newest that did not finish well.
fn earlier(store: &Path, name: &str) -> Result<RunPlan, CliError> {
    let runs = Store::open(store)?.runs_dir();
    let named = match name {
        "" => RunRecord::unfinished(&runs)?,
        name => Some(find_run(&runs, name)?),
    };
    let Some(run) = named else {
        let message = format!("every run in {} finished well", runs.display());
        return Err(CliError::new(Exit::NothingSelected, message));
    };
    RunRecord::plan(&runs, &run)?.ok_or_else(|| {
        CliError::new(Exit::NothingSelected, format!("the record of {run} has no plan"))
    })
}

/// Makes sure that no other run has the same symbols in this store, or waits for it.
fn own_set(
    store: &Store,
    plan: &RunPlan,
    wait: bool,
    output: Output,
) -> Result<FileLock, CliError> {
    let mut symbols: Vec<_> = plan.jobs.iter().map(|job| job.symbol.as_str()).collect();
    symbols.sort_unstable();
    let set = blake3::hash(symbols.join("\n").as_bytes()).to_hex();
    create_dir_durable(&store.runs_dir())?;
    let path = store.runs_dir().join(format!(".set-{}.lock", &set[..16]));
    let busy = match FileLock::acquire(&path, Wait::Fail) {
        Err(busy @ LockError::Timeout { .. }) => busy,
        result => return result.map_err(locking),
    };
    let message = format!("another run has the same symbols: {}", cause_chain(&busy));
    if !wait {
        let error = CliError::new(Exit::Busy, message);
        return Err(error.with_hint("--wait waits for it to end"));
    }
    output.say(&format!("waiting: {message}"));
    FileLock::acquire(&path, Wait::Until(LONG)).map_err(locking)
}

/// As good as for ever.
const LONG: Duration = Duration::from_secs(365 * 24 * 3600);

fn locking(error: LockError) -> CliError {
    CliError::new(Exit::Internal, cause_chain(&error))
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
        ("run.deadline", "--deadline", args.deadline.clone()),
        ("observe.metrics", "--metrics", args.metrics.clone()),
        ("run.max_failures", "--max-failures", args.max_failures.map(|n| n.to_string())),
        ("run.max_failures", "--keep-going", args.keep_going.then(|| "none".to_owned())),
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

/// How to start this very program as a worker, which logs as much. On Linux the running image is named, so that
/// replacing the file (a rebuild during a long run) does not mix versions.
pub(crate) fn myself(subcommand: &str) -> Result<WorkerCommand, CliError> {
    let program = if cfg!(target_os = "linux") {
        PathBuf::from("/proc/self/exe")
    } else {
        std::env::current_exe().map_err(|error| {
            CliError::new(Exit::Internal, format!("cannot find this program's file: {error}"))
        })?
    };
    let args = [subcommand.into()].into_iter().chain(logging::flag().map(Into::into)).collect();
    Ok(WorkerCommand { program, args })
}

fn exit(summary: &RunSummary) -> Exit {
    match summary.signal {
        _ if summary.all_good() => Exit::Success,
        Some(15) => Exit::Terminated,
        Some(1) => Exit::Hangup,
        Some(_) => Exit::Interrupted,
        None if late(summary) => Exit::Deadline,
        None if only_busy(summary) => Exit::Busy,
        None => Exit::SomeFailed,
    }
}

/// Whether symbols were left out because of the deadline.
fn late(summary: &RunSummary) -> bool {
    let late = |outcome: &Outcome| {
        matches!(outcome, Outcome::Skipped { reason: SkipReason::Deadline, .. })
    };
    summary.symbols.iter().any(|symbol| late(&symbol.outcome))
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

fn dry_run(
    plan: &RunPlan,
    own: &BTreeMap<Symbol, String>,
    output: Output,
) -> Result<Exit, CliError> {
    output.result("plan", DryRun { plan }, || {
        let rows = plan.jobs.iter().map(|job| {
            let JobSpec { symbol, train, .. } = job;
            let own = own.get(symbol).cloned().unwrap_or_default();
            vec![symbol.to_string(), source(job), train.epochs.to_string(), own]
        });
        let mut columns =
            vec![("symbol", false), ("data", false), ("epochs", true), ("its own settings", false)];
        if own.values().all(String::is_empty) {
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
        DataSource::Csv { dir, .. } => {
            mambafleet_dataset::data_path(dir, &job.symbol).display().to_string()
        }
        DataSource::Synthetic { bars, .. } => format!("synthetic demo data, {bars} bars"),
    }
}

/// What a symbol does not share with all the others.
fn own_settings(settled: &Settled) -> String {
    let values = settled.own.iter().filter_map(|key| Some((key, settled.merged.get(key)?)));
    values.map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
}
