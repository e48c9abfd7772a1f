//! What can be wrong with data, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use mambafleet_protocol::{InvalidSpec, Symbol};

use crate::scaler::InvalidScaler;
use crate::series::SeriesError;
use crate::{CSV_COLUMNS, Origin, ROWS_PER_DROPPED, SuspectedSplit, UnknownFeature};

/// Why data could not be read or prepared. `Display` is one line that names the file or symbol
/// and the fault; [`hint`](Self::hint) says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The directory with the CSV files is not there.
    #[error("data directory {} does not exist", .dir.display())]
    MissingDirectory {
        /// The directory looked for.
        dir: PathBuf,
    },
    /// What should be the directory with the CSV files is something else.
    #[error("{} is not a directory", .dir.display())]
    NotADirectory {
        /// The path given.
        dir: PathBuf,
    },
    /// The directory has no file for this symbol.
    #[error("no data for {symbol}: {} does not exist", .path.display())]
    Missing {
        /// The symbol without data.
        symbol: Symbol,
        /// The file looked for.
        path: PathBuf,
        /// The directory searched.
        dir: PathBuf,
        /// The CSV file there with the most similar name, if one is similar.
        nearest: Option<String>,
        /// How many CSV files the directory holds.
        files: usize,
    },
    /// The operating system refused to read.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is not text.
    #[error("{} is not a text file: it {appearance}", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// What it looks like instead, continuing "it ...".
        appearance: &'static str,
    },
    /// The file holds nothing, or nothing but blank lines.
    #[error("{} is empty", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file holds a header and no rows.
    #[error("{} holds a header but no bars", .path.display())]
    NoBars {
        /// The file.
        path: PathBuf,
    },
    /// The cells are separated by something unusual.
    #[error("{}, line {line}: cells are separated by {separator:?}, not by commas, semicolons or tabs", .path.display())]
    Separator {
        /// The file.
        path: PathBuf,
        /// The header's line, from 1.
        line: u64,
        /// The separator found.
        separator: char,
    },
    /// The header lacks a column.
    #[error("{}: no column \"{column}\" in the header ({found})", header(.path, *.line))]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The header's line, from 1; 0 where there are no lines.
        line: u64,
        /// The column looked for.
        column: &'static str,
        /// The columns found.
        found: String,
    },
    /// A further column that a feature is to be made of is not there once.
    #[error("{origin}: there is no one column \"{name}\"; {found}")]
    NoColumn {
        /// The file, or whatever else the bars come from.
        origin: String,
        /// The column looked for.
        name: String,
        /// The columns found.
        found: String,
    },
    /// The header names a column twice.
    #[error("{}: column \"{column}\" stands twice in the header", header(.path, *.line))]
    RepeatedColumn {
        /// The file.
        path: PathBuf,
        /// The header's line, from 1; 0 where there are no lines.
        line: u64,
        /// The column found twice.
        column: &'static str,
    },
    /// Rows of the file make no sense.
    #[error("{}", malformed(.path, .problems, *.total))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The first problems, in the order of the lines; at least one.
        problems: Vec<Problem>,
        /// How many problems there are in all.
        total: usize,
    },
    /// The file is compressed, and cannot be unpacked.
    #[error("cannot unpack {} ({format}): {source}", .path.display())]
    Packed {
        /// The file.
        path: PathBuf,
        /// How it is compressed.
        format: &'static str,
        /// What is wrong.
        source: io::Error,
    },
    /// The file is Parquet, and cannot be read.
    #[error("cannot read {} as Parquet: {fault}", .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// The dates can be read with the day first or with the month first.
    #[error(
        "{}, {unit} {line}: {date} can be read in two ways, and no other date in the file tells which",
        .path.display()
    )]
    AmbiguousDates {
        /// The file.
        path: PathBuf,
        /// What is counted in the file.
        unit: Unit,
        /// The line or row of the first date, from 1.
        line: u64,
        /// That date, in quotes.
        date: String,
    },
    /// The file holds several symbols, but not this one.
    #[error("no data for {symbol}: it is none of the {symbols} symbols in {}", .path.display())]
    NotInFile {
        /// The symbol without data.
        symbol: Symbol,
        /// The file searched.
        path: PathBuf,
        /// The symbol there with the most similar name, if one is similar.
        nearest: Option<String>,
        /// How many symbols the file holds.
        symbols: usize,
    },
    /// A file given for all symbols does not say whose rows are whose.
    #[error("{} has no column for the symbol, and is not named after {symbol}", .path.display())]
    NoSymbolColumn {
        /// The file.
        path: PathBuf,
        /// The symbol looked for.
        symbol: Symbol,
    },
    /// The file's name and the symbol in it contradict each other.
    #[error("{} holds {found:?}, not {symbol}", .path.display())]
    OtherSymbol {
        /// The file.
        path: PathBuf,
        /// The symbol looked for.
        symbol: Symbol,
        /// The symbol in the file.
        found: String,
    },
    /// The file holds several symbols where one was expected.
    #[error("{} holds {symbols} symbols", .path.display())]
    ManySymbols {
        /// The file.
        path: PathBuf,
        /// How many.
        symbols: usize,
    },
    /// So many rows were left out that what remains is no history.
    #[error(
        "{}: {dropped} of {rows} days would be left out, more than one in {ROWS_PER_DROPPED}",
        .path.display()
    )]
    TooManyDropped {
        /// The file.
        path: PathBuf,
        /// Days left out.
        dropped: usize,
        /// Days in all.
        rows: usize,
    },
    /// The price steps as if there had been a split that nobody adjusted for.
    #[error("{}: {first}{}", .path.display(), and_more(*.more))]
    SuspectedSplit {
        /// The file.
        path: PathBuf,
        /// The first of these steps.
        first: SuspectedSplit,
        /// How many more there are.
        more: usize,
    },
    /// There are too few bars for the task.
    #[error("{symbol}: {present} bars in {origin}, but {needed} are needed to {purpose}")]
    TooFewRows {
        /// The symbol.
        symbol: Symbol,
        /// Where its bars come from.
        origin: Origin,
        /// Bars there are.
        present: usize,
        /// Bars it takes.
        needed: usize,
        /// For what.
        purpose: &'static str,
    },
    /// A feature that does not exist.
    #[error(transparent)]
    UnknownFeature(#[from] UnknownFeature),
    /// A task that makes no sense.
    #[error(transparent)]
    InvalidTask(#[from] InvalidSpec),
    /// A series.
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// A stored scaler that does not fit the task.
    #[error(transparent)]
    InvalidScaler(#[from] InvalidScaler),
}

/// What is counted in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unit {
    /// Lines of text, the header and blank ones included.
    #[default]
    Line,
    /// Rows of a table.
    Row,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "line",
            Self::Row => "row",
        })
    }
}

