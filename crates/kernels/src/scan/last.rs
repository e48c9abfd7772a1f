//! The scan where only the output of the last step is wanted.
//!
//! The last state is a sum over the steps, each decayed over the time from there to the end, which
//! needs no state in between:
//!
//! ```text
//! h[d, n] = sum over t of exp(A[d, n] rest_t[d]) dt_t[d] B_t[n] u_t[d]
//! rest_t[d] = sum over s > t of dt_s[d]
//! ```
//!
//! so that the backward pass needs none either.

use super::backward::{Shared, add_up};
use super::{CHUNK, Grads, Inputs, Rates, Scratch, Sizes, Step, Tile, both, product};
use crate::simd::{Kernel, Pair, Simd};
use crate::{Buffer, Isa, Real};

/// The states after the last step: (tiles, states, channels of a tile).
#[derive(Debug, Clone)]
pub struct State<T> {
    values: Buffer<T>,
}

impl<T: Real> State<T> {
    /// Room for scans of these sizes.
    #[must_use]
    pub fn new(isa: Isa, sizes: Sizes) -> Self {
        Self { values: Buffer::zeros(sizes.per_channel::<T>(isa) * sizes.states) }
    }
}

/// Writes the last step's output `y` (channels), and leaves its states in `state`.
///
/// # Panics
/// When a length does not fit.
pub fn forward<T: Real>(
    sizes: Sizes,
    inputs: &Inputs<'_, T>,
    rates: &Rates<T>,
    y: &mut [T],
    state: &mut State<T>,
) {
    sizes.check(inputs);
    rates.check(sizes);
    assert!(y.len() == sizes.channels && state.values.len() == rates.values.len());
    T::dispatch(rates.isa, Forward { sizes, inputs, rates, y, state });
}

struct Forward<'a, T> {
    sizes: Sizes,
    inputs: &'a Inputs<'a, T>,
    rates: &'a Rates<T>,
    y: &'a mut [T],
    state: &'a mut State<T>,
}

impl<T: Real> Kernel<T> for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(self, s: S) {
        let Sizes { length, channels, states } = self.sizes;
        let Inputs { u, d, .. } = *self.inputs;
        let rates = s.pairs(&self.rates.values).chunks_exact(states);
        let state = s.pairs_mut(&mut self.state.values).chunks_exact_mut(states);
        for (index, (rates, state)) in rates.zip(state).enumerate() {
            let tile = Tile::new(s, channels, index);
            state.fill(both(|_| s.zero()));
            for t in 0..length {
                let Step { dt, drive, .. } = tile.step(self.inputs, t);
                let (b, _) = self.inputs.b_and_c(t);
                if self.rates.bounded(s, index, dt) {
                    step::<_, true>(s, dt, drive, b, rates, state);
                } else {
                    step::<_, false>(s, dt, drive, b, rates, state);
                }
            }
            let mut y = product(s, tile.load(d, 0), tile.load(u, length - 1));
            let (_, c) = self.inputs.b_and_c(length - 1);
            for (h, c) in state.iter().zip(c) {
                y = both(|k| s.mul_add(s.splat(*c), h[k], y[k]));
            }
            tile.store(y, self.y, 0);
        }
    }
}

/// Moves a tile's states one step on.
#[inline(always)]
fn step<S: Simd, const BOUNDED: bool>(
    s: S,
    dt: Pair<S>,
    drive: Pair<S>,
    b: &[S::Element],
    rates: &[Pair<S>],
    state: &mut [Pair<S>],
) {
    for ((h, a), b) in state.iter_mut().zip(rates).zip(b) {
        let b = s.splat(*b);
        for k in 0..2 {
            let decay = s.decay::<BOUNDED>(dt[k], a[k]);
            h[k] = s.mul_add(decay, h[k], s.mul(drive[k], b));
        }
    }
}

/// Gradients of [`forward`], given that of its output, `dy` (channels), and the states it left.
///
/// # Panics
/// When a length does not fit, or `state` or `scratch` was made for something else.
pub fn backward<T: Real>(
    sizes: Sizes,
    inputs: &Inputs<'_, T>,
    rates: &Rates<T>,
    state: &State<T>,
    dy: &[T],
    mut grads: Grads<'_, T>,
    scratch: &mut Scratch<T>,
) {
    sizes.check(inputs);
    rates.check(sizes);
    grads.check(sizes, rates);
    assert!(dy.len() == sizes.channels && state.values.len() == rates.values.len());
    assert!(scratch.adjoint.len() == rates.values.len());
    let grads = &mut grads;
    T::dispatch(rates.isa, Backward { sizes, inputs, rates, state, dy, grads, scratch });
}

struct Backward<'a, 'b, T> {
    sizes: Sizes,
    inputs: &'a Inputs<'a, T>,
    rates: &'a Rates<T>,
    state: &'a State<T>,
    dy: &'a [T],
    grads: &'a mut Grads<'b, T>,
    scratch: &'a mut Scratch<T>,
}

impl<T: Real> Kernel<T> for Backward<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(mut self, s: S) {
        let Sizes { length, channels, states } = self.sizes;
        let tiles = self.rates.values.len() / (2 * S::LANES * states);
        self.output(s, tiles);
        self.scratch.rest.fill(T::ZERO);
        for start in (0..length).step_by(CHUNK).rev() {
            let end = length.min(start + CHUNK);
            self.scratch.b.fill(T::ZERO);
            for index in 0..tiles {
                self.tile(s, index, start..end);
            }
            for t in start..end {
                let (b, c) = self.grads.bc.row_mut(t).split_at_mut(states);
                add_up(s, &self.scratch.b, (t - start) * states, b);
                if t + 1 < length {
                    c.fill(T::ZERO);
                }
            }
        }
        // A step's size stretches the time from all steps before it to the end.
        let through = s.pairs(&self.scratch.through);
        for index in 0..tiles {
            let tile = Tile::new(s, channels, index);
            let mut before = both(|_| s.zero());
            for t in 0..length {
                let dt = tile.load(self.grads.dt, t);
                tile.store(both(|k| s.add(dt[k], before[k])), self.grads.dt, t);
                let through = through[t * tiles + index];
                before = both(|k| s.add(before[k], through[k]));
            }
        }
    }
}

