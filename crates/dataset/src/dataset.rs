//! From bars to what training and forecasting consume.

use std::ops::{Deref, Range};

use mambafleet_protocol::{EvaluateSpec, ReturnsSpec};

use crate::split::{Split, first_anchor};
use crate::windows::RawFeatures;
use crate::{Bars, DataError, DatasetSummary, Scaler, Windows, feature};

/// Windows, targets and the time-ordered parts of one symbol's history. Everything about single
/// rows and windows comes from [`Windows`], to which this dereferences.
///
/// How samples are divided: an anchor `t` is a row with a whole window behind the warm-up and all
/// targets inside the data, `N` in all. With `a = floor(N * train)` and `b = floor(N * (train +
/// validation))` the first `a` are for training, those up to `b` for validation, the rest for
/// testing; then the last `H` (the largest horizon) of training and of validation are purged, so
/// that `t + H` is smaller than the first anchor of the next part for every `t` that remains.
#[derive(Debug, Clone)]
pub struct Dataset {
    windows: Windows,
    train: Vec<usize>,
    validation: Vec<usize>,
    test: Vec<usize>,
    summary: DatasetSummary,
}

/// Prepares `bars` for training: features, volatility, split, and a scaler fitted on the rows that
/// training windows contain.
///
/// # Errors
/// [`DataError::InvalidTask`], [`DataError::UnknownFeature`], or [`DataError::TooFewRows`] when
/// a part would have fewer samples than [`MIN_TRAIN`](crate::MIN_TRAIN),
/// [`MIN_VALIDATION`](crate::MIN_VALIDATION) or [`MIN_TEST`](crate::MIN_TEST).
pub fn prepare(bars: &Bars, task: &ReturnsSpec) -> Result<Dataset, DataError> {
    prepare_fold(bars, task, &EvaluateSpec::USUAL, 0)
}

/// The same for one fold of a walk-forward evaluation, from 0: its test part is that block of the
/// whole's, and everything else, the scaler included, lies before it.
///
/// # Errors
/// As [`prepare`]; every block needs [`MIN_TEST`](crate::MIN_TEST) samples.
pub fn prepare_fold(
    bars: &Bars,
    task: &ReturnsSpec,
    evaluate: &EvaluateSpec,
    fold: usize,
) -> Result<Dataset, DataError> {
    task.validate()?;
    evaluate.validate()?;
    let features = feature::resolve(&task.features, bars)?;
    let split = Split::fold(bars.bars.len(), task, evaluate, fold)
        .map_err(|needed| too_few(bars, needed, "train, validate and test this task"))?;
    let raw = RawFeatures::compute(bars, task.volatility_halflife, &features);
    let first_row = split.train.start + 1 - task.lookback;
    let scaler = Scaler::fit(&task.features, raw.rows(first_row, split.train.end - 1));
    let windows = Windows::new(bars, task, raw, scaler);
    let summary = DatasetSummary::new(bars, task, &split);
    let anchors = |part: Range<usize>| part.collect();
    Ok(Dataset {
        windows,
        train: anchors(split.train),
        validation: anchors(split.validation),
        test: anchors(split.test),
        summary,
    })
}

/// Prepares `bars` for forecasting with a model trained earlier: the features are scaled with the
/// `scaler` stored beside it. The window of a row is bit for bit the one that [`prepare`] made
/// while training, however much data has come after that row.
///
/// # Errors
/// [`DataError::InvalidTask`], [`DataError::UnknownFeature`], [`DataError::InvalidScaler`] when
/// the scaler is not for the task's features, or [`DataError::TooFewRows`] when not even one
/// window is whole.
pub fn with_scaler(bars: &Bars, task: &ReturnsSpec, scaler: &Scaler) -> Result<Windows, DataError> {
    task.validate()?;
    let features = feature::resolve(&task.features, bars)?;
    scaler.check(&task.features)?;
    let needed = first_anchor(task.lookback) + 1;
    if bars.bars.len() < needed {
        return Err(too_few(bars, needed, "fill one window"));
    }
    let raw = RawFeatures::compute(bars, task.volatility_halflife, &features);
    Ok(Windows::new(bars, task, raw, scaler.clone()))
}

fn too_few(bars: &Bars, needed: usize, purpose: &'static str) -> DataError {
    DataError::TooFewRows {
        symbol: bars.symbol.clone(),
        origin: bars.origin.clone(),
        present: bars.bars.len(),
        needed,
        purpose,
    }
}

impl Dataset {
    /// Anchor rows of the training part, in time order.
    #[must_use]
    pub fn train(&self) -> &[usize] {
        &self.train
    }

    /// Anchor rows of the validation part, in time order.
    #[must_use]
    pub fn validation(&self) -> &[usize] {
        &self.validation
    }

    /// Anchor rows of the test part, in time order.
    #[must_use]
    pub fn test(&self) -> &[usize] {
        &self.test
    }

    /// What went into this dataset, to be stored beside the model.
    #[must_use]
    pub fn summary(&self) -> &DatasetSummary {
        &self.summary
    }
}

impl Deref for Dataset {
    type Target = Windows;

    fn deref(&self) -> &Windows {
        &self.windows
    }
}
