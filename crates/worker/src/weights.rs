//! Weights out of the store.

use mambafleet_artifacts::{Snapshot, StoreError};
use mambafleet_backend::{NamedTensors, Tensor};

/// The weights of a generation.
pub(crate) fn of(snapshot: &Snapshot) -> Result<NamedTensors, StoreError> {
    let mut tensors = NamedTensors::default();
    for (name, (shape, data)) in snapshot.tensors()? {
        tensors.insert(name, Tensor { shape, data });
    }
    Ok(tensors)
}
