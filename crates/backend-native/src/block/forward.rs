//! The block's output.

use mambafleet_kernels::gemm::{MatMut, MatRef, Target};
use mambafleet_kernels::{LANES, Lanes, Real, activation, conv, norm, scan};

use super::Saved;
use crate::dims::Dims;
use crate::layout::BlockSlots;
use crate::linear;

/// Room for the scan's current states and decay rates.
#[derive(Debug)]
pub(crate) struct ScanRoom<T> {
    state: Vec<Lanes<T>>,
    rates: Vec<Lanes<T>>,
}

impl<T: Real> ScanRoom<T> {
    /// Room for scans of these sizes.
    pub(crate) fn new(dims: &Dims) -> Self {
        let room = vec![[T::ZERO; LANES]; dims.states];
        Self { state: room.clone(), rates: room }
    }
}

/// Adds the block's contribution to `stream` (length, width).
pub(crate) fn forward<T: Real>(
    dims: &Dims,
    slots: &BlockSlots,
    weights: &[T],
    stream: &mut [T],
    saved: &mut Saved<T>,
    room: &mut ScanRoom<T>,
) {
    let Dims { length, width, inner, .. } = *dims;
    let s = saved;
    s.x.copy_from_slice(stream);
    norm::forward(stream, slots.norm.of(weights), &mut s.normed, &mut s.inv_rms);
    let normed = MatRef::new(&s.normed, length, width);
    let branch = MatMut::new(&mut s.branch, length, inner);
    linear::apply(Target::Replace, normed, slots.in_branch.of(weights), branch);
    let z = MatMut::new(&mut s.z, length, inner);
    linear::apply(Target::Replace, normed, slots.in_gate.of(weights), z);
    let (conv_weight, conv_bias) = (slots.conv_weight.of(weights), slots.conv_bias.of(weights));
    conv::forward(&s.branch, conv_weight, conv_bias, &mut s.conv);
    activation::silu_forward(&s.conv, &mut s.scan.u);
    select(dims, slots, weights, s);
    let inputs = s.scan.with(slots, weights);
    let states = s.states.as_deref_mut();
    scan::forward(dims.scan(), &inputs, &mut s.y, states, &mut room.state, &mut room.rates);
    activation::gate_forward(&s.y, &s.z, &mut s.gated);
    let gated = MatRef::new(&s.gated, length, inner);
    let stream = MatMut::new(stream, length, width);
    linear::apply(Target::Add, gated, slots.out_proj.of(weights), stream);
}

/// Computes step sizes, B and C from the scan's input: what makes the scan selective.
fn select<T: Real>(dims: &Dims, slots: &BlockSlots, weights: &[T], s: &mut Saved<T>) {
    let Dims { length, inner, states, rank, .. } = *dims;
    let columns = dims.projected();
    let projected = MatMut::new(&mut s.projected, length, columns);
    let u = MatRef::new(&s.scan.u, length, inner);
    linear::apply(Target::Replace, u, slots.x_proj.of(weights), projected);
    let rows = s.projected.chunks_exact(columns);
    let parts = s.scan.b.chunks_exact_mut(states).zip(s.scan.c.chunks_exact_mut(states));
    for (row, (b, c)) in rows.zip(parts) {
        b.copy_from_slice(&row[rank..rank + states]);
        c.copy_from_slice(&row[rank + states..]);
    }
    let low_rank = MatRef::strided(&s.projected, length, rank, columns);
    let (weight, bias) = (slots.dt_weight.of(weights), slots.dt_bias.of(weights));
    linear::apply_with_bias(low_rank, weight, bias, &mut s.dt_raw);
    activation::softplus_forward(&s.dt_raw, &mut s.scan.dt);
}
