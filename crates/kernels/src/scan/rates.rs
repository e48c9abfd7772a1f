//! The decay rates A in the order that the scan reads them in.

use super::Sizes;
use crate::simd::{Pair, Simd};
use crate::{Buffer, Isa, Real};

/// `A / ln 2`, so that decay is a power of 2: (tiles, states, channels of a tile).
#[derive(Debug, Clone)]
pub struct Rates<T> {
    pub(super) isa: Isa,
    pub(super) values: Buffer<T>,
    /// The largest step size of each channel whose decay is computed without a bound:
    /// (channels of the tiles).
    limits: Buffer<T>,
    channels: usize,
    states: usize,
    width: usize,
}

/// The gradient of A in the same order, summed over any number of scans.
#[derive(Debug, Clone)]
pub struct RatesGrad<T> {
    pub(super) values: Buffer<T>,
}

impl<T: Real> Rates<T> {
    /// Room for the rates of scans with these sizes, all zero; scans with them use `isa`.
    #[must_use]
    pub fn new(isa: Isa, sizes: Sizes) -> Self {
        let Sizes { channels, states, .. } = sizes;
        let width = Sizes::width::<T>(isa);
        let values = Buffer::zeros(sizes.per_channel::<T>(isa) * states);
        let limits = Buffer::zeros(sizes.per_channel::<T>(isa));
        Self { isa, values, limits, channels, states, width }
    }

    /// Computes the rates from `a_log` (channels, states).
    ///
    /// # Panics
    /// When the length does not fit.
    pub fn set(&mut self, a_log: &[T]) {
        assert_eq!(a_log.len(), self.channels * self.states);
        let scale = T::of(std::f64::consts::LOG2_E);
        for (channel, row) in a_log.chunks_exact(self.states).enumerate() {
            for (n, a_log) in row.iter().enumerate() {
                let at = self.at(channel, n);
                self.values[at] = -a_log.exp() * scale;
            }
            let least = (0..self.states).map(|n| self.values[self.at(channel, n)]);
            let least = least.fold(T::ZERO, |least, rate| if rate < least { rate } else { least });
            self.limits[channel] = T::DECAY_MIN / least;
        }
    }

    /// Where the rate of a channel and a state lies.
    fn at(&self, channel: usize, n: usize) -> usize {
        let (tile, lane) = (channel / self.width, channel % self.width);
        (tile * self.states + n) * self.width + lane
    }

    /// Whether no state of a tile decays so much in a step of size `dt` that it needs the bound.
    #[inline(always)]
    pub(super) fn bounded<S: Simd<Element = T>>(&self, s: S, tile: usize, dt: Pair<S>) -> bool {
        let limits = s.pairs(&self.limits)[tile];
        s.all_within(dt[0], limits[0]) && s.all_within(dt[1], limits[1])
    }

    /// Panics unless the rates are for scans with these sizes.
    pub(super) fn check(&self, sizes: Sizes) {
        assert_eq!((self.channels, self.states), (sizes.channels, sizes.states));
    }
}

impl<T: Real> RatesGrad<T> {
    /// Zeros, for rates of the same sizes.
    #[must_use]
    pub fn new(rates: &Rates<T>) -> Self {
        Self { values: Buffer::zeros(rates.values.len()) }
    }

    /// Adds the sum so far to the gradient of `A_log` (channels, states), and starts again from
    /// zero.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn drain(&mut self, rates: &Rates<T>, a_log: &mut [T]) {
        assert!(self.values.len() == rates.values.len());
        assert_eq!(a_log.len(), rates.channels * rates.states);
        let scale = T::of(std::f64::consts::LN_2);
        for (channel, row) in a_log.chunks_exact_mut(rates.states).enumerate() {
            for (n, grad) in row.iter_mut().enumerate() {
                let at = rates.at(channel, n);
                // A by its logarithm is A itself.
                *grad += self.values[at] * rates.values[at] * scale;
            }
        }
        self.values.fill(T::ZERO);
    }
}
