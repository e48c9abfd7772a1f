//! One Mamba block on one sequence.

mod backward;
mod forward;

pub(crate) use backward::{BlockGrads, TablesGrad, backward};
pub(crate) use forward::forward;

use mambafleet_kernels::gemm::MatRef;
use mambafleet_kernels::scan::{self, Rates};
use mambafleet_kernels::{Buffer, Isa, Real, conv};

use crate::dims::Dims;
use crate::layout::BlockSlots;
use crate::linear::Linear;

/// Weights of a block in the order that kernels read them in.
#[derive(Debug)]
pub(crate) struct Tables<T> {
    /// The convolution's weights: (taps, inner).
    conv: Buffer<T>,
    /// A.
    rates: Rates<T>,
    /// `in_proj`'s part that makes the branch, and the one that makes the gate.
    in_branch: Linear<T>,
    in_gate: Linear<T>,
    x_proj: Linear<T>,
    dt_proj: Linear<T>,
    out_proj: Linear<T>,
}

impl<T: Real> Tables<T> {
    /// Room for a block of these sizes.
    pub(crate) fn new(isa: Isa, dims: &Dims) -> Self {
        let Dims { width, inner, rank, .. } = *dims;
        Self {
            conv: Buffer::zeros(dims.taps * inner),
            rates: Rates::new(isa, dims.scan()),
            in_branch: Linear::new(isa, inner, width),
            in_gate: Linear::new(isa, inner, width),
            x_proj: Linear::new(isa, dims.projected(), inner),
            dt_proj: Linear::new(isa, inner, rank),
            out_proj: Linear::new(isa, width, inner),
        }
    }

    /// Takes over the weights.
    pub(crate) fn set(&mut self, dims: &Dims, slots: &BlockSlots, weights: &[T]) {
        self.rates.set(slots.a_log.of(weights));
        self.in_branch.set(slots.in_branch().of(weights));
        self.in_gate.set(slots.in_gate().of(weights));
        self.x_proj.set(slots.x_proj.of(weights));
        self.dt_proj.set(slots.dt_weight.of(weights));
        self.out_proj.set(slots.out_proj.of(weights));
        for (channel, taps) in slots.conv_weight.of(weights).chunks_exact(dims.taps).enumerate() {
            for (tap, weight) in taps.iter().enumerate() {
                self.conv[tap * dims.inner + channel] = *weight;
            }
        }
    }
}

/// A block: its sizes and weights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a, T> {
    /// The instruction set.
    pub(crate) isa: Isa,
    /// Sizes of the model.
    pub(crate) dims: &'a Dims,
    /// Where the block's weights lie.
    pub(crate) slots: &'a BlockSlots,
    /// All weights of the model.
    pub(crate) weights: &'a [T],
    /// Some of the block's in another order.
    pub(crate) tables: &'a Tables<T>,
    /// Whether it is the last: only its last time step is wanted.
    pub(crate) last: bool,
}

/// What the forward pass of a block leaves for the backward pass; all row-major, time outermost.
/// In the last block what comes after the scan has a single time step.
#[derive(Debug)]
pub(crate) struct Saved<T> {
    /// The block's input: (length, width).
    x: Buffer<T>,
    /// The norm's factors: (length).
    inv_rms: Buffer<T>,
    /// The normalised input: (length, width).
    normed: Buffer<T>,
    /// The branch before the convolution, and the gate before its `SiLU`: (length, 2 inner), rows
    /// [`Dims::stride`] apart.
    both: Buffer<T>,
    /// The scan's input, which is the `SiLU` of the convolution: (length, inner).
    u: Buffer<T>,
    /// The logistic function of the convolution: (length, inner).
    u_logistic: Buffer<T>,
    /// Low-rank step size, B and C side by side: (length, rank + 2 states).
    projected: Buffer<T>,
    /// Step sizes: (length, inner).
    dt: Buffer<T>,
    /// Slope of the softplus that made them: (length, inner).
    dt_slope: Buffer<T>,
    /// The scan's states.
    states: States<T>,
    /// The scan's output: (length, inner).
    y: Buffer<T>,
    /// The logistic function of the gate: (length, inner).
    z_logistic: Buffer<T>,
    /// The gated output: (length, inner).
    gated: Buffer<T>,
}

/// The states that a scan leaves.
#[derive(Debug)]
enum States<T> {
    /// Of all steps.
    All(scan::States<T>),
    /// Of the last step.
    Last(scan::last::State<T>),
}

impl<T: Real> Saved<T> {
    /// Room for a block of these sizes; `training` makes room for the scan's states too.
    pub(crate) fn new(isa: Isa, dims: &Dims, last: bool, training: bool) -> Self {
        let room = |columns: usize| Buffer::zeros(dims.length * columns);
        let after = |columns: usize| Buffer::zeros(if last { 1 } else { dims.length } * columns);
        let states = if last {
            States::Last(scan::last::State::new(isa, dims.scan()))
        } else {
            States::All(scan::States::new(isa, dims.scan(), training))
        };
        Self {
            x: room(dims.width),
            inv_rms: room(1),
            normed: room(dims.width),
            both: room(dims.stride()),
            u: room(dims.inner),
            u_logistic: room(dims.inner),
            projected: room(dims.projected()),
            dt: room(dims.inner),
            dt_slope: room(dims.inner),
            states,
            y: after(dims.inner),
            z_logistic: after(dims.inner),
            gated: after(dims.inner),
        }
    }
}

impl<'a, T: Real> Block<'a, T> {
    /// The first time step after the scan.
    fn first(&self) -> usize {
        if self.last { self.dims.length - 1 } else { 0 }
    }

    /// The gate's part of what [`Saved::both`] holds, from [`Block::first`] on.
    fn gate(&self, both: &'a [T]) -> MatRef<'a, T> {
        let Dims { length, inner, .. } = *self.dims;
        let from = self.first();
        let stride = self.dims.stride();
        MatRef::strided(&both[from * stride + inner..], length - from, inner, stride)
    }

    /// What the convolution reads.
    fn conv_inputs(&self, both: &'a [T]) -> conv::Inputs<'a, T> {
        let Dims { length, inner, .. } = *self.dims;
        conv::Inputs {
            x: MatRef::strided(both, length, inner, self.dims.stride()),
            weight: &self.tables.conv,
            bias: self.slots.conv_bias.of(self.weights),
        }
    }

    /// What the scan reads.
    fn scan_inputs(&self, u: &'a [T], dt: &'a [T], projected: &'a [T]) -> scan::Inputs<'a, T> {
        let Dims { length, states, rank, .. } = *self.dims;
        let bc = &projected[rank..];
        let bc = MatRef::strided(bc, length, 2 * states, self.dims.projected());
        scan::Inputs { u, dt, bc, d: self.slots.d.of(self.weights) }
    }
}
