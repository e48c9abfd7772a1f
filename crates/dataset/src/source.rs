//! From a data source to bars: which file holds a symbol, and what to say when none does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mambafleet_protocol::{DataSource, Symbol};

use crate::nearest::nearest;
use crate::read::{content, parse_with, read_shared};
use crate::{Bars, CSV_COLUMNS, DataError, synthesize};

/// What the names of files with prices end in.
const ENDINGS: [&str; 4] = ["csv", "parquet", "tsv", TEXT];

/// Stooq's files end like that, and many a note beside them.
const TEXT: &str = "txt";

/// What may stand behind, where a file is compressed.
const PACKED: [&str; 2] = ["gz", "zst"];

/// The bars of `symbol` from `source`.
///
/// # Errors
/// Every [`DataError`] about directories, files and their content; none for synthetic data.
pub fn load(symbol: &Symbol, source: &DataSource) -> Result<Bars, DataError> {
    load_with(symbol, source, &[])
}

/// The same with further columns of numbers, by their names in the header of the file.
///
/// # Errors
/// As [`load`], and [`DataError::NoColumn`] where there is no such column; synthetic data have none.
pub fn load_with(
    symbol: &Symbol,
    source: &DataSource,
    columns: &[String],
) -> Result<Bars, DataError> {
    match source {
        DataSource::Synthetic { bars, seed } => {
            let bars = synthesize(symbol, *bars, *seed);
            match columns.first() {
                None => Ok(bars),
                Some(name) => Err(DataError::NoColumn {
                    origin: bars.origin.to_string(),
                    name: name.clone(),
                    found: format!("found {}", CSV_COLUMNS.join(", ")),
                }),
            }
        }
        DataSource::Csv { dir, policy } if dir.is_file() => {
            read_shared(symbol, dir, policy, columns)
        }
        DataSource::Csv { dir, policy } => {
            let (path, content) = content_of(symbol, dir)?;
            parse_with(symbol, &path, &content, policy, columns)
        }
    }
}

/// The file that holds a symbol's rows, and its content.
///
/// # Errors
/// Every [`DataError`] about directories and files.
pub(crate) fn content_of(symbol: &Symbol, source: &Path) -> Result<(PathBuf, Vec<u8>), DataError> {
    let path = data_path(source, symbol);
    if !source.is_file() && differs_in_case(source, &path) {
        return Err(explain_missing(source, symbol, path));
    }
    match content(&path) {
        Ok(content) => Ok((path, content)),
        Err(DataError::Io { source: error, .. }) if is_missing(&error) => {
            Err(explain_missing(source, symbol, path))
        }
        Err(error) => Err(error),
    }
}

/// The file that holds the bars of `symbol`, or would hold them if it existed: `source` itself if it is
/// a file; otherwise [`csv_path`], or else the first in the directory that has the same name but for
/// its ending: `.csv`, `.parquet`, `.tsv` or `.txt` in any capitals, also with `.gz` or `.zst` behind.
#[must_use]
pub fn data_path(source: &Path, symbol: &Symbol) -> PathBuf {
    if source.is_file() {
        return source.to_owned();
    }
    let usual = csv_path(source, symbol);
    if usual.exists() {
        return usual;
    }
    let plain = Some(symbol.to_string()).filter(|_| is_plain_file_name(symbol));
    let escaped = symbol.dir_name();
    let is_it = |name: &String| {
        data_stem(Path::new(name))
            .is_some_and(|stem| stem == escaped || Some(&stem) == plain.as_ref())
    };
    let found = data_names(source).unwrap_or_default().into_iter().filter(is_it).min();
    found.map_or(usual, |name| source.join(name))
}

/// What stands before the endings of a file with prices: `AAPL` of `AAPL.csv.gz`; none if the name
/// does not end like that of such a file.
pub(crate) fn data_stem(path: &Path) -> Option<String> {
    let name = Path::new(path.file_name()?);
    let name = if is(name, &PACKED) { Path::new(name.file_stem()?) } else { name };
    is(name, &ENDINGS).then(|| name.file_stem()?.to_str().map(str::to_owned))?
}

/// The CSV file in `dir` that holds the bars of `symbol`, or would hold them if it existed.
///
/// A symbol that is a plain file name on every system (`BRK.B`, `^GSPC`, `EURUSD=X`) lives in
/// `SYMBOL.csv`. Every symbol may instead use its escaped [`Symbol::dir_name`]
/// (`BTC%2FUSD.csv` for `BTC/USD`), and one that is no plain file name must. Where both files
/// exist, the first wins. The path is never outside `dir`.
#[must_use]
pub fn csv_path(dir: &Path, symbol: &Symbol) -> PathBuf {
    let escaped = dir.join(format!("{}.csv", symbol.dir_name()));
    if !is_plain_file_name(symbol) {
        return escaped;
    }
    let plain = dir.join(format!("{symbol}.csv"));
    if !plain.exists() && escaped.exists() { escaped } else { plain }
}

/// Whether `symbol` names an ordinary file on every common system: no separator, no character
/// that a shell or Windows treats specially, no hidden file, no option, no device.
fn is_plain_file_name(symbol: &Symbol) -> bool {
    let text = symbol.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._=^-".contains(c);
    let device = || {
        // In capitals, `dir_name` escapes a leading letter only to break a device name (`CON`).
        let capitals = Symbol::new(text.to_ascii_uppercase());
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && capitals.is_ok_and(|symbol| symbol.dir_name().starts_with('%'))
    };
    text.chars().all(plain) && !text.starts_with(['.', '-']) && !device()
}

/// Whether what would be opened as `path` is another symbol's file: these systems do not tell
/// `BRKb.csv` from `BRKB.csv`.
fn differs_in_case(dir: &Path, path: &Path) -> bool {
    cfg!(any(windows, target_vendor = "apple"))
        && path.exists()
        && data_names(dir).is_ok_and(|names| !names.iter().any(|name| path.ends_with(name)))
}

/// Whether a file could not be read because there is none.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Why there is no file at `path`: the best explanation that a look into `dir` gives.
fn explain_missing(dir: &Path, symbol: &Symbol, path: PathBuf) -> DataError {
    let dir = dir.to_owned();
    let names = match data_names(&dir) {
        Ok(names) => names,
        Err(source) => {
            return match source.kind() {
                io::ErrorKind::NotFound => DataError::MissingDirectory { dir },
                io::ErrorKind::NotADirectory => DataError::NotADirectory { dir },
                _ => DataError::Io { path: dir, source },
            };
        }
    };
    // A text is as likely something else.
    let names: Vec<String> =
        names.into_iter().filter(|name| !is_plain_text(Path::new(name))).collect();
    let stem = |name: &String| data_stem(Path::new(name)).unwrap_or_default();
    let stems: Vec<String> = names.iter().map(stem).collect();
    let similar = nearest(symbol.as_str(), stems.iter().map(String::as_str));
    let nearest = similar.and_then(|best| {
        let position = stems.iter().position(|stem| stem == best)?;
        names.get(position).cloned()
    });
    DataError::Missing { symbol: symbol.clone(), path, dir, nearest, files: names.len() }
}

/// Whether the name ends in one of these.
fn is(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|e| endings.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

/// Whether the name ends as that of any text does.
pub(crate) fn is_plain_text(path: &Path) -> bool {
    is(path, &[TEXT])
}

/// The names in `dir` of files with prices, in any mix of capitals.
fn data_names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if let (Some(_), Some(name)) = (data_stem(Path::new(&name)), name.to_str()) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
