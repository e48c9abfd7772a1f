//! The native backend as callers see it.

mod common;
mod reference;
mod refusals;
mod training;
