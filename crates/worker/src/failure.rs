//! What an attempt can fail of.

use mambafleet_artifacts::StoreError;
use mambafleet_backend::{BackendError, ReportedKind, UnknownBackend};
use mambafleet_dataset::DataError;
use mambafleet_evaluation::Alarm;
use mambafleet_protocol::{FailureKind, InvalidSpec, JobResult, cause_chain};

/// What an attempt can fail of.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The symbol's data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The job holds values that make no sense.
    #[error(transparent)]
    Spec(#[from] InvalidSpec),
    /// The backend does not exist.
    #[error(transparent)]
    UnknownBackend(#[from] UnknownBackend),
    /// The backend failed.
    #[error(transparent)]
    Backend(BackendError),
    /// The forecasts are too good to be true.
    #[error(transparent)]
    Implausible(#[from] Implausible),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The fingerprint could not be computed.
    #[error("cannot compute the fingerprint: {0}")]
    Fingerprint(#[from] serde_json::Error),
    /// No model was judged.
    #[error("no model was judged")]
    NoVerdict,
    /// The orchestrator is gone; nobody waits for the result.
    #[error("the orchestrator is gone")]
    Deserted,
}

/// Forecasts that are too good to be true.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the forecasts are too good to be true: {}", list(.alarms))]
pub struct Implausible {
    /// What is too good, at least one.
    pub alarms: Vec<Alarm>,
    /// Features with the rank correlation of their newest value and the next outcome, the most
    /// suspicious first.
    pub suspects: Vec<(String, f64)>,
}

fn list(alarms: &[Alarm]) -> String {
    alarms.iter().map(Alarm::to_string).collect::<Vec<_>>().join("; ")
}

impl Implausible {
    /// Where to look, and what to raise if it is true after all.
    fn hint(&self) -> String {
        let suspects = self.suspects.iter().map(|(name, rank)| format!("{name} ({rank:+.2})"));
        let mut keys: Vec<&str> = self.alarms.iter().map(|alarm| alarm.measure.name()).collect();
        keys.sort_unstable();
        keys.dedup();
        let keys: Vec<_> = keys.iter().map(|key| format!("evaluate.alarms.{key}")).collect();
        format!(
            "something has most likely seen the future: a feature, or how the file was made. The features \
             that go best with the next outcome are {}. If it is true after all, raise {}",
            suspects.collect::<Vec<_>>().join(", "),
            keys.join(", ")
        )
    }
}

impl AttemptError {
    /// The kind of failure, which decides about another attempt.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Data(_) => FailureKind::Data,
            Self::Implausible(_) => FailureKind::Implausible,
            Self::Backend(error) => of_backend(error),
            Self::UnknownBackend(_) | Self::Spec(_) => FailureKind::Backend,
            Self::Store(error) if error.is_lock_timeout() => FailureKind::LockBusy,
            Self::Store(_) => FailureKind::Store,
            Self::Fingerprint(_) | Self::NoVerdict | Self::Deserted => FailureKind::Internal,
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Data(error) => error.hint(),
            Self::Implausible(found) => Some(found.hint()),
            Self::Backend(BackendError::Diverged { .. }) => {
                Some("lower train.learning_rate or train.grad_clip".to_owned())
            }
            _ => None,
        }
    }
}

impl From<BackendError> for AttemptError {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Cancelled => Self::Deserted,
            error => Self::Backend(error),
        }
    }
}

fn of_backend(error: &BackendError) -> FailureKind {
    match error {
        BackendError::Diverged { .. } => FailureKind::Diverged,
        BackendError::Reported { kind, .. } => match kind {
            ReportedKind::Data => FailureKind::Data,
            ReportedKind::Diverged => FailureKind::Diverged,
            ReportedKind::Other => FailureKind::Backend,
        },
        BackendError::Lost(_) => FailureKind::Crashed,
        _ => FailureKind::Backend,
    }
}

impl From<AttemptError> for JobResult {
    fn from(error: AttemptError) -> Self {
        Self::Failed { kind: error.kind(), cause: cause_chain(&error), hint: error.hint() }
    }
}
