//! The scan itself.

use super::{CHUNK, Inputs, Rates, Sizes, Step, Tile, both, product};
use crate::simd::{Kernel, Pair, Simd};
use crate::{Buffer, Isa, Real};

/// The states that [`forward`] works on, and those that it keeps for [`super::backward`].
#[derive(Debug, Clone)]
pub struct States<T> {
    /// Of one tile: (states, channels of a tile).
    current: Buffer<T>,
    /// Those before each chunk: (chunks, tiles, states, channels of a tile); empty where no
    /// backward pass follows.
    pub(super) kept: Buffer<T>,
}

impl<T: Real> States<T> {
    /// Room for scans of these sizes; the backward pass can follow only with `keep`.
    #[must_use]
    pub fn new(isa: Isa, sizes: Sizes, keep: bool) -> Self {
        let chunks = if keep { sizes.length.div_ceil(CHUNK) } else { 0 };
        Self {
            current: Buffer::zeros(Sizes::width::<T>(isa) * sizes.states),
            kept: Buffer::zeros(chunks * sizes.per_channel::<T>(isa) * sizes.states),
        }
    }
}

/// Writes `y` (length, channels).
///
/// # Panics
/// When a length does not fit.
pub fn forward<T: Real>(
    sizes: Sizes,
    inputs: &Inputs<'_, T>,
    rates: &Rates<T>,
    y: &mut [T],
    states: &mut States<T>,
) {
    sizes.check(inputs);
    rates.check(sizes);
    assert_eq!(y.len(), inputs.u.len());
    assert_eq!(states.current.len(), Sizes::width::<T>(rates.isa) * sizes.states);
    let chunks = sizes.length.div_ceil(CHUNK);
    assert!(states.kept.is_empty() || states.kept.len() == chunks * rates.values.len());
    T::dispatch(rates.isa, Forward { sizes, inputs, rates, y, states });
}

struct Forward<'a, T> {
    sizes: Sizes,
    inputs: &'a Inputs<'a, T>,
    rates: &'a Rates<T>,
    y: &'a mut [T],
    states: &'a mut States<T>,
}

impl<T: Real> Kernel<T> for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(self, s: S) {
        let Sizes { length, channels, states } = self.sizes;
        let state = s.pairs_mut(&mut self.states.current);
        let kept = s.pairs_mut(&mut self.states.kept);
        let rates = s.pairs(&self.rates.values);
        for (index, rates) in rates.chunks_exact(states).enumerate() {
            let tile = Tile::new(s, channels, index);
            let d = tile.load(self.inputs.d, 0);
            state.fill(both(|_| s.zero()));
            for t in 0..length {
                if t % CHUNK == 0 && !kept.is_empty() {
                    let at = t / CHUNK * self.rates.values.len() / (2 * S::LANES) + index * states;
                    kept[at..at + states].copy_from_slice(state);
                }
                let Step { u, dt, drive } = tile.step(self.inputs, t);
                let start = product(s, d, u);
                let weights = self.inputs.b_and_c(t);
                let out = if self.rates.bounded(s, index, dt) {
                    step::<_, true>(s, dt, drive, weights, rates, state, start)
                } else {
                    step::<_, false>(s, dt, drive, weights, rates, state, start)
                };
                tile.store(out, self.y, t);
            }
        }
    }
}

/// Moves a tile's states one step on, and adds their part of the output to `y`.
#[inline(always)]
fn step<S: Simd, const BOUNDED: bool>(
    s: S,
    dt: Pair<S>,
    drive: Pair<S>,
    (b, c): (&[S::Element], &[S::Element]),
    rates: &[Pair<S>],
    state: &mut [Pair<S>],
    mut y: Pair<S>,
) -> Pair<S> {
    for ((h, a), (b, c)) in state.iter_mut().zip(rates).zip(b.iter().zip(c)) {
        let (b, c) = (s.splat(*b), s.splat(*c));
        for k in 0..2 {
            let decay = s.decay::<BOUNDED>(dt[k], a[k]);
            h[k] = s.mul_add(decay, h[k], s.mul(drive[k], b));
            y[k] = s.mul_add(c, h[k], y[k]);
        }
    }
    y
}
