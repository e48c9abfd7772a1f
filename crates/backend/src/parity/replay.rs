//! A backend computes what the reference did.

use super::{Case, Results, Values};
use crate::{Backend, BackendError, NamedTensors};

/// Lets a backend compute a case on `threads` threads. Gradients are left out when it gives none;
/// the loss is then that of its first step.
///
/// # Errors
/// What the backend refuses or fails at.
pub fn replay(backend: &dyn Backend, case: &Case, threads: usize) -> Result<Results, BackendError> {
    let mut trainer = backend.create(&case.config, &case.optimizer, 0, threads)?;
    trainer.restore(&case.parameters)?;
    let output = trainer.predict(&case.batch.inputs)?;
    let (mut loss, gradients) = match trainer.gradients(&case.batch) {
        Ok((loss, gradients)) => (Some(loss), Some(values(&gradients))),
        Err(BackendError::Unsupported { .. }) => (None, None),
        Err(error) => return Err(error),
    };
    for _ in 0..case.steps {
        let first = trainer.train_step(&case.batch, case.learning_rate)?;
        loss.get_or_insert(first);
    }
    let parameters = values(&trainer.tensors()?);
    let output = output.into_iter().map(f64::from).collect();
    Ok(Results { output, loss: loss.unwrap_or(f64::NAN), gradients, parameters })
}

fn values(tensors: &NamedTensors) -> Values {
    let widen = |data: &[f32]| data.iter().map(|value| f64::from(*value)).collect();
    tensors.iter().map(|(name, tensor)| (name.to_owned(), widen(&tensor.data))).collect()
}
