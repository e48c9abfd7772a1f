//! What remains of a run.

use jiff::Timestamp;
use mambafleet_protocol::{Outcome, RunId, Symbol};
use serde::{Deserialize, Serialize};

use crate::RUN_SCHEMA;

/// What remains of a run; the content of `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// [`RUN_SCHEMA`].
    pub schema: u32,
    /// The run's identifier.
    pub run: RunId,
    /// When it began (UTC).
    pub started_at: Timestamp,
    /// When it ended (UTC).
    pub finished_at: Timestamp,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Number of the signal that ended it early, if one did.
    pub signal: Option<i32>,
    /// Every symbol of the plan, in the plan's order.
    pub symbols: Vec<SymbolSummary>,
}

/// One symbol of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SymbolSummary {
    /// The symbol.
    pub symbol: Symbol,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl RunSummary {
    /// A summary of the current schema for a run that ends now.
    #[must_use]
    pub fn new(
        run: RunId,
        started_at: Timestamp,
        seconds: f64,
        signal: Option<i32>,
        symbols: Vec<SymbolSummary>,
    ) -> Self {
        let finished_at = Timestamp::now();
        Self { schema: RUN_SCHEMA, run, started_at, finished_at, seconds, signal, symbols }
    }

    /// Number of symbols whose outcome has this label.
    #[must_use]
    pub fn count(&self, label: &str) -> usize {
        self.symbols.iter().filter(|s| s.outcome.label() == label).count()
    }

    /// Whether every symbol has a generation that is current for this run.
    #[must_use]
    pub fn all_good(&self) -> bool {
        self.symbols.iter().all(|s| s.outcome.is_good())
    }
}
