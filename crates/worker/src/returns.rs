//! The task on returns: bars in, quantiles of future returns out.

use std::sync::Arc;

use mambafleet_backend::samples::{predict_all, targets_of};
use mambafleet_backend::{Batch, Fitted, ModelConfig, Objective, Samples};
use mambafleet_dataset::{self as dataset, Bars, Dataset};
use mambafleet_evaluation::Shrinkage;
use mambafleet_evaluation::statistics::spearman;
use mambafleet_protocol::{JobSpec, ModelSpec, ReturnsSpec, SampleCounts, TaskSpec};

use crate::baselines::Baselines;
use crate::evaluation;
use crate::failure::Implausible;
use crate::out_of_sample::{FORECASTS_FILE, OutOfSample};
use crate::rival::{LEAST_SAMPLES, Losses, Rival};
use crate::shrinking;
use crate::study::{Conclusion, Fold, Report, Study};
use crate::{AttemptError, Metadata};

/// The bars of a symbol, and what is to be forecast of them.
pub(crate) struct Returns<'a> {
    job: &'a JobSpec,
    task: &'a ReturnsSpec,
    bars: Bars,
}

impl<'a> Returns<'a> {
    /// Reads the bars.
    pub(crate) fn load(job: &'a JobSpec, task: &'a ReturnsSpec) -> Result<Self, AttemptError> {
        let columns = dataset::feature::columns(&task.features);
        let bars = dataset::load_with(&job.symbol, &job.data, &columns)?;
        if let Some(reading) = bars.reading.as_ref().filter(|reading| reading.mended()) {
            tracing::warn!(mended = %reading, "the file has blemishes");
        }
        Ok(Self { job, task, bars })
    }
}

/// What is kept of a fold's model.
pub(crate) struct Judged {
    /// Its validation loss.
    validation_loss: f64,
    /// How much of it is believed, by horizon.
    shrinkage: Vec<Shrinkage>,
    /// Its forecasts for the fold's test part.
    test: OutOfSample,
}

impl Study for Returns<'_> {
    type Fold = ReturnsFold;
    type Judged = Judged;

    fn content(&self) -> String {
        self.bars.fingerprint()
    }

    fn fold(&self, index: usize) -> Result<ReturnsFold, AttemptError> {
        let data = dataset::prepare_fold(&self.bars, self.task, &self.job.evaluate, index)?;
        let data = Arc::new(data);
        let part = |anchors: &[usize]| Part { data: Arc::clone(&data), anchors: anchors.to_vec() };
        let validated = thinned(data.validation(), self.job.train.validation_stride);
        Ok(ReturnsFold {
            train: part(data.train()),
            validation: part(&validated),
            test: part(data.test()),
            task: self.task.clone(),
            data,
        })
    }

    fn judge(&self, fold: &ReturnsFold, fitted: &mut Fitted) -> Result<Judged, AttemptError> {
        let config = fold.config(self.job.model);
        let loss = evaluation::validation_loss(fitted, &config, &fold.validation)?;
        let baselines = Baselines::fit(&fold.data, &self.task.quantiles);
        let all = Part { data: Arc::clone(&fold.data), anchors: fold.data.validation().to_vec() };
        let model = fitted.model.as_mut();
        let shrinkage = shrinking::choose(self.task, model, &all, &baselines.quantiles)?;
        let raw = predict_all(&fold.test, model)?;
        let targets = targets_of(&fold.test);
        let test =
            OutOfSample::of_fold(&fold.data, self.task, raw, targets, &baselines, &shrinkage);
        Ok(Judged { validation_loss: loss, shrinkage, test })
    }

    fn conclude(
        &self,
        last: &ReturnsFold,
        fitted: &Fitted,
        mut judged: Vec<Judged>,
    ) -> Result<Conclusion, AttemptError> {
        let newest = judged.last_mut();
        let (validation_loss, shrinkage) = newest.map_or((f64::NAN, Vec::new()), |judged| {
            (judged.validation_loss, std::mem::take(&mut judged.shrinkage))
        });
        let test = OutOfSample::of_folds(judged.into_iter().map(|judged| judged.test));
        let metrics = evaluation::metrics(fitted, self.task, validation_loss, &test)?;
        let alarms = evaluation::alarms(self.task, &test, &self.job.evaluate.alarms);
        if !alarms.is_empty() {
            return Err(Implausible { alarms, suspects: suspects(self.task, &last.data) }.into());
        }
        Ok(Conclusion {
            metrics: Report::Returns(metrics),
            series: None,
            shrinkage,
            scaler: last.data.scaler().clone(),
            data: last.data.summary().clone(),
            files: vec![(FORECASTS_FILE, test.tensors(self.task))],
        })
    }

    fn compare(
        &self,
        last: &ReturnsFold,
        conclusion: &Conclusion,
        rival: &mut Rival,
    ) -> Result<Losses, String> {
        let TaskSpec::Returns(theirs) = &rival.metadata.task else {
            return Err("it forecasts something else".to_owned());
        };
        if (&theirs.horizons, &theirs.quantiles) != (&self.task.horizons, &self.task.quantiles) {
            return Err("its horizons or quantiles are others".to_owned());
        }
        let windows = dataset::with_scaler(&self.bars, theirs, &rival.metadata.scaler)
            .map_err(|error| error.to_string())?;
        // What it has seen ends with the targets of its last validation sample.
        let seen = rival.metadata.data.validation.last;
        let reach = self.task.horizons.last().copied().unwrap_or_default();
        let unseen = self.bars.bars.partition_point(|bar| bar.date <= seen) + reach;
        let first = unseen.max(windows.first_anchor());
        let tested = last.data.test();
        let fresh = &tested[tested.partition_point(|anchor| *anchor < first)..];
        let common = &fresh[fresh.len().saturating_sub(self.job.promote.window)..];
        if common.len() < LEAST_SAMPLES {
            return Err(format!(
                "only {} samples are new to both, {LEAST_SAMPLES} are needed",
                common.len()
            ));
        }
        let mut old = Vec::new();
        for &anchor in common {
            let outputs =
                rival.model.predict(windows.window(anchor)).map_err(|error| error.to_string())?;
            let unit = windows.sigma(anchor) / last.data.sigma(anchor);
            for shrunk in shrinking::finish(theirs, &rival.metadata.shrinkage, &outputs) {
                old.extend(shrunk.quantiles.iter().map(|q| (f64::from(*q) * unit) as f32));
            }
        }
        let newest = |name: &str, per_sample: usize| {
            let all = conclusion.tensor(FORECASTS_FILE, name).map(|tensor| &*tensor.data);
            let all = all.unwrap_or_default();
            &all[all.len().saturating_sub(common.len() * per_sample)..]
        };
        let (horizons, levels) = (self.task.horizons.len(), self.task.quantiles.clone());
        let new = newest("forecasts", horizons * levels.len());
        let outcomes = newest("outcomes", horizons);
        let objective = Objective::Pinball { horizons, levels };
        let loss = |quantiles: &[f32]| {
            objective.loss(quantiles, outcomes).map_err(|error| error.to_string())
        };
        Ok(Losses { samples: common.len(), new: loss(new)?, old: loss(&old)? })
    }
}

