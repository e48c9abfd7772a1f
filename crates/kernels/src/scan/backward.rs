//! The scan's gradients.

use super::{CHUNK, Inputs, Rates, RatesGrad, Sizes, States, Step, Tile, both};
use crate::gemm::MatMut;
use crate::simd::{Kernel, Pair, Simd};
use crate::{Buffer, Isa, Real};

/// Where a scan's gradients go.
#[derive(Debug)]
pub struct Grads<'a, T> {
    /// Of the input: (length, channels); written.
    pub u: &'a mut [T],
    /// Of the step sizes: (length, channels); written.
    pub dt: &'a mut [T],
    /// Of B and C side by side: (length, 2 states); written.
    pub bc: MatMut<'a, T>,
    /// Of A; added to.
    pub rates: &'a mut RatesGrad<T>,
    /// Of the direct path's weights: (channels); added to.
    pub d: &'a mut [T],
}

/// Room that the backward pass works in. A tile's part of what has one vector per channel is a
/// pair.
#[derive(Debug, Clone)]
pub struct Scratch<T> {
    /// Gradient of the states after the current step: (tiles, states).
    pub(super) adjoint: Buffer<T>,
    /// States before and after each step of a tile's chunk: (CHUNK + 1, states).
    states: Buffer<T>,
    /// Decay factors of each step of a tile's chunk: (CHUNK, states).
    pub(super) decays: Buffer<T>,
    /// Gradients of B and of C before they are summed over the lanes: (CHUNK, states), in the
    /// lanes of a single vector.
    pub(super) b: Buffer<T>,
    c: Buffer<T>,
    /// Gradient of D: (tiles).
    d: Buffer<T>,
    /// For [`super::last`]: time from each step to the last, and the gradients of `dt` before
    /// they are summed over time.
    pub(super) rest: Buffer<T>,
    pub(super) through: Buffer<T>,
}

impl<T: Real> Scratch<T> {
    /// Room for scans of these sizes.
    #[must_use]
    pub fn new(isa: Isa, sizes: Sizes) -> Self {
        let Sizes { length, states, .. } = sizes;
        let (width, all) = (Sizes::width::<T>(isa), sizes.per_channel::<T>(isa));
        Self {
            adjoint: Buffer::zeros(all * states),
            states: Buffer::zeros((CHUNK + 1) * states * width),
            decays: Buffer::zeros(CHUNK * states * width),
            b: Buffer::zeros(CHUNK * states * width),
            c: Buffer::zeros(CHUNK * states * width),
            d: Buffer::zeros(all),
            rest: Buffer::zeros(all),
            through: Buffer::zeros(length * all),
        }
    }
}

impl<T: Real> Grads<'_, T> {
    /// Panics unless the gradients have these sizes.
    pub(super) fn check(&self, sizes: Sizes, rates: &Rates<T>) {
        let Sizes { length, channels, states } = sizes;
        assert!(self.u.len() == length * channels && self.dt.len() == self.u.len());
        assert!(self.bc.rows() == length && self.bc.cols() == 2 * states);
        assert!(self.rates.values.len() == rates.values.len() && self.d.len() == channels);
    }
}

/// Gradients of [`super::forward`], given that of its output, `dy` (length, channels), and the
/// states it kept.
///
/// # Panics
/// When a length does not fit, or `states` or `scratch` was made for something else.
pub fn backward<T: Real>(
    sizes: Sizes,
    inputs: &Inputs<'_, T>,
    rates: &Rates<T>,
    states: &States<T>,
    dy: &[T],
    mut grads: Grads<'_, T>,
    scratch: &mut Scratch<T>,
) {
    sizes.check(inputs);
    rates.check(sizes);
    grads.check(sizes, rates);
    assert_eq!(dy.len(), inputs.u.len());
    assert_eq!(states.kept.len(), sizes.length.div_ceil(CHUNK) * rates.values.len());
    assert_eq!(scratch.adjoint.len(), rates.values.len());
    let kept = &states.kept;
    T::dispatch(rates.isa, Backward { sizes, inputs, rates, kept, dy, grads: &mut grads, scratch });
}

struct Backward<'a, 'b, T> {
    sizes: Sizes,
    inputs: &'a Inputs<'a, T>,
    rates: &'a Rates<T>,
    kept: &'a [T],
    dy: &'a [T],
    grads: &'a mut Grads<'b, T>,
    scratch: &'a mut Scratch<T>,
}

