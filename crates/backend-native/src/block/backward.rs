//! The block's gradients.

use mambafleet_kernels::gemm::{MatMut, MatRef, Target};
use mambafleet_kernels::scan::{self, Grads, Scratch};
use mambafleet_kernels::{Real, activation, conv, norm};

use super::{Saved, ScanInputs};
use crate::dims::Dims;
use crate::layout::BlockSlots;
use crate::linear;

/// Room for the gradients inside a block; one serves all blocks.
#[derive(Debug)]
pub(crate) struct BlockGrads<T> {
    /// Of the gated output, then of the scan's output: (length, inner).
    y: Vec<T>,
    /// Of the gate: (length, inner).
    z: Vec<T>,
    /// Of what the scan reads.
    scan: ScanInputs<T>,
    /// Of `x_proj`'s output: (length, rank + 2 states).
    projected: Vec<T>,
    /// Of the branch before the convolution: (length, inner).
    branch: Vec<T>,
    /// Of the normalised input: (length, width).
    normed: Vec<T>,
    /// The scan's own room.
    scratch: Scratch<T>,
}

impl<T: Real> BlockGrads<T> {
    /// Room for blocks of these sizes.
    pub(crate) fn new(dims: &Dims) -> Self {
        let room = |columns: usize| vec![T::ZERO; dims.length * columns];
        Self {
            y: room(dims.inner),
            z: room(dims.inner),
            scan: ScanInputs::new(dims),
            projected: room(dims.projected()),
            branch: room(dims.inner),
            normed: room(dims.width),
            scratch: Scratch::new(dims.scan()),
        }
    }
}

/// Turns `dstream` (length, width) from the gradient of the stream after the block into that
/// before it, and adds the gradients of the weights to `dweights`.
pub(crate) fn backward<T: Real>(
    dims: &Dims,
    slots: &BlockSlots,
    weights: &[T],
    saved: &Saved<T>,
    dstream: &mut [T],
    dweights: &mut [T],
    grads: &mut BlockGrads<T>,
) {
    let Dims { length, width, inner, .. } = *dims;
    let (s, g) = (saved, grads);
    let doutput = MatRef::new(dstream, length, width);
    let gated = MatRef::new(&s.gated, length, inner);
    linear::add_weight(doutput, gated, slots.out_proj.of_mut(dweights));
    let dgated = MatMut::new(&mut g.y, length, inner);
    linear::back(Target::Replace, doutput, slots.out_proj.of(weights), dgated);
    activation::gate_backward(&s.y, &s.z, &mut g.y, &mut g.z);
    scan_backward(dims, slots, weights, s, dweights, g);
    select_backward(dims, slots, weights, s, dweights, g);
    activation::silu_backward(&s.conv, &mut g.scan.u);
    let (dweight, dbias) = slots.conv_weight.and_mut(slots.conv_bias, dweights);
    let weight = slots.conv_weight.of(weights);
    conv::backward(&s.branch, weight, &g.scan.u, &mut g.branch, dweight, dbias);
    let normed = MatRef::new(&s.normed, length, width);
    let halves =
        [(slots.in_branch, &g.branch, Target::Replace), (slots.in_gate, &g.z, Target::Add)];
    for (slot, grad, target) in halves {
        let grad = MatRef::new(grad, length, inner);
        linear::add_weight(grad, normed, slot.of_mut(dweights));
        let dnormed = MatMut::new(&mut g.normed, length, width);
        linear::back(target, grad, slot.of(weights), dnormed);
    }
    let (gain, dgain) = (slots.norm.of(weights), slots.norm.of_mut(dweights));
    norm::backward(&s.x, gain, &s.inv_rms, &g.normed, dstream, dgain);
}

/// Gradients of what the scan reads, from that of its output.
fn scan_backward<T: Real>(
    dims: &Dims,
    slots: &BlockSlots,
    weights: &[T],
    saved: &Saved<T>,
    dweights: &mut [T],
    grads: &mut BlockGrads<T>,
) {
    let (a_log, d) = slots.a_log.and_mut(slots.d, dweights);
    let ScanInputs { u, dt, b, c } = &mut grads.scan;
    let mut targets = Grads { u, dt, b, c, a_log, d };
    let inputs = saved.scan.with(slots, weights);
    let states = saved.states.as_deref().unwrap_or_default();
    scan::backward(dims.scan(), &inputs, states, &grads.y, &mut targets, &mut grads.scratch);
}

/// Adds to the gradient of the scan's input what it gets through step sizes, B and C.
fn select_backward<T: Real>(
    dims: &Dims,
    slots: &BlockSlots,
    weights: &[T],
    saved: &Saved<T>,
    dweights: &mut [T],
    grads: &mut BlockGrads<T>,
) {
    let Dims { length, inner, states, rank, .. } = *dims;
    let columns = dims.projected();
    let g = grads;
    activation::softplus_backward(&saved.dt_raw, &mut g.scan.dt);
    linear::add_bias(&g.scan.dt, slots.dt_bias.of_mut(dweights));
    let ddt = MatRef::new(&g.scan.dt, length, inner);
    let low_rank = MatRef::strided(&saved.projected, length, rank, columns);
    linear::add_weight(ddt, low_rank, slots.dt_weight.of_mut(dweights));
    let dlow_rank = MatMut::strided(&mut g.projected, length, rank, columns);
    linear::back(Target::Replace, ddt, slots.dt_weight.of(weights), dlow_rank);
    let rows = g.projected.chunks_exact_mut(columns);
    let parts = g.scan.b.chunks_exact(states).zip(g.scan.c.chunks_exact(states));
    for (row, (b, c)) in rows.zip(parts) {
        row[rank..rank + states].copy_from_slice(b);
        row[rank + states..].copy_from_slice(c);
    }
    let dprojected = MatRef::new(&g.projected, length, columns);
    let u = MatRef::new(&saved.scan.u, length, inner);
    linear::add_weight(dprojected, u, slots.x_proj.of_mut(dweights));
    let du = MatMut::new(&mut g.scan.u, length, inner);
    linear::back(Target::Add, dprojected, slots.x_proj.of(weights), du);
}