/// One thing wrong with one place of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is counted in the file.
    pub unit: Unit,
    /// The line or row, from 1.
    pub line: u64,
    /// The column, where one is at fault.
    pub column: Option<&'static str>,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unit, line, column, message } = self;
        match column {
            Some(column) => write!(f, "{unit} {line}, column {column}: {message}"),
            None => write!(f, "{unit} {line}: {message}"),
        }
    }
}

fn malformed(path: &std::path::Path, problems: &[Problem], total: usize) -> String {
    let mut text = path.display().to_string();
    if let Some(first) = problems.first() {
        text += &format!(", {first}");
    }
    match total.saturating_sub(1) {
        0 => text,
        1 => text + " (and 1 more problem)",
        more => text + &format!(" (and {more} more problems)"),
    }
}

fn header(path: &std::path::Path, line: u64) -> String {
    match line {
        0 => path.display().to_string(),
        line => format!("{}, line {line}", path.display()),
    }
}

fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" (and {more} more)") }
}

impl DataError {
    /// The single problems of a malformed file, the first few of them; empty for other errors.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Malformed { problems, .. } => problems,
            _ => &[],
        }
    }

    /// What the user can do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let header = CSV_COLUMNS.join(",");
        Some(match self {
            Self::MissingDirectory { .. } | Self::NotADirectory { .. } => {
                "give the directory that holds one SYMBOL.csv per symbol, or a file that holds them all"
                    .to_owned()
            }
            Self::Missing { path, nearest, files, .. } => missing_hint(path, nearest, *files),
            Self::NotText { .. } => {
                format!("the file must be CSV text in UTF-8 with the header {header}")
            }
            Self::Empty { .. } | Self::NoBars { .. } => format!(
                "the file needs the header {header} and one row per trading day; export it again"
            ),
            Self::Separator { .. } => {
                "write the file with commas between cells and a decimal point in numbers".to_owned()
            }
            Self::NoColumn { .. } => "a feature column:NAME is the column of that very name; correct \
                 task.features, or add the column to the file"
                .to_owned(),
            Self::MissingColumn { .. } | Self::RepeatedColumn { .. } => format!(
                "the first line must name {header} once each, in any order; \
                 further columns are ignored"
            ),
            Self::Malformed { .. } => "correct the rows named, or export the file again; the keys \
                 data.blank, data.duplicates, data.unsorted and data.inconsistent say what is mended"
                .to_owned(),
            Self::Packed { .. } => "the file is damaged or cut short; copy or export it again".to_owned(),
            Self::Parquet { .. } => "write it again as a table of flat columns, with snappy, gzip or \
                 zstd, as pandas, polars and DuckDB do by default; CSV is read as well"
                .to_owned(),
            Self::AmbiguousDates { .. } => "write dates as 2024-12-31".to_owned(),
            Self::NotInFile { nearest: Some(nearest), .. } => format!("the nearest name is {nearest}"),
            Self::NotInFile { .. } => "leave the symbol out, or name another file".to_owned(),
            Self::NoSymbolColumn { .. } => "add a column named symbol, or give a directory with one \
                 SYMBOL.csv per symbol"
                .to_owned(),
            Self::OtherSymbol { found, .. } => {
                format!("name the file after its symbol, {found}, or correct the column in it")
            }
            Self::ManySymbols { .. } => {
                "give this file itself as --data: its rows are told apart by their symbol".to_owned()
            }
            Self::TooManyDropped { .. } => {
                "export the file again; `mambafleet data check` counts what is wrong with it".to_owned()
            }
            Self::SuspectedSplit { .. } => "adjust the prices for splits, or give a file that says \
                 how; data.suspected_splits = \"keep\" takes it for a move of the market"
                .to_owned(),
            Self::TooFewRows { .. } => "provide more history, or lower task.lookback, the largest \
                 of task.horizons, evaluate.folds, or the part of task.split that takes most"
                .to_owned(),
            Self::UnknownFeature(unknown) => unknown.hint(),
            Self::Series(error) => error.hint(),
            Self::InvalidScaler(_) => "train the symbol again with this configuration".to_owned(),
            Self::Io { .. } | Self::InvalidTask(_) => return None,
        })
    }
}