impl<T: Real> Kernel<T> for Backward<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(mut self, s: S) {
        let Sizes { length, channels, states } = self.sizes;
        self.scratch.adjoint.fill(T::ZERO);
        self.scratch.d.fill(T::ZERO);
        for start in (0..length).step_by(CHUNK).rev() {
            let end = length.min(start + CHUNK);
            self.scratch.b.fill(T::ZERO);
            self.scratch.c.fill(T::ZERO);
            for index in 0..self.rates.values.len() / (2 * S::LANES * states) {
                self.tile(s, index, start..end);
            }
            for t in start..end {
                let row = self.grads.bc.row_mut(t);
                let (b, c) = row.split_at_mut(states);
                let at = (t - start) * states;
                add_up(s, &self.scratch.b, at, b);
                add_up(s, &self.scratch.c, at, c);
            }
        }
        for (grad, sum) in self.grads.d[..channels].iter_mut().zip(self.scratch.d.iter()) {
            *grad += *sum;
        }
    }
}

/// Sums over the lanes of the vectors from the `first` on.
#[inline(always)]
pub(super) fn add_up<S: Simd>(s: S, from: &[S::Element], first: usize, to: &mut [S::Element]) {
    let vectors = from[first * S::LANES..].chunks_exact(S::LANES);
    for (sum, vector) in to.iter_mut().zip(vectors) {
        *sum = s.total(s.load(vector));
    }
}

/// What the steps of a tile share on the way back.
pub(super) struct Shared<'a, S: Simd> {
    pub(super) s: S,
    pub(super) rates: &'a [Pair<S>],
    pub(super) rates_grad: &'a mut [Pair<S>],
    pub(super) adjoint: &'a mut [Pair<S>],
}

impl<'a, T: Real, S: Simd<Element = T>> Shared<'a, S> {
    /// A tile's part of each.
    #[inline(always)]
    pub(super) fn new(
        tile: Tile<S>,
        states: usize,
        rates: &'a Rates<T>,
        rates_grad: &'a mut RatesGrad<T>,
        adjoint: &'a mut [T],
    ) -> Self {
        let (s, part) = (tile.s, tile.states(states));
        Self {
            s,
            rates: &s.pairs(&rates.values)[part.clone()],
            rates_grad: &mut s.pairs_mut(&mut rates_grad.values)[part.clone()],
            adjoint: &mut s.pairs_mut(adjoint)[part],
        }
    }
}

impl<T: Real> Backward<'_, '_, T> {
    /// Takes a tile's adjoint through a chunk.
    #[inline(always)]
    fn tile<S: Simd<Element = T>>(&mut self, s: S, index: usize, steps: std::ops::Range<usize>) {
        let Sizes { channels, states, .. } = self.sizes;
        let tile = Tile::new(s, channels, index);
        let rates = &s.pairs(&self.rates.values)[tile.states(states)];
        let all = self.rates.values.len() / (2 * S::LANES);
        let kept = &s.pairs(self.kept)[steps.start / CHUNK * all..][tile.states(states)];
        let (h, decays) =
            (s.pairs_mut(&mut self.scratch.states), s.pairs_mut(&mut self.scratch.decays));
        h[..states].copy_from_slice(kept);
        for (at, t) in steps.clone().enumerate() {
            let Step { dt, drive, .. } = tile.step(self.inputs, t);
            let (past, next) = h[at * states..][..2 * states].split_at_mut(states);
            let decays = &mut decays[at * states..][..states];
            let (b, _) = self.inputs.b_and_c(t);
            if self.rates.bounded(s, index, dt) {
                recompute::<_, true>(s, dt, drive, b, rates, past, next, decays);
            } else {
                recompute::<_, false>(s, dt, drive, b, rates, past, next, decays);
            }
        }
        let mut shared =
            Shared::new(tile, states, self.rates, self.grads.rates, &mut self.scratch.adjoint);
        let d = tile.load(self.inputs.d, 0);
        let d_grad = &mut s.pairs_mut(&mut self.scratch.d)[index];
        for (at, t) in steps.enumerate().rev() {
            let Step { u, dt, drive } = tile.step(self.inputs, t);
            let dy = tile.load(self.dy, t);
            let lanes = at * states * S::LANES..(at + 1) * states * S::LANES;
            let step = Back {
                dt,
                dy,
                drive,
                past: &h[at * states..][..states],
                next: &h[(at + 1) * states..][..states],
                decays: &decays[at * states..][..states],
                weights: self.inputs.b_and_c(t),
                b_grads: &mut self.scratch.b[lanes.clone()],
                c_grads: &mut self.scratch.c[lanes],
            };
            let (d_drive, d_dt) = shared.back(step);
            *d_grad = both(|k| s.mul_add(dy[k], u[k], d_grad[k]));
            let du = both(|k| s.mul_add(d_drive[k], dt[k], s.mul(d[k], dy[k])));
            let ln_2 = s.splat(T::of(std::f64::consts::LN_2));
            let ddt = both(|k| s.mul_add(d_drive[k], u[k], s.mul(d_dt[k], ln_2)));
            tile.store(du, self.grads.u, t);
            tile.store(ddt, self.grads.dt, t);
        }
    }
}

