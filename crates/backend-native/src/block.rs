//! One Mamba block on one sequence.

mod backward;
mod forward;

pub(crate) use backward::{BlockGrads, backward};
pub(crate) use forward::{ScanRoom, forward};

use mambafleet_kernels::{LANES, Lanes, Real, scan};

use crate::dims::Dims;
use crate::layout::BlockSlots;

/// What the forward pass of a block leaves for the backward pass; all row-major, time outermost.
#[derive(Debug)]
pub(crate) struct Saved<T> {
    /// The block's input: (length, width).
    x: Vec<T>,
    /// The norm's factors: (length).
    inv_rms: Vec<T>,
    /// The normalised input: (length, width).
    normed: Vec<T>,
    /// The branch before the convolution: (length, inner).
    branch: Vec<T>,
    /// The gate before its `SiLU`: (length, inner).
    z: Vec<T>,
    /// The branch after the convolution, before its `SiLU`: (length, inner).
    conv: Vec<T>,
    /// Low-rank step size, B and C side by side: (length, rank + 2 states).
    projected: Vec<T>,
    /// Step sizes before the softplus: (length, inner).
    dt_raw: Vec<T>,
    /// What the scan reads.
    scan: ScanInputs<T>,
    /// The scan's states before each chunk; none where only a prediction is wanted.
    states: Option<Vec<Lanes<T>>>,
    /// The scan's output: (length, inner).
    y: Vec<T>,
    /// The gated output: (length, inner).
    gated: Vec<T>,
}

/// What the scan reads, apart from weights; or the gradients of that.
#[derive(Debug)]
struct ScanInputs<T> {
    /// The input: (length, inner).
    u: Vec<T>,
    /// Step sizes: (length, inner).
    dt: Vec<T>,
    /// (length, states).
    b: Vec<T>,
    /// (length, states).
    c: Vec<T>,
}

impl<T: Real> ScanInputs<T> {
    /// Room for a block of these sizes.
    fn new(dims: &Dims) -> Self {
        let room = |columns: usize| vec![T::ZERO; dims.length * columns];
        let (inner, states) = (dims.inner, dims.states);
        Self { u: room(inner), dt: room(inner), b: room(states), c: room(states) }
    }

    /// Together with the weights.
    fn with<'a>(&'a self, slots: &BlockSlots, weights: &'a [T]) -> scan::Inputs<'a, T> {
        scan::Inputs {
            u: &self.u,
            dt: &self.dt,
            b: &self.b,
            c: &self.c,
            a_log: slots.a_log.of(weights),
            d: slots.d.of(weights),
        }
    }
}

impl<T: Real> Saved<T> {
    /// Room for a block of these sizes; `training` makes room for the scan's states too.
    pub(crate) fn new(dims: &Dims, training: bool) -> Self {
        let room = |columns: usize| vec![T::ZERO; dims.length * columns];
        let states = || vec![[T::ZERO; LANES]; scan::checkpoints_len(dims.scan())];
        Self {
            x: room(dims.width),
            inv_rms: room(1),
            normed: room(dims.width),
            branch: room(dims.inner),
            z: room(dims.inner),
            conv: room(dims.inner),
            projected: room(dims.projected()),
            dt_raw: room(dims.inner),
            scan: ScanInputs::new(dims),
            states: training.then(states),
            y: room(dims.inner),
            gated: room(dims.inner),
        }
    }
}
