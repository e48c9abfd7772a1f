//! The configuration's types. Every field has its default and its description in
//! `configs/default.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mambafleet_artifacts::Wait;
use mambafleet_backend_command::CommandBackend;
use mambafleet_dataset::MAX_SYNTHETIC_BARS;
use mambafleet_orchestrator::{HttpUrl, InvalidHttpUrl};
use mambafleet_protocol::{
    AdjustSpec, BlankSpec, DataSource, DuplicateSpec, EvaluateSpec, FailureKind, InconsistentSpec,
    InitSpec, InvalidSpec, ModelSpec, PolicySpec, ProgramSpec, PromoteSpec, PromoteWhen,
    ScheduleSpec, SuspectedSplitSpec, TrainSpec, UnsortedSpec,
};
use serde::Deserialize;

use super::task::Task;
use super::value::{
    AutoOr, AutoOrDuration, Deadline, HumanDuration, NoneOrDuration, NoneOrSize, WordOrCount,
    parse_address,
};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) data: Data,
    pub(crate) store: Store,
    pub(crate) run: Run,
    pub(crate) retries: Retries,
    pub(crate) notify: Notify,
    pub(crate) observe: Observe,
    pub(crate) groups: BTreeMap<String, Vec<String>>,
    pub(crate) lock: Lock,
    pub(crate) task: Task,
    pub(crate) model: Model,
    pub(crate) train: Train,
    pub(crate) evaluate: EvaluateSpec,
    promote: Promote,
    pub(crate) predict: Predict,
    pub(crate) search: Search,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Promote {
    when: PromoteWhen,
    margin: f64,
    window: usize,
}

/// More trials per symbol are a mistake.
const MAX_TRIALS: usize = 1000;

/// Settings that are tried for each symbol.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    pub(crate) trials: usize,
    pub(crate) method: SearchMethod,
    pub(crate) values: Vec<String>,
}

/// Which of the settings are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SearchMethod {
    Random,
    Grid,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    pub(crate) dir: PathBuf,
    adjust: AdjustSpec,
    blank: BlankSpec,
    duplicates: DuplicateSpec,
    unsorted: UnsortedSpec,
    inconsistent: InconsistentSpec,
    suspected_splits: SuspectedSplitSpec,
    pub(crate) synthetic: Synthetic,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Synthetic {
    pub(crate) bars: usize,
    pub(crate) seed: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) symbols: Vec<String>,
    pub(crate) first: Vec<String>,
    pub(crate) parallel: AutoOr,
    pub(crate) retries: u32,
    pub(crate) backoff: HumanDuration,
    pub(crate) backoff_max: HumanDuration,
    pub(crate) grace: HumanDuration,
    pub(crate) timeout: NoneOrDuration,
    pub(crate) stall_timeout: NoneOrDuration,
    pub(crate) memory_limit: NoneOrSize,
    pub(crate) jobs_per_worker: WordOrCount,
    pub(crate) deadline: Deadline,
    pub(crate) max_failures: WordOrCount,
}

/// Further attempts by kind of failure.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retries {
    data: WordOrCount,
    diverged: WordOrCount,
    implausible: WordOrCount,
    backend: WordOrCount,
    lock_busy: WordOrCount,
    store: WordOrCount,
    crashed: WordOrCount,
    out_of_memory: WordOrCount,
    timed_out: WordOrCount,
    stalled: WordOrCount,
    protocol: WordOrCount,
    pub(crate) diverged_learning_rate: f64,
}

impl Retries {
    /// What is set, by kind.
    pub(crate) fn by_kind(&self) -> BTreeMap<FailureKind, u32> {
        let all = [
            (FailureKind::Data, self.data),
            (FailureKind::Diverged, self.diverged),
            (FailureKind::Implausible, self.implausible),
            (FailureKind::Backend, self.backend),
            (FailureKind::LockBusy, self.lock_busy),
            (FailureKind::Store, self.store),
            (FailureKind::Crashed, self.crashed),
            (FailureKind::OutOfMemory, self.out_of_memory),
            (FailureKind::TimedOut, self.timed_out),
            (FailureKind::Stalled, self.stalled),
            (FailureKind::Protocol, self.protocol),
        ];
        all.into_iter().filter_map(|(kind, count)| Some((kind, count.0?))).collect()
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notify {
    pub(crate) when: When,
    pub(crate) command: Vec<String>,
    url: String,
    pub(crate) timeout: HumanDuration,
}

/// Which ends of runs are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    Always,
    Failure,
}

/// What a run leaves to look at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Observe {
    pub(crate) report: bool,
    metrics: String,
    pub(crate) textfile: PathBuf,
    pub(crate) tensorboard: bool,
    mlflow: String,
    pub(crate) mlflow_experiment: String,
    pub(crate) mlflow_timeout: HumanDuration,
}

