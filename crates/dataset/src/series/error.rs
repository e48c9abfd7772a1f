//! What can be wrong with a series, and what to do about it.

use std::path::PathBuf;

/// Why a file cannot be used as a series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeriesError {
    /// A column that is wanted is not there.
    #[error("{}, line {line}: no column {column:?} in the header ({found})", .path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The header's line, from 1.
        line: u64,
        /// The column looked for.
        column: String,
        /// The columns found.
        found: String,
    },
    /// A column that is wanted stands in the header more than once.
    #[error("{}, line {line}: column {column:?} stands twice in the header", .path.display())]
    RepeatedColumn {
        /// The file.
        path: PathBuf,
        /// The header's line, from 1.
        line: u64,
        /// The column.
        column: String,
    },
    /// There is no row, or not even a header.
    #[error("{} holds no rows", .path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// No column holds numbers.
    #[error("{}, line {line}: no cell is a number, so there is no column to forecast", .path.display())]
    NoNumbers {
        /// The file.
        path: PathBuf,
        /// The first row's line, from 1.
        line: u64,
    },
    /// A cell is not a number.
    #[error("{}, line {line}, column {column}: {cell} is not a finite number", .path.display())]
    NotANumber {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column.
        column: String,
        /// The cell, in quotes.
        cell: String,
    },
    /// A row has another number of cells than the header.
    #[error("{}, line {line}: {found} cells where the header has {wanted}", .path.display())]
    Cells {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Cells found.
        found: usize,
        /// Cells of the header.
        wanted: usize,
    },
    /// There are too few rows.
    #[error("{}: {present} rows, but {needed} are needed {purpose}", .path.display())]
    TooFewRows {
        /// The file.
        path: PathBuf,
        /// Rows there are.
        present: usize,
        /// Rows it takes.
        needed: usize,
        /// For what, beginning with "to".
        purpose: &'static str,
    },
    /// A part of the division holds no window.
    #[error(
        "{}: the {part} part has {rows} rows, but {needed} are needed for one window and its targets",
        .path.display()
    )]
    ShortPart {
        /// The file.
        path: PathBuf,
        /// The part.
        part: &'static str,
        /// Rows it has.
        rows: usize,
        /// Rows it takes.
        needed: usize,
    },
    /// The generator makes bars, and a series comes from a file.
    #[error("a series needs a file, and data.dir names none")]
    NoFile,
    /// A model was trained on other columns.
    #[error("the model was trained on the columns [{}], not [{}]", .stored.join(", "), .wanted.join(", "))]
    Columns {
        /// Columns of the model.
        stored: Vec<String>,
        /// Columns of the file.
        wanted: Vec<String>,
    },
}

impl SeriesError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::MissingColumn { .. } | Self::RepeatedColumn { .. } => {
                "correct task.series.inputs and task.series.targets, or the header"
            }
            Self::NoNumbers { .. } | Self::NoRows { .. } => {
                "the file needs a header, and a row per time step with numbers in it"
            }
            Self::NotANumber { .. } => {
                "fill the cell in, or leave its column out of task.series.inputs and \
                 task.series.targets"
            }
            Self::Cells { .. } => "write one value per column, without thousands separators",
            Self::TooFewRows { .. } | Self::ShortPart { .. } => {
                "provide more rows, lower task.lookback or task.series.horizon, or change \
                 task.series.split"
            }
            Self::NoFile => "give the directory that holds the file with --data",
            Self::Columns { .. } => "train the symbol again with this file",
        }
        .to_owned()
    }
}
