//! Kernels against the oracle and against central differences.

mod activation;
mod common;
mod conv;
mod gemm;
mod loss;
mod norm;
mod optimizer;
mod scan;
