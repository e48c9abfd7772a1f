//! The selective scan (Gu & Dao 2023, arXiv:2312.00752, section 3), for one sequence.
//!
//! Per channel d and state n, with `A = -exp(A_log)`:
//!
//! ```text
//! h_t[d, n] = exp(dt_t[d] A[d, n]) h_{t-1}[d, n] + dt_t[d] B_t[n] u_t[d]
//! y_t[d]    = sum over n of C_t[n] h_t[d, n] + D[d] u_t[d]
//! ```
//!
//! Channels lie in the lanes, so that `y` needs no sum across lanes and any number of states fits.
//! They are taken in tiles of two vectors, whose states stay in the first-level cache. Channels
//! missing in the last tile are zeros that nothing reads.
//!
//! The forward pass keeps the states before every [`CHUNK`]-th step only; the backward pass
//! computes the others again, chunk by chunk. Where only the output of the last step is wanted,
//! as in a model's last layer, [`last`] needs neither.

mod backward;
mod forward;
pub mod last;
mod rates;

pub use backward::{Grads, Scratch, backward};
pub use forward::{States, forward};
pub use rates::{Rates, RatesGrad};

use crate::gemm::MatRef;
use crate::simd::{Pair, Simd};
use crate::{Isa, Real};

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

/// What a scan reads, apart from A.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a, T> {
    /// Input: (length, channels).
    pub u: &'a [T],
    /// Step sizes, positive: (length, channels).
    pub dt: &'a [T],
    /// B and C side by side: (length, 2 states).
    pub bc: MatRef<'a, T>,
    /// Weights of the direct path: (channels).
    pub d: &'a [T],
}

impl Sizes {
    /// Channels of a tile.
    fn width<T: Real>(isa: Isa) -> usize {
        2 * T::lanes(isa)
    }

    /// Tiles that cover the channels.
    fn tiles<T: Real>(self, isa: Isa) -> usize {
        self.channels.div_ceil(Self::width::<T>(isa))
    }

    /// Elements that hold one number per channel of each tile.
    fn per_channel<T: Real>(self, isa: Isa) -> usize {
        self.tiles::<T>(isa) * Self::width::<T>(isa)
    }

    /// Panics unless the inputs have these sizes.
    fn check<T>(self, inputs: &Inputs<'_, T>) {
        let Self { length, channels, states } = self;
        assert!(inputs.u.len() == length * channels && inputs.dt.len() == inputs.u.len());
        assert!(inputs.bc.rows() == length && inputs.bc.cols() == 2 * states);
        assert!(inputs.d.len() == channels && length > 0 && channels > 0 && states > 0);
    }
}

impl<T> Inputs<'_, T> {
    /// B and C at step `t`.
    #[inline(always)]
    fn b_and_c(&self, t: usize) -> (&[T], &[T]) {
        let row = self.bc.row(t);
        row.split_at(row.len() / 2)
    }
}

/// The channels of one tile.
#[derive(Clone, Copy)]
struct Tile<S> {
    s: S,
    index: usize,
    channels: usize,
    first: usize,
    end: usize,
}

/// A tile's inputs at one step.
struct Step<S: Simd> {
    u: Pair<S>,
    dt: Pair<S>,
    /// Their product, which drives the states.
    drive: Pair<S>,
}

impl<S: Simd> Tile<S> {
    #[inline(always)]
    fn new(s: S, channels: usize, index: usize) -> Self {
        let first = index * 2 * S::LANES;
        Self { s, index, channels, first, end: channels.min(first + 2 * S::LANES) }
    }

    /// Where this tile's states lie among those of all tiles.
    #[inline(always)]
    fn states(&self, states: usize) -> std::ops::Range<usize> {
        self.index * states..(self.index + 1) * states
    }

    /// This tile's inputs at step `t`.
    #[inline(always)]
    fn step(&self, inputs: &Inputs<'_, S::Element>, t: usize) -> Step<S> {
        let (u, dt) = (self.load(inputs.u, t), self.load(inputs.dt, t));
        Step { u, dt, drive: product(self.s, dt, u) }
    }

    /// This tile's part of row `t` of a (rows, channels) slice.
    #[inline(always)]
    fn load(&self, from: &[S::Element], t: usize) -> Pair<S> {
        self.s.load_pair(&from[t * self.channels + self.first..t * self.channels + self.end])
    }

    /// Writes this tile's part of row `t` of a (rows, channels) slice.
    #[inline(always)]
    fn store(&self, pair: Pair<S>, to: &mut [S::Element], t: usize) {
        let part = &mut to[t * self.channels + self.first..t * self.channels + self.end];
        self.s.store_pair(pair, part);
    }
}

/// `f` of both vectors.
#[inline(always)]
fn both<V>(f: impl Fn(usize) -> V) -> [V; 2] {
    [f(0), f(1)]
}

/// The product of two pairs.
#[inline(always)]
fn product<S: Simd>(s: S, a: Pair<S>, b: Pair<S>) -> Pair<S> {
    both(|k| s.mul(a[k], b[k]))
}
