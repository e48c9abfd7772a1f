//! What is tracked under which name, in every tracker alike.

use mambafleet_protocol::{EpochReport, Outcome};

/// Mean training loss of an epoch.
pub(crate) const TRAIN_LOSS: &str = "loss/train";
/// Validation loss after an epoch.
pub(crate) const VALIDATION_LOSS: &str = "loss/validation";
/// Training samples per second in an epoch.
pub(crate) const SPEED: &str = "samples_per_second";

/// The numbers of an epoch; its number is the step.
pub(crate) fn of_epoch(report: &EpochReport) -> [(&'static str, f64); 3] {
    [
        (TRAIN_LOSS, report.train_loss),
        (VALIDATION_LOSS, report.validation_loss),
        (SPEED, report.samples_per_second),
    ]
}

/// The numbers that a symbol ends with.
pub(crate) fn of_outcome(outcome: &Outcome) -> Vec<(&'static str, f64)> {
    match outcome {
        Outcome::Trained { headline, .. } => {
            let (test, baseline) = (headline.test_loss, headline.baseline_loss);
            vec![
                ("loss/test", test),
                ("loss/baseline", baseline),
                ("loss/best_validation", headline.best_validation_loss),
                ("skill", 1.0 - test / baseline),
            ]
        }
        Outcome::Kept { comparison, .. } => vec![
            ("loss/new_on_common_samples", comparison.new_loss),
            ("loss/old_on_common_samples", comparison.old_loss),
        ],
        Outcome::UpToDate { .. }
        | Outcome::Failed { .. }
        | Outcome::Skipped { .. }
        | Outcome::Interrupted { .. } => Vec::new(),
    }
    .into_iter()
    .filter(|(_, value)| value.is_finite())
    .collect()
}

/// How a symbol ended, in facts with their names.
pub(crate) fn facts(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let mut facts = vec![("outcome", outcome.label().to_owned())];
    match outcome {
        Outcome::Trained { generation, attempts, .. } => {
            facts.push(("generation", generation.to_string()));
            facts.push(("attempts", attempts.to_string()));
        }
        Outcome::UpToDate { generation } => facts.push(("generation", generation.to_string())),
        Outcome::Kept { comparison, attempts, .. } => {
            facts.push(("generation", comparison.generation.to_string()));
            facts.push(("attempts", attempts.to_string()));
        }
        Outcome::Failed { kind, cause, hint, attempts, log } => {
            facts.push(("failure", kind.to_string()));
            facts.push(("cause", cause.clone()));
            facts.extend(hint.clone().map(|hint| ("hint", hint)));
            facts.push(("attempts", attempts.to_string()));
            facts.push(("log", log.display().to_string()));
        }
        Outcome::Skipped { why, .. } => facts.push(("cause", why.clone())),
        Outcome::Interrupted { .. } => {}
    }
    facts
}
