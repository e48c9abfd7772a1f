//! Any table of numbers over time: reading, division, standardising, windows, and the linear map that
//! is the baseline of forecasts.
//!
//! [`SeriesFile`] holds the columns of a file as they stand there; [`SeriesData`] is what a
//! [`SeriesSpec`](mambafleet_protocol::SeriesSpec) makes of it; [`LinearMap`] forecasts by least squares.

mod data;
mod error;
mod file;
mod linear;

pub use data::{Anchors, SeriesData, SeriesPart};
pub use error::SeriesError;
pub use file::SeriesFile;
pub use linear::{LinearChoice, LinearMap, RIDGES};
