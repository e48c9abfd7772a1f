//! What is done about the blemishes of price files.

use serde::{Deserialize, Serialize};

/// What is done about each kind of blemish in a file of prices. What is not named here is not
/// negotiable: a cell that is no number, a date that can be read in two ways or a row with cells
/// too few or too many has its file refused; gaps, days without volume, repeated closes and extreme
/// moves are facts of markets, and left as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// Whether prices and volumes are adjusted for splits and dividends.
    pub adjust: AdjustSpec,
    /// Rows with blank cells.
    pub blank: BlankSpec,
    /// Several rows for one day.
    pub duplicates: DuplicateSpec,
    /// Rows that do not go from the oldest day to the newest.
    pub unsorted: UnsortedSpec,
    /// Rows whose open or close is outside the range from low to high.
    pub inconsistent: InconsistentSpec,
    /// Steps of the price that look like a split nobody adjusted for.
    pub suspected_splits: SuspectedSplitSpec,
}

/// Whether prices and volumes are adjusted for splits and dividends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustSpec {
    /// As far as the file says how: total-return prices, volume in shares of the last day.
    Auto,
    /// Prices and volumes are taken as they stand.
    None,
}

/// What is done about rows with blank cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlankSpec {
    /// The row is left out.
    Drop,
    /// The file is refused.
    Refuse,
}

/// What is done about several rows for one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateSpec {
    /// One is kept where they are equal; otherwise the file is refused.
    Equal,
    /// The last one in the file is kept.
    Last,
    /// The file is refused.
    Refuse,
}

/// What is done about rows out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnsortedSpec {
    /// They are sorted.
    Sort,
    /// The file is refused.
    Refuse,
}

/// What is done about rows whose prices contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InconsistentSpec {
    /// High and low are moved so that they hold open and close.
    Clip,
    /// The row is left out.
    Drop,
    /// The file is refused.
    Refuse,
}

/// What is done about steps that look like a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuspectedSplitSpec {
    /// The file is refused.
    Refuse,
    /// They are taken for moves of the market.
    Keep,
}

impl PolicySpec {
    /// The usual policy, that of the built-in configuration.
    pub const USUAL: Self = Self {
        adjust: AdjustSpec::Auto,
        blank: BlankSpec::Drop,
        duplicates: DuplicateSpec::Equal,
        unsorted: UnsortedSpec::Sort,
        inconsistent: InconsistentSpec::Clip,
        suspected_splits: SuspectedSplitSpec::Refuse,
    };

    /// Nothing is mended: a file with any blemish is refused.
    pub const STRICT: Self = Self {
        adjust: AdjustSpec::Auto,
        blank: BlankSpec::Refuse,
        duplicates: DuplicateSpec::Refuse,
        unsorted: UnsortedSpec::Refuse,
        inconsistent: InconsistentSpec::Refuse,
        suspected_splits: SuspectedSplitSpec::Refuse,
    };
}

impl Default for PolicySpec {
    fn default() -> Self {
        Self::USUAL
    }
}
