//! Arguments of `backends check` and `backends conform`, and what their help adds.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Parity files
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Backend to check
    #[arg(long, value_name = "NAME", default_value = "native")]
    pub(crate) backend: String,
}

#[derive(Debug, Args)]
pub(crate) struct ConformArgs {
    /// Backend to examine [configuration key: train.backend]
    #[arg(long, value_name = "NAME")]
    pub(crate) backend: Option<String>,
}

pub(crate) const CHECK_HELP: &str = "\
A parity file holds a model's weights, a batch, and what a reference implementation made of them in
double precision: examples/pytorch/parity.py writes such files, tests/parity has some. The backend
computes the same, and what it is off by is printed for every value that is compared.

  output       largest difference, 2.0e-5 allowed
  loss         difference, 2.0e-6 allowed
  gradient     of each tensor: L2 norm of the difference over that of the reference, 5.0e-5 allowed
  parameters   each tensor after three AdamW steps: largest difference, 5.0e-5 allowed

Example:
  $ mambafleet backends check tests/parity/*.safetensors --backend native

JSON (type \"backend_check\"): backend, version, passed, files (each with file and checks: quantity,
tensor, deviation [null when it is not finite, or not given], tolerance, result [ok, fail or
skipped]).

Exit codes:
    0  everything that the backend gives is within tolerance
    1  something is above tolerance, or the backend cannot compute it
    2  wrong usage, or a file is missing or no parity file";

pub(crate) const CONFORM_HELP: &str = "\
Trains a small model on samples that can be learned, some times over, and looks at what comes of it.
A backend that trains step by step is looked at step by step too.

  shapes         predictions and tensors have theirs, quantiles do not cross, other inputs are refused
  determinism    same job, same weights, bit for bit, on one thread and on two
  learning       the loss falls to 0.6 of that of forecasting nothing, or lower
  round trip     a model loaded from its tensors predicts the same, bit for bit
  prediction     losses that are reported are those of the forecasts, and a window's forecast does not
                 depend on the windows beside it
  cancellation   training ends within one batch when nobody waits for it
  not a number   a sample that is none is an error, and no model
  accumulation   two batches that are added up make the step that both together make

The samples have 2 features, windows of 6 rows, 2 horizons and 3 quantiles.

Example:
  $ mambafleet backends conform --backend command --set 'train.command=[\"python3\", \"train.py\"]'

JSON (type \"backend_conformance\"): backend, version, passed, findings (rule, result [kept, broken or
skipped], why).

Exit codes:
    0  every rule is kept that applies
    1  a rule is broken
    2  wrong usage or configuration";
