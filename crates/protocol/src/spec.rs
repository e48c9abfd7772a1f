//! Fully resolved job specifications.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{EvaluateSpec, PolicySpec, PromoteSpec, ReturnsSpec, RunId, Symbol, TaskSpec};

/// Everything a worker needs to train one symbol once. No default is left in it: what the
/// configuration, the environment and the flags said has been settled before it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// The run this job belongs to.
    pub run: RunId,
    /// The symbol to train.
    pub symbol: Symbol,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Root directory of the artifact store.
    pub store: PathBuf,
    /// Where the symbol's bars come from.
    pub data: DataSource,
    /// What is to be forecast, from what.
    pub task: TaskSpec,
    /// Size of the model.
    pub model: ModelSpec,
    /// How it is trained.
    pub train: TrainSpec,
    /// How it is judged.
    #[serde(default)]
    pub evaluate: EvaluateSpec,
    /// Settings to choose from, instead of `model` and `train`; empty: none but those.
    #[serde(default)]
    pub search: Vec<TrialSpec>,
    /// Whether the model takes the place of the one before. Not part of the fingerprint.
    #[serde(default)]
    pub promote: PromoteSpec,
    /// The program that trains, for a backend that leaves the work to one.
    pub program: Option<ProgramSpec>,
    /// Threads this worker may use, at least 1.
    pub threads: usize,
    /// Train although the newest generation has the same fingerprint.
    pub force: bool,
    /// Earlier runs that this one goes on with: what they have committed is up to date, also under
    /// `force`.
    pub resumes: Vec<RunId>,
    /// Whether there is no time to train: the worker finds out whether there is anything to be done, and
    /// leaves it at that.
    #[serde(default)]
    pub check_only: bool,
    /// What the learning rate is multiplied with in this attempt, after earlier ones diverged. Not
    /// part of the fingerprint: the settings that were asked for are.
    pub learning_rate_scale: f64,
    /// Seconds that the symbol's newest generation took to train, if there is one.
    pub expected_seconds: Option<f64>,
    /// Longest wait for the symbol's lock, in milliseconds; none: as long as the queue moves.
    pub lock_timeout_ms: Option<u64>,
    /// File that receives the attempt's log.
    pub log: PathBuf,
}

impl JobSpec {
    /// The usual job: the first attempt at the usual training on synthetic data, on one thread.
    /// The configuration settles each of these values anew.
    #[must_use]
    pub fn usual(run: RunId, symbol: Symbol, store: PathBuf) -> Self {
        Self {
            run,
            symbol,
            attempt: 1,
            store,
            data: DataSource::Synthetic { bars: 2000, seed: 1 },
            task: TaskSpec::Returns(ReturnsSpec::usual()),
            model: ModelSpec::USUAL,
            train: TrainSpec::usual("native"),
            evaluate: EvaluateSpec::USUAL,
            search: Vec::new(),
            promote: PromoteSpec::USUAL,
            program: None,
            threads: 1,
            force: false,
            resumes: Vec::new(),
            check_only: false,
            learning_rate_scale: 1.0,
            expected_seconds: None,
            lock_timeout_ms: None,
            log: PathBuf::new(),
        }
    }

    /// Whether the job trains on the built-in generator's bars.
    #[must_use]
    pub fn is_synthetic(&self) -> bool {
        matches!(self.data, DataSource::Synthetic { .. })
    }
}

/// Where bars come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DataSource {
    /// The built-in generator: a seeded walk whose volatility clusters. Demo data, not prices.
    Synthetic {
        /// Number of daily bars.
        bars: usize,
        /// Seed of the generator; the symbol is mixed in.
        seed: u64,
    },
    /// Files of prices.
    Csv {
        /// The directory that holds `SYMBOL.csv` and the like, or one file that holds all symbols.
        dir: PathBuf,
        /// What is done about blemishes.
        #[serde(default)]
        policy: PolicySpec,
    },
}

/// Dimensions of the Mamba-1 model, named as in Gu & Dao (2023), arXiv:2312.00752.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of Mamba blocks.
    pub n_layers: usize,
    /// State size N of the selective scan.
    pub d_state: usize,
    /// Taps of the causal depthwise convolution.
    pub d_conv: usize,
    /// Expansion factor: `d_inner = expand * d_model`.
    pub expand: usize,
    /// Rank of the projection that makes the step size.
    pub dt_rank: usize,
}

/// Optimisation settings (AdamW, Loshchilov & Hutter 2019, arXiv:1711.05101).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSpec {
    /// Name of the backend that trains.
    pub backend: String,
    /// Passes over the training samples at most.
    pub epochs: usize,
    /// Samples whose gradient is computed in one go.
    pub batch_size: usize,
    /// Batches per optimiser step: the step follows the mean gradient of all their samples.
    pub accumulate: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// How the learning rate runs after, and in the case of one cycle also during, its rise.
    pub schedule: ScheduleSpec,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Largest global gradient norm; larger gradients are scaled down.
    pub grad_clip: f64,
    /// Fraction of all steps over which the learning rate rises to its peak.
    pub warmup: f64,
    /// Epochs without a better validation loss before training stops early.
    pub patience: usize,
    /// Every so many validation samples are looked at after an epoch, the newest among them:
    /// neighbours overlap in all but one time step.
    pub validation_stride: usize,
    /// What training starts from.
    #[serde(default)]
    pub init: InitSpec,
    /// Seed of this symbol's initial weights and sample order.
    pub seed: u64,
}

