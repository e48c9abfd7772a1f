//! The task on a series: columns in, their next steps out.
//!
//! The forecast is `linear + weight (model - linear)`: a linear map by least squares, and as much of what
//! the model says otherwise as has proved itself on the validation part.

mod blend;
mod forecast;
mod metrics;

use std::sync::Arc;

use mambafleet_backend::samples::predict_all;
use mambafleet_backend::{Batch, Fitted, ModelConfig, NamedTensors, Objective, Samples, Tensor};
use mambafleet_dataset::DatasetSummary;
use mambafleet_dataset::series::{LinearChoice, LinearMap, SeriesData, SeriesFile, SeriesPart};
use mambafleet_protocol::{
    ChannelsSpec, InvalidSpec, JobSpec, LossSpec, ModelSpec, SampleCounts, SeriesSpec, Symbol,
};
use serde::{Deserialize, Serialize};

use crate::evaluation;
use crate::out_of_sample::FORECASTS_FILE;
use crate::returns::thinned;
use crate::rival::{Losses, Rival};
use crate::study::{Conclusion, Fold, Report, Study};
use crate::{AttemptError, Metadata};

pub use forecast::{SeriesForecast, TargetForecast, forecast_series};
pub use metrics::{ColumnScores, LinearBaseline, Score, SeriesMetrics, SeriesScores};

/// File of a generation that holds the linear map of a task on a series: tensor `weight` (maps,
/// lookback, horizon) and `intercept` (maps, horizon), one map for all columns or one for each target.
pub const LINEAR_FILE: &str = "linear.safetensors";

/// What is needed beside weights, scaler and linear map to forecast a series, and what it was; part of
/// a generation's metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesRecord {
    /// Columns that are forecast.
    pub targets: Vec<String>,
    /// What stands in the first cell of the first row.
    pub first: String,
    /// What stands in the first cell of the last row.
    pub last: String,
    /// Weight of the model in the forecast: 0 for the linear map alone, 1 for the model alone.
    pub weight: f64,
    /// Strength of the linear map's penalty.
    pub ridge: f64,
}

/// The file of a symbol, and what is to be forecast of it.
pub(crate) struct Series<'a> {
    job: &'a JobSpec,
    task: &'a SeriesSpec,
    file: SeriesFile,
}

impl<'a> Series<'a> {
    /// Reads the file.
    pub(crate) fn load(job: &'a JobSpec, task: &'a SeriesSpec) -> Result<Self, AttemptError> {
        if job.evaluate.folds != 1 {
            let message =
                "must be 1 for a series: its test part is forecast by one model".to_owned();
            return Err(InvalidSpec { key: "evaluate.folds", message }.into());
        }
        let file = SeriesFile::load(&job.symbol, &job.data, task)?;
        Ok(Self { job, task, file })
    }
}

/// What a trained model comes to.
pub(crate) struct Judged {
    linear: LinearMap,
    choice: LinearChoice,
    weight: f64,
    metrics: SeriesMetrics,
    out_of_sample: NamedTensors,
}

impl Study for Series<'_> {
    type Fold = SeriesFold;
    type Judged = Judged;

    fn content(&self) -> String {
        self.file.fingerprint()
    }

    fn fold(&self, _index: usize) -> Result<SeriesFold, AttemptError> {
        let data = Arc::new(SeriesData::prepare(&self.file, self.task)?);
        let mixed = self.task.channels == ChannelsSpec::Mixed;
        let part = |anchors: Vec<usize>| Part { data: Arc::clone(&data), anchors, mixed };
        let all = |which| data.anchors(which).collect::<Vec<_>>();
        let validated = thinned(&all(SeriesPart::Validation), self.job.train.validation_stride);
        Ok(SeriesFold {
            symbol: self.job.symbol.clone(),
            task: self.task.clone(),
            train: part(all(SeriesPart::Train)),
            validation: part(validated),
            validated: part(all(SeriesPart::Validation)),
            test: part(all(SeriesPart::Test)),
            data,
        })
    }

    fn judge(&self, fold: &SeriesFold, fitted: &mut Fitted) -> Result<Judged, AttemptError> {
        let config = fold.config(self.job.model);
        let model_loss = evaluation::validation_loss(fitted, &config, &fold.validation)?;
        let data = &*fold.data;
        let anchors = |part| data.anchors(part);
        let (linear, choice) =
            LinearMap::fit(data, anchors(SeriesPart::Train), anchors(SeriesPart::Validation));
        let validated = fold.validated.forecast(fitted, &linear)?;
        let weight = blend::weight(data, &validated, self.task.loss);
        let tested = fold.test.forecast(fitted, &linear)?;
        let parts = metrics::Parts { data, task: self.task, weight, choice, model_loss };
        let metrics = metrics::metrics(fitted, &self.file, &parts, &validated, &tested)?;
        let out_of_sample = tested.sparse(data, weight);
        Ok(Judged { linear, choice, weight, metrics, out_of_sample })
    }

    fn conclude(
        &self,
        last: &SeriesFold,
        _fitted: &Fitted,
        mut judged: Vec<Judged>,
    ) -> Result<Conclusion, AttemptError> {
        // There is one fold, and so one verdict.
        let Some(judged) = judged.pop() else {
            return Err(AttemptError::NoVerdict);
        };
        let label = |row: Option<&String>| row.cloned().unwrap_or_default();
        Ok(Conclusion {
            scaler: last.data.scaler().clone(),
            data: DatasetSummary::of_series(&self.job.symbol, &self.file, &last.data),
            files: vec![
                (LINEAR_FILE, tensors(&judged.linear)),
                (FORECASTS_FILE, judged.out_of_sample),
            ],
            series: Some(SeriesRecord {
                targets: self.file.targets.clone(),
                first: label(self.file.labels.first()),
                last: label(self.file.labels.last()),
                weight: judged.weight,
                ridge: judged.choice.ridge,
            }),
            metrics: Report::Series(judged.metrics),
            shrinkage: Vec::new(),
        })
    }

    fn compare(
        &self,
        _last: &SeriesFold,
        _conclusion: &Conclusion,
        _rival: &mut Rival,
    ) -> Result<Losses, String> {
        Err("models of series are not compared".to_owned())
    }
}

