//! A series, divided and standardised.

use std::ops::Range;

use mambafleet_protocol::{NormalizationSpec, SeriesSpec};

use super::{SeriesError, SeriesFile};
use crate::{DataError, Scaler};

/// Added to a window's variance before the root is taken, as Kim et al. (2022) do.
const EPSILON: f64 = 1e-5;

/// First rows of targets, one window each.
pub type Anchors = Range<usize>;

/// A part of the division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesPart {
    /// What weights and scales are fitted on.
    Train,
    /// What decides when to stop and how far to trust the model.
    Validation,
    /// What forecasts are judged on.
    Test,
}

/// A series, divided and standardised.
///
/// Rows are cut into three parts in time order. A window of anchor `t` is the `lookback` rows before row
/// `t`, its targets are the `horizon` rows from `t` on. All targets of a window lie within one part; the
/// window itself may look back into the part before (the division that the published tables of
/// long-term forecasting use: Zhou et al. 2021, arXiv:2012.07436, and after). Every column is
/// standardised with mean and standard deviation of the training rows.
#[derive(Debug, Clone)]
pub struct SeriesData {
    lookback: usize,
    horizon: usize,
    normalization: NormalizationSpec,
    targets: usize,
    inputs: Vec<usize>,
    columns: usize,
    /// Standardised: (rows, columns), row-major.
    values: Vec<f32>,
    scaler: Scaler,
    /// Ends of the parts, in rows.
    ends: [usize; 3],
}

impl SeriesData {
    /// Divides and standardises the series in a file.
    ///
    /// # Errors
    /// [`SeriesError::TooFewRows`] or [`SeriesError::ShortPart`] when a part has not one window.
    pub fn prepare(file: &SeriesFile, task: &SeriesSpec) -> Result<Self, DataError> {
        task.validate()?;
        let ends = ends(file, task)?;
        let columns = file.columns.len();
        let rows = file.values[..ends[0] * columns].chunks_exact(columns);
        let scaler = Scaler::fit(&file.columns, rows);
        let data = Self::with_scaler(file, task, &scaler, ends);
        for (part, name) in [
            (SeriesPart::Train, "training"),
            (SeriesPart::Validation, "validation"),
            (SeriesPart::Test, "test"),
        ] {
            let rows = data.rows(part).len();
            let needed = task.horizon + if part == SeriesPart::Train { task.lookback } else { 0 };
            if rows < needed {
                let path = file.path.clone();
                return Err(SeriesError::ShortPart { path, part: name, rows, needed }.into());
            }
        }
        Ok(data)
    }

    /// The series in a file, scaled as another one was; only its last window is of use.
    ///
    /// # Errors
    /// [`SeriesError::Columns`] when the scaler is for other columns, [`SeriesError::TooFewRows`] when
    /// there is not one window.
    pub fn scaled(
        file: &SeriesFile,
        task: &SeriesSpec,
        scaler: &Scaler,
    ) -> Result<Self, DataError> {
        if scaler.features != file.columns {
            let (stored, wanted) = (scaler.features.clone(), file.columns.clone());
            return Err(SeriesError::Columns { stored, wanted }.into());
        }
        scaler.check(&file.columns)?;
        let (present, needed) = (file.rows(), task.lookback);
        if present < needed {
            let (path, purpose) = (file.path.clone(), "to forecast from");
            return Err(SeriesError::TooFewRows { path, present, needed, purpose }.into());
        }
        Ok(Self::with_scaler(file, task, scaler, [present; 3]))
    }

    fn with_scaler(
        file: &SeriesFile,
        task: &SeriesSpec,
        scaler: &Scaler,
        ends: [usize; 3],
    ) -> Self {
        let columns = file.columns.len();
        let rows = file.values.chunks_exact(columns.max(1));
        Self {
            lookback: task.lookback,
            horizon: task.horizon,
            normalization: task.normalization,
            targets: file.targets.len(),
            inputs: file.inputs.clone(),
            columns,
            values: rows.flat_map(|row| scaler.apply(row)).collect(),
            scaler: scaler.clone(),
            ends,
        }
    }

