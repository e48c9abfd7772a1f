//! What a run was like: as data, live while it goes on, and as one HTML file.
//!
//! [`RunView`] knows a run from its events alone and does no I/O; [`model`] is the JSON that a page gets of it.

mod lanes;
pub mod model;
mod number;
mod view;

pub use number::Num;
pub use view::{Known, RunView, SPARK};
