//! What a kind of task has to supply, so that an attempt can be carried out for it.

use mambafleet_backend::{Fitted, ModelConfig, NamedTensors, Samples, Tensor};
use mambafleet_dataset::{DatasetSummary, Scaler};
use mambafleet_evaluation::Shrinkage;
use mambafleet_protocol::{Headline, ModelSpec, SampleCounts};

use serde::Serialize;

use crate::rival::{Losses, Rival};
use crate::{AttemptError, Metadata, Metrics, SeriesMetrics, SeriesRecord, Trial};

/// The data of a symbol as a task sees them: read, and cut into folds on demand.
pub(crate) trait Study {
    /// One fold: samples to train, validate and test on.
    type Fold: Fold;
    /// What is kept of a model that was trained on a fold.
    type Judged;

    /// Hash of the data's content.
    fn content(&self) -> String;

    /// Prepares a fold, from 0; the last one's model is the one that is kept.
    ///
    /// # Errors
    /// When there are too few data, or settings do not fit them.
    fn fold(&self, index: usize) -> Result<Self::Fold, AttemptError>;

    /// What the model that was trained on a fold makes of the samples that it has not seen.
    ///
    /// # Errors
    /// When the model fails, or forecasts what is not finite.
    fn judge(&self, fold: &Self::Fold, fitted: &mut Fitted) -> Result<Self::Judged, AttemptError>;

    /// Draws the conclusion from all folds, in their order; `fitted` is the last one's model.
    ///
    /// # Errors
    /// When the forecasts are not to be trusted.
    fn conclude(
        &self,
        last: &Self::Fold,
        fitted: &Fitted,
        judged: Vec<Self::Judged>,
    ) -> Result<Conclusion, AttemptError>;

    /// The new model and the one to beat on the newest test samples that neither has been trained or
    /// stopped on.
    ///
    /// # Errors
    /// Why they cannot be compared.
    fn compare(
        &self,
        last: &Self::Fold,
        conclusion: &Conclusion,
        rival: &mut Rival,
    ) -> Result<Losses, String>;
}

/// Samples in three parts.
pub(crate) trait Fold {
    /// How many there are, for the symbol and number of rows of a study.
    fn counts(&self) -> SampleCounts;

    /// The model for them.
    fn config(&self, spec: ModelSpec) -> ModelConfig;

    /// What weights are trained on.
    fn train(&self) -> &dyn Samples;

    /// What decides when to stop.
    fn validation(&self) -> &dyn Samples;

    /// Whether training may go on from the weights of an earlier model: it must have the same inputs,
    /// and must not have been trained on what is validated or tested here, nor chosen on what is tested.
    ///
    /// # Errors
    /// Why not.
    fn may_follow(&self, earlier: &Metadata) -> Result<(), String>;
}

/// What is known of a model when it has been judged; with its weights, a generation.
pub(crate) struct Conclusion {
    /// The content of `metrics.json`.
    pub(crate) metrics: Report,
    /// How much of the model is believed, by horizon; nothing where that is no question.
    pub(crate) shrinkage: Vec<Shrinkage>,
    /// What inputs are scaled with.
    pub(crate) scaler: Scaler,
    /// What the data were.
    pub(crate) data: DatasetSummary,
    /// Further files of tensors, by name.
    pub(crate) files: Vec<(&'static str, NamedTensors)>,
    /// What else is needed to forecast a series.
    pub(crate) series: Option<SeriesRecord>,
}

/// What a model is worth, in the way of its kind of task.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Report {
    /// On returns.
    Returns(Metrics),
    /// On a series.
    Series(SeriesMetrics),
}

impl Report {
    /// Records what a search has tried.
    pub(crate) fn set_search(&mut self, trials: Vec<Trial>) {
        match self {
            Self::Returns(metrics) => metrics.search = trials,
            Self::Series(metrics) => metrics.search = trials,
        }
    }
}

impl Conclusion {
    /// A tensor of one of the further files.
    pub(crate) fn tensor(&self, file: &str, name: &str) -> Option<&Tensor> {
        let (_, tensors) = self.files.iter().find(|(one, _)| *one == file)?;
        tensors.get(name)
    }

    /// The few numbers that tables show.
    pub(crate) fn headline(&self) -> Headline {
        match &self.metrics {
            Report::Returns(metrics) => metrics.headline,
            Report::Series(metrics) => metrics.headline,
        }
    }
}
