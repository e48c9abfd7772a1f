//! One row: cells to numbers.

use std::str;

use csv::ByteRecord;
use jiff::civil::Date;

use super::dates;
use super::dialect::Dialect;
use super::header::{Columns, cell};
use super::problems::Problems;
use super::text::quoted;
use crate::CSV_COLUMNS;

/// No price is outside these bounds: quotients of prices stay finite, and what lies outside is
/// an error of unit or format.
pub(crate) const PRICES: std::ops::RangeInclusive<f64> = 1e-12..=1e12;

/// The largest volume taken for one.
pub(crate) const MAX_VOLUME: f64 = 1e18;

/// One row as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Its line, from 1.
    pub(crate) line: u64,
    /// The day.
    pub(crate) date: Date,
    /// Open, high, low, close and volume; none where the cell is blank.
    pub(crate) numbers: [Option<f64>; 5],
    /// The adjusted close: none where the cell is blank; the close, where there is no such column.
    pub(crate) adjusted: Option<f64>,
    /// Cash dividend per share, 0 without one.
    pub(crate) dividend: f64,
    /// New shares for each old one, 1 without a split.
    pub(crate) split: f64,
}

impl Row {
    /// How many of its cells are blank.
    pub(crate) fn blanks(&self, has_adjusted: bool) -> usize {
        let numbers = self.numbers.iter().filter(|number| number.is_none()).count();
        numbers + usize::from(has_adjusted && self.adjusted.is_none())
    }
}

/// What is wrong with a number's cell.
#[derive(Clone, Copy)]
enum Fault {
    NotANumber,
    NotFinite,
    NotPositive,
    Negative,
    Implausible,
}

impl Fault {
    fn message(self, cell: &[u8], decimal_comma: bool) -> String {
        let text = quoted(cell);
        match self {
            Self::NotANumber if decimal_comma && cell.contains(&b'.') => format!(
                "{text} is not a number: other cells have decimal commas; \
                 use no thousands separator"
            ),
            Self::NotANumber if cell.contains(&b',') => {
                format!("{text} is not a number; use a decimal point and no thousands separator")
            }
            Self::NotANumber => format!("{text} is not a number"),
            Self::NotFinite => format!("{text} is not a finite number; remove the row"),
            Self::NotPositive => format!("{text} is not a price: it must be above 0"),
            Self::Negative => format!("{text} is negative; use 0 where the volume is not known"),
            Self::Implausible => format!("{text} is implausibly large or small; check the unit"),
        }
    }
}

/// What a blank cell is told in a message.
pub(crate) const BLANK: &str = "the cell is blank; fill it in or remove the row";

/// Reads rows one after the other.
pub(super) struct RowReader<'a> {
    pub(super) columns: &'a Columns,
    pub(super) dialect: Dialect,
}

impl RowReader<'_> {
    /// The row, unless something in it is neither what it should be nor blank.
    pub(super) fn read(
        &self,
        record: &ByteRecord,
        line: u64,
        problems: &mut Problems,
    ) -> Option<Row> {
        let before = problems.total();
        let date = self.date(record, line, problems);
        let mut numbers = [None; 5];
        for (number, column) in numbers.iter_mut().zip(1..) {
            let volume = column == CSV_COLUMNS.len() - 1;
            let check = if volume { as_volume } else { as_price };
            let place = self.columns.cell(record, column);
            *number = self.number(place, line, CSV_COLUMNS[column], check, problems);
        }
        let mut other = |place: Option<usize>, name, check| match place {
            Some(place) => self.number(cell(record, place), line, name, check, problems),
            None => None,
        };
        let adjusted = other(self.columns.adjusted, "adjusted close", as_price);
        let dividend = other(self.columns.dividend, "dividend", as_volume).unwrap_or(0.0);
        let split = other(self.columns.split, "split", as_volume).filter(|split| *split > 0.0);
        let adjusted = if self.columns.adjusted.is_some() { adjusted } else { numbers[3] };
        let date = date.filter(|_| problems.total() == before)?;
        Some(Row { line, date, numbers, adjusted, dividend, split: split.unwrap_or(1.0) })
    }

    fn date(&self, record: &ByteRecord, line: u64, problems: &mut Problems) -> Option<Date> {
        let cell = self.columns.cell(record, 0);
        let date = dates::parse(cell, self.dialect.dates);
        if date.is_none() {
            problems.add(line, Some(CSV_COLUMNS[0]), || match cell {
                [] => BLANK.to_owned(),
                _ => format!("{} is not a date; write it as 2024-12-31", quoted(cell)),
            });
        }
        date
    }

    /// The cell's number, none if it is blank or a problem.
    fn number(
        &self,
        cell: &[u8],
        line: u64,
        column: &'static str,
        check: fn(f64) -> Result<f64, Fault>,
        problems: &mut Problems,
    ) -> Option<f64> {
        if is_blank(cell) {
            return None;
        }
        let comma = self.dialect.decimal_comma;
        match parse(cell, comma).and_then(check) {
            Ok(value) => Some(value),
            Err(fault) => {
                problems.add(line, Some(column), || fault.message(cell, comma));
                None
            }
        }
    }
}

/// Whether a vendor has nothing to say here. Yahoo writes `null`.
fn is_blank(cell: &[u8]) -> bool {
    cell.is_empty() || cell.eq_ignore_ascii_case(b"null")
}

fn as_price(value: f64) -> Result<f64, Fault> {
    if value <= 0.0 {
        Err(Fault::NotPositive)
    } else if PRICES.contains(&value) {
        Ok(value)
    } else {
        Err(Fault::Implausible)
    }
}

fn as_volume(value: f64) -> Result<f64, Fault> {
    if value < 0.0 {
        Err(Fault::Negative)
    } else if value <= MAX_VOLUME {
        // Adding zero turns a negative zero into the one that all files share.
        Ok(value + 0.0)
    } else {
        Err(Fault::Implausible)
    }
}

fn parse(cell: &[u8], decimal_comma: bool) -> Result<f64, Fault> {
    let text = str::from_utf8(cell).map_err(|_| Fault::NotANumber)?;
    let value: Result<f64, _> = if decimal_comma {
        if text.contains('.') {
            return Err(Fault::NotANumber);
        }
        text.replace(',', ".").parse()
    } else {
        text.parse()
    };
    let value = value.map_err(|_| Fault::NotANumber)?;
    if value.is_finite() { Ok(value) } else { Err(Fault::NotFinite) }
}
