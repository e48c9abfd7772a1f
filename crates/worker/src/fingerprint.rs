//! What a generation depends on, in one hash.

use mambafleet_dataset::Bars;
use mambafleet_protocol::{JobSpec, ModelSpec, TaskSpec, TrainSpec};
use serde::Serialize;

/// Changes when the meaning of the parts below changes.
const FINGERPRINT_VERSION: u32 = 1;

#[derive(Serialize)]
struct Parts<'a> {
    version: u32,
    data: String,
    task: &'a TaskSpec,
    model: &'a ModelSpec,
    train: &'a TrainSpec,
    backend_version: &'a str,
}

/// The fingerprint of what a job would produce: the content of the data, the resolved task,
/// model and training settings (seed included), and the backend's name and identity. Threads,
/// paths and file times are not part of it: they change no weight.
///
/// # Errors
/// When a setting has no JSON form.
pub fn fingerprint(
    job: &JobSpec,
    bars: &Bars,
    identity: &str,
) -> Result<String, serde_json::Error> {
    let parts = Parts {
        version: FINGERPRINT_VERSION,
        data: bars.fingerprint(),
        task: &job.task,
        model: &job.model,
        train: &job.train,
        backend_version: identity,
    };
    Ok(blake3::hash(&serde_json::to_vec(&parts)?).to_hex().to_string())
}
