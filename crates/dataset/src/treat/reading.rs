//! What a file was, and what was done to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Layout;

/// What a file was, and what was done to its rows: stored in the metadata of every generation that
/// was trained on it. Counts are of rows unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Whose layout the file has.
    pub layout: Layout,
    /// How prices and volumes were adjusted.
    pub adjustment: Adjustment,
    /// Splits that were adjusted for, as the file states them.
    pub splits: usize,
    /// Cash dividends that the file states, and that were adjusted for.
    pub dividends: usize,
    /// Rows of the symbol.
    pub rows: usize,
    /// Cells without a value.
    pub blank_cells: usize,
    /// Rows with such cells; all of them were left out.
    pub blank_rows: usize,
    /// Further rows for a day that had one; each was left out.
    pub duplicates: usize,
    /// Of these, rows with other values than the one before.
    pub conflicting: usize,
    /// Rows older than one before them; they were sorted.
    pub unsorted: usize,
    /// Whether the file went from the newest day to the oldest; it was turned round.
    pub newest_first: bool,
    /// Rows whose open or close was outside the range from low to high; they were mended or left out.
    pub inconsistent: usize,
    /// Days that were left out.
    pub dropped: usize,
}

/// How prices and volumes were adjusted for splits and dividends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adjustment {
    /// Not at all: they are as the file has them.
    None,
    /// Prices by the quotient of adjusted close and close, volumes by the splits that the file
    /// states, if it states any.
    AdjustedClose,
    /// Prices by the dividends and splits that the file states, volumes by the splits.
    Stated,
}

impl Adjustment {
    /// In words, for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::None => "as they are",
            Self::AdjustedClose => "adjusted close",
            Self::Stated => "stated splits and dividends",
        }
    }
}

impl Reading {
    pub(crate) fn new(layout: Layout, rows: usize) -> Self {
        Self {
            layout,
            adjustment: Adjustment::None,
            splits: 0,
            dividends: 0,
            rows,
            blank_cells: 0,
            blank_rows: 0,
            duplicates: 0,
            conflicting: 0,
            unsorted: 0,
            newest_first: false,
            inconsistent: 0,
            dropped: 0,
        }
    }

    /// Whether the rows had to be changed in any way but adjustment.
    #[must_use]
    pub fn mended(&self) -> bool {
        let Self { blank_rows, duplicates, unsorted, inconsistent, .. } = *self;
        blank_rows + duplicates + unsorted + inconsistent > 0
    }
}

/// What was mended, on a line; empty if nothing was.
impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.blank_rows, "with blank cells"),
            (self.duplicates, "repeated"),
            (self.unsorted, "out of order"),
            (self.inconsistent, "inconsistent"),
        ];
        let mut separator = "";
        for (count, words) in parts.into_iter().filter(|(count, _)| *count > 0) {
            let rows = if count == 1 { "row" } else { "rows" };
            write!(f, "{separator}{count} {rows} {words}")?;
            separator = ", ";
        }
        Ok(())
    }
}
