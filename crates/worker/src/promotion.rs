//! Whether a new model takes the place of the newest generation.

use mambafleet_artifacts::{Snapshot, SymbolStore};
use mambafleet_backend::{Model, Registry};
use mambafleet_protocol::{Comparison, JobSpec, PromoteWhen};
use serde::{Deserialize, Serialize};

use crate::models::Trained;
use crate::study::Study;
use crate::{AttemptError, METADATA_FILE, Metadata, weights};

/// Fewer samples say nothing.
pub(crate) const LEAST_SAMPLES: usize = 20;

/// How a model came to take the place of the one before; the content of `promotion` in
/// `metadata.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promotion {
    /// Both models on the same samples; none where they could not be compared.
    pub comparison: Option<Comparison>,
    /// Whether the new model was worse and took its place all the same, because it was to.
    pub forced: bool,
    /// Why the two could not be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not_compared: Option<String>,
}

/// The newest generation, loaded, as the model to beat.
pub(crate) struct Rival {
    pub(crate) metadata: Metadata,
    pub(crate) model: Box<dyn Model>,
}

/// Mean losses of two models on the same samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Losses {
    pub(crate) samples: usize,
    pub(crate) new: f64,
    pub(crate) old: f64,
}

/// What was decided.
pub(crate) enum Verdict {
    /// Commit, on top of that generation and no other.
    Commit { parent: Option<u64>, promotion: Promotion },
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
        Ok(Some(snapshot)) => snapshot,
        Ok(None) => return unopposed(None, "there is no earlier generation".to_owned()),
        Err(error) if error.is_corrupt() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let parent = Some(snapshot.generation());
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

impl Rival {
    /// Loads a generation, or says why that is not possible.
    fn load(job: &JobSpec, registry: &Registry, snapshot: &Snapshot) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let metadata: Metadata = snapshot.json(METADATA_FILE).map_err(|error| text(&error))?;
        let name = &metadata.provenance.backend;
        let program = job.program.as_ref();
        let backend = registry.open(name, program).map_err(|error| text(&error))?;
        let tensors = weights::of(snapshot).map_err(|error| text(&error))?;
        let model =
            backend.load(&metadata.model, &tensors, job.threads).map_err(|error| text(&error))?;
        Ok(Self { metadata, model })
    }
}
