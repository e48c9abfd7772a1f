//! What is told when a run has ended, and whom: the configuration's `[notify]`.

use std::path::Path;

use mambafleet_orchestrator::{
    Channel, Message, Notification, RunRecord, RunSummary, Told, WorkerCommand,
};
use mambafleet_protocol::cause_chain;
use serde::Serialize;

use crate::commands::guarded;
use crate::config::{Config, When, is_there};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::json_line;
use crate::reporters::{counts, last_complete};
use crate::table::seconds;

/// Prefix of the environment variables that tell a command how a run ended. None of them is a
/// configuration key.
pub(crate) const PREFIX: &str = "MAMBAFLEET_ENDED_";

/// Symbols that the one line about a run names.
const NAMED: usize = 10;

/// What a notification says, as JSON.
#[derive(Serialize)]
struct RunEnded<'a> {
    /// All of it in one line, for people.
    text: &'a str,
    exit_code: u8,
    store: &'a Path,
    record: Option<&'a Path>,
    synthetic: bool,
    summary: Option<&'a RunSummary>,
    error: Option<&'a str>,
}

/// Tells how runs end, as the configuration wants it.
pub(crate) struct Herald {
    when: When,
    pub(crate) notification: Notification,
}

impl Herald {
    /// `None` if nobody is to be told.
    pub(crate) fn new(config: &Config) -> Result<Option<Self>, CliError> {
        let notify = &config.notify;
        let url = notify.url().map_err(|error| CliError::usage(error.to_string()))?;
        let command = match notify.command.split_first() {
            None => None,
            Some((program, args)) => Some(command(program, args)?),
        };
        let notification = Notification { timeout: notify.timeout.0, command, url };
        let nobody = notification.command.is_none() && notification.url.is_none();
        Ok((!nobody).then_some(Self { when: notify.when, notification }))
    }

    /// What to tell of a run that ended with this exit code.
    pub(crate) fn message(
        &self,
        summary: &RunSummary,
        exit: Exit,
        store: &Path,
        runs: &Path,
        synthetic: bool,
    ) -> Option<Message> {
        let record = RunRecord::dir_of(runs, &summary.run);
        let text = text(summary);
        let ended = RunEnded {
            text: &text,
            exit_code: exit.code(),
            store,
            record: Some(&record),
            synthetic,
            summary: Some(summary),
            error: None,
        };
        let last = summary.last_successful_run.as_ref();
        let last = last.map_or_else(String::new, |last| last.finished_at.to_string());
        let mut variables = vec![
            ("MAMBAFLEET_ENDED_RUN", summary.run.to_string()),
            ("MAMBAFLEET_ENDED_LAST_SUCCESS", last),
        ];
        let labels = [
            ("MAMBAFLEET_ENDED_TRAINED", "trained"),
            ("MAMBAFLEET_ENDED_UP_TO_DATE", "up to date"),
            ("MAMBAFLEET_ENDED_KEPT", "kept"),
            ("MAMBAFLEET_ENDED_FAILED", "failed"),
            ("MAMBAFLEET_ENDED_SKIPPED", "skipped"),
            ("MAMBAFLEET_ENDED_INTERRUPTED", "interrupted"),
        ];
        let counted = labels.map(|(name, label)| (name, summary.count(label).to_string()));
        variables.extend(counted);
        self.compose(&ended, variables)
    }

    /// Tells of an error that ended `train`, mostly before a run could begin.
    pub(crate) fn tell_error(&self, error: &CliError, store: &Path) {
        let text = format!("mambafleet train failed: {}", error.message());
        let ended = RunEnded {
            text: &text,
            exit_code: error.exit().code(),
            store,
            record: None,
            synthetic: false,
            summary: None,
            error: Some(error.message()),
        };
        let Some(message) = self.compose(&ended, Vec::new()) else { return };
        match mambafleet_orchestrator::tell(&self.notification, &message) {
            Ok(told) => told.iter().filter_map(warning).for_each(|text| tracing::warn!("{text}")),
            Err(error) => tracing::warn!("nobody was told: {}", cause_chain(&error)),
        }
    }

    fn compose(
        &self,
        ended: &RunEnded<'_>,
        mut variables: Vec<(&'static str, String)>,
    ) -> Option<Message> {
        if self.when == When::Failure && ended.exit_code == Exit::Success.code() {
            return None;
        }
        let shown =
            |path: Option<&Path>| path.map_or_else(String::new, |p| p.display().to_string());
        variables.extend([
            ("MAMBAFLEET_ENDED_TEXT", ended.text.replace('\0', "")),
            ("MAMBAFLEET_ENDED_EXIT_CODE", ended.exit_code.to_string()),
            ("MAMBAFLEET_ENDED_STORE", shown(Some(ended.store))),
            ("MAMBAFLEET_ENDED_RECORD", shown(ended.record)),
        ]);
        match json_line("run_ended", ended) {
            Ok(mut json) => {
                json.push('\n');
                Some(Message { json, variables })
            }
            Err(error) => {
                tracing::warn!(%error, "nobody can be told how the run ended");
                None
            }
        }
    }
}

/// The command, which ends with this process where the system can see to that.
fn command(program: &str, args: &[String]) -> Result<WorkerCommand, CliError> {
    let argv = std::iter::once(program).chain(args.iter().map(String::as_str));
    // One that is missing is told more plainly by the system than by a guard.
    if cfg!(target_os = "linux") && is_there(program) {
        return guarded(argv);
    }
    Ok(WorkerCommand { program: program.into(), args: args.iter().map(Into::into).collect() })
}

/// A run in one line.
fn text(summary: &RunSummary) -> String {
    let (counts, time) = (counts(summary), seconds(summary.seconds));
    let missing = summary.symbols.iter().filter(|symbol| !symbol.outcome.is_good());
    let names: Vec<_> = missing.map(|symbol| symbol.symbol.as_str()).collect();
    let mut text = format!("{}: {counts} in {time}", summary.run);
    if !names.is_empty() {
        let named = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        text += &format!("; not current: {named}");
        if names.len() > NAMED {
            text += &format!(" and {} more", names.len() - NAMED);
        }
        text += &format!("; {}", last_complete(summary));
    }
    text
}

/// What to warn of when somebody could not be told.
pub(crate) fn warning(told: &Told) -> Option<String> {
    let failure = told.failure.as_ref()?;
    let by = match told.by {
        Channel::Command => "notify.command",
        Channel::Url => "notify.url",
    };
    Some(format!("nobody was told by {by}: {failure}"))
}
