//! The selective scan (Gu & Dao 2023, arXiv:2312.00752, section 3), for one sequence.
//!
//! Per channel d and state n, with `A = -exp(A_log)`:
//!
//! ```text
//! h_t[d, n] = exp(dt_t[d] A[d, n]) h_{t-1}[d, n] + dt_t[d] B_t[n] u_t[d]
//! y_t[d]    = sum over n of C_t[n] h_t[d, n] + D[d] u_t[d]
//! ```
//!
//! Channels are taken in tiles of [`LANES`] and each tile goes through all of time before the
//! next, so that its states stay in the first-level cache; the innermost loop runs over the
//! tile's channels, which need no sum across lanes for `y`. Channels missing in the last tile are
//! zeros that nothing reads.
//!
//! The forward pass keeps the states of every [`CHUNK`]-th step only; the backward pass computes
//! the others again, chunk by chunk.

mod backward;
mod forward;

pub use backward::{Grads, Scratch, backward};
pub use forward::{checkpoints_len, forward};

use crate::Real;
use crate::lanes::{LANES, Lanes, load};

/// Steps from one kept state to the next.
pub const CHUNK: usize = 8;

/// Sizes of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Time steps.
    pub length: usize,
    /// Channels (`d_inner`).
    pub channels: usize,
    /// States per channel (`d_state`).
    pub states: usize,
}

/// What a scan reads.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a, T> {
    /// Input: (length, channels).
    pub u: &'a [T],
    /// Step sizes, positive: (length, channels).
    pub dt: &'a [T],
    /// Input weights: (length, states).
    pub b: &'a [T],
    /// Output weights: (length, states).
    pub c: &'a [T],
    /// Logarithm of the negative decay rates: (channels, states).
    pub a_log: &'a [T],
    /// Weights of the direct path: (channels).
    pub d: &'a [T],
}

impl Sizes {
    /// Tiles that cover the channels.
    fn tiles(self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Panics unless the inputs have these sizes.
    fn check<T>(self, inputs: &Inputs<'_, T>) {
        let Self { length, channels, states } = self;
        assert!(inputs.u.len() == length * channels && inputs.dt.len() == inputs.u.len());
        assert!(inputs.b.len() == length * states && inputs.c.len() == inputs.b.len());
        assert!(inputs.a_log.len() == channels * states && inputs.d.len() == channels);
    }
}

/// The channels of one tile, and the inputs as that tile sees them.
#[derive(Clone, Copy)]
struct Tile<'a, T> {
    inputs: &'a Inputs<'a, T>,
    sizes: Sizes,
    first: usize,
    end: usize,
}

impl<'a, T: Real> Tile<'a, T> {
    fn new(inputs: &'a Inputs<'a, T>, sizes: Sizes, index: usize) -> Self {
        let first = index * LANES;
        Self { inputs, sizes, first, end: sizes.channels.min(first + LANES) }
    }

    /// The positions of this tile's channels at step `t` of a (length, channels) slice.
    #[inline(always)]
    fn at(&self, t: usize) -> std::ops::Range<usize> {
        t * self.sizes.channels + self.first..t * self.sizes.channels + self.end
    }

    #[inline(always)]
    fn u(&self, t: usize) -> Lanes<T> {
        load(&self.inputs.u[self.at(t)])
    }

    #[inline(always)]
    fn dt(&self, t: usize) -> Lanes<T> {
        load(&self.inputs.dt[self.at(t)])
    }

    #[inline(always)]
    fn b(&self, t: usize) -> &'a [T] {
        &self.inputs.b[t * self.sizes.states..][..self.sizes.states]
    }

    #[inline(always)]
    fn c(&self, t: usize) -> &'a [T] {
        &self.inputs.c[t * self.sizes.states..][..self.sizes.states]
    }

    #[inline(always)]
    fn d(&self) -> Lanes<T> {
        load(&self.inputs.d[self.first..self.end])
    }

    /// Writes A of this tile to `a` (states). Lanes without a channel have zero.
    fn decay_rates(&self, a: &mut [Lanes<T>]) {
        let states = self.sizes.states;
        let rows = &self.inputs.a_log[self.first * states..self.end * states];
        for (n, group) in a.iter_mut().enumerate() {
            *group = [T::ZERO; LANES];
            for (lane, row) in group.iter_mut().zip(rows.chunks_exact(states)) {
                *lane = -row[n].exp();
            }
        }
    }
}

/// The factor `e^x` by which a state decays, for `x = dt A`. It stays at a small positive number
/// where the state has decayed beyond notice, so that products with it do not become denormal.
#[inline(always)]
fn decay<T: Real>(x: T) -> T {
    let x = if x < T::LN_TINY { T::LN_TINY } else { x };
    x.exp()
}
