//! What the values of a column mean.

use jiff::civil::Date;

use super::thrift::Value;
use super::values::Raw;
use super::{Fault, Physical};

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    /// Numbers, each to be divided by this.
    Number(f64),
    /// Numbers that are never below 0.
    Unsigned,
    /// Days since 1970.
    Days,
    /// Moments since 1970, so many to a day.
    Moments {
        per_day: i64,
        /// Whether they count from midnight in UTC, wherever it was written.
        utc: bool,
    },
    /// Text.
    Text,
    /// Nothing that a price file needs.
    Other,
}

/// The largest power of ten that a decimal is divided by.
const MAX_SCALE: i64 = 38;

const DAY: i64 = 86_400;

impl Meaning {
    /// What an element of the schema says of its values.
    pub(super) fn of(physical: Physical, element: &Value<'_>) -> Self {
        let (logical, converted) = (element.field(10), element.int(6));
        let is = |id| logical.is_some_and(|logical| logical.field(id).is_some());
        if is(5) || converted == Some(5) {
            let stated = logical.and_then(|logical| logical.field(5)?.int(1));
            let scale = stated.or(element.int(7)).unwrap_or(0);
            return match i32::try_from(scale) {
                Ok(power) if (0..=MAX_SCALE).contains(&scale) => Self::Number(10_f64.powi(power)),
                _ => Self::Other,
            };
        }
        match physical {
            Physical::Float | Physical::Double => Self::Number(1.0),
            Physical::Bytes => Self::Text,
            Physical::Boolean | Physical::Fixed(_) => Self::Other,
            Physical::Int96 => Self::Moments { per_day: DAY * 1_000_000, utc: false },
            Physical::Int32 if is(6) || converted == Some(6) => Self::Days,
            Physical::Int32 | Physical::Int64 => Self::of_integer(logical, converted),
        }
    }

    fn of_integer(logical: Option<&Value<'_>>, converted: Option<i64>) -> Self {
        let moments = |per_second: i64, utc| Self::Moments { per_day: DAY * per_second, utc };
        if let Some(stamp) = logical.and_then(|logical| logical.field(8)) {
            let utc = stamp.flag(1).unwrap_or(false);
            let unit = |id| stamp.field(2).is_some_and(|unit| unit.field(id).is_some());
            return match (unit(1), unit(2), unit(3)) {
                (true, ..) => moments(1_000, utc),
                (_, true, _) => moments(1_000_000, utc),
                (.., true) => moments(1_000_000_000, utc),
                _ => Self::Other,
            };
        }
        let integer = logical.and_then(|logical| logical.field(10));
        let signed = integer.and_then(|integer| integer.flag(2));
        let time = logical.is_some_and(|logical| logical.field(7).is_some());
        match converted {
            _ if time => Self::Other,
            _ if signed == Some(false) => Self::Unsigned,
            Some(9) => moments(1_000, false),
            Some(10) => moments(1_000_000, false),
            Some(7 | 8) => Self::Other,
            Some(11..=14) => Self::Unsigned,
            _ => Self::Number(1.0),
        }
    }
}

/// The cells of a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cells {
    /// Numbers; none where there is none.
    Numbers(Vec<Option<f64>>),
    /// Days; none where there is none.
    Dates(Vec<Option<Date>>),
    /// Texts: all of them, one behind the other, and where each begins and ends. Blank ones are empty.
    Texts(Vec<u8>, Vec<(usize, usize)>),
}

impl Cells {
    pub(super) fn new(meaning: &Meaning) -> Self {
        match meaning {
            Meaning::Number(_) | Meaning::Unsigned | Meaning::Other => Self::Numbers(Vec::new()),
            Meaning::Days | Meaning::Moments { .. } => Self::Dates(Vec::new()),
            Meaning::Text => Self::Texts(Vec::new(), Vec::new()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Numbers(cells) => cells.len(),
            Self::Dates(cells) => cells.len(),
            Self::Texts(_, places) => places.len(),
        }
    }

    /// Adds the values of a page; `present` tells which rows have one.
    pub(super) fn extend(
        &mut self,
        meaning: &Meaning,
        raw: &Raw<'_>,
        present: Option<&[u32]>,
        rows: usize,
    ) -> Result<(), Fault> {
        let mut next = 0;
        for row in 0..rows {
            let is_there = present.is_none_or(|present| present.get(row) == Some(&1));
            let index = is_there.then_some(next);
            next += usize::from(is_there);
            match self {
                Self::Numbers(cells) => {
                    cells.push(
                        index.map(|index| number(meaning, raw, index)).transpose()?.flatten(),
                    );
                }
                Self::Dates(cells) => {
                    let row = cells.len();
                    let date = index.map(|index| date(meaning, raw, index, row)).transpose()?;
                    cells.push(date);
                }
                Self::Texts(all, places) => {
                    let start = all.len();
                    if let Some(index) = index {
                        all.extend_from_slice(raw.bytes(index).ok_or_else(|| Fault::torn("data"))?);
                    }
                    places.push((start, all.len()));
                }
            }
        }
        Ok(())
    }
}

/// A number; what is not one ("NaN") is none.
fn number(meaning: &Meaning, raw: &Raw<'_>, index: usize) -> Result<Option<f64>, Fault> {
    let torn = || Fault::torn("data");
    let number = match (meaning, raw) {
        (Meaning::Number(scale), Raw::Floats(values)) => values.get(index).map(|v| v / scale),
        (Meaning::Number(scale), Raw::Ints(values)) => values.get(index).map(|v| *v as f64 / scale),
        (Meaning::Number(scale), raw) => {
            raw.bytes(index).and_then(big_endian).map(|value| value as f64 / scale)
        }
        (Meaning::Unsigned, Raw::Ints(values)) => values.get(index).map(|v| *v as u64 as f64),
        _ => None,
    };
    number.map(|number| Some(number).filter(|number| !number.is_nan())).ok_or_else(torn)
}

/// A signed number of up to 16 bytes, the highest first.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first()? & 0x80 != 0;
    let start = if negative { -1 } else { 0 };
    let fits = bytes.len() <= 16;
    fits.then(|| bytes.iter().fold(start, |number, byte| number << 8 | i128::from(*byte)))
}

/// A day. A moment in UTC after noon may be a midnight further east, and so of the next day.
fn date(meaning: &Meaning, raw: &Raw<'_>, index: usize, row: usize) -> Result<Date, Fault> {
    let Raw::Ints(values) = raw else { return Err(Fault::torn("data")) };
    let value = *values.get(index).ok_or_else(|| Fault::torn("data"))?;
    let days = match *meaning {
        Meaning::Moments { per_day, utc } => {
            let hour = value.rem_euclid(per_day) / (per_day / 24);
            if utc && hour >= 12 {
                return Err(Fault(format!(
                    "row {}: {hour} o'clock in UTC may be the next day where the market is; write \
                     dates as DATE",
                    row + 1
                )));
            }
            value.div_euclid(per_day)
        }
        _ => value,
    };
    let beyond = || Fault(format!("row {}: the date is beyond all calendars", row + 1));
    let days = i32::try_from(days).map_err(|_| beyond())?;
    let span = jiff::Span::new().try_days(days).map_err(|_| beyond())?;
    Date::constant(1970, 1, 1).checked_add(span).map_err(|_| beyond())
}
