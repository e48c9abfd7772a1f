//! One row: cells to numbers.

use std::borrow::Cow;
use std::str;

use jiff::civil::Date;

use super::dates;
use super::dialect::Dialect;
use super::header::Columns;
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
    /// Its line, from 1; where there are no lines, its number, from 1.
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
    /// What stands in the further columns that were asked for; none where the cell is blank.
    pub(crate) extra: Vec<Option<f64>>,
}

impl Row {
    /// How many of its cells are blank.
    pub(crate) fn blanks(&self, has_adjusted: bool) -> usize {
        let numbers = self.numbers.iter().filter(|number| number.is_none()).count();
        let extra = self.extra.iter().filter(|number| number.is_none()).count();
        numbers + usize::from(has_adjusted && self.adjusted.is_none()) + extra
    }
}

/// What stands in a cell of a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell<'a> {
    /// Nothing.
    Blank,
    /// Text, trimmed.
    Text(&'a [u8]),
    /// A number, in a file that knows of types.
    Number(f64),
    /// A day, in such a file.
    Date(Date),
}

impl Cell<'_> {
    /// The text that a person would write there.
    pub(super) fn text(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Blank => Cow::Borrowed(b""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(number) => Cow::Owned(number.to_string().into_bytes()),
            Self::Date(date) => Cow::Owned(date.to_string().into_bytes()),
        }
    }

    fn is_blank(&self) -> bool {
        match self {
            Self::Blank => true,
            // Yahoo has nothing to say there.
            Self::Text(text) => text.is_empty() || text.eq_ignore_ascii_case(b"null"),
            Self::Number(_) | Self::Date(_) => false,
        }
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

/// What further columns are called in a message.
pub(crate) const FURTHER: &str = "a further column";

/// Reads rows one after the other.
pub(super) struct RowReader<'a> {
    pub(super) columns: &'a Columns,
    pub(super) dialect: Dialect,
}

impl RowReader<'_> {
    /// The row, unless something in it is neither what it should be nor blank. `cell` has the cell of
    /// each place.
    pub(super) fn read<'a>(
        &self,
        cell: &impl Fn(usize) -> Cell<'a>,
        line: u64,
        problems: &mut Problems,
    ) -> Option<Row> {
        let before = problems.total();
        let date = self.date(cell(self.columns.place(0)), line, problems);
        let mut numbers = [None; 5];
        for (number, column) in numbers.iter_mut().zip(1..) {
            let volume = column == CSV_COLUMNS.len() - 1;
            let check = if volume { as_volume } else { as_price };
            let place = cell(self.columns.place(column));
            *number = self.number(place, line, CSV_COLUMNS[column], check, problems);
        }
        let mut other = |place: Option<usize>, name, check| match place {
            Some(place) => self.number(cell(place), line, name, check, problems),
            None => None,
        };
        let adjusted = other(self.columns.adjusted, "adjusted close", as_price);
        let dividend = other(self.columns.dividend, "dividend", as_volume).unwrap_or(0.0);
        let split = other(self.columns.split, "split", as_volume).filter(|split| *split > 0.0);
        let adjusted = if self.columns.adjusted.is_some() { adjusted } else { numbers[3] };
        let places = self.columns.extra.iter();
        let extra = places
            .map(|place| self.number(cell(*place), line, FURTHER, as_further, problems))
            .collect();
        let date = date.filter(|_| problems.total() == before)?;
        Some(Row { line, date, numbers, adjusted, dividend, split: split.unwrap_or(1.0), extra })
    }

    fn date(&self, cell: Cell<'_>, line: u64, problems: &mut Problems) -> Option<Date> {
        let date = match cell {
            Cell::Date(date) => Some(date),
            cell => dates::parse(&cell.text(), self.dialect.dates),
        };
        if date.is_none() {
            problems.add(line, Some(CSV_COLUMNS[0]), || match &*cell.text() {
                [] => BLANK.to_owned(),
                text => format!("{} is not a date; write it as 2024-12-31", quoted(text)),
            });
        }
        date
    }

    /// The cell's number, none if it is blank or a problem.
    fn number(
        &self,
        cell: Cell<'_>,
        line: u64,
        column: &'static str,
        check: fn(f64) -> Result<f64, Fault>,
        problems: &mut Problems,
    ) -> Option<f64> {
        if cell.is_blank() {
            return None;
        }
        let comma = self.dialect.decimal_comma;
        let value = match cell {
            Cell::Number(value) if value.is_finite() => Ok(value),
            Cell::Number(_) => Err(Fault::NotFinite),
            Cell::Text(text) => parse(text, comma),
            Cell::Date(_) | Cell::Blank => Err(Fault::NotANumber),
        };
        match value.and_then(check) {
            Ok(value) => Some(value),
            Err(fault) => {
                problems.add(line, Some(column), || fault.message(&cell.text(), comma));
                None
            }
        }
    }
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

/// Squares of what features are made of must stay finite.
fn as_further(value: f64) -> Result<f64, Fault> {
    if value.abs() <= MAX_VOLUME { Ok(value) } else { Err(Fault::Implausible) }
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
