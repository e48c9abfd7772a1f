//! The block's output.

use mambafleet_kernels::gemm::{MatMut, MatRef, Target};
use mambafleet_kernels::{Real, activation, conv, norm, scan};

use super::{Block, Saved, States};
use crate::dims::Dims;

/// Adds the block's contribution to `stream` (length, width); the last block adds to the last
/// time step only.
pub(crate) fn forward<T: Real>(block: &Block<'_, T>, stream: &mut [T], saved: &mut Saved<T>) {
    let Block { isa, slots, weights, .. } = *block;
    let Dims { length, width, inner, .. } = *block.dims;
    let (s, first) = (saved, block.first());
    s.x.copy_from_slice(stream);
    norm::forward(isa, stream, slots.norm.of(weights), &mut s.normed, &mut s.inv_rms);
    project(block, s);
    conv::forward(isa, &block.conv_inputs(&s.both), &mut s.u, &mut s.u_logistic);
    select(block, s);
    let inputs = block.scan_inputs(&s.u, &s.dt, &s.projected);
    let (sizes, rates) = (block.dims.scan(), &block.tables.rates);
    match &mut s.states {
        States::All(states) => scan::forward(sizes, &inputs, rates, &mut s.y, states),
        States::Last(state) => scan::last::forward(sizes, &inputs, rates, &mut s.y, state),
    }
    let gate = block.gate(&s.both);
    activation::gate_forward(isa, &s.y, gate, &mut s.z_logistic, &mut s.gated);
    let gated = MatRef::new(&*s.gated, length - first, inner);
    let stream = MatMut::new(&mut stream[first * width..], length - first, width);
    block.tables.out_proj.apply(Target::Add, gated, stream);
}

/// Computes the branch and the gate, of which the last block needs the last time step only.
fn project<T: Real>(block: &Block<'_, T>, s: &mut Saved<T>) {
    let Dims { length, width, inner, .. } = *block.dims;
    let (first, tables, stride) = (block.first(), block.tables, block.dims.stride());
    let normed = MatRef::new(&*s.normed, length, width);
    let branch = MatMut::strided(&mut *s.both, length, inner, stride);
    tables.in_branch.apply(Target::Replace, normed, branch);
    let normed = MatRef::new(&s.normed[first * width..], length - first, width);
    let gate = &mut s.both[first * stride + inner..];
    let gate = MatMut::strided(gate, length - first, inner, stride);
    tables.in_gate.apply(Target::Replace, normed, gate);
}

/// Computes step sizes, B and C from the scan's input: what makes the scan selective.
fn select<T: Real>(block: &Block<'_, T>, s: &mut Saved<T>) {
    let Dims { length, inner, rank, .. } = *block.dims;
    let (tables, columns) = (block.tables, block.dims.projected());
    let projected = MatMut::new(&mut *s.projected, length, columns);
    tables.x_proj.apply(Target::Replace, MatRef::new(&*s.u, length, inner), projected);
    let low_rank = MatRef::strided(&*s.projected, length, rank, columns);
    let bias = block.slots.dt_bias.of(block.weights);
    tables.dt_proj.apply_with_bias(low_rank, bias, &mut s.dt_slope);
    activation::softplus_forward(block.isa, &mut s.dt_slope, &mut s.dt);
}
