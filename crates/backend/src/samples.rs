//! Samples that are gathered when they are needed.

use crate::{BackendError, Batch, Model};

/// Windows that are gathered and predicted in one go.
pub(crate) const WINDOWS_AT_ONCE: usize = 256;

/// One part of the data. A window overlaps the next one, so all of them together would be many
/// times the data they are made of; hence they are gathered a few at a time.
pub trait Samples {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces the content of `batch` by the samples with these indices, each below
    /// [`len`](Self::len).
    fn gather(&self, indices: &[usize], batch: &mut Batch);
}

/// The samples of a batch, all of them in memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InMemory(pub Batch);

impl Samples for InMemory {
    fn len(&self) -> usize {
        self.0.samples
    }

    fn gather(&self, indices: &[usize], batch: &mut Batch) {
        let Self(all) = self;
        let row = |values: &[f32]| values.len() / all.samples.max(1);
        let (window, target) = (row(&all.inputs), row(&all.targets));
        batch.inputs.clear();
        batch.targets.clear();
        batch.samples = indices.len();
        for &index in indices {
            batch.inputs.extend_from_slice(&all.inputs[index * window..][..window]);
            batch.targets.extend_from_slice(&all.targets[index * target..][..target]);
        }
    }
}

/// Calls `take` with all samples in their order, some at a time.
///
/// # Errors
/// That of `take`, which ends it.
pub fn in_chunks<E>(
    samples: &dyn Samples,
    mut take: impl FnMut(&Batch) -> Result<(), E>,
) -> Result<(), E> {
    let indices: Vec<usize> = (0..samples.len()).collect();
    let mut batch = Batch::default();
    for chunk in indices.chunks(WINDOWS_AT_ONCE) {
        samples.gather(chunk, &mut batch);
        take(&batch)?;
    }
    Ok(())
}

/// Forecasts for all samples, in their order.
///
/// # Errors
/// Those of [`Model::predict`].
pub fn predict_all<M: Model + ?Sized>(
    samples: &dyn Samples,
    model: &mut M,
) -> Result<Vec<f32>, BackendError> {
    let mut predictions = Vec::new();
    in_chunks(samples, |batch| {
        predictions.extend(model.predict(&batch.inputs)?);
        Ok::<_, BackendError>(())
    })?;
    Ok(predictions)
}

/// The targets of all samples, in their order.
#[must_use]
pub fn targets_of(samples: &dyn Samples) -> Vec<f32> {
    let mut targets = Vec::new();
    let taken: Result<(), std::convert::Infallible> = in_chunks(samples, |batch| {
        targets.extend_from_slice(&batch.targets);
        Ok(())
    });
    match taken {
        Ok(()) => targets,
    }
}
