//! Replays on any backend what a reference implementation has computed: the oracle for whoever
//! writes a backend.
//!
//! A [`Case`] is read from a parity file, which `examples/pytorch/parity.py` writes: a model's
//! weights and one batch in single precision; output, loss, every gradient and the parameters
//! after three optimiser steps in double precision. [`replay`] lets a backend compute the same,
//! [`Case::compare`] says how far it is off.
//!
//! ```text
//! input (B, L, F)  target (B, O)  param.<P>                                F32
//! f64.output (B, O)  f64.loss  f64.grad.<P>  f64.after3.<P>                F64
//! texts: d_model d_inner d_state d_conv dt_rank n_layer n_features n_out seq_len batch
//!        rms_eps steps adamw [decay]
//! ```
//!
//! `<P>` are the names of the reference implementation, as in [`NamedTensors`]. The loss is the
//! mean squared error over all elements, and nothing is clipped. The rest of the conventions is
//! fixed: a file whose texts name other settings is refused. `decay` is `all`, also when it is
//! absent, or `matrices`.

mod compare;
mod file;
mod names;
mod replay;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use compare::{Check, Quantity, Tolerances, Verdict};
pub use replay::replay;

use crate::{Batch, ModelConfig, NamedTensors, OptimizerConfig};

/// What a reference implementation was given, and what it computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The model.
    pub config: ModelConfig,
    /// The optimiser's settings.
    pub optimizer: OptimizerConfig,
    /// The learning rate of every step.
    pub learning_rate: f64,
    /// Steps, all on the same batch.
    pub steps: usize,
    /// Inputs and targets.
    pub batch: Batch,
    /// The weights at the start.
    pub parameters: NamedTensors,
    /// What came out.
    pub reference: Results,
}

/// Values by the name of the tensor they belong to.
pub type Values = BTreeMap<String, Vec<f64>>;

/// What a model makes of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    /// The outputs: (samples, outputs).
    pub output: Vec<f64>,
    /// The loss at the start.
    pub loss: f64,
    /// The gradient at the start; none from a backend that gives none.
    pub gradients: Option<Values>,
    /// The weights after the steps.
    pub parameters: Values,
}

/// Why a file is no parity file.
#[derive(Debug, thiserror::Error)]
pub enum ParityFileError {
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// It is not in the safetensors format.
    #[error("{} is no safetensors file", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: safetensors::SafeTensorError,
    },
    /// A text in its header is missing or says something that is not supported.
    #[error("{}: header text \"{key}\" {problem}", .path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// The text's name.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A tensor is missing, unknown, or of another type or shape.
    #[error("{}: tensor {name} {problem}", .path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}
