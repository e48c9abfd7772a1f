//! The block's gradients.

use mambafleet_kernels::gemm::{MatMut, MatRef, Target};
use mambafleet_kernels::scan::{self, RatesGrad, Scratch};
use mambafleet_kernels::{Buffer, Isa, Real, activation, conv, norm};

use super::{Block, Saved, States, Tables};
use crate::dims::Dims;
use crate::layout::BlockSlots;
use crate::linear;

/// Room for the gradients inside a block; one serves all blocks.
#[derive(Debug)]
pub(crate) struct BlockGrads<T> {
    /// Of the gated output, then of the scan's output: (length, inner).
    y: Buffer<T>,
    /// Of the branch before the convolution, and of the gate: (length, 2 inner), rows
    /// [`Dims::stride`] apart.
    both: Buffer<T>,
    /// Of the scan's input: (length, inner).
    u: Buffer<T>,
    /// Of the step sizes: (length, inner).
    dt: Buffer<T>,
    /// Of `x_proj`'s output: (length, rank + 2 states).
    projected: Buffer<T>,
    /// Of the normalised input: (length, width).
    normed: Buffer<T>,
    /// The scan's own room.
    scratch: Scratch<T>,
}

/// Gradients of a block's [`Tables`], summed over the sequences of a group.
#[derive(Debug)]
pub(crate) struct TablesGrad<T> {
    conv: Buffer<T>,
    rates: RatesGrad<T>,
}

impl<T: Real> BlockGrads<T> {
    /// Room for blocks of these sizes.
    pub(crate) fn new(isa: Isa, dims: &Dims) -> Self {
        let room = |columns: usize| Buffer::zeros(dims.length * columns);
        Self {
            y: room(dims.inner),
            both: room(dims.stride()),
            u: room(dims.inner),
            dt: room(dims.inner),
            projected: room(dims.projected()),
            normed: room(dims.width),
            scratch: Scratch::new(isa, dims.scan()),
        }
    }
}

impl<T: Real> TablesGrad<T> {
    /// Zeros.
    pub(crate) fn new(tables: &Tables<T>) -> Self {
        let conv = Buffer::zeros(tables.conv.len());
        Self { conv, rates: RatesGrad::new(&tables.rates) }
    }

    /// Adds the sums to the gradients of the weights, and starts again from zero.
    pub(crate) fn drain(
        &mut self,
        dims: &Dims,
        slots: &BlockSlots,
        tables: &Tables<T>,
        dweights: &mut [T],
    ) {
        self.rates.drain(&tables.rates, slots.a_log.of_mut(dweights));
        let rows = slots.conv_weight.of_mut(dweights).chunks_exact_mut(dims.taps);
        for (channel, taps) in rows.enumerate() {
            for (tap, grad) in taps.iter_mut().enumerate() {
                *grad += self.conv[tap * dims.inner + channel];
            }
        }
        self.conv.fill(T::ZERO);
    }
}

/// Turns `dstream` (length, width) from the gradient of the stream after the block into that
/// before it, and adds the gradients of the weights to `dweights` and `dtables`. After the last
/// block only the last time step has a gradient.
pub(crate) fn backward<T: Real>(
    block: &Block<'_, T>,
    saved: &Saved<T>,
    dstream: &mut [T],
    dweights: &mut [T],
    dtables: &mut TablesGrad<T>,
    grads: &mut BlockGrads<T>,
) {
    let Block { isa, slots, weights, .. } = *block;
    let (s, g) = (saved, grads);
    output_backward(block, s, dstream, dweights, g);
    scan_backward(block, s, dweights, dtables, g);
    select_backward(block, s, dweights, g);
    let Dims { length, inner, .. } = *block.dims;
    let targets = conv::Grads {
        x: MatMut::strided(&mut *g.both, length, inner, block.dims.stride()),
        weight: &mut dtables.conv,
        bias: slots.conv_bias.of_mut(dweights),
    };
    conv::backward(isa, &block.conv_inputs(&s.both), &s.u, &s.u_logistic, &mut g.u, targets);
    project_backward(block, s, dweights, g);
    let (gain, dgain) = (slots.norm.of(weights), slots.norm.of_mut(dweights));
    let inputs = norm::Inputs { x: &s.x, gain, inv_rms: &s.inv_rms, dy: &g.normed };
    norm::backward(isa, &inputs, dstream, dgain);
}

