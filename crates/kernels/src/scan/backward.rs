//! The scan's gradients.

use super::{CHUNK, Inputs, Sizes, Tile, checkpoints_len, decay};
use crate::Real;
use crate::lanes::{LANES, Lanes, add_product, load, store, store_added, total};

/// Where a scan's gradients go, in the shapes of [`Inputs`].
#[derive(Debug)]
pub struct Grads<'a, T> {
    /// Of the input; written.
    pub u: &'a mut [T],
    /// Of the step sizes; written.
    pub dt: &'a mut [T],
    /// Of the input weights; written.
    pub b: &'a mut [T],
    /// Of the output weights; written.
    pub c: &'a mut [T],
    /// Of `A_log`; added to.
    pub a_log: &'a mut [T],
    /// Of the direct path's weights; added to.
    pub d: &'a mut [T],
}

/// Room that [`backward`] works in.
#[derive(Debug, Clone)]
pub struct Scratch<T> {
    /// A of a tile: (states).
    rates: Vec<Lanes<T>>,
    /// Gradient of A: (states).
    rates_grad: Vec<Lanes<T>>,
    /// Gradient of the states after the current step: (states).
    adjoint: Vec<Lanes<T>>,
    /// States before and after each step of a chunk: (CHUNK + 1, states).
    states: Vec<Lanes<T>>,
    /// Decay factors of each step of a chunk: (CHUNK, states).
    decays: Vec<Lanes<T>>,
    /// Gradients of B and of C before they are summed over the lanes: (length, states) each.
    b: Vec<Lanes<T>>,
    c: Vec<Lanes<T>>,
}

impl<T: Real> Scratch<T> {
    /// Room for scans of these sizes.
    #[must_use]
    pub fn new(sizes: Sizes) -> Self {
        let room = |count: usize| vec![[T::ZERO; LANES]; count];
        let Sizes { length, states, .. } = sizes;
        Self {
            rates: room(states),
            rates_grad: room(states),
            adjoint: room(states),
            states: room((CHUNK + 1) * states),
            decays: room(CHUNK * states),
            b: room(length * states),
            c: room(length * states),
        }
    }
}

/// Gradients of [`super::forward`], given that of its output, `dy` (length, channels), and the
/// states it kept.
///
/// # Panics
/// When a length does not fit, or `scratch` was made for other sizes.
pub fn backward<T: Real>(
    sizes: Sizes,
    inputs: &Inputs<'_, T>,
    checkpoints: &[Lanes<T>],
    dy: &[T],
    grads: &mut Grads<'_, T>,
    scratch: &mut Scratch<T>,
) {
    sizes.check(inputs);
    assert!(dy.len() == inputs.u.len() && checkpoints.len() == checkpoints_len(sizes));
    assert!(grads.u.len() == dy.len() && grads.dt.len() == dy.len());
    assert!(grads.b.len() == inputs.b.len() && grads.c.len() == inputs.c.len());
    assert!(grads.a_log.len() == inputs.a_log.len() && grads.d.len() == inputs.d.len());
    assert!(scratch.rates.len() == sizes.states && scratch.b.len() == inputs.b.len());
    scratch.b.fill([T::ZERO; LANES]);
    scratch.c.fill([T::ZERO; LANES]);
    let chunks = sizes.length.div_ceil(CHUNK);
    for index in 0..sizes.tiles() {
        let tile = Tile::new(inputs, sizes, index);
        tile.decay_rates(&mut scratch.rates);
        scratch.rates_grad.fill([T::ZERO; LANES]);
        scratch.adjoint.fill([T::ZERO; LANES]);
        let mut d_grad = [T::ZERO; LANES];
        for chunk in (0..chunks).rev() {
            let start = chunk * CHUNK;
            let end = sizes.length.min(start + CHUNK);
            let kept = &checkpoints[(index * chunks + chunk) * sizes.states..][..sizes.states];
            recompute(&tile, start..end, kept, scratch);
            for t in (start..end).rev() {
                let dy = load(&dy[tile.at(t)]);
                add_product(&mut d_grad, dy, tile.u(t));
                let (du, ddt) = step(&tile, t, &dy, scratch);
                store(&mut grads.u[tile.at(t)], du);
                store(&mut grads.dt[tile.at(t)], ddt);
            }
        }
        store_added(&mut grads.d[tile.first..tile.end], d_grad);
        add_rates(&tile, grads.a_log, scratch);
    }
    for (grad, lanes) in grads.b.iter_mut().zip(&scratch.b) {
        *grad = total(*lanes);
    }
    for (grad, lanes) in grads.c.iter_mut().zip(&scratch.c) {
        *grad = total(*lanes);
    }
}

