//! Naive versions of the kernels, for tests: the equations written down one element at a time,
//! everything stored, nothing reused. Slices have the shapes that the kernels document; results
//! are returned. Gradients are written, not added.

use crate::Real;
use crate::scan::Sizes;

/// The product of `a` (m, k) and `b` (k, n), where `a(i, p)` and `b(p, j)` give the elements.
pub fn matmul<T: Real>(
    (m, k, n): (usize, usize, usize),
    a: impl Fn(usize, usize) -> T,
    b: impl Fn(usize, usize) -> T,
) -> Vec<T> {
    let element = |i: usize, j: usize| {
        let mut sum = T::ZERO;
        for p in 0..k {
            sum += a(i, p) * b(p, j);
        }
        sum
    };
    (0..m * n).map(|at| element(at / n, at % n)).collect()
}

/// [`crate::norm::forward`].
pub fn rms_norm<T: Real>(x: &[T], gain: &[T]) -> Vec<T> {
    let width = gain.len();
    let mut y = Vec::with_capacity(x.len());
    for row in x.chunks(width) {
        let mut square = T::ZERO;
        for x in row {
            square += *x * *x;
        }
        let rms = (square / T::of(width as f64) + T::of(1e-5)).sqrt();
        y.extend(row.iter().zip(gain).map(|(x, gain)| *x / rms * *gain));
    }
    y
}

/// Gradients of `x` and of the gain, by the full Jacobian of each row.
pub fn rms_norm_backward<T: Real>(x: &[T], gain: &[T], dy: &[T]) -> (Vec<T>, Vec<T>) {
    let width = gain.len();
    let (mut dx, mut dgain) = (vec![T::ZERO; x.len()], vec![T::ZERO; width]);
    let count = T::of(width as f64);
    for (start, row) in x.chunks(width).enumerate().map(|(i, row)| (i * width, row)) {
        let mut square = T::ZERO;
        for x in row {
            square += *x * *x;
        }
        let rms = (square / count + T::of(1e-5)).sqrt();
        for j in 0..width {
            dgain[j] += dy[start + j] * row[j] / rms;
            for i in 0..width {
                let same = if i == j { T::ONE / rms } else { T::ZERO };
                let jacobian = gain[j] * (same - row[j] * row[i] / (count * rms * rms * rms));
                dx[start + i] += dy[start + j] * jacobian;
            }
        }
    }
    (dx, dgain)
}

/// The convolution of [`crate::conv::forward`], before its SiLU; the weight is (channels, taps).
pub fn conv<T: Real>(x: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
    let channels = bias.len();
    let taps = weight.len() / channels;
    let mut y = vec![T::ZERO; x.len()];
    for t in 0..x.len() / channels {
        for c in 0..channels {
            y[t * channels + c] = bias[c];
            for back in 0..taps.min(t + 1) {
                let weight = weight[c * taps + taps - 1 - back];
                y[t * channels + c] += weight * x[(t - back) * channels + c];
            }
        }
    }
    y
}

/// Gradients of [`conv`]: of `x`, of the weight and of the bias.
pub fn conv_backward<T: Real>(
    x: &[T],
    weight: &[T],
    dy: &[T],
    channels: usize,
) -> (Vec<T>, Vec<T>, Vec<T>) {
    let taps = weight.len() / channels;
    let mut dx = vec![T::ZERO; x.len()];
    let (mut dweight, mut dbias) = (vec![T::ZERO; weight.len()], vec![T::ZERO; channels]);
    for t in 0..x.len() / channels {
        for c in 0..channels {
            let grad = dy[t * channels + c];
            dbias[c] += grad;
            for back in 0..taps.min(t + 1) {
                let (tap, from) = (c * taps + taps - 1 - back, (t - back) * channels + c);
                dweight[tap] += grad * x[from];
                dx[from] += grad * weight[tap];
            }
        }
    }
    (dx, dweight, dbias)
}

/// [`crate::quantile::forward`] for one row, by summing from the anchor outwards.
pub fn quantiles<T: Real>(raw: &[T], anchor: usize) -> Vec<T> {
    let softplus = |x: T| T::of((1.0 + x.to_f64().exp()).ln());
    let element = |level: usize| {
        let mut value = raw[anchor];
        for raw in raw.iter().take(level + 1).skip(anchor + 1) {
            value += softplus(*raw);
        }
        for raw in raw.iter().take(anchor).skip(level) {
            value -= softplus(*raw);
        }
        value
    };
    (0..raw.len()).map(element).collect()
}