/// Settings that are tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialSpec {
    /// What sets it apart from the other trials: values by key.
    pub values: BTreeMap<String, String>,
    /// Size of the model.
    pub model: ModelSpec,
    /// How it is trained.
    pub train: TrainSpec,
}

/// What training starts from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitSpec {
    /// Random weights.
    #[default]
    Random,
    /// The weights of the newest generation, if they fit and have seen nothing that the new model is
    /// tested on.
    Latest,
}

/// The course of the learning rate over a training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleSpec {
    /// A linear rise from zero, then half a cosine down to a tenth of the peak (Loshchilov & Hutter
    /// 2017, arXiv:1608.03983, without restarts).
    #[default]
    Cosine,
    /// Half a cosine up from a 25th of the peak, then half a cosine down to a 10,000th of where it
    /// began (Smith & Topin 2018, arXiv:1708.07120, with cosines for its lines).
    OneCycle,
    /// A linear rise from zero, then the peak for ever.
    Constant,
}

/// A program that trains and forecasts in mambafleet's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramSpec {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The directory it is started in, absolute.
    pub dir: PathBuf,
    /// How long it may be silent before it counts as hung, in milliseconds.
    pub timeout_ms: u64,
}

/// A value in a specification that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct InvalidSpec {
    /// The configuration key at fault, such as `task.horizons`.
    pub key: &'static str,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// `Err` naming `key` unless `fine`.
pub(crate) fn ensure(fine: bool, key: &'static str, message: &str) -> Result<(), InvalidSpec> {
    if fine { Ok(()) } else { Err(InvalidSpec { key, message: message.to_owned() }) }
}

impl ModelSpec {
    /// The usual model, that of the built-in configuration.
    pub const USUAL: Self =
        Self { d_model: 32, n_layers: 2, d_state: 16, d_conv: 4, expand: 2, dt_rank: 2 };

    /// Checks every dimension.
    ///
    /// # Errors
    /// [`InvalidSpec`] names the first key at fault.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        let bounded = |key, value: usize, max: usize| {
            let message = format!("is {value}, but must be between 1 and {max}");
            ensure((1..=max).contains(&value), key, &message)
        };
        bounded("model.d_model", self.d_model, 4096)?;
        bounded("model.n_layers", self.n_layers, 64)?;
        bounded("model.d_state", self.d_state, 256)?;
        bounded("model.d_conv", self.d_conv, 16)?;
        bounded("model.expand", self.expand, 8)?;
        bounded("model.dt_rank", self.dt_rank, 4096)
    }
}

impl TrainSpec {
    /// The usual settings, those of the built-in configuration, for a backend.
    #[must_use]
    pub fn usual(backend: &str) -> Self {
        Self {
            backend: backend.to_owned(),
            epochs: 10,
            batch_size: 64,
            accumulate: 1,
            learning_rate: 3e-4,
            schedule: ScheduleSpec::Cosine,
            weight_decay: 0.01,
            grad_clip: 1.0,
            warmup: 0.05,
            patience: 3,
            validation_stride: 2,
            init: InitSpec::Random,
            seed: 0,
        }
    }

    /// Checks every setting (the backend's name excepted: the registry knows those).
    ///
    /// # Errors
    /// [`InvalidSpec`] names the first key at fault.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        ensure(self.epochs >= 1, "train.epochs", "must be at least 1")?;
        ensure(self.batch_size >= 1, "train.batch_size", "must be at least 1")?;
        ensure(
            (1..=1 << 20).contains(&self.accumulate),
            "train.accumulate",
            "must be at least 1 batch and at most 1048576",
        )?;
        ensure(
            self.learning_rate.is_finite() && self.learning_rate > 0.0,
            "train.learning_rate",
            "must be above 0",
        )?;
        ensure(
            self.weight_decay.is_finite() && self.weight_decay >= 0.0,
            "train.weight_decay",
            "must not be negative",
        )?;
        ensure(
            self.grad_clip.is_finite() && self.grad_clip > 0.0,
            "train.grad_clip",
            "must be above 0",
        )?;
        ensure(
            (0.0..1.0).contains(&self.warmup),
            "train.warmup",
            "must be a fraction from 0 to below 1",
        )?;
        let stride = self.validation_stride;
        ensure(stride >= 1, "train.validation_stride", "must be at least 1")?;
        ensure(self.patience >= 1, "train.patience", "must be at least 1 epoch")
    }
}

/// The seed of one symbol: the run's seed mixed with the symbol's name, so that symbols differ
/// from each other and none depends on which others are trained beside it.
#[must_use]
pub fn symbol_seed(seed: u64, symbol: &Symbol) -> u64 {
    // FNV-1a over the name.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in symbol.as_str().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix64(hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Spreads the bits of `z` over the whole word: the finaliser of splitmix64 (Steele, Lea & Flood
/// 2014, "Fast splittable pseudorandom number generators").
#[must_use]
pub fn mix64(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_get_different_and_stable_seeds() {
        let seed = |n, s: &str| symbol_seed(n, &Symbol::new(s).unwrap());
        assert_eq!(seed(0, "AAPL"), seed(0, "AAPL"));
        assert_ne!(seed(0, "AAPL"), seed(0, "MSFT"));
        assert_ne!(seed(0, "AAPL"), seed(1, "AAPL"));
        // Written into metadata of committed generations: the mixing must never change.
        assert_eq!(seed(42, "AAPL"), 8_045_471_697_624_432_370);
    }
}
