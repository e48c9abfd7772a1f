//! What a generation depends on, in one hash.

use mambafleet_protocol::{
    AlarmSpec, EvaluateSpec, JobSpec, ModelSpec, TaskSpec, TrainSpec, TrialSpec,
};
use serde::Serialize;

/// Changes when the meaning of the parts below changes.
const FINGERPRINT_VERSION: u32 = 3;

#[derive(Serialize)]
struct Parts<'a> {
    version: u32,
    data: String,
    task: &'a TaskSpec,
    model: &'a ModelSpec,
    train: &'a TrainSpec,
    evaluate: EvaluateSpec,
    search: &'a [TrialSpec],
    backend_version: &'a str,
}

/// The fingerprint of what a job would produce: the hash of the data's content, the resolved task,
/// model, training, evaluation and search settings (seed included), and the backend's name and identity. Threads,
/// paths and file times are not part of it: they change no weight.
///
/// # Errors
/// When a setting has no JSON form.
pub fn fingerprint(
    job: &JobSpec,
    content: String,
    identity: &str,
) -> Result<String, serde_json::Error> {
    let parts = Parts {
        version: FINGERPRINT_VERSION,
        data: content,
        task: &job.task,
        model: &job.model,
        train: &job.train,
        // Limits judge what is committed, and change nothing of it.
        evaluate: EvaluateSpec { alarms: AlarmSpec::USUAL, ..job.evaluate },
        search: &job.search,
        backend_version: identity,
    };
    Ok(blake3::hash(&serde_json::to_vec(&parts)?).to_hex().to_string())
}
