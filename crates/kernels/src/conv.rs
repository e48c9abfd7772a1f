//! Causal depthwise convolution along time.
//!
//! One sequence at a time: `x` and `y` are (length, channels), `weight` is (channels, 1, taps) as
//! in the reference implementation, `bias` is (channels). The last tap falls on the current step,
//! the one before on the step before; steps before the first count as zero.

use crate::Real;
use crate::lanes::{LANES, Lanes, add_product, load, store, store_added};

/// The weights of one tap for a group of channels that starts at `first`.
#[inline(always)]
fn tap_weights<T: Real>(weight: &[T], taps: usize, first: usize, tap: usize) -> Lanes<T> {
    let mut group = [T::ZERO; LANES];
    let columns = weight[first * taps..].iter().skip(tap).step_by(taps);
    for (lane, weight) in group.iter_mut().zip(columns) {
        *lane = *weight;
    }
    group
}

/// Length and taps that the slices' lengths imply.
fn sizes<T>(x: &[T], weight: &[T], channels: usize) -> (usize, usize) {
    assert!(channels > 0 && x.len().is_multiple_of(channels));
    assert!(!weight.is_empty() && weight.len().is_multiple_of(channels));
    (x.len() / channels, weight.len() / channels)
}

/// `y[t, c] = bias[c] + sum over k of weight[c, k] * x[t - (taps - 1) + k, c]`.
///
/// # Panics
/// When the lengths do not fit.
pub fn forward<T: Real>(x: &[T], weight: &[T], bias: &[T], y: &mut [T]) {
    let channels = bias.len();
    let (length, taps) = sizes(x, weight, channels);
    assert_eq!(y.len(), x.len());
    for first in (0..channels).step_by(LANES) {
        let end = channels.min(first + LANES);
        let bias = load(&bias[first..end]);
        for t in 0..length {
            store(&mut y[t * channels + first..t * channels + end], bias);
        }
        for tap in 0..taps {
            let weights = tap_weights(weight, taps, first, tap);
            let delay = taps - 1 - tap;
            for t in delay..length {
                let from = (t - delay) * channels;
                let mut sum = load(&y[t * channels + first..t * channels + end]);
                add_product(&mut sum, weights, load(&x[from + first..from + end]));
                store(&mut y[t * channels + first..t * channels + end], sum);
            }
        }
    }
}

/// Gradients of [`forward`], given that of the output, `dy`: writes `dx`, adds to `dweight` and
/// `dbias`.
///
/// # Panics
/// When the lengths do not fit.
pub fn backward<T: Real>(
    x: &[T],
    weight: &[T],
    dy: &[T],
    dx: &mut [T],
    dweight: &mut [T],
    dbias: &mut [T],
) {
    let channels = dbias.len();
    let (length, taps) = sizes(x, weight, channels);
    assert!(dy.len() == x.len() && dx.len() == x.len() && dweight.len() == weight.len());
    dx.fill(T::ZERO);
    for first in (0..channels).step_by(LANES) {
        let end = channels.min(first + LANES);
        let mut bias_sum = [T::ZERO; LANES];
        for t in 0..length {
            let grad = load(&dy[t * channels + first..t * channels + end]);
            add_product(&mut bias_sum, grad, [T::ONE; LANES]);
        }
        store_added(&mut dbias[first..end], bias_sum);
        for tap in 0..taps {
            let weights = tap_weights(weight, taps, first, tap);
            let delay = taps - 1 - tap;
            let mut sum = [T::ZERO; LANES];
            for t in delay..length {
                let from = (t - delay) * channels;
                let (from, upto) = (from + first, from + end);
                let grad = load(&dy[t * channels + first..t * channels + end]);
                add_product(&mut sum, grad, load(&x[from..upto]));
                let mut dx_sum = load(&dx[from..upto]);
                add_product(&mut dx_sum, grad, weights);
                store(&mut dx[from..upto], dx_sum);
            }
            for (lane, channel) in (first..end).enumerate() {
                dweight[channel * taps + tap] += sum[lane];
            }
        }
    }
}
