//! What was found, and what follows from it.

use std::fmt;
use std::path::PathBuf;

use jiff::civil::Date;
use serde::Serialize;

use crate::Reading;

/// What training would do with a file's rows of one symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing was found.
    Clean,
    /// It would take them as they are; there is something to know about them.
    Notes,
    /// It would mend them, and take them.
    Mended,
    /// It would refuse them.
    Refused,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clean => "clean",
            Self::Notes => "notes",
            Self::Mended => "mended",
            Self::Refused => "refused",
        })
    }
}

/// What follows from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing: it is a fact to know.
    Note,
    /// Training mends it.
    Mended,
    /// Training refuses the file.
    Refused,
}

impl From<Effect> for Verdict {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Note => Self::Notes,
            Effect::Mended => Self::Mended,
            Effect::Refused => Self::Refused,
        }
    }
}

/// The kinds of things found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Cells and rows that cannot be read.
    Unreadable,
    /// Cells without a value.
    BlankCells,
    /// Sessions of the common calendar without a row.
    MissingSessions,
    /// Further rows for a day that has one.
    Duplicates,
    /// Rows older than one before them.
    Unsorted,
    /// Rows whose open or close is outside the range from low to high.
    Inconsistent,
    /// Days without volume.
    ZeroVolume,
    /// Days with all prices of the day before, or with the same close as the two days before.
    StaleCloses,
    /// Steps that look like a split nobody adjusted for.
    SuspectedSplits,
    /// Daily moves beyond [`EXTREME_MOVE`](super::EXTREME_MOVE).
    ExtremeMoves,
    /// Fewer bars than the task takes.
    ShortHistory,
}

/// One kind of thing found in the rows of one symbol.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// How often: cells, rows, days or sessions.
    pub count: usize,
    /// What follows from it.
    pub effect: Effect,
    /// Where, and what is done, in words.
    pub detail: String,
}

/// What was found in a file's rows of one symbol.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// The symbol, or what stands in its place.
    pub symbol: String,
    /// The file.
    pub file: PathBuf,
    /// What training would do.
    pub verdict: Verdict,
    /// Bars that training would get, or would have got.
    pub bars: usize,
    /// The first of them.
    pub first: Option<Date>,
    /// The last.
    pub last: Option<Date>,
    /// What the file was, and what was done to it; none where it cannot be read at all.
    pub reading: Option<Reading>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Why training would refuse it.
    pub cause: Option<String>,
    /// What can be done about that.
    pub hint: Option<String>,
    /// Every day with a row.
    #[serde(skip)]
    pub(super) dates: Vec<Date>,
}

impl Inspection {
    /// How often something was found.
    #[must_use]
    pub fn count(&self, kind: FindingKind) -> usize {
        self.findings.iter().find(|finding| finding.kind == kind).map_or(0, |f| f.count)
    }

    /// Adds a finding, if there is anything.
    pub(super) fn add(
        &mut self,
        kind: FindingKind,
        count: usize,
        effect: Effect,
        detail: impl FnOnce() -> String,
    ) {
        if count > 0 {
            self.findings.push(Finding { kind, count, effect, detail: detail() });
            self.verdict = self.verdict.max(effect.into());
        }
    }
}
