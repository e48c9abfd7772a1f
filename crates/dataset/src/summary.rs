//! What went into a dataset, for the metadata of a generation.

use std::ops::Range;

use jiff::civil::Date;
use mambafleet_protocol::{ReturnsSpec, Symbol};
use serde::{Deserialize, Serialize};

use crate::series::{SeriesData, SeriesFile, SeriesPart};
use crate::split::Split;
use crate::volatility::WARM_UP;
use crate::{Bars, Origin, Reading};

/// Where the data came from, how much there was and how it was divided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetSummary {
    /// The symbol.
    pub symbol: Symbol,
    /// Where its bars came from.
    pub origin: Origin,
    /// What the file was, and what was done to it; none for synthetic bars, and for generations of
    /// programs that did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// [Fingerprint](Bars::fingerprint) of the bars.
    pub fingerprint: String,
    /// Number of bars.
    pub bars: usize,
    /// Date of the first bar.
    pub first: Date,
    /// Date of the last bar.
    pub last: Date,
    /// Bars at the start that only warm up volatility and features.
    pub warm_up: usize,
    /// Input features, in order.
    pub features: Vec<String>,
    /// The training part.
    pub train: PartSummary,
    /// The validation part.
    pub validation: PartSummary,
    /// The test part.
    pub test: PartSummary,
    /// Samples dropped between the parts, so that no target reaches into the next part.
    pub purged: usize,
}

/// One part of the split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartSummary {
    /// Number of samples.
    pub samples: usize,
    /// Date of the first sample's anchor, the last day its inputs know.
    pub first: Date,
    /// Date of the last sample's anchor.
    pub last: Date,
}

impl DatasetSummary {
    /// Summarises `bars`, divided by `split`, whose parts are not empty.
    pub(crate) fn new(bars: &Bars, task: &ReturnsSpec, split: &Split) -> Self {
        let date = |row: usize| bars.bars[row].date;
        let part = |anchors: &Range<usize>| PartSummary {
            samples: anchors.len(),
            first: date(anchors.start),
            last: date(anchors.end - 1),
        };
        Self {
            symbol: bars.symbol.clone(),
            origin: bars.origin.clone(),
            reading: bars.reading.clone(),
            fingerprint: bars.fingerprint(),
            bars: bars.bars.len(),
            first: date(0),
            last: date(bars.bars.len() - 1),
            warm_up: WARM_UP,
            features: task.features.clone(),
            train: part(&split.train),
            validation: part(&split.validation),
            test: part(&split.test),
            purged: split.purged(),
        }
    }

    /// Summarises a series. Its dates are those that its rows begin with, and 1970-01-01 where they begin
    /// with something else.
    #[must_use]
    pub fn of_series(symbol: &Symbol, file: &SeriesFile, data: &SeriesData) -> Self {
        const DATE: usize = "2026-01-01".len();
        let date = |row: usize| {
            let label = file.labels.get(row).and_then(|label| label.get(..DATE));
            label.and_then(|text| text.parse().ok()).unwrap_or(Date::constant(1970, 1, 1))
        };
        let part = |part: SeriesPart| {
            let anchors = data.anchors(part);
            PartSummary {
                samples: anchors.len(),
                first: date(anchors.start.saturating_sub(1)),
                last: date(anchors.end.saturating_sub(2)),
            }
        };
        Self {
            symbol: symbol.clone(),
            origin: Origin::Csv { path: file.path.clone() },
            reading: None,
            fingerprint: file.fingerprint(),
            bars: file.rows(),
            first: date(0),
            last: date(file.rows().saturating_sub(1)),
            warm_up: 0,
            features: file.columns.clone(),
            train: part(SeriesPart::Train),
            validation: part(SeriesPart::Validation),
            test: part(SeriesPart::Test),
            purged: 0,
        }
    }
}
