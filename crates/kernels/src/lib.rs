//! Forward and backward kernels of the Mamba block (Gu & Dao 2023, arXiv:2312.00752).
//!
//! Every kernel works on plain slices, row-major, in the shapes its documentation gives, and is
//! generic over [`Real`]: `f32` computes, `f64` lets gradients be checked against differences.
//! Backward kernels say of each gradient whether they write it or add to it; weights' gradients
//! are always added to, so that the samples of a batch can follow one another.
//!
//! Buffers belong to the caller and nothing here allocates in a hot path. A slice of the wrong
//! length is a fault of the calling program and panics.
//!
//! The instruction set is an argument, an [`Isa`]; an algorithm is written once, over vectors of
//! any width.
//!
//! - [`gemm`]: matrix products;
//! - [`norm`], [`conv`], [`activation`], [`scan`]: the parts of a block;
//! - [`quantile`], [`loss`], [`adamw`]: what a forecaster is trained with;
//! - [`oracle`]: naive versions of the same, which tests compare with.

pub mod activation;
pub mod adamw;
mod buffer;
pub mod conv;
pub mod gemm;
pub mod isa;
pub mod loss;
pub mod norm;
pub mod oracle;
mod poly;
pub mod quantile;
mod real;
pub mod roofline;
pub mod scan;
mod simd;

pub use buffer::Buffer;
pub use isa::Isa;
pub use real::Real;
