//! Daily bars, features, windows, time-ordered splits and scalers.
//!
//! The way of the data: [`load`] reads a symbol's [`Bars`] from a file ([`read_file`]) in one of the
//! [`Layout`]s of vendors, mends it as a policy says ([`Reading`] tells what was done), or makes demo
//! prices ([`synthesize`]); [`quality`] says what such files are worth. Then [`prepare`] turns the bars
//! into a [`Dataset`] for training, and [`with_scaler`] into [`Windows`] for forecasting with a model
//! trained earlier.
//!
//! What every consumer may rely on:
//!
//! - **No look-ahead.** Features, volatility and windows of a row are made from that row and
//!   earlier ones only; [`feature`] code is handed nothing else. Changing any later row leaves
//!   them bit-identical.
//! - **Scalers know the training part only**, and no target of one part of a [`Dataset`] reaches
//!   into the next.
//! - **The same bars give the same bits** on every machine: logarithms come from `libm`, all else
//!   is IEEE arithmetic in a fixed order.
//! - **Faults name the place.** Every [`DataError`] says which file, line and column, and
//!   [`DataError::hint`] what to do about it.
//!
//! The formulas stand in [`volatility`], [`feature`] and [`Windows`]; the baseline that any model
//! must beat is in [`baseline`].

mod bars;
pub mod baseline;
pub mod columns {
    //! Tables of named columns, written as Parquet.

    pub use crate::parquet::{Column, Unwritable, Values, parquet};
}
mod dataset;
mod error;
pub mod feature;
mod nearest;
mod parquet;
pub mod quality;
mod read;
mod scaler;
pub mod series;
mod source;
mod split;
mod summary;
mod synth;
mod treat;
pub mod volatility;
mod windows;

pub use bars::{Bar, Bars, CSV_COLUMNS, Column, Origin, write_csv};
pub use dataset::{Dataset, prepare, prepare_fold, with_scaler};
pub use error::{DataError, Problem, Unit};
pub use feature::{UnknownFeature, validate_features};
pub use quality::SuspectedSplit;
pub use read::{Layout, REPORTED_PROBLEMS, parse_csv, parse_file, read_file};
pub use scaler::{InvalidScaler, Scaler};
pub use source::{csv_path, data_path, load, load_with};
pub use split::{MIN_TEST, MIN_TRAIN, MIN_VALIDATION};
pub use summary::{DatasetSummary, PartSummary};
pub use synth::{MAX_SYNTHETIC_BARS, synthesize};
pub use treat::{Adjustment, PRICE_TOLERANCE, ROWS_PER_DROPPED, Reading};
pub use windows::Windows;