impl Observe {
    /// Where Prometheus may ask for metrics, if anywhere.
    pub(crate) fn metrics(&self) -> Result<Option<SocketAddr>, InvalidSpec> {
        let wrong = |message| InvalidSpec { key: "observe.metrics", message };
        match self.metrics.trim() {
            "" => Ok(None),
            address => parse_address(address, "127.0.0.1:9464").map(Some).map_err(wrong),
        }
    }

    /// The MLflow tracking server, if there is one.
    pub(crate) fn mlflow(&self) -> Result<Option<HttpUrl>, InvalidSpec> {
        let wrong = |error: InvalidHttpUrl| InvalidSpec {
            key: "observe.mlflow",
            message: format!("{error}; write one as in mlflow = \"http://localhost:5000\""),
        };
        match self.mlflow.trim() {
            "" => Ok(None),
            url => url.parse().map(Some).map_err(wrong),
        }
    }

    fn validate(&self) -> Result<(), InvalidSpec> {
        let wrong = |key, message: &str| Err(InvalidSpec { key, message: message.to_owned() });
        if self.mlflow_experiment.trim().is_empty() {
            return wrong("observe.mlflow_experiment", "must have a name");
        }
        if self.mlflow_timeout.0.is_zero() {
            return wrong("observe.mlflow_timeout", "must be above 0");
        }
        self.metrics()?;
        self.mlflow().map(drop)
    }
}

impl Notify {
    /// Where to post to, if anywhere.
    pub(crate) fn url(&self) -> Result<Option<HttpUrl>, InvalidSpec> {
        let key = "notify.url";
        match self.url.trim() {
            "" => Ok(None),
            url => url.parse().map(Some).map_err(|error: InvalidHttpUrl| {
                let message = match error {
                    InvalidHttpUrl::Https => format!("{error}: {CURL}"),
                    error => {
                        format!("{error}; write one as in url = \"http://localhost:9000/hook\"")
                    }
                };
                InvalidSpec { key, message }
            }),
        }
    }

    fn validate(&self) -> Result<(), InvalidSpec> {
        let wrong = |key, message: &str| Err(InvalidSpec { key, message: message.to_owned() });
        if self.timeout.0.is_zero() {
            return wrong("notify.timeout", "must be above 0");
        }
        if self.command.first().is_some_and(String::is_empty) {
            return wrong("notify.command", "begins with an empty name; write [] for no command");
        }
        self.url().map(drop)
    }
}

/// How to post over an encrypted connection.
const CURL: &str =
    r#"leave it to a program, as in command = ["curl", "-fsS", "--json", "@-", "https://..."]"#;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    pub(crate) timeout: AutoOrDuration,
}

impl Lock {
    /// How long to wait for a lock.
    pub(crate) fn wait(&self) -> Wait {
        self.timeout.0.map_or(Wait::Auto, Wait::Until)
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    d_model: usize,
    n_layers: usize,
    d_state: usize,
    d_conv: usize,
    expand: usize,
    dt_rank: AutoOr,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Train {
    pub(crate) backend: String,
    command: Vec<String>,
    command_timeout: HumanDuration,
    epochs: usize,
    batch_size: usize,
    accumulate: usize,
    learning_rate: f64,
    schedule: ScheduleSpec,
    weight_decay: f64,
    grad_clip: f64,
    warmup: f64,
    patience: usize,
    validation_stride: usize,
    init: InitSpec,
    pub(crate) seed: u64,
}

/// When `predict` warns.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Predict {
    pub(crate) max_age_days: WordOrCount,
    pub(crate) max_model_age_days: WordOrCount,
}

impl Train {
    /// The settings of every symbol, with the run's seed.
    pub(crate) fn spec(&self) -> TrainSpec {
        TrainSpec {
            backend: self.backend.clone(),
            epochs: self.epochs,
            batch_size: self.batch_size,
            accumulate: self.accumulate,
            learning_rate: self.learning_rate,
            schedule: self.schedule,
            weight_decay: self.weight_decay,
            grad_clip: self.grad_clip,
            warmup: self.warmup,
            patience: self.patience,
            validation_stride: self.validation_stride,
            init: self.init,
            seed: self.seed,
        }
    }

    /// The program, if one is configured, started in `dir`.
    pub(crate) fn program(&self, dir: PathBuf) -> Option<ProgramSpec> {
        let timeout = self.command_timeout.0.as_millis();
        let timeout_ms = u64::try_from(timeout).unwrap_or(u64::MAX);
        let argv = self.command.clone();
        (!argv.is_empty()).then_some(ProgramSpec { argv, dir, timeout_ms })
    }

