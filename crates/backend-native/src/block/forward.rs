//! The block's output.

use mambafleet_kernels::gemm::{MatMut, MatRef, Target};
use mambafleet_kernels::{Real, activation, conv, norm, scan};

use super::{Block, Saved, States};
use crate::dims::Dims;
use crate::linear;

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
    linear::apply(Target::Add, gated, slots.out_proj.of(weights), stream);
}

/// Computes the branch and the gate, of which the last block needs the last time step only.
fn project<T: Real>(block: &Block<'_, T>, s: &mut Saved<T>) {
    let Block { slots, weights, .. } = *block;
    let Dims { length, width, inner, .. } = *block.dims;
    let normed = MatRef::new(&*s.normed, length, width);
    if !block.last {
        let both = MatMut::new(&mut *s.both, length, 2 * inner);
        return linear::apply(Target::Replace, normed, slots.in_proj.of(weights), both);
    }
    let branch = MatMut::strided(&mut *s.both, length, inner, 2 * inner);
    linear::apply(Target::Replace, normed, slots.in_branch().of(weights), branch);
    let normed = MatRef::new(&s.normed[(length - 1) * width..], 1, width);
    let gate = MatMut::new(&mut s.both[(2 * length - 1) * inner..], 1, inner);
    linear::apply(Target::Replace, normed, slots.in_gate().of(weights), gate);
}

/// Computes step sizes, B and C from the scan's input: what makes the scan selective.
fn select<T: Real>(block: &Block<'_, T>, s: &mut Saved<T>) {
    let Block { slots, weights, .. } = *block;
    let Dims { length, inner, rank, .. } = *block.dims;
    let columns = block.dims.projected();
    let projected = MatMut::new(&mut *s.projected, length, columns);
    let u = MatRef::new(&*s.u, length, inner);
    linear::apply(Target::Replace, u, slots.x_proj.of(weights), projected);
    let low_rank = MatRef::strided(&*s.projected, length, rank, columns);
    let (weight, bias) = (slots.dt_weight.of(weights), slots.dt_bias.of(weights));
    linear::apply_with_bias(low_rank, weight, bias, &mut s.dt_slope);
    activation::softplus_forward(block.isa, &mut s.dt_slope, &mut s.dt);
}