/// What a scan reads, each part apart.
#[derive(Debug, Clone, Copy)]
pub struct ScanInputs<'a, T> {
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

/// All states of a scan, (length + 1, channels, states): zeros first, then those after each step.
pub fn scan_states<T: Real>(sizes: Sizes, inputs: &ScanInputs<'_, T>) -> Vec<T> {
    let Sizes { length, channels, states } = sizes;
    let mut h = vec![T::ZERO; (length + 1) * channels * states];
    for t in 0..length {
        for d in 0..channels {
            let (u, dt) = (inputs.u[t * channels + d], inputs.dt[t * channels + d]);
            for n in 0..states {
                let a = -inputs.a_log[d * states + n].exp();
                let past = h[(t * channels + d) * states + n];
                let drive = dt * inputs.b[t * states + n] * u;
                h[((t + 1) * channels + d) * states + n] = (dt * a).exp() * past + drive;
            }
        }
    }
    h
}

/// [`crate::scan::forward`].
pub fn scan<T: Real>(sizes: Sizes, inputs: &ScanInputs<'_, T>) -> Vec<T> {
    let Sizes { length, channels, states } = sizes;
    let h = scan_states(sizes, inputs);
    let mut y = vec![T::ZERO; length * channels];
    for t in 0..length {
        for d in 0..channels {
            let mut sum = inputs.d[d] * inputs.u[t * channels + d];
            for n in 0..states {
                sum += inputs.c[t * states + n] * h[((t + 1) * channels + d) * states + n];
            }
            y[t * channels + d] = sum;
        }
    }
    y
}

/// Gradients of a scan, in the shapes of [`ScanInputs`].
#[derive(Debug, Clone, PartialEq)]
pub struct ScanGrads<T> {
    /// Of the input.
    pub u: Vec<T>,
    /// Of the step sizes.
    pub dt: Vec<T>,
    /// Of the input weights.
    pub b: Vec<T>,
    /// Of the output weights.
    pub c: Vec<T>,
    /// Of `A_log`.
    pub a_log: Vec<T>,
    /// Of the direct path's weights.
    pub d: Vec<T>,
}

/// Gradients of [`scan`], with every state at hand.
pub fn scan_backward<T: Real>(sizes: Sizes, inputs: &ScanInputs<'_, T>, dy: &[T]) -> ScanGrads<T> {
    let Sizes { length, channels, states } = sizes;
    let h = scan_states(sizes, inputs);
    let zeros = |like: &[T]| vec![T::ZERO; like.len()];
    let (u, dt, b) = (zeros(inputs.u), zeros(inputs.dt), zeros(inputs.b));
    let (c, a_log, d) = (zeros(inputs.c), zeros(inputs.a_log), zeros(inputs.d));
    let mut grads = ScanGrads { u, dt, b, c, a_log, d };
    for channel in 0..channels {
        for n in 0..states {
            let at = channel * states + n;
            let a = -inputs.a_log[at].exp();
            let mut adjoint = T::ZERO;
            for t in (0..length).rev() {
                let (i, j) = (t * channels + channel, t * states + n);
                let (u, dt, b) = (inputs.u[i], inputs.dt[i], inputs.b[j]);
                let (past, next) =
                    (h[t * channels * states + at], h[(t + 1) * channels * states + at]);
                grads.c[j] += dy[i] * next;
                adjoint += dy[i] * inputs.c[j];
                let decay = (dt * a).exp();
                grads.u[i] += adjoint * dt * b;
                grads.b[j] += adjoint * dt * u;
                grads.dt[i] += adjoint * (b * u + a * decay * past);
                grads.a_log[at] += adjoint * dt * decay * past * a;
                adjoint = adjoint * decay;
            }
        }
        for t in 0..length {
            let i = t * channels + channel;
            grads.d[channel] += dy[i] * inputs.u[i];
            grads.u[i] += dy[i] * inputs.d[channel];
        }
    }
    grads
}