/// Fills in the states and decay factors of a chunk, from the states before it.
fn recompute<T: Real>(
    tile: &Tile<'_, T>,
    steps: std::ops::Range<usize>,
    kept: &[Lanes<T>],
    scratch: &mut Scratch<T>,
) {
    let count = kept.len();
    scratch.states[..count].copy_from_slice(kept);
    for (k, t) in steps.enumerate() {
        let (u, dt) = (tile.u(t), tile.dt(t));
        let drive: Lanes<T> = std::array::from_fn(|i| dt[i] * u[i]);
        let (past, next) = scratch.states[k * count..(k + 2) * count].split_at_mut(count);
        let decays = scratch.decays[k * count..(k + 1) * count].iter_mut();
        let moves = past.iter().zip(next).zip(decays);
        for (((past, next), slot), (a, b)) in moves.zip(scratch.rates.iter().zip(tile.b(t))) {
            for i in 0..LANES {
                let factor = decay(dt[i] * a[i]);
                slot[i] = factor;
                next[i] = factor * past[i] + drive[i] * *b;
            }
        }
    }
}

/// Takes the adjoint one step back. Returns the gradients of `u` and of `dt` at that step.
#[inline(always)]
fn step<T: Real>(
    tile: &Tile<'_, T>,
    t: usize,
    dy: &Lanes<T>,
    scratch: &mut Scratch<T>,
) -> (Lanes<T>, Lanes<T>) {
    let count = tile.sizes.states;
    let (u, dt, d) = (tile.u(t), tile.dt(t), tile.d());
    let drive: Lanes<T> = std::array::from_fn(|i| dt[i] * u[i]);
    let (past, next) = scratch.states[t % CHUNK * count..][..2 * count].split_at(count);
    let decays = &scratch.decays[t % CHUNK * count..][..count];
    let (b, c) = (tile.b(t), tile.c(t));
    let b_grads = &mut scratch.b[t * count..][..count];
    let c_grads = &mut scratch.c[t * count..][..count];
    let rates = &scratch.rates[..count];
    let rates_grad = &mut scratch.rates_grad[..count];
    let adjoint = &mut scratch.adjoint[..count];
    // Gradients of dt * u and of dt through the decay.
    let (mut d_drive, mut d_dt) = ([T::ZERO; LANES], [T::ZERO; LANES]);
    for n in 0..count {
        for i in 0..LANES {
            let g = adjoint[n][i] + c[n] * dy[i];
            c_grads[n][i] += dy[i] * next[n][i];
            b_grads[n][i] += g * drive[i];
            d_drive[i] += g * b[n];
            let carried = (g * decays[n][i]).flushed();
            adjoint[n][i] = carried;
            let through_decay = carried * past[n][i];
            d_dt[i] += through_decay * rates[n][i];
            rates_grad[n][i] += through_decay * dt[i];
        }
    }
    let du = std::array::from_fn(|i| d[i] * dy[i] + d_drive[i] * dt[i]);
    let ddt = std::array::from_fn(|i| d_dt[i] + d_drive[i] * u[i]);
    (du, ddt)
}

/// Adds a tile's gradient of A to that of `A_log`: their ratio is A itself.
fn add_rates<T: Real>(tile: &Tile<'_, T>, grad: &mut [T], scratch: &Scratch<T>) {
    let states = tile.sizes.states;
    let rows = grad[tile.first * states..tile.end * states].chunks_exact_mut(states);
    for (lane, row) in rows.enumerate() {
        for (n, grad) in row.iter_mut().enumerate() {
            *grad += scratch.rates_grad[n][lane] * scratch.rates[n][lane];
        }
    }
}