    /// Checks what a backend needs that leaves its work to a program.
    fn validate(&self) -> Result<(), InvalidSpec> {
        let wrong = |key, message: String| Err(InvalidSpec { key, message });
        if self.command_timeout.0.is_zero() {
            return wrong("train.command_timeout", "must be above 0".to_owned());
        }
        if self.backend != CommandBackend::NAME {
            return Ok(());
        }
        let example = r#"write the program that trains, as in command = ["python3", "train.py"]"#;
        match self.command.first() {
            Some(program) if is_there(program) => Ok(()),
            Some(program) => {
                wrong("train.command", format!("there is no program \"{program}\"; {example}"))
            }
            None => wrong("train.command", format!("is empty; {example}")),
        }
    }
}

/// Whether a program can be found: here, or in `PATH` if its name has no separator.
pub(crate) fn is_there(program: &str) -> bool {
    if program.is_empty() {
        return false;
    }
    if cfg!(windows) || program.contains(std::path::is_separator) {
        return cfg!(windows) || Path::new(program).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

impl Model {
    /// The dimensions with `dt_rank` settled; `auto` is the reference implementation's choice.
    pub(crate) fn spec(self) -> ModelSpec {
        let Self { d_model, n_layers, d_state, d_conv, expand, dt_rank } = self;
        let dt_rank = dt_rank.or(|| d_model.div_ceil(16));
        ModelSpec { d_model, n_layers, d_state, d_conv, expand, dt_rank }
    }
}

impl Data {
    /// Where bars come from.
    pub(crate) fn source(&self) -> DataSource {
        if self.dir.as_os_str().is_empty() {
            let Synthetic { bars, seed } = self.synthetic;
            DataSource::Synthetic { bars, seed }
        } else {
            DataSource::Csv { dir: self.dir.clone(), policy: self.policy() }
        }
    }

    /// What is done about the blemishes of files.
    pub(crate) fn policy(&self) -> PolicySpec {
        let Self { adjust, blank, duplicates, unsorted, inconsistent, suspected_splits, .. } =
            *self;
        PolicySpec { adjust, blank, duplicates, unsorted, inconsistent, suspected_splits }
    }
}

impl Config {
    /// The groups that a symbol is in, as `@name`.
    pub(crate) fn groups_of(&self, symbol: &str) -> BTreeSet<String> {
        let with = self.groups.iter().filter(|(_, members)| members.iter().any(|m| m == symbol));
        with.map(|(name, _)| format!("@{name}")).collect()
    }

    /// Whether new models take the place of old ones; `force`: whatever a comparison says.
    pub(crate) fn promote(&self, force: bool) -> PromoteSpec {
        let Promote { when, margin, window } = self.promote;
        PromoteSpec { when, margin, window, force }
    }

    /// Checks everything that types alone do not say.
    pub(crate) fn validate(&self) -> Result<(), InvalidSpec> {
        let wrong = |key, message: &str| Err(InvalidSpec { key, message: message.to_owned() });
        if !(1..=MAX_SYNTHETIC_BARS).contains(&self.data.synthetic.bars) {
            let limits = format!("must be between 1 and {MAX_SYNTHETIC_BARS}");
            return wrong("data.synthetic.bars", &limits);
        }
        if self.store.dir.as_os_str().is_empty() {
            return wrong("store.dir", "must name a directory");
        }
        if self.run.retries > 100 {
            return wrong("run.retries", "must not exceed 100");
        }
        self.notify.validate()?;
        self.observe.validate()?;
        self.task.validate()?;
        self.model.spec().validate()?;
        self.train.validate()?;
        self.train.spec().validate()?;
        self.evaluate.validate()?;
        if self.task.is_series() && self.evaluate.folds > 1 {
            return wrong("evaluate.folds", "must be 1: a series is tested on one part");
        }
        if self.search.trials > MAX_TRIALS {
            return wrong("search.trials", &format!("must not exceed {MAX_TRIALS}"));
        }
        self.promote(false).validate()
    }
}

#[cfg(test)]
mod tests {
    use mambafleet_protocol::{JobSpec, PolicySpec};

    use crate::config::defaults;

    #[test]
    fn the_built_in_defaults_are_valid() {
        let config = defaults();
        assert!(config.validate().is_ok());
    }

    #[test]
    fn the_built_in_defaults_are_the_usual_job() {
        let config = defaults();
        let usual = JobSpec::usual("run".parse().unwrap(), "AAPL".parse().unwrap(), "s".into());
        assert_eq!(config.data.source(), usual.data);
        assert_eq!(config.data.policy(), PolicySpec::USUAL);
        assert_eq!(config.task.spec(), usual.task);
        assert_eq!(config.model.spec(), usual.model);
        assert_eq!(config.train.spec(), usual.train);
        assert_eq!(config.evaluate, usual.evaluate);
        assert_eq!(config.promote(false), usual.promote);
    }
}
