//! The experiment trackers that `[observe]` asks for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mambafleet_orchestrator::{RunPlan, RunSummary};
use mambafleet_protocol::Outcome;
use mambafleet_trackers::{Feed, MlflowSettings, Settings, TENSORBOARD_DIR, Trackers};

use crate::config::Observe;
use crate::error::CliError;
use crate::output::Output;

/// After so long it is said what is waited for.
const SILENCE: Duration = Duration::from_secs(1);

/// The trackers of a run.
pub(crate) struct Tracking {
    trackers: Trackers,
    tensorboard: Option<PathBuf>,
}

impl Tracking {
    /// Starts the trackers of the run whose record will be there. What is returned first is to see its
    /// events, and to be gone when the run has ended.
    pub(crate) fn start(
        observe: &Observe,
        plan: &RunPlan,
        record: &Path,
    ) -> Result<(Feed, Self), CliError> {
        let url = observe.mlflow().map_err(|error| CliError::usage(error.to_string()))?;
        let mlflow = url.map(|url| MlflowSettings {
            url,
            experiment: observe.mlflow_experiment.trim().to_owned(),
            patience: observe.mlflow_timeout.0,
        });
        let tensorboard = observe.tensorboard.then(|| record.join(TENSORBOARD_DIR));
        let settings = Settings { tensorboard: tensorboard.clone(), mlflow };
        let (feed, trackers) = Trackers::start(settings, plan, record);
        Ok((feed, Self { trackers, tensorboard }))
    }

    /// What a person wants to know of it when a run has ended like this: where event files lie, unless
    /// nothing was trained.
    pub(crate) fn told(&self, summary: &RunSummary) -> Option<String> {
        let trained = |outcome: &Outcome| !matches!(outcome, Outcome::UpToDate { .. });
        let any = summary.symbols.iter().any(|symbol| trained(&symbol.outcome));
        let dir = self.tensorboard.as_ref().filter(|_| any)?;
        Some(format!("tensorboard: {}", dir.display()))
    }

    /// Waits for the trackers, until a signal comes at the longest.
    pub(crate) fn finish(self, output: Output) {
        if self.trackers.is_empty() {
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::warn!(%error, "the experiment trackers cannot be waited for");
                return;
            }
        };
        runtime.block_on(async {
            let finish = self.trackers.finish(signal());
            tokio::pin!(finish);
            tokio::select! {
                () = &mut finish => return,
                () = tokio::time::sleep(SILENCE) => {}
            }
            output.say("waiting for the experiment trackers; Ctrl-C ends that");
            finish.await;
        });
    }
}

/// Ends when a signal asks for the end.
#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = listen(SignalKind::interrupt()) => {}
        () = listen(SignalKind::terminate()) => {}
        () = listen(SignalKind::hangup()) => {}
    }
}

/// Ends when a signal asks for the end.
#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
