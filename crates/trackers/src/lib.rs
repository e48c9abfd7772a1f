//! Tells experiment trackers of a run: TensorBoard by event files, MLflow over HTTP.
//!
//! A [`Feed`] sees the events of a run inside the orchestrator's loop and does nothing but put them into
//! a queue for each tracker. Each tracker works its queue off in a thread of its own: a disk that is
//! full, a file system or a server that hangs or talks nonsense cannot delay the run, let alone fail it. When
//! the run has ended, [`Trackers::finish`] waits for the threads within limits, and says in one line per
//! tracker what did not arrive.
//!
//! This crate never prints.

mod lane;
mod mlflow;
mod names;
mod settings;
mod tally;
mod tensorboard;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mambafleet_orchestrator::{HttpUrl, Reporter, RunPlan, StampedEvent};

use lane::{Entrance, Lane};
use mlflow::Mlflow;
use tensorboard::TensorBoard;

/// The directory in a run's record that holds TensorBoard's event files.
pub const TENSORBOARD_DIR: &str = "tensorboard";

/// How long the disk is waited for when the run has ended.
const DISK_PATIENCE: Duration = Duration::from_secs(10);

/// Which trackers are told.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Where TensorBoard's event files go; none are written if there is no such place.
    pub tensorboard: Option<PathBuf>,
    /// The MLflow server, if there is one.
    pub mlflow: Option<MlflowSettings>,
}

/// An MLflow server, and what is wanted of it.
#[derive(Debug, Clone)]
pub struct MlflowSettings {
    /// Where its interface begins, without `/api/2.0/mlflow`.
    pub url: HttpUrl,
    /// The name of the experiment, which is made where there is none.
    pub experiment: String,
    /// How long it is waited for when the run has ended.
    pub patience: Duration,
}

/// The trackers that are told of one run.
#[must_use = "what is under way is lost unless it is waited for"]
pub struct Trackers {
    lanes: Vec<Lane>,
}

/// Hands the events of a run over to its trackers. It never blocks.
pub struct Feed {
    entrances: Vec<Entrance>,
}

impl Trackers {
    /// Starts the trackers of a run whose record lies in `record`. A tracker that cannot be started is
    /// left out with a warning.
    pub fn start(settings: Settings, plan: &RunPlan, record: &Path) -> (Feed, Self) {
        let plan = Arc::new(plan.clone());
        let mut trackers = Self { lanes: Vec::new() };
        let mut feed = Feed { entrances: Vec::new() };
        if let Some(dir) = settings.tensorboard {
            let name = format!("TensorBoard's directory {}", dir.display());
            let plan = Arc::clone(&plan);
            let lane = Lane::start("tensorboard", name, DISK_PATIENCE, |shared| {
                TensorBoard::new(dir, plan, shared.tally)
            });
            trackers.add(&mut feed, lane);
        }
        if let Some(settings) = settings.mlflow {
            let (name, record) = (format!("MLflow at {}", settings.url), record.to_owned());
            let lane = Lane::start("mlflow", name, settings.patience, |shared| {
                Mlflow::new(settings, plan, record, shared)
            });
            trackers.add(&mut feed, lane);
        }
        (feed, trackers)
    }

    fn add(&mut self, feed: &mut Feed, lane: std::io::Result<(Entrance, Lane)>) {
        match lane {
            Ok((entrance, lane)) => {
                feed.entrances.push(entrance);
                self.lanes.push(lane);
            }
            Err(error) => tracing::warn!(%error, "an experiment tracker cannot be started"),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Waits until the trackers have all that the [`Feed`], which is dropped by now, was given; no longer
    /// than each of them is worth, and not beyond the end of `enough`. What is missing then is one
    /// warning per tracker.
    pub async fn finish(self, enough: impl Future<Output = ()>) {
        let mut lanes = self.lanes;
        lanes.iter().for_each(Lane::close);
        let all = async {
            for lane in &mut lanes {
                lane.ended().await;
            }
        };
        tokio::select! {
            () = all => {}
            () = enough => {}
        }
        for missing in lanes.iter().filter_map(Lane::missing) {
            tracing::warn!("{missing}");
        }
    }
}

impl Reporter for Feed {
    fn on_event(&mut self, event: &StampedEvent) {
        for entrance in &mut self.entrances {
            entrance.offer(event);
        }
    }
}
