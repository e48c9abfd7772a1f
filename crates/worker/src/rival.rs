//! The model to beat.

use mambafleet_artifacts::Snapshot;
use mambafleet_backend::{Model, Registry};
use mambafleet_protocol::JobSpec;

use crate::forecast;
use crate::metadata::{METADATA_FILE, Metadata};

/// Fewer samples say nothing.
pub(crate) const LEAST_SAMPLES: usize = 20;

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

impl Rival {
    /// Loads a generation, or says why that is not possible.
    pub(crate) fn load(
        job: &JobSpec,
        registry: &Registry,
        snapshot: &Snapshot,
    ) -> Result<Self, String> {
        let metadata: Metadata = snapshot.json(METADATA_FILE).map_err(|error| error.to_string())?;
        let model = forecast::model(snapshot, &metadata, registry, job.program.as_ref())
            .map_err(|error| error.to_string())?;
        Ok(Self { metadata, model })
    }
}
