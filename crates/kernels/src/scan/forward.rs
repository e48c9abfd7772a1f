//! The scan itself.

use super::{CHUNK, Inputs, Sizes, Tile, decay};
use crate::Real;
use crate::lanes::{LANES, Lanes, store};

/// Number of groups that hold the states kept for [`super::backward`]: those before each chunk,
/// (tiles, chunks, states).
#[must_use]
pub fn checkpoints_len(sizes: Sizes) -> usize {
    sizes.tiles() * sizes.length.div_ceil(CHUNK) * sizes.states
}

/// Writes `y` (length, channels) and, where `checkpoints` is given, the states kept for the
/// backward pass. `state` and `rates` are room for (states) groups each.
///
/// # Panics
/// When a length does not fit.
pub fn forward<T: Real>(
    sizes: Sizes,
    inputs: &Inputs<'_, T>,
    y: &mut [T],
    mut checkpoints: Option<&mut [Lanes<T>]>,
    state: &mut [Lanes<T>],
    rates: &mut [Lanes<T>],
) {
    sizes.check(inputs);
    assert_eq!(y.len(), inputs.u.len());
    assert!(state.len() == sizes.states && rates.len() == sizes.states);
    let kept = sizes.length.div_ceil(CHUNK) * sizes.states;
    if let Some(checkpoints) = &checkpoints {
        assert_eq!(checkpoints.len(), checkpoints_len(sizes));
    }
    for index in 0..sizes.tiles() {
        let tile = Tile::new(inputs, sizes, index);
        tile.decay_rates(rates);
        state.fill([T::ZERO; LANES]);
        for t in 0..sizes.length {
            if t % CHUNK == 0
                && let Some(checkpoints) = &mut checkpoints
            {
                let at = index * kept + t / CHUNK * sizes.states;
                checkpoints[at..at + sizes.states].copy_from_slice(state);
            }
            let out = step(&tile, t, state, rates);
            store(&mut y[tile.at(t)], out);
        }
    }
}

/// Moves a tile's states one step on and returns its outputs.
#[inline(always)]
fn step<T: Real>(
    tile: &Tile<'_, T>,
    t: usize,
    state: &mut [Lanes<T>],
    rates: &[Lanes<T>],
) -> Lanes<T> {
    let (u, dt, d) = (tile.u(t), tile.dt(t), tile.d());
    let drive: Lanes<T> = std::array::from_fn(|i| dt[i] * u[i]);
    let mut y: Lanes<T> = std::array::from_fn(|i| d[i] * u[i]);
    let weights = tile.b(t).iter().zip(tile.c(t));
    for ((h, a), (b, c)) in state.iter_mut().zip(rates).zip(weights) {
        advance(&dt, a, &drive, *b, *c, h, &mut y);
    }
    y
}

/// Moves one state of each channel one step on and adds its share to the outputs.
#[inline(always)]
fn advance<T: Real>(
    dt: &Lanes<T>,
    a: &Lanes<T>,
    drive: &Lanes<T>,
    b: T,
    c: T,
    h: &mut Lanes<T>,
    y: &mut Lanes<T>,
) {
    for i in 0..LANES {
        let next = decay(dt[i] * a[i]) * h[i] + drive[i] * b;
        h[i] = next;
        y[i] += c * next;
    }
}
