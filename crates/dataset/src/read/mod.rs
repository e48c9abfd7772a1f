//! Reading bars from CSV.

mod header;
mod row;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder};
use jiff::civil::Date;
use mambafleet_protocol::Symbol;

use crate::{Bar, Bars, DataError, Origin, Problem};
use header::Columns;
use text::LineCounter;

pub use row::PRICE_TOLERANCE;

/// How many problems of a malformed file are reported one by one; the rest are counted.
pub const REPORTED_PROBLEMS: usize = 5;

/// Reads the bars of `symbol` from the CSV file at `path`; see [`parse_csv`] for what is accepted.
///
/// # Errors
/// [`DataError::Io`] when the file cannot be read, otherwise as [`parse_csv`].
pub fn read_csv(symbol: &Symbol, path: &Path) -> Result<Bars, DataError> {
    let content =
        fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    let bars = parse_csv(path, &content)?;
    Ok(Bars { symbol: symbol.clone(), origin: Origin::Csv { path: path.to_owned() }, bars })
}

/// Parses the content of a CSV file; `path` only names it in errors.
///
/// Accepted is UTF-8 text (a byte order mark, CRLF and blank lines do no harm) whose first line
/// names the columns of [`CSV_COLUMNS`](crate::CSV_COLUMNS), in any order and capitals; further
/// columns are ignored. Every row has as many cells as the header, a date as `YYYY-MM-DD` after
/// that of the row before, finite prices above 0, a volume of at least 0, and open, close and low
/// not above high nor below low by more than [`PRICE_TOLERANCE`]. Nothing is repaired or skipped:
/// a file with a doubtful row is refused, with every doubtful row counted.
///
/// # Errors
/// [`DataError::NotText`], [`DataError::Empty`], [`DataError::NoBars`], the header's errors
/// ([`DataError::Separator`], [`DataError::MissingColumn`], [`DataError::RepeatedColumn`]) or
/// [`DataError::Malformed`].
pub fn parse_csv(path: &Path, content: &[u8]) -> Result<Vec<Bar>, DataError> {
    text::check(path, content)?;
    let mut rows = Rows::new(path, content);
    let Some(line) = rows.next()? else {
        return Err(DataError::Empty { path: path.to_owned() });
    };
    let columns = Columns::find(&rows.record, path, line)?;
    let mut parsed = Parsed::default();
    while let Some(line) = rows.next()? {
        parsed.row(&columns, &rows.record, line);
    }
    parsed.finish(path)
}

/// The records of a file with the lines on which they begin; blank lines are passed over.
struct Rows<'a> {
    path: &'a Path,
    reader: csv::Reader<&'a [u8]>,
    lines: LineCounter<'a>,
    record: ByteRecord,
}

impl<'a> Rows<'a> {
    fn new(path: &'a Path, content: &'a [u8]) -> Self {
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(content);
        Self { path, reader, lines: LineCounter::new(content), record: ByteRecord::new() }
    }

    /// Reads the next record and gives the line on which it begins.
    fn next(&mut self) -> Result<Option<u64>, DataError> {
        loop {
            let more = self.reader.read_byte_record(&mut self.record);
            if !more.map_err(|error| self.io_error(error))? {
                return Ok(None);
            }
            let blank = self.record.len() == 1 && self.record[0].trim_ascii().is_empty();
            if !blank {
                let start = self.record.position().map_or(0, csv::Position::byte);
                return Ok(Some(self.lines.at(start)));
            }
        }
    }

    fn io_error(&self, error: csv::Error) -> DataError {
        DataError::Io { path: PathBuf::from(self.path), source: error.into() }
    }
}

/// What has been read so far.
#[derive(Default)]
struct Parsed {
    bars: Vec<Bar>,
    /// Dates in ascending order with their lines, whether or not the rest of the row was good.
    dates: Vec<(Date, u64)>,
    problems: Problems,
}

impl Parsed {
    fn row(&mut self, columns: &Columns, record: &ByteRecord, line: u64) {
        if !columns.fit(record, line, &mut self.problems) {
            return;
        }
        let date = row::date(columns, record, line, &mut self.problems);
        let numbers = row::numbers(columns, record, line, &mut self.problems);
        if let Some(date) = date {
            self.order(date, line);
        }
        if let (Some(date), Some([open, high, low, close, volume])) = (date, numbers) {
            self.bars.push(Bar { date, open, high, low, close, volume });
        }
    }

    /// Notes `date`, and that it does not come after all earlier ones, if so.
    fn order(&mut self, date: Date, line: u64) {
        let Some(&(last, last_line)) = self.dates.last() else {
            self.dates.push((date, line));
            return;
        };
        if date > last {
            self.dates.push((date, line));
            return;
        }
        let same = self.dates.binary_search_by_key(&date, |(date, _)| *date);
        let same_line = same.ok().map(|index| self.dates[index].1);
        self.problems.add(line, Some("date"), || match same_line {
            Some(first) => format!("{date} stands already on line {first}; keep one of the two"),
            None => format!(
                "{date} comes after {last} of line {last_line}; sort the rows, oldest first"
            ),
        });
    }

    fn finish(self, path: &Path) -> Result<Vec<Bar>, DataError> {
        let path = path.to_owned();
        match self.problems {
            Problems { total: 0, .. } if self.bars.is_empty() => Err(DataError::NoBars { path }),
            Problems { total: 0, .. } => Ok(self.bars),
            Problems { list, total } => Err(DataError::Malformed { path, problems: list, total }),
        }
    }
}

/// The first few problems, and how many there are.
#[derive(Default)]
struct Problems {
    list: Vec<Problem>,
    total: usize,
}

impl Problems {
    fn add(&mut self, line: u64, column: Option<&'static str>, message: impl FnOnce() -> String) {
        self.total += 1;
        if self.list.len() < REPORTED_PROBLEMS {
            self.list.push(Problem { line, column, message: message() });
        }
    }
}
