//! Initial weights, as in the reference implementation (state-spaces/mamba, `mamba_simple.py`):
//! S4D-real decay rates, step sizes even on a logarithmic scale, PyTorch's defaults elsewhere.
//!
//! The same seed gives the same weights on every machine: the generator is ChaCha with 8 rounds,
//! and the logarithms and exponentials do not come from the system's library.

use mambafleet_kernels::Real;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::dims::Dims;
use crate::layout::{Layout, Start};

/// Smallest and largest initial step size.
const STEP_RANGE: (f64, f64) = (1e-3, 0.1);
/// Step sizes are at least this, whatever their range.
const STEP_FLOOR: f64 = 1e-4;

/// Fills `weights` for a model of these sizes, tensor by tensor.
pub(crate) fn fill<T: Real>(layout: &Layout, dims: &Dims, seed: u64, weights: &mut [T]) {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut random = ChaCha8Rng::from_seed(key);
    // Even over 0 to 1, one excluded: the leading 24 bits.
    let mut unit = || f64::from(random.next_u32() >> 8) / f64::from(1_u32 << 24);
    for parameter in &layout.parameters {
        for (at, weight) in parameter.slot.of_mut(weights).iter_mut().enumerate() {
            let value = match parameter.start {
                Start::Constant(value) => value,
                Start::Uniform(bound) => bound * (2.0 * unit() - 1.0),
                Start::StepSizes => inverse_softplus(step_size(unit())),
                Start::LogCounts => libm::log((at % dims.states + 1) as f64),
            };
            *weight = T::of(value);
        }
    }
}

/// The step size at `position` (0 to 1) of the range, on a logarithmic scale.
fn step_size(position: f64) -> f64 {
    let (low, high) = (libm::log(STEP_RANGE.0), libm::log(STEP_RANGE.1));
    libm::exp(low + position * (high - low)).max(STEP_FLOOR)
}

/// The number whose softplus is `y`.
pub(crate) fn inverse_softplus(y: f64) -> f64 {
    y + libm::log(-libm::expm1(-y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_sizes_fill_their_range_and_survive_the_round_trip() {
        assert!((step_size(0.0) - 1e-3).abs() < 1e-15 && (step_size(1.0) - 0.1).abs() < 1e-12);
        for y in [1e-4, 1e-3, 0.03, 0.1, 2.0] {
            let back = mambafleet_kernels::activation::softplus(inverse_softplus(y));
            assert!((back - y).abs() < 1e-14, "{y} {back}");
        }
    }
}
