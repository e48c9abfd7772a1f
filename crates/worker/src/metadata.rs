//! What stands beside the weights of a generation.

use jiff::Timestamp;
use mambafleet_backend::{ModelConfig, OptimizerConfig};
use mambafleet_dataset::{DatasetSummary, Scaler};
use mambafleet_evaluation::Shrinkage;
use mambafleet_protocol::{
    Comparison, DataSource, EvaluateSpec, RunId, StageTimes, Symbol, TaskSpec, TrainSpec,
};
use serde::{Deserialize, Serialize};

use crate::SeriesRecord;

/// File of a generation that holds its [`Metadata`].
pub const METADATA_FILE: &str = "metadata.json";

/// File of a generation that holds its [`Metrics`](crate::Metrics).
pub const METRICS_FILE: &str = "metrics.json";

/// Version of the metadata's layout.
pub(crate) const METADATA_SCHEMA: u32 = 1;

/// Everything that is needed to use a generation's weights and to tell where they come from; the
/// content of `metadata.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Version of this layout.
    pub schema: u32,
    /// The symbol.
    pub symbol: Symbol,
    /// Hash of everything the weights depend on.
    pub fingerprint: String,
    /// The forecasting task.
    pub task: TaskSpec,
    /// The model.
    pub model: ModelConfig,
    /// Scaler of the features, fitted on training rows.
    pub scaler: Scaler,
    /// Training settings.
    pub train: TrainSpec,
    /// Optimiser settings.
    pub optimizer: OptimizerConfig,
    /// How much of the model a forecast contains, by horizon; nothing where it is the model's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shrinkage: Vec<Shrinkage>,
    /// How it was judged.
    #[serde(default)]
    pub evaluate: EvaluateSpec,
    /// How it came to take the place of the generation before, where that was a question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<Promotion>,
    /// Where the bars came from.
    pub source: DataSource,
    /// What the bars were.
    pub data: DatasetSummary,
    /// What else is needed to forecast a series, and what it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SeriesRecord>,
    /// Who trained, when, for how long.
    pub provenance: Provenance,
}

impl Metadata {
    /// Whether the generation was trained on the built-in generator's bars.
    #[must_use]
    pub fn is_synthetic(&self) -> bool {
        matches!(self.source, DataSource::Synthetic { .. })
    }
}

/// Who trained a generation, when and for how long. The writing process is in the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The program and its version.
    pub program: String,
    /// The backend.
    pub backend: String,
    /// The backend's version, and what else of it weights depend on.
    pub backend_version: String,
    /// The program that trained, and its arguments, where it was not the backend itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// The run.
    pub run: RunId,
    /// The attempt within the run, from 1.
    pub attempt: u32,
    /// When the attempt began (UTC).
    pub started_at: Timestamp,
    /// Threads used.
    pub threads: usize,
    /// What training started from, where that was not to be random weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_start: Option<WarmStart>,
    /// Wall time by stage.
    pub seconds: StageSeconds,
    /// Wall time of each epoch of the model that was kept, in seconds.
    #[serde(default)]
    pub epoch_seconds: Vec<f64>,
}

/// How a model came to take the place of the one before; the content of `promotion` in
/// `metadata.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promotion {
    /// Both models on the same samples; none where they could not be compared.
    pub comparison: Option<Comparison>,
    /// Whether the new model was worse and took its place all the same, because it was to.
    pub forced: bool,
    /// Why the two could not be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not_compared: Option<String>,
}

/// What training started from, when it was to be the newest generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmStart {
    /// The generation whose weights it was; none if training started from random weights after all.
    pub generation: Option<u64>,
    /// That generation's fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Why it was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// Wall time by stage, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct StageSeconds {
    /// Reading bars and computing features.
    pub load: f64,
    /// Training.
    pub train: f64,
    /// Validation after each epoch, evaluation on the test part.
    pub evaluate: f64,
}

impl From<&StageTimes> for StageSeconds {
    fn from(times: &StageTimes) -> Self {
        let StageTimes { load, train, validate, evaluate, .. } = *times;
        let evaluate = validate + evaluate;
        Self { load: load.seconds, train: train.seconds, evaluate: evaluate.seconds }
    }
}