/// Fills in the states after a step, and the decay factors of that step.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "each is a stream of the innermost loop")]
fn recompute<S: Simd, const BOUNDED: bool>(
    s: S,
    dt: Pair<S>,
    drive: Pair<S>,
    b: &[S::Element],
    rates: &[Pair<S>],
    past: &[Pair<S>],
    next: &mut [Pair<S>],
    decays: &mut [Pair<S>],
) {
    let moves = past.iter().zip(next).zip(decays.iter_mut());
    for (((past, next), slot), (a, b)) in moves.zip(rates.iter().zip(b)) {
        let b = s.splat(*b);
        for k in 0..2 {
            let decay = s.decay::<BOUNDED>(dt[k], a[k]);
            slot[k] = decay;
            next[k] = s.mul_add(decay, past[k], s.mul(drive[k], b));
        }
    }
}

/// What one step of a tile reads and writes on the way back.
struct Back<'a, S: Simd> {
    dt: Pair<S>,
    dy: Pair<S>,
    drive: Pair<S>,
    past: &'a [Pair<S>],
    next: &'a [Pair<S>],
    decays: &'a [Pair<S>],
    weights: (&'a [S::Element], &'a [S::Element]),
    b_grads: &'a mut [S::Element],
    c_grads: &'a mut [S::Element],
}

impl<S: Simd> Shared<'_, S> {
    /// Takes the adjoint one step back. Returns the gradients of `dt * u`, and of `dt` through the
    /// decay in units of ln 2.
    #[inline(always)]
    fn back(&mut self, step: Back<'_, S>) -> (Pair<S>, Pair<S>) {
        let s = self.s;
        let (mut d_drive, mut d_dt) = (both(|_| s.zero()), both(|_| s.zero()));
        let states = step.past.iter().zip(step.next).zip(step.decays);
        let shared = self.adjoint.iter_mut().zip(self.rates).zip(self.rates_grad.iter_mut());
        let lanes = step.b_grads.chunks_exact_mut(S::LANES);
        let lanes = lanes.zip(step.c_grads.chunks_exact_mut(S::LANES));
        let weights = step.weights.0.iter().zip(step.weights.1);
        for (((states, shared), lanes), (b, c)) in states.zip(shared).zip(lanes).zip(weights) {
            let (((past, next), decay), ((adjoint, rate), rate_grad)) = (states, shared);
            let (b, c) = (s.splat(*b), s.splat(*c));
            let (mut b_sum, mut c_sum) = (s.load(lanes.0), s.load(lanes.1));
            for k in 0..2 {
                let g = s.mul_add(c, step.dy[k], adjoint[k]);
                c_sum = s.mul_add(step.dy[k], next[k], c_sum);
                b_sum = s.mul_add(g, step.drive[k], b_sum);
                d_drive[k] = s.mul_add(g, b, d_drive[k]);
                let carried = s.flushed(s.mul(g, decay[k]));
                adjoint[k] = carried;
                let through = s.mul(carried, past[k]);
                d_dt[k] = s.mul_add(through, rate[k], d_dt[k]);
                rate_grad[k] = s.mul_add(through, step.dt[k], rate_grad[k]);
            }
            s.store(b_sum, lanes.0);
            s.store(c_sum, lanes.1);
        }
        (d_drive, d_dt)
    }
}
