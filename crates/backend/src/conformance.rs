//! What every backend must do, as one suite that runs on any of them.
//!
//! [`examine`] trains a small model on samples that can be learned, and looks at what
//! comes of it through the traits alone. It takes seconds.

mod rules;
mod stepping;
mod toy;

use std::fmt;

use serde::Serialize;

use crate::{Backend, BackendError};

/// What a backend must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Predictions and tensors have their shapes, and inputs of another shape are refused.
    Shapes,
    /// Same job and samples: same weights, bit for bit, on one thread and on two.
    Determinism,
    /// On samples that can be learned, the loss falls far below that of knowing nothing.
    Learning,
    /// A model loaded from another one's tensors predicts the same, bit for bit.
    RoundTrip,
    /// What is said of a model while it trains is what its predictions come to, and a window's
    /// forecast does not depend on what stands beside it.
    Prediction,
    /// Training ends when nobody waits for it any more, within one batch.
    Cancellation,
    /// A sample that is not a number is an error, and no model.
    NotANumber,
    /// Two batches that are added up make the step that both together make.
    Accumulation,
}

impl Rule {
    /// All of them, in the order in which they are examined.
    pub const ALL: [Self; 8] = [
        Self::Shapes,
        Self::Determinism,
        Self::Learning,
        Self::RoundTrip,
        Self::Prediction,
        Self::Cancellation,
        Self::NotANumber,
        Self::Accumulation,
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shapes => "shapes",
            Self::Determinism => "determinism",
            Self::Learning => "learning",
            Self::RoundTrip => "round trip",
            Self::Prediction => "prediction",
            Self::Cancellation => "cancellation",
            Self::NotANumber => "not a number",
            Self::Accumulation => "accumulation",
        })
    }
}

/// What became of a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// Whether it was kept.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Whether a rule was kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "result", content = "why", rename_all = "snake_case")]
pub enum Verdict {
    /// It was.
    Kept,
    /// It was not; in words.
    Broken(String),
    /// The backend has nothing that the rule is about; in words.
    Skipped(String),
}

/// Why a rule is not kept.
enum Trouble {
    Broken(String),
    Skipped(String),
}

impl From<BackendError> for Trouble {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Unsupported { what } => Self::Skipped(format!("it gives no {what}")),
            error => Self::Broken(error.to_string()),
        }
    }
}

/// `Err` with these words unless `fine`.
fn ensure(fine: bool, why: impl FnOnce() -> String) -> Result<(), Trouble> {
    if fine { Ok(()) } else { Err(Trouble::Broken(why())) }
}

/// Examines a backend: one finding per rule.
pub fn examine(backend: &dyn Backend) -> Vec<Finding> {
    let lesson = rules::Lesson::new(backend);
    let finding = |rule| {
        let verdict = match lesson.examine(rule) {
            Ok(()) => Verdict::Kept,
            Err(Trouble::Broken(why)) => Verdict::Broken(why),
            Err(Trouble::Skipped(why)) => Verdict::Skipped(why),
        };
        Finding { rule, verdict }
    };
    Rule::ALL.into_iter().map(finding).collect()
}