    /// The scaler of the columns.
    #[must_use]
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// Number of columns that are forecast; they come first among the columns.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.targets
    }

    /// Number of columns that the model sees.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Steps of a window.
    #[must_use]
    pub fn lookback(&self) -> usize {
        self.lookback
    }

    /// Steps that are forecast.
    #[must_use]
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// The anchor behind the last row: the one to forecast from.
    #[must_use]
    pub fn next(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    /// The rows of a part.
    #[must_use]
    pub fn rows(&self, part: SeriesPart) -> Range<usize> {
        let [train, validation, test] = self.ends;
        match part {
            SeriesPart::Train => 0..train,
            SeriesPart::Validation => train..validation,
            SeriesPart::Test => validation..test,
        }
    }

    /// The anchors of a part.
    #[must_use]
    pub fn anchors(&self, part: SeriesPart) -> Anchors {
        let rows = self.rows(part);
        let start = rows.start.max(self.lookback);
        start..(rows.end + 1).saturating_sub(self.horizon).max(start)
    }

    /// What normalisation takes out of a column's window: a level and a scale.
    #[must_use]
    pub fn moments(&self, anchor: usize, column: usize) -> (f32, f32) {
        if self.normalization == NormalizationSpec::None {
            return (0.0, 1.0);
        }
        let n = self.lookback as f64;
        let window = || self.window(anchor, column).map(f64::from);
        let mean = window().sum::<f64>() / n;
        let variance = window().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
        (mean as f32, (variance + EPSILON).sqrt() as f32)
    }

    /// A column's standardised values in the window of an anchor, oldest first.
    pub fn window(&self, anchor: usize, column: usize) -> impl Iterator<Item = f32> + '_ {
        self.steps(anchor - self.lookback..anchor, column)
    }

    /// A column's standardised values from an anchor on.
    pub fn future(&self, anchor: usize, column: usize) -> impl Iterator<Item = f32> + '_ {
        self.steps(anchor..anchor + self.horizon, column)
    }

    fn steps(&self, rows: Range<usize>, column: usize) -> impl Iterator<Item = f32> + '_ {
        rows.map(move |row| self.values[row * self.columns + column])
    }

    /// Adds the normalised window of one column to `out`.
    pub fn push_window(&self, anchor: usize, column: usize, out: &mut Vec<f32>) {
        let (level, scale) = self.moments(anchor, column);
        out.extend(self.window(anchor, column).map(|value| (value - level) / scale));
    }

    /// Adds the normalised window of all inputs to `out`: (steps, inputs), row-major.
    pub fn push_windows(&self, anchor: usize, out: &mut Vec<f32>) {
        let moments: Vec<_> = self.inputs.iter().map(|&c| (c, self.moments(anchor, c))).collect();
        for row in anchor - self.lookback..anchor {
            let value = |&(column, (level, scale)): &(usize, (f32, f32))| {
                (self.values[row * self.columns + column] - level) / scale
            };
            out.extend(moments.iter().map(value));
        }
    }

    /// Adds what follows on the window of one column to `out`, normalised like it.
    pub fn push_targets(&self, anchor: usize, column: usize, out: &mut Vec<f32>) {
        let (level, scale) = self.moments(anchor, column);
        out.extend(self.future(anchor, column).map(|value| (value - level) / scale));
    }

    /// A standardised value of a column in its own units.
    #[must_use]
    pub fn unscaled(&self, column: usize, value: f32) -> f64 {
        f64::from(value) * self.scaler.std[column] + self.scaler.mean[column]
    }
}

/// Where the parts end, in rows.
fn ends(file: &SeriesFile, task: &SeriesSpec) -> Result<[usize; 3], SeriesError> {
    let present = file.rows();
    let rows =
        |size: f64| if size < 1.0 { (size * present as f64) as usize } else { size as usize };
    let split = task.split;
    let train = rows(split.train);
    let validation = train + rows(split.validation);
    let test = if split.test == 0.0 { present } else { validation + rows(split.test) };
    let needed = test.max(validation + task.horizon);
    if present < needed {
        let (path, purpose) = (file.path.clone(), "by task.series.split");
        return Err(SeriesError::TooFewRows { path, present, needed, purpose });
    }
    Ok([train, validation, test])
}