fn missing_hint(path: &std::path::Path, nearest: &Option<String>, files: usize) -> String {
    let name = path.file_name().unwrap_or_default().display();
    let held = match files {
        0 => "the directory holds no file of prices".to_owned(),
        1 => "the directory holds 1 file of prices".to_owned(),
        n => format!("the directory holds {n} files of prices"),
    };
    match nearest {
        Some(nearest) => format!("{held}; the nearest name is {nearest}"),
        None => format!("{held}; add {name} or leave the symbol out"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_file_is_told_in_one_line() {
        let problem =
            |line, column| Problem { unit: Unit::Line, line, column, message: "is odd".into() };
        let error = |problems: Vec<Problem>, total| DataError::Malformed {
            path: "A.csv".into(),
            problems,
            total,
        };
        let one = error(vec![problem(7, Some("close"))], 1);
        assert_eq!(one.to_string(), "A.csv, line 7, column close: is odd");
        let two = error(vec![problem(7, None), problem(8, None)], 2);
        assert_eq!(two.to_string(), "A.csv, line 7: is odd (and 1 more problem)");
        assert_eq!(two.problems().len(), 2);
        let many = error(vec![problem(7, None)], 8);
        assert!(many.to_string().ends_with("(and 7 more problems)"));
    }

    #[test]
    fn errors_stay_small_enough_to_pass_around() {
        assert!(size_of::<DataError>() <= 128, "{}", size_of::<DataError>());
    }
}
