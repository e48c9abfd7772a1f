//! Whether a new model takes the place of the newest generation.

use mambafleet_artifacts::SymbolStore;
use mambafleet_backend::Registry;
use mambafleet_protocol::{Comparison, JobSpec, PromoteWhen};

use crate::failure::AttemptError;
use crate::metadata::Promotion;
use crate::models::Trained;
use crate::rival::{Losses, Rival};
use crate::study::Study;

/// What was decided.
pub(crate) enum Verdict {
    /// Commit, on top of that generation and no other; of whatever is the newest, where the newest is
    /// damaged.
    Commit { parent: Option<Option<u64>>, promotion: Promotion },
    /// The newest generation stays.
    Keep(Comparison),
}

/// Compares a model that was just trained with the newest generation; none if every model counts.
///
/// # Errors
/// When the store cannot be read, or a model fails. A generation that cannot be compared is no error:
/// the new model takes its place, and the reason is recorded.
pub(crate) fn decide<S: Study>(
    job: &JobSpec,
    registry: &Registry,
    study: &S,
    last: &S::Fold,
    trained: &Trained,
    store: &SymbolStore,
) -> Result<Option<Verdict>, AttemptError> {
    if job.promote.when == PromoteWhen::Always && !job.promote.force {
        return Ok(None);
    }
    let unopposed = |parent, why: String| {
        tracing::info!(why, "there is nothing to compare the model with");
        let why_not_compared = Some(why);
        let promotion = Promotion { comparison: None, forced: false, why_not_compared };
        Ok(Some(Verdict::Commit { parent, promotion }))
    };
    let snapshot = match store.latest() {
        Ok(Some(snapshot)) if snapshot.skipped().is_empty() => snapshot,
        // What is damaged is to be replaced, and nothing before it is to stay the newest.
        Ok(Some(_)) => return unopposed(None, "the newest generation is damaged".to_owned()),
        Ok(None) => return unopposed(Some(None), "there is no earlier generation".to_owned()),
        Err(error) if error.is_corrupt() => {
            return unopposed(None, "every generation is damaged".to_owned());
        }
        Err(error) => return Err(error.into()),
    };
    let parent = Some(Some(snapshot.generation()));
    let losses = Rival::load(job, registry, &snapshot)
        .and_then(|mut rival| study.compare(last, &trained.conclusion, &mut rival));
    let Losses { samples, new, old } = match losses {
        Ok(losses) => losses,
        Err(why) => return unopposed(parent, why),
    };
    let comparison = Comparison {
        generation: snapshot.generation(),
        samples,
        new_loss: new,
        old_loss: old,
        margin: job.promote.margin,
    };
    tracing::info!(new_loss = new, old_loss = old, samples, "compared with the newest generation");
    let worse = !comparison.is_not_worse();
    if worse && !job.promote.force {
        return Ok(Some(Verdict::Keep(comparison)));
    }
    let comparison = Some(comparison);
    let promotion = Promotion { comparison, forced: worse, why_not_compared: None };
    Ok(Some(Verdict::Commit { parent, promotion }))
}
