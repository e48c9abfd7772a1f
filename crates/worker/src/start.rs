//! What training starts from, where that is the newest generation.

use mambafleet_artifacts::SymbolStore;
use mambafleet_backend::{ModelConfig, NamedTensors};
use mambafleet_protocol::{InitSpec, JobSpec};

use crate::metadata::WarmStart;
use crate::study::Fold;
use crate::{AttemptError, METADATA_FILE, Metadata, weights};

/// The newest generation of a symbol, if there is one, as something to start from.
pub(crate) struct Start {
    generation: Option<(u64, Metadata, NamedTensors)>,
    backend: String,
}

impl Start {
    /// What there is to start from; none where training starts from random weights.
    ///
    /// # Errors
    /// When the store cannot be read. A damaged generation is nothing to start from, and no error.
    pub(crate) fn of(job: &JobSpec, store: &SymbolStore) -> Result<Option<Self>, AttemptError> {
        if job.train.init == InitSpec::Random {
            return Ok(None);
        }
        let backend = job.train.backend.clone();
        let snapshot = match store.latest() {
            Ok(snapshot) => snapshot,
            Err(error) if error.is_corrupt() => None,
            Err(error) => return Err(error.into()),
        };
        let Some(snapshot) = snapshot else { return Ok(Some(Self { generation: None, backend })) };
        let read = snapshot
            .json::<Metadata>(METADATA_FILE)
            .and_then(|metadata| Ok((snapshot.generation(), metadata, weights::of(&snapshot)?)));
        Ok(Some(Self { generation: read.ok(), backend }))
    }

    /// The weights, if they fit the model and have seen nothing that it is tested on; and what is to be
    /// recorded.
    pub(crate) fn check(
        &self,
        fold: &impl Fold,
        config: &ModelConfig,
    ) -> (Option<&NamedTensors>, WarmStart) {
        let refused = |why: String| {
            tracing::warn!(why, "training starts from random weights");
            (None, WarmStart { generation: None, fingerprint: None, why_not: Some(why) })
        };
        let Some((generation, metadata, tensors)) = &self.generation else {
            return refused("there is no intact generation".to_owned());
        };
        if metadata.model != *config || metadata.provenance.backend != self.backend {
            return refused(format!("the model of generation {generation} is another one"));
        }
        if let Err(why) = fold.may_follow(metadata) {
            return refused(format!("generation {generation}: {why}"));
        }
        tracing::info!(generation, "training starts from the weights of a generation");
        let fingerprint = Some(metadata.fingerprint.clone());
        (Some(tensors), WarmStart { generation: Some(*generation), fingerprint, why_not: None })
    }
}
