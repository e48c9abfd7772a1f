//! Forward and backward kernels of the Mamba block.