/// The content of [`LINEAR_FILE`].
fn tensors(linear: &LinearMap) -> NamedTensors {
    let LinearMap { lookback, horizon, maps } = linear;
    let (mut weight, mut intercept) = (Vec::new(), Vec::new());
    for map in maps {
        let (weights, intercepts) = map.split_at(lookback * horizon);
        weight.extend_from_slice(weights);
        intercept.extend_from_slice(intercepts);
    }
    let mut tensors = NamedTensors::default();
    tensors.insert("weight", Tensor { shape: vec![maps.len(), *lookback, *horizon], data: weight });
    tensors.insert("intercept", Tensor { shape: vec![maps.len(), *horizon], data: intercept });
    tensors
}

/// A series with its three parts.
pub(crate) struct SeriesFold {
    symbol: Symbol,
    task: SeriesSpec,
    data: Arc<SeriesData>,
    train: Part,
    /// The validation windows that are looked at after an epoch.
    validation: Part,
    /// All validation windows.
    validated: Part,
    test: Part,
}

impl Fold for SeriesFold {
    fn counts(&self) -> SampleCounts {
        SampleCounts {
            symbol: self.symbol.clone(),
            bars: self.data.next(),
            train: self.train.len(),
            validation: self.validated.len(),
            test: self.test.len(),
        }
    }

    fn config(&self, spec: ModelSpec) -> ModelConfig {
        config(&self.data, &self.task, spec)
    }

    fn train(&self) -> &dyn Samples {
        &self.train
    }

    fn validation(&self) -> &dyn Samples {
        &self.validation
    }

    fn may_follow(&self, earlier: &Metadata) -> Result<(), String> {
        if earlier.data.features != self.data.scaler().features {
            return Err("its columns are others".to_owned());
        }
        let (seen, end) = (earlier.data.train.samples, self.train.anchors.len());
        if seen > end {
            return Err(format!("it was trained on {seen} windows, here are {end}"));
        }
        Ok(())
    }
}

/// The model for a series: a step of it takes in a patch of each column it sees.
fn config(data: &SeriesData, task: &SeriesSpec, spec: ModelSpec) -> ModelConfig {
    let (seen, forecast) = match task.channels {
        ChannelsSpec::Independent => (1, 1),
        ChannelsSpec::Mixed => (data.inputs(), data.targets()),
    };
    let values = task.horizon * forecast;
    ModelConfig {
        spec,
        n_features: task.patch * seen,
        seq_len: task.lookback / task.patch.max(1),
        objective: match task.loss {
            LossSpec::Mse => Objective::Mse { targets: values },
            // The pinball loss of the median is half the absolute error.
            LossSpec::Mae => Objective::Pinball { horizons: values, levels: vec![0.5] },
        },
    }
}

/// The samples of one part: a window of all inputs with all targets, or of one column alone.
pub(crate) struct Part {
    pub(crate) data: Arc<SeriesData>,
    pub(crate) anchors: Vec<usize>,
    pub(crate) mixed: bool,
}

impl Samples for Part {
    fn len(&self) -> usize {
        self.anchors.len() * if self.mixed { 1 } else { self.data.targets() }
    }

    fn gather(&self, indices: &[usize], batch: &mut Batch) {
        batch.inputs.clear();
        batch.targets.clear();
        batch.samples = indices.len();
        let data = &self.data;
        for index in indices {
            if self.mixed {
                let anchor = self.anchors[*index];
                data.push_windows(anchor, &mut batch.inputs);
                for column in 0..data.targets() {
                    data.push_targets(anchor, column, &mut batch.targets);
                }
            } else {
                let (anchor, column) =
                    (self.anchors[index / data.targets()], index % data.targets());
                data.push_window(anchor, column, &mut batch.inputs);
                data.push_targets(anchor, column, &mut batch.targets);
            }
        }
    }
}

impl Part {
    /// What model and linear map forecast.
    fn forecast(
        &self,
        fitted: &mut Fitted,
        linear: &LinearMap,
    ) -> Result<blend::Forecasts, AttemptError> {
        let outputs = predict_all(self, fitted.model.as_mut())?;
        Ok(blend::Forecasts::new(&self.data, self.anchors.clone(), outputs, linear))
    }
}
