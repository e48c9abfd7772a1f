//! Prediction without training state.

use mambafleet_backend::{BackendError, Model, NamedTensors};
use mambafleet_kernels::Real;

use crate::network::{Forward, Network};
use crate::team::Team;

/// A model for prediction only.
#[derive(Debug)]
pub(crate) struct Predictor<T> {
    network: Network<T>,
    team: Team<Forward<T>>,
}

impl<T: Real> Predictor<T> {
    /// A predictor that works on `threads` threads.
    pub(crate) fn new(mut network: Network<T>, threads: usize) -> Result<Self, BackendError> {
        network.refresh();
        let team = Team::new(threads, || Forward::new(network.isa, &network.dims, false))?;
        Ok(Self { network, team })
    }
}

impl<T: Real> Model for Predictor<T> {
    fn predict(&mut self, inputs: &[f32]) -> Result<Vec<f32>, BackendError> {
        predict(&self.network, &mut self.team, |forward| forward, inputs)
    }

    fn tensors(&self) -> Result<NamedTensors, BackendError> {
        Ok(self.network.tensors())
    }
}

/// Outputs for windows (samples, length, features), shared out evenly among a team whose members
/// hold what `forward` finds in them.
pub(crate) fn predict<T: Real, M: Send>(
    network: &Network<T>,
    team: &mut Team<M>,
    forward: impl Fn(&mut M) -> &mut Forward<T> + Sync,
    inputs: &[f32],
) -> Result<Vec<f32>, BackendError> {
    let (window, outputs) = (network.dims.window(), network.dims.outputs);
    let samples = inputs.len() / window;
    if samples * window != inputs.len() {
        let expected = samples.saturating_add(1).saturating_mul(window);
        let found = inputs.len();
        return Err(BackendError::Shape { what: "prediction inputs", expected, found });
    }
    let mut predictions = vec![0.0; samples * outputs];
    let share = samples.div_ceil(team.len()).max(1);
    let jobs = inputs.chunks(share * window).zip(predictions.chunks_mut(share * outputs));
    team.run(jobs, |member, (inputs, predictions)| {
        let windows = inputs.chunks_exact(window);
        for (window, prediction) in windows.zip(predictions.chunks_exact_mut(outputs)) {
            let values = forward(member).run(network, window);
            for (prediction, value) in prediction.iter_mut().zip(values) {
                *prediction = value.to_f32();
            }
        }
    });
    Ok(predictions)
}