/// One fold of the bars.
pub(crate) struct ReturnsFold {
    task: ReturnsSpec,
    data: Arc<Dataset>,
    train: Part,
    validation: Part,
    test: Part,
}

impl Fold for ReturnsFold {
    fn counts(&self) -> SampleCounts {
        SampleCounts {
            symbol: self.data.summary().symbol.clone(),
            bars: self.data.rows(),
            train: self.data.train().len(),
            validation: self.data.validation().len(),
            test: self.data.test().len(),
        }
    }

    fn config(&self, spec: ModelSpec) -> ModelConfig {
        ModelConfig::for_returns(&self.task, spec)
    }

    fn train(&self) -> &dyn Samples {
        &self.train
    }

    fn validation(&self) -> &dyn Samples {
        &self.validation
    }

    fn may_follow(&self, earlier: &Metadata) -> Result<(), String> {
        let ours = self.data.summary();
        if earlier.data.features != ours.features {
            return Err("its features are others".to_owned());
        }
        let (seen, end) = (earlier.data.train.last, ours.train.last);
        if seen > end {
            return Err(format!("it was trained up to {seen}, here training ends on {end}"));
        }
        let (seen, first) = (earlier.data.validation.last, ours.test.first);
        if seen >= first {
            return Err(format!("it was chosen on days up to {seen}, here tests begin on {first}"));
        }
        Ok(())
    }
}

/// The features whose newest value goes best with the next outcome on the test part, with the rank
/// correlation, the most suspicious first.
fn suspects(task: &ReturnsSpec, data: &Dataset) -> Vec<(String, f64)> {
    let outcomes: Vec<f64> =
        data.test().iter().filter_map(|&row| data.targets(row).next()).collect();
    let newest = |&row: &usize| {
        let window = data.window(row);
        &window[window.len() - data.n_features()..]
    };
    let mut all: Vec<(String, f64)> = Vec::new();
    for (index, name) in task.features.iter().enumerate() {
        let values: Vec<f64> =
            data.test().iter().map(|row| f64::from(newest(row)[index])).collect();
        all.extend(spearman(&values, &outcomes).map(|rank| (name.clone(), rank)));
    }
    all.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    all.truncate(3);
    all
}

/// The samples of one part of a fold.
struct Part {
    data: Arc<Dataset>,
    anchors: Vec<usize>,
}

/// Every `stride`-th of these, the last among them, in their order.
pub(crate) fn thinned(anchors: &[usize], stride: usize) -> Vec<usize> {
    let mut kept: Vec<usize> = anchors.iter().rev().step_by(stride.max(1)).copied().collect();
    kept.reverse();
    kept
}

impl Samples for Part {
    fn len(&self) -> usize {
        self.anchors.len()
    }

    fn gather(&self, indices: &[usize], batch: &mut Batch) {
        batch.inputs.clear();
        batch.targets.clear();
        batch.samples = indices.len();
        for anchor in indices.iter().map(|&index| self.anchors[index]) {
            batch.inputs.extend_from_slice(self.data.window(anchor));
            batch.targets.extend(self.data.targets(anchor).map(|target| target as f32));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::thinned;

    #[test]
    fn the_newest_of_thinned_samples_stays() {
        assert_eq!(thinned(&[3, 4, 5, 6, 7], 2), [3, 5, 7]);
        assert_eq!(thinned(&[3, 4, 5, 6], 3), [3, 6]);
        assert_eq!(thinned(&[3, 4, 5], 1), [3, 4, 5]);
        assert_eq!(thinned(&[3, 4], 9), [4]);
        assert!(thinned(&[], 2).is_empty());
    }
}
