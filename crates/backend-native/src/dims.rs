//! Checked sizes of a model.

use mambafleet_backend::{BackendError, ModelConfig, Objective};
use mambafleet_kernels::scan;

/// Largest size of a dimension that comes from the task rather than the model.
const MAX_SIZE: usize = 1 << 16;
/// Largest number of values, weights and activations together, that a worker may need: 8 GiB.
const MAX_VALUES: usize = 1 << 31;

/// Sizes of a model, each at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dims {
    /// Input features per time step.
    pub(crate) features: usize,
    /// Time steps per window.
    pub(crate) length: usize,
    /// Width of the residual stream (`d_model`).
    pub(crate) width: usize,
    /// Channels of the scan (`d_inner`).
    pub(crate) inner: usize,
    /// States per channel (`d_state`).
    pub(crate) states: usize,
    /// Taps of the convolution (`d_conv`).
    pub(crate) taps: usize,
    /// Rank of the step size's projection (`dt_rank`).
    pub(crate) rank: usize,
    /// Blocks.
    pub(crate) layers: usize,
    /// Outputs per window.
    pub(crate) outputs: usize,
    /// Targets per window.
    pub(crate) targets: usize,
}

/// `Err` with the message unless `fine`.
fn ensure(fine: bool, message: impl FnOnce() -> String) -> Result<(), BackendError> {
    if fine { Ok(()) } else { Err(BackendError::Config(message())) }
}

impl Dims {
    /// The sizes of `config`, if they make sense and fit in memory.
    pub(crate) fn new(config: &ModelConfig) -> Result<Self, BackendError> {
        let spec = config.spec;
        spec.validate().map_err(|invalid| BackendError::Config(invalid.to_string()))?;
        check_objective(&config.objective)?;
        let dims = Self {
            features: config.n_features,
            length: config.seq_len,
            width: spec.d_model,
            inner: spec.expand * spec.d_model,
            states: spec.d_state,
            taps: spec.d_conv,
            rank: spec.dt_rank,
            layers: spec.n_layers,
            outputs: config.n_outputs(),
            targets: config.n_targets(),
        };
        for (what, size) in [("n_features", dims.features), ("seq_len", dims.length)] {
            ensure((1..=MAX_SIZE).contains(&size), || {
                format!("{what} is {size}, but must be between 1 and {MAX_SIZE}")
            })?;
        }
        let values = dims.values();
        ensure(values <= MAX_VALUES, || {
            format!("the model needs {values} values in memory, at most {MAX_VALUES} are supported")
        })?;
        Ok(dims)
    }

    /// Elements of a window.
    pub(crate) fn window(&self) -> usize {
        self.length * self.features
    }

    /// Elements from row to row of the branch and the gate side by side: a cache line more than both
    /// have, since rows a power of two apart would share few sets of the cache.
    pub(crate) fn stride(&self) -> usize {
        2 * self.inner + 16
    }

    /// Columns of `x_proj`'s output: step size, B and C.
    pub(crate) fn projected(&self) -> usize {
        self.rank + 2 * self.states
    }

    /// Sizes of a block's scan.
    pub(crate) fn scan(&self) -> scan::Sizes {
        scan::Sizes { length: self.length, channels: self.inner, states: self.states }
    }

    /// About the values that training needs: weights with their gradients and moments, and one
    /// sequence's activations.
    fn values(&self) -> usize {
        let per_layer = self.inner * (3 * self.width + self.projected() + self.rank + self.states);
        let weights = self.layers * per_layer + self.width * (self.features + self.outputs);
        let kept = self.inner * self.states / scan::CHUNK;
        let per_step = 2 * self.width + 10 * self.inner + 2 * self.projected() + kept;
        5 * weights + self.layers * self.length * per_step
    }
}

/// Checks that the outputs are possible and, for quantiles, that the levels make sense.
fn check_objective(objective: &Objective) -> Result<(), BackendError> {
    let in_range = |size: usize| (1..=MAX_SIZE).contains(&size);
    match objective {
        Objective::Mse { targets } => ensure(in_range(*targets), || {
            format!("{targets} targets, 1 to {MAX_SIZE} are supported")
        }),
        Objective::Pinball { horizons, levels } => {
            let (rows, columns) = (*horizons, levels.len());
            let fits =
                in_range(rows) && in_range(columns) && in_range(rows.saturating_mul(columns));
            ensure(fits, || {
                format!(
                    "{rows} horizons of {columns} levels, 1 to {MAX_SIZE} outputs are supported"
                )
            })?;
            let inside = levels.iter().all(|level| *level > 0.0 && *level < 1.0);
            let ascending = levels.windows(2).all(|pair| pair[0] < pair[1]);
            ensure(inside && ascending, || {
                format!("quantile levels must ascend between 0 and 1, but are {levels:?}")
            })?;
            ensure(levels.contains(&0.5), || {
                format!("quantile levels must contain 0.5, but are {levels:?}")
            })
        }
    }
}