/// From the stream to the scan's output and to the gate.
fn output_backward<T: Real>(
    block: &Block<'_, T>,
    saved: &Saved<T>,
    dstream: &[T],
    dweights: &mut [T],
    grads: &mut BlockGrads<T>,
) {
    let Block { isa, slots, tables, .. } = *block;
    let Dims { length, width, inner, .. } = *block.dims;
    let (first, s) = (block.first(), saved);
    let rows = length - first;
    let doutput = MatRef::new(&dstream[first * width..], rows, width);
    let gated = MatRef::new(&*s.gated, rows, inner);
    linear::add_weight(isa, doutput, gated, slots.out_proj.of_mut(dweights));
    let dy = &mut grads.y[..rows * inner];
    let dgated = MatMut::new(&mut *dy, rows, inner);
    tables.out_proj.back(Target::Replace, doutput, dgated);
    let stride = block.dims.stride();
    let dz = MatMut::strided(&mut grads.both[first * stride + inner..], rows, inner, stride);
    activation::gate_backward(isa, &s.y, block.gate(&s.both), &s.z_logistic, dy, dz);
}

/// Gradients of what the scan reads, from that of its output.
fn scan_backward<T: Real>(
    block: &Block<'_, T>,
    saved: &Saved<T>,
    dweights: &mut [T],
    dtables: &mut TablesGrad<T>,
    grads: &mut BlockGrads<T>,
) {
    let Dims { length, states, rank, .. } = *block.dims;
    let columns = block.dims.projected();
    let inputs = block.scan_inputs(&saved.u, &saved.dt, &saved.projected);
    let dbc = MatMut::strided(&mut grads.projected[rank..], length, 2 * states, columns);
    let targets = scan::Grads {
        u: &mut grads.u,
        dt: &mut grads.dt,
        bc: dbc,
        rates: &mut dtables.rates,
        d: block.slots.d.of_mut(dweights),
    };
    let (sizes, rates) = (block.dims.scan(), &block.tables.rates);
    let (dy, scratch) = (&grads.y[..saved.y.len()], &mut grads.scratch);
    match &saved.states {
        States::All(states) => {
            scan::backward(sizes, &inputs, rates, states, dy, targets, scratch);
        }
        States::Last(state) => {
            scan::last::backward(sizes, &inputs, rates, state, dy, targets, scratch);
        }
    }
}

/// Adds to the gradient of the scan's input what it gets through step sizes, B and C.
fn select_backward<T: Real>(
    block: &Block<'_, T>,
    saved: &Saved<T>,
    dweights: &mut [T],
    grads: &mut BlockGrads<T>,
) {
    let Block { isa, slots, tables, .. } = *block;
    let Dims { length, inner, rank, .. } = *block.dims;
    let columns = block.dims.projected();
    let g = grads;
    let dbias = slots.dt_bias.of_mut(dweights);
    activation::softplus_backward(isa, &saved.dt_slope, &mut g.dt, dbias);
    let ddt = MatRef::new(&*g.dt, length, inner);
    let low_rank = MatRef::strided(&*saved.projected, length, rank, columns);
    linear::add_weight(isa, ddt, low_rank, slots.dt_weight.of_mut(dweights));
    let dlow_rank = MatMut::strided(&mut *g.projected, length, rank, columns);
    tables.dt_proj.back(Target::Replace, ddt, dlow_rank);
    let dprojected = MatRef::new(&*g.projected, length, columns);
    let u = MatRef::new(&*saved.u, length, inner);
    linear::add_weight(isa, dprojected, u, slots.x_proj.of_mut(dweights));
    let du = MatMut::new(&mut *g.u, length, inner);
    tables.x_proj.back(Target::Add, dprojected, du);
}

/// From the branch and the gate to the normalised input.
fn project_backward<T: Real>(
    block: &Block<'_, T>,
    saved: &Saved<T>,
    dweights: &mut [T],
    grads: &mut BlockGrads<T>,
) {
    let Block { isa, slots, tables, .. } = *block;
    let Dims { length, width, inner, .. } = *block.dims;
    let normed = MatRef::new(&*saved.normed, length, width);
    let dbranch = MatRef::strided(&*grads.both, length, inner, block.dims.stride());
    linear::add_weight(isa, dbranch, normed, slots.in_branch().of_mut(dweights));
    let dnormed = MatMut::new(&mut *grads.normed, length, width);
    tables.in_branch.back(Target::Replace, dbranch, dnormed);
    // The last block's gate has a single time step.
    let (rows, at) = (length - block.first(), block.first() * width);
    let dgate = block.gate(&grads.both);
    let normed = MatRef::new(&saved.normed[at..], rows, width);
    linear::add_weight(isa, dgate, normed, slots.in_gate().of_mut(dweights));
    let dnormed = MatMut::new(&mut grads.normed[at..], rows, width);
    tables.in_gate.back(Target::Add, dgate, dnormed);
}
