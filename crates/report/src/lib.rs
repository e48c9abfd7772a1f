//! What a run was like: as data, live while it goes on, and as one HTML file.
//!
//! - [`RunView`] knows a run from its events alone, does no I/O, and tells what has changed;
//! - [`Follower`] reads the record of a run, also while it grows, and asks the store about its symbols;
//! - [`model`] is the JSON that a page gets;
//! - [`html`] makes one file of it, with the scripts and styles of [`assets`].

pub mod assets;
mod collect;
mod html;
mod lanes;
pub mod model;
mod number;
mod view;

pub use collect::{EVALUATION_FILE, Follower, everything};
pub use html::html;
pub use number::Num;
pub use view::{Known, RunView, SPARK};
