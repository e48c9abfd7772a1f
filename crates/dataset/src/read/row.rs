//! One row: cells to numbers, and whether they make a bar.

use std::str;

use csv::ByteRecord;
use jiff::civil::Date;

use super::Problems;
use super::header::Columns;
use super::text::quoted;
use crate::CSV_COLUMNS;

/// How far, as a part of the high, open, close and low may lie outside the range from low to high
/// before a row counts as inconsistent. Files with 6 significant digits, adjusted for dividends by
/// multiplication, are off by up to a tenth of this from rounding alone.
pub const PRICE_TOLERANCE: f64 = 1e-4;

/// No price is outside these bounds: quotients of prices stay finite, and what lies outside is
/// an error of unit or format.
const PRICES: std::ops::RangeInclusive<f64> = 1e-12..=1e12;

/// The largest volume taken for one.
const MAX_VOLUME: f64 = 1e18;

const VOLUME: usize = 5;

/// What is wrong with a number's cell.
#[derive(Clone, Copy)]
enum Fault {
    Blank,
    NotANumber,
    NotFinite,
    NotPositive,
    Negative,
    Implausible,
}

impl Fault {
    fn message(self, cell: &[u8]) -> String {
        let text = quoted(cell);
        match self {
            Self::Blank => "the cell is blank; fill it in or remove the row".to_owned(),
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

/// The row's date.
pub(super) fn date(
    columns: &Columns,
    record: &ByteRecord,
    line: u64,
    problems: &mut Problems,
) -> Option<Date> {
    let cell = columns.cell(record, 0);
    let date = parse_date(cell);
    if date.is_none() {
        problems.add(line, Some(CSV_COLUMNS[0]), || match cell {
            [] => Fault::Blank.message(cell),
            _ => format!("{} is not a date; write it as 2024-12-31", quoted(cell)),
        });
    }
    date
}

/// Open, high, low, close and volume of the row, if all are good and agree.
pub(super) fn numbers(
    columns: &Columns,
    record: &ByteRecord,
    line: u64,
    problems: &mut Problems,
) -> Option<[f64; 5]> {
    let mut numbers = [0.0; 5];
    let mut good = true;
    for (number, column) in numbers.iter_mut().zip(1..) {
        let cell = columns.cell(record, column);
        match if column == VOLUME { volume(cell) } else { price(cell) } {
            Ok(value) => *number = value,
            Err(fault) => {
                problems.add(line, Some(CSV_COLUMNS[column]), || fault.message(cell));
                good = false;
            }
        }
    }
    (good && consistent(numbers, line, problems)).then_some(numbers)
}

/// Whether the day's range holds its prices; if not, says which price lies outside.
fn consistent([open, high, low, close, _]: [f64; 5], line: u64, problems: &mut Problems) -> bool {
    let slack = PRICE_TOLERANCE * high;
    if high + slack < low {
        problems.add(line, Some("high"), || {
            format!("high {high} is below low {low}; correct the row or remove it")
        });
        return false;
    }
    let mut good = true;
    for (column, price) in [("open", open), ("close", close)] {
        if price < low - slack || price > high + slack {
            problems.add(line, Some(column), || {
                format!(
                    "{column} {price} is outside the day's range {low} to {high}; \
                     correct the row or remove it"
                )
            });
            good = false;
        }
    }
    good
}

fn price(cell: &[u8]) -> Result<f64, Fault> {
    let value = number(cell)?;
    if value <= 0.0 {
        Err(Fault::NotPositive)
    } else if PRICES.contains(&value) {
        Ok(value)
    } else {
        Err(Fault::Implausible)
    }
}

fn volume(cell: &[u8]) -> Result<f64, Fault> {
    let value = number(cell)?;
    if value < 0.0 {
        Err(Fault::Negative)
    } else if value <= MAX_VOLUME {
        // Adding zero turns a negative zero into the one that all files share.
        Ok(value + 0.0)
    } else {
        Err(Fault::Implausible)
    }
}

fn number(cell: &[u8]) -> Result<f64, Fault> {
    if cell.is_empty() {
        return Err(Fault::Blank);
    }
    let text = str::from_utf8(cell).map_err(|_| Fault::NotANumber)?;
    let value: f64 = text.parse().map_err(|_| Fault::NotANumber)?;
    if value.is_finite() { Ok(value) } else { Err(Fault::NotFinite) }
}

/// A date of the form `YYYY-MM-DD`; nothing else, since `01/02/2024` can be read in two ways.
fn parse_date(cell: &[u8]) -> Option<Date> {
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = cell else { return None };
    let join = |digits: &[u8]| {
        digits.iter().try_fold(0_i16, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i16::from(digit - b'0'))
        })
    };
    let month = i8::try_from(join(&[m0, m1])?).ok()?;
    let day = i8::try_from(join(&[d0, d1])?).ok()?;
    Date::new(join(&[y0, y1, y2, y3])?, month, day).ok()
}
