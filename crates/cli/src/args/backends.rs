//! Arguments of `backends check`, and what its help adds.

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
