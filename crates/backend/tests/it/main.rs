//! Tests of the seam: the replay of parity files, by a model written down naively.

mod dual;
mod files;
mod mutations;
mod naive;
