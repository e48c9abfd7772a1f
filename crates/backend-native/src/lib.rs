//! The default backend: a Mamba-1 forecaster (Gu & Dao 2023, arXiv:2312.00752) on CPU cores,
//! trained with AdamW.
//!
//! ```text
//! x = input_proj(features)                                    per time step
//! per layer: x = x + mixer(rms_norm(x))
//! outputs = head(rms_norm_f(x at the last time step))
//! ```
//!
//! Names, shapes and conventions of the weights are those of the reference implementation
//! (state-spaces/mamba), so that they load in PyTorch.
//!
//! A batch is cut into groups of a fixed number of sequences. A worker thread takes a group
//! through forward and backward pass one sequence at a time, so that a sequence's activations
//! stay in its core's cache, and sums the group's gradient; the groups' gradients are added up in
//! their order. So the result does not depend on the number of threads.

mod block;
mod criterion;
mod dims;
mod init;
mod layout;
mod learner;
mod linear;
mod network;
mod predictor;
mod team;
#[cfg(test)]
mod tests;

use mambafleet_backend::{Backend, BackendError, Model, ModelConfig, NamedTensors};
use mambafleet_backend::{OptimizerConfig, Trainer};
use mambafleet_kernels::Isa;

use crate::learner::Learner;
use crate::network::Network;
use crate::predictor::Predictor;

/// The backend called `native`.
#[derive(Debug, Clone, Copy, Default)]
pub struct NativeBackend;

impl Backend for NativeBackend {
    fn name(&self) -> &'static str {
        "native"
    }

    fn description(&self) -> &'static str {
        "a Mamba-1 forecaster on CPU cores, trained with AdamW"
    }

    fn version(&self) -> &'static str {
        "native-5"
    }

    fn create(
        &self,
        config: &ModelConfig,
        optimizer: &OptimizerConfig,
        seed: u64,
        threads: usize,
    ) -> Result<Box<dyn Trainer>, BackendError> {
        Self::create_on(isa()?, config, optimizer, seed, threads)
    }

    fn load(
        &self,
        config: &ModelConfig,
        tensors: &NamedTensors,
        threads: usize,
    ) -> Result<Box<dyn Model>, BackendError> {
        let mut network = Network::<f32>::new(isa()?, config)?;
        network.set_tensors(tensors)?;
        Ok(Box::new(Predictor::new(network, threads)?))
    }
}

impl NativeBackend {
    /// [`Backend::create`] on a certain instruction set, whatever `MAMBAFLEET_ISA` says.
    ///
    /// # Errors
    /// As [`Backend::create`].
    pub fn create_on(
        isa: Isa,
        config: &ModelConfig,
        optimizer: &OptimizerConfig,
        seed: u64,
        threads: usize,
    ) -> Result<Box<dyn Trainer>, BackendError> {
        let mut network = Network::<f32>::new(isa, config)?;
        init::fill(&network.layout, &network.dims, seed, &mut network.weights);
        Ok(Box::new(Learner::new(network, optimizer, threads)?))
    }
}

/// The instruction set that this process uses.
fn isa() -> Result<Isa, BackendError> {
    Isa::current().map_err(|unknown| BackendError::Config(unknown.to_string()))
}