impl<T: Real> Backward<'_, '_, T> {
    /// From the output to the last states: leaves their gradient in the adjoint, and writes the
    /// gradients of C and D.
    #[inline(always)]
    fn output<S: Simd<Element = T>>(&mut self, s: S, tiles: usize) {
        let Sizes { length, channels, states } = self.sizes;
        let (_, c) = self.inputs.b_and_c(length - 1);
        let state = s.pairs(&self.state.values);
        let adjoint = s.pairs_mut(&mut self.scratch.adjoint);
        let (_, dc) = self.grads.bc.row_mut(length - 1).split_at_mut(states);
        dc.fill(T::ZERO);
        for index in 0..tiles {
            let tile = Tile::new(s, channels, index);
            let dy = tile.load(self.dy, 0);
            let u = tile.load(self.inputs.u, length - 1);
            let d_grad = tile.load(self.grads.d, 0);
            tile.store(both(|k| s.mul_add(dy[k], u[k], d_grad[k])), self.grads.d, 0);
            for n in 0..states {
                let h = state[index * states + n];
                adjoint[index * states + n] = both(|k| s.flushed(s.mul(s.splat(c[n]), dy[k])));
                dc[n] += s.total(s.mul_add(dy[0], h[0], s.mul(dy[1], h[1])));
            }
        }
    }

    /// The gradients of a tile in a chunk.
    #[inline(always)]
    fn tile<S: Simd<Element = T>>(&mut self, s: S, index: usize, steps: std::ops::Range<usize>) {
        let Sizes { length, channels, states } = self.sizes;
        let tile = Tile::new(s, channels, index);
        let tiles = self.rates.values.len() / (2 * S::LANES * states);
        let mut shared =
            Shared::new(tile, states, self.rates, self.grads.rates, &mut self.scratch.adjoint);
        let rest = &mut s.pairs_mut(&mut self.scratch.rest)[index];
        let through = s.pairs_mut(&mut self.scratch.through);
        let decays = &mut s.pairs_mut(&mut self.scratch.decays)[..states];
        let ln_2 = s.splat(T::of(std::f64::consts::LN_2));
        for (at, t) in steps.enumerate().rev() {
            let Step { u, dt, drive } = tile.step(self.inputs, t);
            let (b, _) = self.inputs.b_and_c(t);
            let lanes = at * states * S::LANES..(at + 1) * states * S::LANES;
            let b_grads = &mut self.scratch.b[lanes];
            let (d_drive, d_rest) = if self.rates.bounded(s, index, *rest) {
                shared.back_from_end::<true>(*rest, drive, b, decays, b_grads)
            } else {
                shared.back_from_end::<false>(*rest, drive, b, decays, b_grads)
            };
            through[t * tiles + index] = both(|k| s.mul(s.mul(d_rest[k], drive[k]), ln_2));
            let mut du = product(s, d_drive, dt);
            if t + 1 == length {
                let (d, dy) = (tile.load(self.inputs.d, 0), tile.load(self.dy, 0));
                du = both(|k| s.mul_add(d[k], dy[k], du[k]));
            }
            tile.store(du, self.grads.u, t);
            tile.store(product(s, d_drive, u), self.grads.dt, t);
            *rest = both(|k| s.add(rest[k], dt[k]));
        }
    }
}

impl<S: Simd> Shared<'_, S> {
    /// The gradients at one step, from which the last is `rest` away: returns that of `dt * u`, and
    /// that of `rest` over `dt * u` in units of ln 2. What each state decays by is computed
    /// beforehand: constants of the one and sums of the other do not fit into the registers.
    #[inline(always)]
    fn back_from_end<const BOUNDED: bool>(
        &mut self,
        rest: Pair<S>,
        drive: Pair<S>,
        b: &[S::Element],
        decays: &mut [Pair<S>],
        b_grads: &mut [S::Element],
    ) -> (Pair<S>, Pair<S>) {
        let s = self.s;
        for (decay, rate) in decays.iter_mut().zip(self.rates) {
            for k in 0..2 {
                decay[k] = s.decay::<BOUNDED>(rest[k], rate[k]);
            }
        }
        let (mut d_drive, mut d_rest) = (both(|_| s.zero()), both(|_| s.zero()));
        let reach = product(s, drive, rest);
        let lanes = b_grads.chunks_exact_mut(S::LANES);
        let shared = self.adjoint.iter().zip(self.rates).zip(self.rates_grad.iter_mut());
        let shared = shared.zip(decays.iter());
        for (((((adjoint, rate), rate_grad), decay), b), lanes) in shared.zip(b).zip(lanes) {
            let b = s.splat(*b);
            let mut b_sum = s.load(lanes);
            for k in 0..2 {
                let g = s.mul(adjoint[k], decay[k]);
                b_sum = s.mul_add(g, drive[k], b_sum);
                let q = s.mul(g, b);
                d_drive[k] = s.add(d_drive[k], q);
                d_rest[k] = s.mul_add(q, rate[k], d_rest[k]);
                rate_grad[k] = s.mul_add(q, reach[k], rate_grad[k]);
            }
            s.store(b_sum, lanes);
        }
        (d_drive, d_rest)
    }
}
